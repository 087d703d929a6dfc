//! libc's own functions, behind ours.
//!
//! Found once, by the constructor, or at the first use before it ran. In a fully static program nothing comes next:
//! there shim.c and streams.c know libc's other names for the most needed ones, and the rest is refused.

use super::sys;
use crate::errno::Errno;
pub use crate::platform::unix::next::{closedir, dirfd, fclose, fileno, freopen, freopen64, pclose, resolve_all};
use crate::platform::unix::next::{forward, found, CLOSE, CLOSE_RANGE, DUP2, DUP3, MQ_CLOSE};
use core::ffi::{c_int, c_uint, c_void};
use core::sync::atomic::{AtomicI8, Ordering::Relaxed};
pub use libc::{DIR, FILE};

fn refused() -> c_int {
    sys::set_errno(Errno(libc::ENOSYS));
    -1
}

/// Libc's close(); null where nothing comes next.
pub fn address_of_close() -> *mut c_void {
    found(&CLOSE).unwrap_or(core::ptr::null_mut())
}

pub fn close(fd: c_int) -> c_int {
    found(&CLOSE);
    // SAFETY: a plain number, as the program gave it.
    forward!(CLOSE as fn(c_int) -> c_int, (fd), unsafe { kq_close(core::ptr::null_mut(), fd) })
}

pub fn dup2(old: c_int, new: c_int) -> c_int {
    found(&DUP2);
    // SAFETY: plain numbers.
    forward!(DUP2 as fn(c_int, c_int) -> c_int, (old, new), unsafe { kq_dup2(old, new) })
}

pub fn dup3(old: c_int, new: c_int, flags: c_int) -> c_int {
    found(&DUP3);
    forward!(DUP3 as fn(c_int, c_int, c_int) -> c_int, (old, new, flags), refused())
}

pub fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int {
    found(&CLOSE_RANGE);
    forward!(CLOSE_RANGE as fn(c_uint, c_uint, c_int) -> c_int, (first, last, flags), refused())
}

/// Does the system have close_range, and a sandbox allow it? Asked once, about a number that nobody has.
pub fn has_close_range() -> bool {
    static KNOWN: AtomicI8 = AtomicI8::new(-1);
    if KNOWN.load(Relaxed) < 0 {
        let errno = sys::last_errno();
        let result = close_range(c_uint::MAX, c_uint::MAX, 0);
        let works = result == 0 || !matches!(sys::last_errno().0, libc::ENOSYS | libc::EPERM);
        sys::set_errno(errno);
        KNOWN.store(i8::from(works), Relaxed);
    }
    KNOWN.load(Relaxed) == 1
}

extern "C-unwind" {
    fn kq_close(close: *mut c_void, fd: c_int) -> c_int;
    fn kq_dup2(old: c_int, new: c_int) -> c_int;
}

pub fn mq_close(queue: c_int) -> c_int {
    // SAFETY: a plain number.
    forward!(MQ_CLOSE as fn(c_int) -> c_int, (queue), unsafe { kq_close(core::ptr::null_mut(), queue) })
}
