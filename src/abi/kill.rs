//! kq_kill(), kq_raise(): signals between programs, where the system has none, as the C library has them.

use super::result_or_errno;
use crate::platform::{signals, start, sys};
use core::ffi::c_int;

/// Sends a signal to a process that watches it with EVFILT_SIGNAL. SIGKILL, and SIGTERM to another process, end it as
/// well. Returns 0, or -1 with errno set.
///
/// # Errors
/// `EINVAL` no such signal; `ESRCH` no such process, or it does not watch the signal; `EPERM`.
#[no_mangle]
pub extern "C" fn kq_kill(pid: c_int, signo: c_int) -> c_int {
    start::ensure();
    result_or_errno(|| signals::kill(pid, signo).map(|()| 0))
}

/// The same to the calling process.
///
/// # Errors
/// As `kq_kill`.
#[no_mangle]
pub extern "C" fn kq_raise(signo: c_int) -> c_int {
    kq_kill(sys::getpid(), signo)
}
