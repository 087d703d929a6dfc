//! Files, as fstat tells of them: no watch on one can be had, so the clock looks (`State::TICK`).

use super::sys;
use crate::errno::{Errno, Result};
use crate::platform::unix::file_state::state_of;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use libc::c_int;

pub use super::unwatched::{directory_state, FileEvent, Watched, Whose};
pub use crate::platform::unix::file_state::{file_state, FileName, FileState};

/// The file under `fd`; it is never told that its own writes are unseen. `EBADF`; `EINVAL` what is no file: pipe(2),
/// sockets and the like (5.5).
pub fn vnode(fd: c_int) -> Result<(FileState, bool)> {
    let stat = sys::stat(fd)?;
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFIFO if is_pipe(&stat) => Err(Errno::EINVAL),
        libc::S_IFSOCK | 0 => Err(Errno::EINVAL),
        _ => Ok((state_of(&stat), false)),
    }
}

/// pipe(2), not a FIFO? The pipes of a system are on one device, and every queue has one.
fn is_pipe(stat: &libc::stat) -> bool {
    super::pipe::device_of_pipes() == Some(stat.st_dev)
}

/// What a file is called nobody tells.
pub fn file_name(_: c_int) -> Option<FileName> {
    None
}

/// Renaming a file leaves a trace in its times, and nothing else.
pub const TELLS_NAMES: bool = false;

/// How often files are looked at, in nanoseconds.
const USUAL: u64 = 250_000_000;
static INTERVAL: AtomicU64 = AtomicU64::new(USUAL);

pub fn interval() -> Option<u64> {
    Some(INTERVAL.load(Relaxed))
}

/// Sets it, for what is looked at from now on; 0: as usual. Returns what it was. `EINVAL`.
pub fn set_interval(nanoseconds: isize) -> Result<isize> {
    let interval = match u64::try_from(nanoseconds) {
        Ok(0) => USUAL,
        Ok(interval) => interval,
        Err(_) => return Err(Errno::EINVAL),
    };
    Ok(INTERVAL.swap(interval, Relaxed) as isize)
}
