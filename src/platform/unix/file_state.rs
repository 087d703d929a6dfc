//! How a file stands, as fstat tells it.

use super::sys;
use crate::errno::{Errno, Result};
use crate::platform::file_state::mixed;
use libc::c_int;

pub use crate::platform::file_state::{FileName, FileState};

/// How long the clock that stamps files stands still, at most, in nanoseconds.
const GRANULE: i64 = 10_000_000;

impl FileState {
    #[allow(clippy::unnecessary_cast)]
    pub fn is_directory(&self) -> bool {
        self.mode & libc::S_IFMT as u32 == libc::S_IFDIR as u32
    }
}

pub fn file_state(fd: c_int) -> Result<FileState> {
    sys::stat(fd).map(|stat| state_of(&stat))
}

// The types of the members differ from system to system.
#[allow(clippy::unnecessary_cast)]
pub fn state_of(stat: &libc::stat) -> FileState {
    let time = |seconds: i64, nanoseconds: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds);
    let changed = time(stat.st_ctime as i64, stat.st_ctime_nsec as i64);
    FileState {
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
        size: stat.st_size as i64,
        links: stat.st_nlink as u64,
        mode: stat.st_mode as u32,
        owner: stat.st_uid,
        group: stat.st_gid,
        modified: time(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        changed,
        identity: identity_of(stat),
        recent: changed.saturating_add(GRANULE) >= sys::now(libc::CLOCK_REALTIME) as i64,
    }
}

/// Device and inode, mixed; never 0.
#[allow(clippy::unnecessary_cast)]
pub fn identity_of(stat: &libc::stat) -> u32 {
    mixed(stat.st_ino as u64 ^ (stat.st_dev as u64).rotate_left(32))
}

/// Which file or device the number is open on; `None`: on nothing.
pub fn identity(fd: i32) -> Option<u32> {
    sys::stat(fd).ok().map(|stat| identity_of(&stat))
}

/// Is the number open on another file than that one, or on nothing? Not so where the file's server does not answer.
pub fn is_another(fd: i32, known: u32) -> bool {
    match sys::stat(fd) {
        Ok(stat) => identity_of(&stat) != known,
        Err(errno) => errno == Errno::EBADF,
    }
}
