//! `Errno`: the one error type of the crate, a value made where the kernel or a rule gives it.

use libc::c_int;

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
}

pub type Result<T> = core::result::Result<T, Errno>;
