//! illumos and Oracle Solaris.
//!
//! Its poll() leaves out what Linux's tells: of a socket with an error it says that it can be read and written, and of an
//! older one's half-closed stream no more than that. (illumos: sockcommon_sops.c, so_poll.) Reading a byte without
//! taking it tells the rest, and takes nothing: not the error either, once the data is gone (so_dequeue_msg).

use super::{missing, other};
use crate::errno::{Errno, Result};
use crate::platform::events::Mask;
use crate::platform::sys;
use libc::c_int;

pub use libc::SO_PROTOTYPE as SO_PROTOCOL;
pub use missing::{sigtimedwait, POLLRDHUP};
pub use other::{libc_signals, restorer, send_space, set_restorer, tcp_info, EXTRA_FLAGS, SA_RESTORER};

/// fifofs's high-water mark: it cannot be asked, nor set.
pub fn pipe_size(_: c_int) -> Result<i64> {
    Ok(16 * 1024)
}

/// How many bytes a stream socket would give: 0 at its end. `EAGAIN`: none yet; else the error that lies on it.
fn peek(fd: c_int) -> Result<usize> {
    let mut byte = 0u8;
    // SAFETY: room for one byte.
    let got = unsafe { libc::recv(fd, (&raw mut byte).cast(), 1, libc::MSG_PEEK | libc::MSG_DONTWAIT) };
    usize::try_from(got).map_err(|_| sys::last_errno())
}

/// The error that lies on a stream socket, and stays there.
pub fn socket_error(fd: c_int) -> Option<c_int> {
    match peek(fd) {
        // What says of the call that it came to nothing, not of the connection.
        Err(Errno(libc::EAGAIN | libc::ENOTCONN | libc::EINVAL | libc::EINTR | libc::EOPNOTSUPP | libc::EBADF)) => None,
        Err(errno) => Some(errno.0),
        Ok(_) => None,
    }
}

/// What poll() said of a stream socket, with what it left out. `empty`: there is nothing to read.
pub fn completed(fd: c_int, mask: Mask, empty: bool) -> Mask {
    if !empty || !mask.has(Mask::IN | Mask::OUT) {
        return mask;
    }
    if socket_error(fd).is_some() {
        Mask(mask.0 | Mask::RDHUP | Mask::ERR)
    } else if mask.has(Mask::IN) && peek(fd) == Ok(0) {
        Mask(mask.0 | Mask::RDHUP)
    } else {
        mask
    }
}
