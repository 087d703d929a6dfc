//! A kevent() that waits, and the signals that the program blocks.
//!
//! A signal that a knote is for and that the program blocks is let in while the thread sleeps, by ppoll's mask: our
//! handler counts it, and, told by `Arrivals::take`, leaves the program's handler alone. What is pending before is
//! fetched.
//!
//! **A swallowed signal must not end the sleep with EINTR**, one of the program's own must. Our handler notes in
//! `arrivals` what it swallowed and that it called a handler; a handler of the program's that is not behind ours
//! leaves no trace, so where it comes in the same sleep as a swallowed signal the sleep goes on (BUGS.md). Where the
//! thread is awake in between, what the program handles is blocked (`kept`), and ends the next sleep.

use super::arrivals::Arrivals;
use super::mask::{bit, block, fetch_all, pending, set_of, thread_blocks, unblock};
use super::records::record;
use super::{sys, watching};
use crate::errno::{Errno, Result};
use crate::platform::{front, Buffer, Event, Poller};
use crate::registry;
use core::sync::atomic::Ordering::SeqCst;

fn awaited(slot: u32) -> u64 {
    registry::awaited_signals(slot).map_or(0, |awaited| awaited.load(SeqCst))
}

/// Takes what is pending and the program blocks, and records it for every kqueue; the one in `slot` is told by the
/// result, which has a bit for each signal.
pub fn take_blocked(slot: u32, _: &Poller, sleep: &Sleep) -> u64 {
    let mut taken = 0;
    fetch_all(sleep.program_blocks() & awaited(slot), |signo| {
        taken |= bit(signo);
        record(signo, Some(slot));
    });
    taken
}

/// What one kevent() has done to the mask of its thread, until it is dropped.
pub struct Sleep {
    /// It has waited before.
    began: bool,
    /// Signals of the program's that are blocked although the program does not block them.
    kept: u64,
    /// The program's mask, where something is kept.
    program: u64,
}

impl Sleep {
    #[inline]
    pub fn new() -> Sleep {
        Sleep { began: false, kept: 0, program: 0 }
    }

    fn program_blocks(&self) -> u64 {
        if self.kept == 0 {
            thread_blocks()
        } else {
            self.program
        }
    }

    /// The program's mask; what is to end the sleep is kept from here on.
    fn keep(&mut self) -> u64 {
        if self.kept == 0 {
            let own = watching::interrupting();
            self.program = if own == 0 { thread_blocks() } else { block(own) };
            self.kept = own & !self.program;
        }
        self.program
    }
}

impl Drop for Sleep {
    #[inline]
    fn drop(&mut self) {
        // Not the mask as it was: a handler may have changed what the thread goes on with.
        if self.kept != 0 {
            unblock(self.kept);
        }
    }
}

/// Waits. `EINTR`: a handler of the program's has run.
#[inline]
pub fn wait<'a, const N: usize>(
    sleep: &mut Sleep,
    slot: u32,
    kernel: &Poller,
    buffer: &'a mut Buffer<N>,
    room: usize,
    timeout: &sys::Timeout,
    cancellation: Option<&sys::Cancellation>,
) -> Result<&'a [Event]> {
    if !watching::ever() {
        return match kernel.wait(buffer, room, timeout, None, cancellation) {
            Err(Errno::EINTR) if only_swallowed() => Ok(&[]),
            result => result,
        };
    }
    let awaited = awaited(slot);
    let blocked = if awaited == 0 { 0 } else { awaited & sleep.program_blocks() };
    let first = (blocked != 0 && blocked & pending() != 0).then_some(Event::SIGNALS);
    if first.is_some() || timeout.is_some_and(|time| time.tv_sec == 0 && time.tv_nsec == 0) {
        return kernel.wait_behind(buffer, first, room, timeout, None, cancellation);
    }
    let here = Arrivals::here();
    let again = core::mem::replace(&mut sleep.began, true);
    if !again {
        here.forget();
        if !front::is_in_front() {
            watching::chain_again(slot);
        }
    }
    if blocked == 0 && !again {
        return match kernel.wait(buffer, room, timeout, None, cancellation) {
            Err(Errno::EINTR) if only_swallowed() => Ok(&[]),
            result => result,
        };
    }
    let mask = sleep.keep();
    if here.handled() {
        return Err(Errno::EINTR);
    }
    here.forget_swallowed();
    here.take(blocked);
    let result = kernel.wait(buffer, room, timeout, Some(&set_of(mask & !blocked)), cancellation);
    here.take(0);
    match result {
        Err(Errno::EINTR) if only_swallowed() => Ok(&[]),
        result => result,
    }
}

/// The sleep was ended by a signal. Was it one that is swallowed?
#[cold]
fn only_swallowed() -> bool {
    let here = Arrivals::here();
    here.swallowed() != 0 && !here.handled()
}
