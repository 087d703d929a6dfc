//! libc's own functions, behind ours.
//!
//! Found once, by the constructor. Before it ran, and in a fully static program, where nothing comes next,
//! the raw system call is the way on; for streams and directories, what streams.c makes of libc's parts.

use super::sys;
pub use crate::platform::unix::next::{closedir, dirfd, fclose, fileno, freopen, freopen64, pclose, resolve_all};
use crate::platform::unix::next::{forward, CLOSE, CLOSE_RANGE, DUP2, DUP3, MQ_CLOSE};
use core::ffi::{c_int, c_uint};
use core::sync::atomic::{AtomicI8, Ordering::Relaxed};
pub use libc::{DIR, FILE};

fn raw(result: libc::c_long) -> c_int {
    result as c_int
}

pub fn close(fd: c_int) -> c_int {
    // SAFETY (the raw calls below): plain numbers, as the program gave them.
    forward!(CLOSE as fn(c_int) -> c_int, (fd), raw(unsafe { libc::syscall(libc::SYS_close, fd) }))
}

pub fn dup2(old: c_int, new: c_int) -> c_int {
    forward!(DUP2 as fn(c_int, c_int) -> c_int, (old, new), {
        if old == new {
            // dup3 refuses what dup2 takes for a question.
            return if sys::is_open(old) { old } else { -1 };
        }
        // SAFETY: plain numbers.
        raw(unsafe { libc::syscall(libc::SYS_dup3, old, new, 0) })
    })
}

pub fn dup3(old: c_int, new: c_int, flags: c_int) -> c_int {
    // SAFETY: plain numbers.
    let direct = || raw(unsafe { libc::syscall(libc::SYS_dup3, old, new, flags) });
    forward!(DUP3 as fn(c_int, c_int, c_int) -> c_int, (old, new, flags), direct())
}

pub fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int {
    // SAFETY: plain numbers.
    let direct = || raw(unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) });
    forward!(CLOSE_RANGE as fn(c_uint, c_uint, c_int) -> c_int, (first, last, flags), direct())
}

/// Does the running kernel have close_range, and a sandbox allow it? Asked once, about a number that nobody has.
pub fn has_close_range() -> bool {
    static KNOWN: AtomicI8 = AtomicI8::new(-1);
    if KNOWN.load(Relaxed) < 0 {
        let errno = sys::last_errno();
        // SAFETY: no descriptor has this number.
        let result = unsafe { libc::syscall(libc::SYS_close_range, c_uint::MAX, c_uint::MAX, 0) };
        let works = result == 0 || !matches!(sys::last_errno().0, libc::ENOSYS | libc::EPERM);
        sys::set_errno(errno);
        KNOWN.store(i8::from(works), Relaxed);
    }
    KNOWN.load(Relaxed) == 1
}

pub fn mq_close(queue: c_int) -> c_int {
    // SAFETY: a plain number.
    forward!(MQ_CLOSE as fn(c_int) -> c_int, (queue), raw(unsafe { libc::syscall(libc::SYS_close, queue) }))
}
