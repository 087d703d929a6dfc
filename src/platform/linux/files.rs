//! Files: inotify's events, and what fstat tells between them.
//!
//! Watches are set through `/proc/self/fd/N`, which leads to the inode whatever it is called by now, and opens
//! nothing: closing a file would drop the process's fcntl locks on it.

use super::procfs::Path;
use super::sys::{self, check};
use crate::errno::{Errno, Result};
use crate::platform::unix::file_state::state_of;
pub use crate::platform::unix::file_state::{file_state, FileName, FileState};
use bitflags::bitflags;
use core::mem::MaybeUninit;
use libc::c_int;

bitflags! {
    /// What a watch on a file tells of.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Watched: u32 {
        const MODIFIED = libc::IN_MODIFY;
        const ATTRIBUTES = libc::IN_ATTRIB;
        const RENAMED = libc::IN_MOVE_SELF;
        const OPENED = libc::IN_OPEN;
        const CLOSED = libc::IN_CLOSE_NOWRITE;
        const CLOSED_WRITTEN = libc::IN_CLOSE_WRITE;
        const ACCESSED = libc::IN_ACCESS;
        const ENTRY_MADE = libc::IN_CREATE;
        const ENTRY_REMOVED = libc::IN_DELETE;
        const ENTRY_LEFT = libc::IN_MOVED_FROM;
        const ENTRY_CAME = libc::IN_MOVED_TO;
    }
}

/// A mask must not be empty; this comes only when nobody has the file open any more.
const NOTHING: u32 = libc::IN_DELETE_SELF;

/// Which directory entry or file a watch is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    /// The file under the descriptor.
    Own,
    /// The directory that the directory under the descriptor is in.
    Parent,
}

#[derive(Clone, Copy, Debug)]
pub enum FileEvent {
    Happened {
        watch: i32,
        what: Watched,
        /// It is an entry of the watched directory that it happened to.
        named: bool,
        /// It is a directory that it happened to.
        directory: bool,
        /// Ties the two halves of a rename together.
        cookie: u32,
    },
    /// The watch has gone with its file.
    Gone { watch: i32 },
    /// Events were lost.
    Lost,
}

pub fn inotify() -> Result<c_int> {
    // SAFETY: no pointers.
    check(unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) })
}

/// Watches the file that `fd` is open on. Where there is a watch on it already `what` is added to it, or takes
/// the place of what it was, if `exactly`.
pub fn watch(inotify: c_int, fd: c_int, whose: Whose, what: Watched, exactly: bool) -> Result<c_int> {
    let (path, flags) = match whose {
        Whose::Own => (Path::of_descriptor(fd), 0),
        Whose::Parent => (Path::of_descriptor(fd).with(b"/.."), libc::IN_ONLYDIR),
    };
    let add = if exactly { 0 } else { libc::IN_MASK_ADD };
    // SAFETY: the path ends in a NUL.
    check(unsafe { libc::inotify_add_watch(inotify, path.as_c_str().as_ptr(), what.bits() | NOTHING | flags | add) })
}

pub fn unwatch(inotify: c_int, watch: c_int) {
    // SAFETY: no pointers.
    unsafe { libc::inotify_rm_watch(inotify, watch) };
}

/// Reads what an inotify instance has and calls `each` with it. False: there was nothing.
pub fn read_events(inotify: c_int, mut each: impl FnMut(FileEvent)) -> bool {
    // Three names of the longest: it lies on stacks that may be small, and there are not many events at a time.
    const ROOM: usize = 1024;
    #[repr(C, align(8))]
    struct Buffer([MaybeUninit<u8>; ROOM]);
    const HEAD: usize = size_of::<libc::inotify_event>();
    let mut buffer = Buffer([const { MaybeUninit::uninit() }; ROOM]);
    let mut any = false;
    loop {
        // SAFETY: the buffer is ours and its length is given.
        let n = unsafe { libc::read(inotify, buffer.0.as_mut_ptr().cast(), buffer.0.len()) };
        let Ok(n) = usize::try_from(n) else { return any };
        let mut at = 0;
        while at + HEAD <= n {
            // SAFETY: the kernel wrote whole events of HEAD bytes and `len` more, inside the first `n` bytes.
            let event: libc::inotify_event =
                unsafe { buffer.0.as_ptr().add(at).cast::<libc::inotify_event>().read_unaligned() };
            at += HEAD + event.len as usize;
            any = true;
            each(event_of(&event));
        }
        if n < buffer.0.len() / 2 {
            return any;
        }
    }
}

