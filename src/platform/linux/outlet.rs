//! Where trace lines leave the library, and how the program's own string and function for them are used.

use super::sys::{self, last_errno};
use crate::errno::Result;
use crate::platform::unix::kernel;
use core::ffi::{c_int, CStr};
use core::mem::MaybeUninit;
use libc::sigset_t;

pub use crate::platform::program::{copy_string, tell};
pub use sys::thread_id;

pub use crate::platform::unix::file_state::identity;
pub use sys::close_raw as close;

pub const STANDARD_ERROR: c_int = libc::STDERR_FILENO;

/// Opens a file to append to, away from the lowest numbers. A FIFO without a reader is not waited for.
pub fn open(path: &CStr) -> Result<c_int> {
    let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK;
    // SAFETY: the path ends in a NUL.
    let fd = unsafe { libc::open(path.as_ptr(), flags, 0o666) };
    if fd == -1 {
        return Err(last_errno());
    }
    sys::move_up(fd, sys::least_helper())
}

/// The same for a descriptor that the program gave.
pub fn write_to_program(fd: c_int, bytes: &[u8]) {
    write(fd, bytes);
}

/// Writes once. Where that fails nothing happens: the signals that the system raises for it are not the program's.
/// errno is the caller's to keep.
pub fn write(fd: c_int, bytes: &[u8]) {
    let mut program = MaybeUninit::<sigset_t>::zeroed();
    let mut pending = MaybeUninit::<sigset_t>::zeroed();
    let raised = super::signals::set_of(super::signals::bit(libc::SIGPIPE) | super::signals::bit(libc::SIGXFSZ));
    // SAFETY: the sets are locals, and valid when zeroed; the buffer's length is given; the mask goes back to what
    // it was.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, &raised, program.as_mut_ptr());
        libc::sigpending(pending.as_mut_ptr());
        let failed = libc::write(fd, bytes.as_ptr().cast(), bytes.len()) == -1;
        let signo = match last_errno().0 {
            libc::EPIPE if failed => libc::SIGPIPE,
            libc::EFBIG if failed => libc::SIGXFSZ,
            _ => 0,
        };
        if signo != 0 && libc::sigismember(pending.as_ptr(), signo) == 0 {
            let set = super::signals::set_of(super::signals::bit(signo));
            let at_once = sys::timespec_of(0);
            kernel::sigtimedwait(&set, core::ptr::null_mut(), &at_once);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, program.as_ptr(), core::ptr::null_mut());
    }
}
