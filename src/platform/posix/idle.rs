//! A queue that nobody is in: what becomes ready has to make its descriptor readable.
//!
//! What is ready when a call returns that call itself finds, on its way out (`rest`); what becomes ready later the
//! `watchman` does. Whether the descriptor is readable with good reason is asked before another queue reports it.

use super::pipe::{CALLED, DEAD, NOTICED, WOKEN};
use super::poller::{Place, Poller};
use super::table::Set;
use super::{sys, watchman};
use crate::errno::Result;
use crate::platform::descriptors::{self, Owner};
use crate::registry;
use core::sync::atomic::Ordering::SeqCst;
use libc::POLLIN;

impl Poller {
    /// The call is over. While nobody is in the next one, what becomes ready has to make the descriptor readable.
    pub fn rest(&'static self, slot: u32, visited: impl Fn() -> bool) {
        let Ok(mut table) = self.table() else { return };
        let due = self.timers.all().next().is_some() || self.signals.load(SeqCst) != 0;
        if (table.is_empty() && !due) || self.pipe.reasons() & (WOKEN | DEAD) != 0 {
            return;
        }
        let mut set = table.take_spare();
        let mut ready = false;
        if table.fill(&mut set).is_ok() && !set.entries.is_empty() {
            ready = sys::wait(&mut set.entries, &Some(sys::timespec_of(0)), None).is_ok_and(|n| n > 0);
        }
        table.give_back(set);
        drop(table);
        if !visited() {
            if ready || self.timers.late().is_some() || self.has_signals() {
                return self.pipe.give(NOTICED);
            }
            if self.pipe.reasons() & NOTICED != 0 {
                self.pipe.take(NOTICED);
            }
        }
        self.idle.store(true, SeqCst);
        watchman::attend(self, &self.post, slot);
    }

    /// The watchman has found something ready.
    pub(super) fn notice(&self) {
        self.idle.store(false, SeqCst);
        self.pipe.give(NOTICED);
    }

    /// What the watchman is to poll, the pipe among it, and when he is to look by the clock, in nanoseconds from now.
    /// `None`: there is nothing to watch for.
    pub(super) fn show(&self, set: &mut Set) -> Result<Option<Option<u64>>> {
        if self.pipe.reasons() != 0 {
            return Ok(None);
        }
        // Before the table is looked at: a close that begins later waits until he comes out.
        self.watched.store(true, SeqCst);
        let mut table = self.table()?;
        set.reserve(1)?;
        set.push(self.descriptor(), POLLIN, (Place::MAIN, 0));
        let spent = table.fill(set)?;
        drop(table);
        Ok(Some(self.patience(&None, spent)))
    }

    /// Is a signal pending that a knote is for, and that the program blocks? Where the watchman asks, one that was
    /// sent to the process.
    pub(super) fn has_signals(&self) -> bool {
        let signals = self.signals.load(SeqCst);
        signals != 0 && signals & super::signals::pending() != 0
    }

    /// Has something been found, perhaps by another?
    pub(super) fn is_readable(&self) -> bool {
        self.pipe.reasons() & !CALLED != 0
    }

    /// The queue's descriptor polls readable. Is it so, or was what made it so seen to meanwhile, with nobody to take
    /// it back?
    pub(super) fn is_really_ready(&self) -> bool {
        if self.pipe.reasons() & !NOTICED != 0 || self.is_ready_now() {
            return true;
        }
        self.pipe.take(NOTICED);
        self.idle.store(true, SeqCst);
        self.pipe.reasons() != 0
    }

    /// Has a descriptor, a timer or a blocked signal something to tell?
    pub(super) fn is_ready_now(&self) -> bool {
        if self.timers.late().is_some() || self.has_signals() {
            return true;
        }
        let Some(mut table) = self.table.try_lock() else { return true };
        let mut set = Set::new();
        if table.fill(&mut set).is_err() {
            return true;
        }
        drop(table);
        let polled = sys::wait(&mut set.entries, &Some(sys::timespec_of(0)), None);
        let ready = |entry: &libc::pollfd| entry.revents != 0 && is_ready_inside(entry.fd);
        polled.is_err() || set.entries.iter().any(ready)
    }
}

pub(super) fn is_queue(fd: i32) -> bool {
    matches!(descriptors::owner(fd), Owner::Queue { .. } | Owner::Duplicate { .. })
}

/// Where it is a queue: has it something to report?
pub(super) fn is_ready_inside(fd: i32) -> bool {
    match descriptors::owner(fd) {
        Owner::Queue { slot, .. } | Owner::Duplicate { slot, .. } => {
            registry::kernel(slot).is_none_or(Poller::is_really_ready)
        }
        _ => true,
    }
}
