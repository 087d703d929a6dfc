//! A kernel of which nothing is known but what POSIX promises.

use crate::errno::{Errno, Result};
use crate::platform::events::Mask;
use crate::platform::sys;
use core::ops::Range;
use libc::c_int;

#[cfg(not(any(target_os = "solaris", target_os = "illumos")))]
pub use libc::{sigtimedwait, POLLRDHUP, SO_PROTOCOL};

/// `ENOSYS`: nobody tells.
pub fn pipe_size(_: c_int) -> Result<i64> {
    Err(Errno(libc::ENOSYS))
}

/// How much a socket's send buffer would take if it were empty: nobody tells how full it is.
pub fn send_space(fd: c_int, _: bool) -> Result<i64> {
    sys::socket_option::<c_int>(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, 0).map(|(size, _)| i64::from(size))
}

/// None that sigaction() would not refuse.
pub fn libc_signals() -> Range<c_int> {
    0..0
}

pub const SA_RESTORER: c_int = 0;
pub const EXTRA_FLAGS: c_int = 0;

pub fn restorer(_: &libc::sigaction) -> usize {
    0
}

pub fn set_restorer(_: &mut libc::sigaction, _: usize) {}

/// poll() tells all there is to be told of a socket.
#[inline]
pub fn completed(_: c_int, mask: Mask, _: bool) -> Mask {
    mask
}

/// Asking takes it.
pub fn socket_error(_: c_int) -> Option<c_int> {
    None
}

/// What a TCP connection would tell of itself.
pub enum TcpInfo {}

/// `None`: TCP_INFO is no part of POSIX, and every kernel's is another one.
pub fn tcp_info(_: c_int) -> Option<TcpInfo> {
    None
}

impl TcpInfo {
    pub fn listens(&self) -> bool {
        match *self {}
    }

    pub fn cannot_send(&self) -> bool {
        match *self {}
    }

    pub fn waiting(&self) -> i64 {
        match *self {}
    }

    pub fn bytes(&self, _: bool) -> Option<u64> {
        match *self {}
    }

    pub fn error(&self, _: c_int) -> c_int {
        match *self {}
    }
}
