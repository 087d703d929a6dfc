//! The system calls of this backend alone, beside those that it shares.

use crate::errno::Result;
use libc::c_int;

pub use super::calls::*;

/// A pipe whose both ends are close-on-exec and never block: to read, to write.
pub fn pipe() -> Result<(c_int, c_int)> {
    let mut ends = [-1; 2];
    // SAFETY: room for two.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) })?;
    Ok((ends[0], ends[1]))
}

/// Writes a byte; a pipe that is full says what there is to say already.
pub fn write_byte(fd: c_int) {
    let errno = last_errno();
    // SAFETY: one byte.
    unsafe { libc::write(fd, c"k".as_ptr().cast(), 1) };
    set_errno(errno);
}

/// Reads all there is.
pub fn drain(fd: c_int) {
    let errno = last_errno();
    let mut bytes = [0u8; 64];
    // SAFETY: the buffer's length is given.
    while unsafe { libc::read(fd, bytes.as_mut_ptr().cast(), bytes.len()) } == bytes.len() as isize {}
    set_errno(errno);
}

/// Is the number, which once was a queue's, still one?
pub fn is_queue(fd: c_int) -> bool {
    stat(fd).is_ok_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFIFO)
}

/// Does poll() refuse the number?
pub fn is_bad(fd: c_int) -> bool {
    poll_or_errno(fd, 0).is_ok_and(|mask| mask & libc::POLLNVAL as u32 != 0)
}
