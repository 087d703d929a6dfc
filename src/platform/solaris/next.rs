//! libc's own functions, behind ours.
//!
//! A process that closes a descriptor of a port, also a duplicate, has taken away all that it associated there. So such
//! closes are noticed, here, where they come by on their way to the system.

use super::{ports, sys};
use crate::registry;
use core::ffi::{c_int, c_uint};

pub use super::libcs::{
    address_of_close, closedir, dirfd, fclose, fileno, freopen, freopen64, has_close_range, mq_close, pclose,
    resolve_all, DIR, FILE,
};

/// Calls what closes the number; the queue that is the port under it arms its descriptors anew.
fn closing(fd: c_int, close: impl FnOnce() -> c_int) -> c_int {
    let port = registry::any() && ports::is_port(fd);
    let result = close();
    if port && result != -1 {
        let errno = sys::last_errno();
        registry::each_kernel(|kernel| kernel.lose(fd));
        sys::set_errno(errno);
    }
    result
}

pub fn close(fd: c_int) -> c_int {
    closing(fd, || super::libcs::close(fd))
}

pub fn dup2(old: c_int, new: c_int) -> c_int {
    closing(new, || super::libcs::dup2(old, new))
}

pub fn dup3(old: c_int, new: c_int, flags: c_int) -> c_int {
    closing(new, || super::libcs::dup3(old, new, flags))
}

/// What it closes is not looked at one by one: afterwards all queues arm anew.
pub fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int {
    let result = super::libcs::close_range(first, last, flags);
    if registry::any() && result != -1 {
        registry::each_kernel(|kernel| kernel.lose(-1));
    }
    result
}
