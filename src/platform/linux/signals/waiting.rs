//! A kevent() that waits: its signalfd, and a sleep that the program's own handlers end, and nothing else.
//!
//! **A swallowed signal must not end the sleep with EINTR**: it is blocked while asleep, by epoll_pwait. Then the
//! signalfd ends the sleep, and our handler runs when the mask goes back.
//!
//! **A signal of the program's own must**, also where the thread is awake in between, because it was woken for
//! nothing. So what the program handles (`kept`) is blocked from before the first sleep to the end of the call
//! but in epoll_pwait, and ends the next one. It costs two system calls, and only a call pays them that has to sleep
//! while something is swallowed and something handled. Nobody but handlers sees that mask; they find what is
//! swallowed blocked (BUGS.md).
//!
//! An epoll that has something to tell gives that instead of EINTR. Where it is the signalfd that tells of a
//! signal of the program's own, that one is pending and would be told of for ever: `let_in` lets it run. The
//! handler may collect the event itself; then EINTR is `due`.
//!
//! **Where nothing is swallowed** no mask is touched before the second sleep. What our handler noted in `arrivals`
//! tells there of watched signals that came in between, and of one that was swallowed because another thread began
//! to watch it during the sleep.

use super::arrivals::Arrivals;
use super::mask::{bit, block, fetch_all, set_of, thread_blocks, unblock};
use super::records::record;
use super::{sys, watching};
use crate::errno::{Errno, Result};
use crate::platform::{front, Buffer, Event, Poller, Source};
use crate::registry;
use core::mem::MaybeUninit;
use core::sync::atomic::Ordering::SeqCst;
use libc::c_int;

/// The signalfd of the kqueue in `slot` is readable: takes what the calling thread blocks, and records it for
/// every kqueue; this one is told by the result, which has a bit for each signal. The caller holds cancellation
/// back, and `sleep` knows what the program blocks.
///
/// A signalfd gives the signals of its whole mask. Where the thread blocks only some of them, those alone are
/// fetched with sigtimedwait: the others belong to a handler.
pub fn take_blocked(slot: u32, kernel: &Poller, sleep: &Sleep) -> u64 {
    let awaited = registry::awaited_signals(slot).map_or(0, |awaited| awaited.load(SeqCst));
    let blocked = sleep.program_blocks() & awaited;
    let mut taken = 0;
    let take = |signo: c_int| {
        taken |= bit(signo);
        record(signo, Some(slot));
    };
    match blocked {
        0 => {}
        _ if blocked == awaited => read_all(kernel.signalfd(), take),
        _ => fetch_all(blocked, take),
    }
    taken
}

/// What the signalfd has.
fn read_all(signalfd: c_int, mut take: impl FnMut(c_int)) {
    let mut buffer = [const { MaybeUninit::<libc::signalfd_siginfo>::uninit() }; 8];
    loop {
        // SAFETY: the buffer is ours and its length is given.
        let n = unsafe { libc::read(signalfd, buffer.as_mut_ptr().cast(), size_of_val(&buffer)) };
        if n < 0 && sys::last_errno() == Errno::EINTR {
            continue;
        }
        let whole = usize::try_from(n).unwrap_or(0) / size_of::<libc::signalfd_siginfo>();
        for info in buffer.iter().take(whole) {
            // SAFETY: the kernel wrote `whole` entries.
            take(unsafe { info.assume_init_ref() }.ssi_signo as c_int);
        }
        if whole < buffer.len() {
            return;
        }
    }
}

/// What one kevent() has done to the mask of its thread, until it is dropped.
pub struct Sleep {
    /// It has waited before.
    began: bool,
    /// A handler of the program's has run in its wait.
    due: bool,
    /// Signals of the program's that are blocked although the program does not block them.
    kept: u64,
    /// The program's mask, where something is kept.
    program: u64,
    /// The same of swallowed signals, during the sleep: a cancelled thread unwinds from there.
    asleep: u64,
}

impl Sleep {
    #[inline]
    pub fn new() -> Sleep {
        Sleep { began: false, due: false, kept: 0, program: 0, asleep: 0 }
    }

    fn program_blocks(&self) -> u64 {
        if self.kept == 0 {
            thread_blocks()
        } else {
            self.program
        }
    }

