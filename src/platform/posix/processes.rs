//! Processes, by their numbers: waitid() tells of children, kill() whether a stranger is there.
//!
//! There is no descriptor for a process, so nothing of one is ever in the poll. The queue hears of SIGCHLD, by the
//! chained handler, and asks for each that it watches; of strangers only the clock makes it ask.

use super::poller::Poller;
use super::signals;
use super::sys;
use crate::errno::{Errno, Result};

pub use crate::platform::events::Fate;

/// Can there be such a process at all?
pub fn exists(pid: i32) -> bool {
    // SAFETY: no pointers; nothing is sent.
    unsafe { libc::kill(pid, 0) == 0 || sys::last_errno() != Errno(libc::ESRCH) }
}

/// `EINVAL`: there are no process descriptors.
pub fn number_of(_: i32) -> Result<i32> {
    Err(Errno::EINVAL)
}

pub fn children_of(_: i32, _: &mut impl FnMut(i32)) {}

/// Does it take the clock to learn of its end? Of children SIGCHLD tells, where the program lets it in.
pub fn needs_clock(pid: i32) -> bool {
    sys::exit_status(libc::P_PID, pid, 0).is_err() || is_deaf()
}

/// Does the calling thread block the signal that tells of children? It may be the only one there is.
pub fn is_deaf() -> bool {
    signals::thread_blocks() & signals::bit(libc::SIGCHLD) != 0
}

/// Nobody tells when a process started: a later one with its number is taken for the same.
pub fn started(_: i32) -> Option<u64> {
    None
}

pub fn close_pidfds(_: impl Fn(u32) -> bool) {}

pub fn fate(_: i32, pid: i32) -> Fate {
    fate_by_number(pid, None)
}

/// How the process with that number stands.
pub fn fate_by_number(pid: i32, _: Option<u64>) -> Fate {
    match sys::exit_status(libc::P_PID, pid, 0) {
        Ok(Some(status)) => Fate::Exited(Some(status)),
        Ok(None) => Fate::Alive,
        // A child that nobody reaps (SIGCHLD is ignored) is there for a moment after the signal.
        Err(_) if exists(pid) => Fate::Unheard,
        Err(_) => Fate::Exited(None),
    }
}

impl Poller {
    /// `ENOSYS`: it is looked at by its number.
    pub fn watch_process(&self, _: u32, _: u32, _: i32) -> Result<i32> {
        Err(Errno(libc::ENOSYS))
    }

    pub fn watch_process_of(&self, _: u32, _: u32, _: i32) -> Result<i32> {
        Err(Errno::EINVAL)
    }

    pub fn pidfd_of(&self, _: u32, _: u32, _: i32) -> Option<i32> {
        None
    }

    pub fn unwatch_process(&self, _: u32, _: u32, _: i32, _: bool) {}

    pub fn move_process(&self, _: u32, _: u32, _: i32) -> Result<()> {
        Ok(())
    }

    pub fn close_processes(&self, _: u32) {}

    pub fn has_processes(&self) -> bool {
        false
    }
}
