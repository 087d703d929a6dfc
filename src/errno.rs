//! `Errno`: the one error type of the crate, a value made where the kernel or a rule gives it.

use crate::platform::sys;
use libc::*;

/// An error number of the host, never 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(pub c_int);

impl Errno {
    pub const EBADF: Errno = Errno(libc::EBADF);
    pub const EDEADLK: Errno = Errno(libc::EDEADLK);
    pub const EFAULT: Errno = Errno(libc::EFAULT);
    pub const EINTR: Errno = Errno(libc::EINTR);
    pub const EINVAL: Errno = Errno(libc::EINVAL);
    pub const EMFILE: Errno = Errno(libc::EMFILE);
    pub const ENOENT: Errno = Errno(libc::ENOENT);
    pub const ENOMEM: Errno = Errno(libc::ENOMEM);
    pub const ENOTSUP: Errno = Errno(libc::ENOTSUP);
    pub const EPERM: Errno = Errno(libc::EPERM);

    /// As <errno.h> calls it.
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().chain(sys::MORE_ERRNOS).find(|&&(number, _)| number == self.0).map(|&(_, name)| name)
    }
}

macro_rules! names {
    ($($name:ident)*) => { &[$(($name, stringify!($name))),*] };
}

/// Those that the library's calls, or sockets, may end with.
const NAMES: &[(c_int, &str)] = names![
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT EBUSY EEXIST EXDEV ENODEV
    ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDEADLK ENAMETOOLONG ENOSYS
    ELOOP EOVERFLOW ENOTSOCK EPROTO EPROTOTYPE EOPNOTSUPP EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH
    ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ETIMEDOUT ECONNREFUSED
    EHOSTUNREACH EALREADY EINPROGRESS ECANCELED
];

pub type Result<T> = core::result::Result<T, Errno>;

/// A defect of ours is an error of the call, not the end of the caller: a panic becomes `EIO`.
pub fn guarded<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(core::panic::AssertUnwindSafe(body)).unwrap_or(Err(Errno(libc::EIO)))
}