    /// The mask to sleep with, while signals are swallowed; what is to end the sleep is kept from here on.
    fn keep(&mut self, swallowed: u64) -> u64 {
        if self.kept == 0 {
            let own = watching::interrupting() & !swallowed;
            self.program = if own == 0 { thread_blocks() } else { block(own) };
            self.kept = own & !self.program;
        } else if self.kept & swallowed != 0 {
            // The program has no handler for it any more: blocked for good, the signalfd would tell of it for ever.
            self.let_go(swallowed);
        }
        self.asleep = swallowed & !self.program;
        self.program | swallowed
    }

    /// Lets kept signals in, with the program's mask and what is swallowed: a handler that runs makes EINTR due.
    #[cold]
    fn let_in(&mut self, mask: u64) {
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: no descriptors; time and set are locals.
        if unsafe { libc::ppoll(core::ptr::null_mut(), 0, &now, &set_of(mask)) } == -1 {
            if sys::last_errno() == Errno::EINTR {
                self.due = true;
            } else {
                // A sandbox refuses: then they come now.
                self.let_go(!0);
            }
        }
    }

    fn let_go(&mut self, signals: u64) {
        let gone = self.kept & signals;
        self.kept &= !signals;
        unblock(gone);
    }
}

impl Drop for Sleep {
    #[inline]
    fn drop(&mut self) {
        // Not the mask as it was: a handler may have changed what the thread goes on with.
        if self.kept | self.asleep != 0 {
            unblock(self.kept | self.asleep);
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
    if timeout.is_some_and(|time| time.tv_sec == 0 && time.tv_nsec == 0) {
        return kernel.wait(buffer, room, timeout, None, cancellation);
    }
    if watching::ever() {
        return wait_among_signals(sleep, slot, kernel, buffer, room, timeout, cancellation);
    }
    match kernel.wait(buffer, room, timeout, None, cancellation) {
        Err(Errno::EINTR) if only_swallowed(0) => Ok(&[]),
        result => result,
    }
}

/// The same where signals are watched, or were.
fn wait_among_signals<'a, const N: usize>(
    sleep: &mut Sleep,
    slot: u32,
    kernel: &Poller,
    buffer: &'a mut Buffer<N>,
    room: usize,
    timeout: &sys::Timeout,
    cancellation: Option<&sys::Cancellation>,
) -> Result<&'a [Event]> {
    hold(cancellation);
    let here = Arrivals::here();
    let again = core::mem::replace(&mut sleep.began, true);
    if !again {
        here.forget();
        if !front::is_in_front() {
            watching::chain_again(slot);
        }
        // Most calls need not sleep.
        if watching::may_swallow() {
            let at_once = Some(sys::timespec_of(0));
            let ready = kernel.wait(buffer, room, &at_once, None, None)?.len();
            if ready > 0 {
                // SAFETY: that wait has just had them.
                return Ok(unsafe { buffer.events(ready) });
            }
        }
    }
    let awaited = registry::awaited_signals(slot).map_or(0, |awaited| awaited.load(SeqCst));
    let swallowed = watching::swallowed(awaited);
    here.forget_swallowed();
    if swallowed == 0 && !again {
        return match kernel.wait(buffer, room, timeout, None, cancellation) {
            Err(Errno::EINTR) if only_swallowed(0) => Ok(&[]),
            result => result,
        };
    }
    let mask = sleep.keep(swallowed);
    if again && (sleep.due || here.handled()) {
        sleep.asleep = 0;
        return Err(Errno::EINTR);
    }
    let result = kernel.wait(buffer, room, timeout, Some(&set_of(mask)), cancellation);
    hold(cancellation);
    sleep.asleep = 0;
    match result {
        Err(Errno::EINTR) if only_swallowed(mask) => Ok(&[]),
        Ok(events) => {
            if sleep.kept & awaited != 0 && events.iter().any(|event| matches!(event.source(), Source::Signals)) {
                sleep.let_in(mask);
            }
            Ok(events)
        }
        other => other,
    }
}

fn hold(cancellation: Option<&sys::Cancellation>) {
    if let Some(cancellation) = cancellation {
        cancellation.hold();
    }
}

/// The sleep with this mask was ended by a signal. Was it one that is swallowed, which another thread has begun to
/// watch in the meantime? (One of the program's own that is not watched and came together with it goes unnoticed.)
#[cold]
fn only_swallowed(mask: u64) -> bool {
    let here = Arrivals::here();
    here.swallowed() & !mask != 0 && !here.handled()
}
