//! Files, as the system tells of an open handle: no watch on one is set, so the clock looks (`State::TICK`).

use super::api::*;
use super::sys;
use super::target::{self, Target};
use crate::errno::{Errno, Result};
use crate::platform::file_state::mixed;
use core::ffi::c_int;

pub use super::unwatched::{directory_state, FileEvent, Watched, Whose};
pub use crate::platform::file_state::{FileName, FileState};

impl FileState {
    pub fn is_directory(&self) -> bool {
        self.mode & FILE_ATTRIBUTE_DIRECTORY != 0
    }
}

/// From 1601 to 1970, in 100 ns.
const EPOCH: i64 = 116_444_736_000_000_000;
/// How long the clock that stamps files stands still, at most, in nanoseconds.
const GRANULE: i64 = 16_000_000;
/// Attributes that the system sets by itself: archive, normal, compressed...
const PLAIN_ATTRIBUTES: u32 = FILE_ATTRIBUTE_DIRECTORY | 1 | 2 | 4 | 0x100;

/// `EBADF`: the number is no file.
pub fn file_state(number: c_int) -> Result<FileState> {
    let handle = target::file_handle(number).ok_or(Errno::EBADF)?;
    sys::keeping_last_error(|| state_of(handle)).ok_or(Errno::EBADF)
}

fn state_of(handle: Handle) -> Option<FileState> {
    const BASIC: u32 = 0;
    const STANDARD: u32 = 1;
    let mut file = FileInformation::default();
    let mut basic = FileBasicInformation::default();
    let mut standard = FileStandardInformation::default();
    // SAFETY: the structures are locals, and their sizes are given.
    let known = unsafe {
        GetFileInformationByHandle(handle, &mut file) != 0
            && GetFileInformationByHandleEx(
                handle,
                BASIC,
                (&raw mut basic).cast(),
                size_of::<FileBasicInformation>() as u32,
            ) != 0
            && GetFileInformationByHandleEx(
                handle,
                STANDARD,
                (&raw mut standard).cast(),
                size_of::<FileStandardInformation>() as u32,
            ) != 0
    };
    if !known {
        return None;
    }
    let time = |stamp: i64| stamp.saturating_sub(EPOCH).saturating_mul(100);
    let inode = u64::from(file.index_high) << 32 | u64::from(file.index_low);
    let changed = time(basic.change);
    Some(FileState {
        // The volume is not looked at: Wine finds it by a name that a renamed file has no more.
        device: 0,
        inode,
        size: standard.size,
        links: if standard.delete_pending != 0 { 0 } else { u64::from(standard.links) },
        mode: file.attributes & PLAIN_ATTRIBUTES,
        owner: 0,
        group: 0,
        modified: time(basic.write),
        changed,
        identity: mixed(inode),
        recent: changed.saturating_add(GRANULE) >= sys::now(sys::CLOCK_REALTIME) as i64,
    })
}

/// Which file or device the number is open on, or which handle it is; `None`: nothing.
pub fn identity(number: i32) -> Option<u32> {
    match target::resolve(number)? {
        Target::File(handle) | Target::Directory(handle) => Some(state_of(handle)?.identity),
        Target::Stream(handle)
        | Target::Datagram(handle)
        | Target::Pipe(handle)
        | Target::Console(handle)
        | Target::Device(handle) => Some(mixed(handle as u64)),
        Target::Queue(slot) => Some(mixed(u64::from(slot) << 32 | 1)),
    }
}

pub fn is_another(number: i32, known: u32) -> bool {
    identity(number) != Some(known)
}

/// The file under the number; it is never told that its own writes are unseen. `EBADF`; `EINVAL` what is no file.
pub fn vnode(number: c_int) -> Result<(FileState, bool)> {
    match target::resolve(number).ok_or(Errno::EBADF)? {
        Target::File(_) | Target::Directory(_) => Ok((file_state(number)?, false)),
        _ => Err(Errno::EINVAL),
    }
}

/// What the file is called now. (Wine goes on saying what it was opened by.)
pub fn file_name(number: c_int) -> Option<FileName> {
    const ROOM: usize = 2048;
    const SEPARATOR: u16 = b'\\' as u16;
    let handle = target::file_handle(number)?;
    let mut path = [0u16; ROOM];
    // SAFETY: the room is given.
    let length = unsafe { GetFinalPathNameByHandleW(handle, path.as_mut_ptr(), ROOM as u32, 0) } as usize;
    let path = path.get(..length).filter(|path| !path.is_empty())?;
    let (directory, base) = path.split_at(path.iter().rposition(|&unit| unit == SEPARATOR).map_or(0, |at| at + 1));
    let hash = |part: &[u16]| {
        mixed(part.iter().fold(0, |hash: u64, &unit| hash.wrapping_mul(31).wrapping_add(u64::from(unit))))
    };
    Some(FileName { base: hash(base), directory: hash(directory) })
}

/// A name that did not change does not tell that there was no rename; its time of change does.
pub const TELLS_NAMES: bool = false;

/// How often files are looked at, in nanoseconds.
const INTERVAL: u64 = 20_000_000;

pub fn interval() -> Option<u64> {
    Some(INTERVAL)
}

/// `ENOSYS`: a setting of the POSIX backend.
pub fn set_interval(_: isize) -> Result<isize> {
    Err(Errno(libc::ENOSYS))
}
