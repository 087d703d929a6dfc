//! Files, as fstat tells of them: no watch on one can be had, so the clock looks (`State::TICK`).

use super::poller::Poller;
use super::sys;
use crate::errno::{Errno, Result};
use crate::platform::unix::file_state::state_of;
use bitflags::bitflags;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use libc::c_int;

pub use crate::platform::unix::file_state::{file_state, FileName, FileState};

bitflags! {
    /// What a watch on a file would tell of.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Watched: u32 {
        const MODIFIED = 1;
        const ATTRIBUTES = 2;
        const RENAMED = 4;
        const OPENED = 8;
        const CLOSED = 0x10;
        const CLOSED_WRITTEN = 0x20;
        const ACCESSED = 0x40;
        const ENTRY_MADE = 0x80;
        const ENTRY_REMOVED = 0x100;
        const ENTRY_LEFT = 0x200;
        const ENTRY_CAME = 0x400;
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    Own,
    Parent,
}

/// What a watch would tell; none ever comes.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code)]
pub enum FileEvent {
    Happened { watch: i32, what: Watched, named: bool, directory: bool, cookie: u32 },
    Gone { watch: i32 },
    Lost,
}

pub fn directory_state(_: c_int, state: FileState) -> FileState {
    state
}

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

impl Poller {
    /// `ENOTSUP`.
    pub fn watch_file(&self, _: u32, _: c_int, _: Whose, _: Watched, _: bool) -> Result<i32> {
        Err(Errno::ENOTSUP)
    }

    pub fn unwatch_file(&self, _: i32) {}

    pub fn has_lost_files(&self) -> bool {
        false
    }

    pub fn file_events(&self, _: impl FnMut(FileEvent)) -> bool {
        false
    }
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
