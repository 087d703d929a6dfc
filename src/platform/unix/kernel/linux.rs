//! Linux, beside TCP.

use crate::errno::Result;
use crate::platform::events::Mask;
use crate::platform::sys;
use core::ops::Range;
use libc::c_int;

pub use libc::{sigtimedwait, POLLRDHUP, SO_PROTOCOL};

/// How many bytes a pipe takes.
pub fn pipe_size(fd: c_int) -> Result<i64> {
    // SAFETY: no pointers.
    sys::check(unsafe { libc::fcntl(fd, libc::F_GETPIPE_SZ) }).map(i64::from)
}

/// Free space in a socket's send buffer, not more than 0 where there is none. `queued`: of one that counts what it has
/// queued, as TCP does, not what it has in flight.
pub fn send_space(fd: c_int, queued: bool) -> Result<i64> {
    /// Of asm/socket.h; not every libc names it.
    const SO_MEMINFO: c_int = 55;
    const WMEM_ALLOC: usize = 2;
    const SNDBUF: usize = 3;
    const WMEM_QUEUED: usize = 5;
    let (memory, _) = sys::socket_option(fd, libc::SOL_SOCKET, SO_MEMINFO, [0u32; 9])?;
    let used = memory[if queued { WMEM_QUEUED } else { WMEM_ALLOC }];
    Ok(i64::from(memory[SNDBUF]) - i64::from(used))
}

/// Those that libc uses for itself: to cancel threads, to change their user.
pub fn libc_signals() -> Range<c_int> {
    32..libc::SIGRTMIN()
}

/// The kernel's, from asm/signal.h; libc does not show it.
pub const SA_RESTORER: c_int = 0x0400_0000;
/// What sa_flags may have beside those of POSIX: SA_EXPOSE_TAGBITS.
pub const EXTRA_FLAGS: c_int = 0x800;

/// Where a handler returns to; 0: the kernel knows.
pub fn restorer(action: &libc::sigaction) -> usize {
    action.sa_restorer.map_or(0, |f| f as usize)
}

pub fn set_restorer(action: &mut libc::sigaction, restorer: usize) {
    // SAFETY: 0 is None, anything else is the address of a function that the kernel or libc told us.
    action.sa_restorer = unsafe { core::mem::transmute::<usize, Option<extern "C" fn()>>(restorer) };
}

/// poll() tells all there is to be told of a socket.
#[inline]
pub fn completed(_: c_int, mask: Mask, _: bool) -> Mask {
    mask
}

/// Asking takes it: the state of the connection tells.
pub fn socket_error(_: c_int) -> Option<c_int> {
    None
}
