//! The system calls beside those of any Unix.

use super::ports;
use crate::errno::{Errno, Result};
use libc::c_int;

pub use super::calls::*;

/// Is the number, which once was a queue's, still one?
pub fn is_queue(fd: c_int) -> bool {
    ports::is_port(fd)
}

/// poll(2) of one descriptor, to read: a cancellation point. False: the time is over. `EINTR`.
pub fn wait_for(fd: c_int, timeout: &Timeout, mask: Option<&libc::sigset_t>) -> Result<bool> {
    let mut entries = [libc::pollfd { fd, events: POLLIN, revents: 0 }];
    let ready = wait(&mut entries, timeout, mask)?;
    if entries[0].revents & libc::POLLNVAL != 0 {
        return Err(Errno::EBADF);
    }
    Ok(ready > 0)
}
