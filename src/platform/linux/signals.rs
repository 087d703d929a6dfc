//! EVFILT_SIGNAL, the queue's half: its signalfd, and a wait that a swallowed signal does not end.

use super::poller::{Buffer, Event, Poller};
use super::{signal, sys};
use crate::errno::{Errno, Result};
use crate::registry;
use core::ffi::c_int;
use core::sync::atomic::Ordering::SeqCst;

fn bit(signal: c_int) -> u64 {
    1 << ((signal - 1) & 63)
}

/// `EINVAL`: no signal has that number.
pub fn check(ident: usize) -> Result<()> {
    if (1..=64).contains(&ident) {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

/// The queue in `slot` wants the signal. `EINVAL`, `ENOMEM`, `EMFILE`.
pub fn watch(slot: u32, kernel: &Poller, signo: c_int) -> Result<()> {
    let Some(watched) = registry::watched_signals(slot) else { return Err(Errno::EBADF) };
    let before = watched.fetch_or(bit(signo), SeqCst);
    let result = kernel.set_signals(slot, before | bit(signo)).and_then(|()| signal::watch(signo, slot));
    if result.is_err() {
        watched.store(before, SeqCst);
        let _ = kernel.set_signals(slot, before);
    }
    result
}

/// Says again that the signal is wanted: the program may have installed a handler round us.
pub fn watch_again(slot: u32, signo: c_int) -> Result<()> {
    signal::watch(signo, slot)
}

/// The queue wants it no more.
pub fn unwatch(slot: u32, kernel: &Poller, signo: c_int) {
    signal::unwatch(signo, slot);
    if let Some(watched) = registry::watched_signals(slot) {
        let rest = watched.fetch_and(!bit(signo), SeqCst) & !bit(signo);
        // Taking a signal out of the set of a signalfd cannot fail.
        let _ = kernel.set_signals(slot, rest);
    }
}

/// The queue is closed: it wants none of them any more.
pub fn forget(slot: u32, watched: u64) {
    let mut rest = watched;
    while rest != 0 {
        signal::unwatch(rest.trailing_zeros() as c_int + 1, slot);
        rest &= rest - 1;
    }
}

/// How often the signal came since the process began.
pub fn recorded(signo: c_int) -> u64 {
    signal::recorded(signo)
}

/// In the child of a fork.
pub fn child() {
    signal::child();
}

/// The signalfd is readable: takes what the calling thread blocks, and says which signals came.
pub fn take_blocked(slot: u32, kernel: &Poller) -> u64 {
    let watched = registry::watched_signals(slot).map_or(0, |watched| watched.load(SeqCst));
    match kernel.signalfd() {
        fd if fd >= 0 => signal::read_signalfd(fd, watched, slot).unwrap_or(0),
        _ => 0,
    }
}

/// Waits. A signal that is only recorded must not end the wait with EINTR, which belongs to the program's own
/// handlers: such ones are blocked while asleep. Then the signalfd ends the wait, and the handler runs when the
/// mask goes back.
#[inline]
pub fn wait<'a, const N: usize>(
    kernel: &Poller,
    buffer: &'a mut Buffer<N>,
    room: usize,
    timeout: &sys::Timeout,
    cancel: Option<c_int>,
) -> Result<&'a [Event]> {
    if timeout.is_some_and(|time| time.tv_sec == 0 && time.tv_nsec == 0) {
        return kernel.wait(buffer, room, timeout, None, cancel);
    }
    match signal::swallowed_mask() {
        0 => kernel.wait(buffer, room, timeout, None, cancel),
        swallowed => {
            let mask = signal::set_of(signal::thread_blocks() | swallowed);
            kernel.wait(buffer, room, timeout, Some(&mask), cancel)
        }
    }
}