fn event_of(event: &libc::inotify_event) -> FileEvent {
    if event.mask & libc::IN_Q_OVERFLOW != 0 {
        FileEvent::Lost
    } else if event.mask & libc::IN_IGNORED != 0 {
        FileEvent::Gone { watch: event.wd }
    } else {
        FileEvent::Happened {
            watch: event.wd,
            what: Watched::from_bits_truncate(event.mask),
            named: event.len > 0,
            directory: event.mask & libc::IN_ISDIR != 0,
            cookie: event.cookie,
        }
    }
}

/// The same; sees that a directory was removed also where its count says 1 whatever happens (overlay file systems).
pub fn directory_state(fd: c_int, state: FileState) -> FileState {
    if state.is_directory() && state.links == 1 && is_removed(fd, &state) {
        return FileState { links: 0, ..state };
    }
    state
}

/// Does /proc say so, and not because the directory happens to be called like that?
fn is_removed(fd: c_int, state: &FileState) -> bool {
    let mut buffer = [0; 4096];
    let Ok(length) = sys::read_link(fd, &mut buffer[..4095]).map(|name| name.len()) else { return false };
    let mut named = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the buffer was zeroed and its last byte is never written, so the path ends in a NUL; stat fills `named`
    // where it succeeds.
    let named = unsafe {
        (libc::stat(buffer.as_ptr().cast(), named.as_mut_ptr()) == 0).then(|| state_of(&named.assume_init()))
    };
    buffer.get(..length).is_some_and(|name| name.ends_with(b" (deleted)"))
        && !named.is_some_and(|named| named.is_same_file(state))
}

/// The file under `fd`, and whether it is a memfd, whose own descriptors' reads, writes and closes inotify is not
/// told of. `EBADF`; `EINVAL` what is no file: pipe(2), sockets, eventfds and their like (5.5).
pub fn vnode(fd: c_int) -> Result<(FileState, bool)> {
    const PIPES: i64 = 0x5049_5045;
    const PROCESSES: i64 = 0x5049_4446;
    const NAMESPACES: i64 = 0x6e73_6673;
    let stat = sys::stat(fd)?;
    let anonymous_device = libc::major(stat.st_dev) == 0;
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFIFO if file_system(fd) == Some(PIPES) => return Err(Errno::EINVAL),
        libc::S_IFSOCK | 0 => return Err(Errno::EINVAL),
        libc::S_IFREG if anonymous_device && stat.st_size == 0 => {
            if matches!(file_system(fd), Some(PROCESSES | NAMESPACES)) {
                return Err(Errno::EINVAL);
            }
        }
        _ => {}
    }
    let nameless = stat.st_mode & libc::S_IFMT == libc::S_IFREG && stat.st_nlink == 0;
    Ok((directory_state(fd, state_of(&stat)), nameless && anonymous_device && is_memory(fd)))
}

fn file_system(fd: c_int) -> Option<i64> {
    let mut buffer = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: fstatfs fills the buffer where it succeeds.
    unsafe {
        check(libc::fstatfs(fd, buffer.as_mut_ptr())).ok()?;
        #[allow(clippy::unnecessary_cast)]
        Some(buffer.assume_init().f_type as i64)
    }
}

/// Is a nameless file a memfd? Yes where there is no /proc to tell.
fn is_memory(fd: c_int) -> bool {
    let mut name = [0; 16];
    match sys::read_link(fd, &mut name) {
        Ok(name) => name.starts_with(b"/memfd:"),
        Err(_) => true,
    }
}

/// What a file is called; `None` where /proc does not tell. A removed file keeps the name it had.
pub fn file_name(fd: c_int) -> Option<FileName> {
    let mut buffer = [0; 4096];
    let length = sys::read_link(fd, &mut buffer[..4095]).ok()?.len();
    let path = buffer.get(..length)?;
    let removed = path.ends_with(b" (deleted)");
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    let end = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let (directory, base) = path.split_at(end);
    let (by_path, base) = (hash(directory), hash(base));
    if removed || end == 0 {
        return Some(FileName { base, directory: 0 });
    }
    *buffer.get_mut(end)? = 0;
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the path ends in the NUL that was just written; stat fills the buffer where it succeeds.
    let found =
        unsafe { (libc::stat(buffer.as_ptr().cast(), stat.as_mut_ptr()) == 0).then(|| state_of(&stat.assume_init())) };
    Some(FileName { base, directory: found.map_or(by_path, |directory| directory.identity) })
}

fn hash(name: &[u8]) -> u32 {
    let hash = name
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    ((hash ^ (hash >> 32)) as u32).max(1)
}

/// Where there is /proc.
pub const TELLS_NAMES: bool = true;

/// How often files are looked at that cannot be watched, where that is not as often as everything else.
pub fn interval() -> Option<u64> {
    None
}

/// `ENOSYS`: the system tells of files.
pub fn set_interval(_: isize) -> Result<isize> {
    Err(Errno(libc::ENOSYS))
}
