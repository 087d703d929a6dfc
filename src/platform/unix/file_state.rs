//! How a file stands, as fstat tells it.

use super::sys;
use crate::errno::Result;
use libc::c_int;

/// What fstat tells of a file, times in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileState {
    pub device: u64,
    pub inode: u64,
    pub size: i64,
    pub links: u64,
    pub mode: u32,
    pub owner: u32,
    pub group: u32,
    pub modified: i64,
    pub changed: i64,
    pub identity: u32,
    /// A change right after it was looked at could have got the stamp that the last one has.
    pub recent: bool,
}

/// What a file is called, and in which directory, hashed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileName {
    pub base: u32,
    /// 0: not known. Not its path: that changes when a directory above is renamed.
    pub directory: u32,
}

impl FileName {
    pub fn is_other(&self, before: &FileName) -> bool {
        self.base != before.base || (self.directory != before.directory && self.directory != 0 && before.directory != 0)
    }
}

/// How long the clock that stamps files stands still, at most, in nanoseconds.
const GRANULE: i64 = 10_000_000;

impl FileState {
    #[allow(clippy::unnecessary_cast)]
    pub fn is_directory(&self) -> bool {
        self.mode & libc::S_IFMT as u32 == libc::S_IFDIR as u32
    }

    pub fn is_same_file(&self, other: &FileState) -> bool {
        self.device == other.device && self.inode == other.inode
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
    let mixed = (stat.st_ino as u64 ^ (stat.st_dev as u64).rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    (mixed as u32).max(1)
}

/// Which file or device the number is open on; `None`: on nothing.
pub fn identity(fd: i32) -> Option<u32> {
    sys::stat(fd).ok().map(|stat| identity_of(&stat))
}
