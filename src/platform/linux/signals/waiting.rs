//! A kevent() that waits: its signalfd, and a sleep that a swallowed signal does not end.

use super::mask::{bit, set_of, thread_blocks};
use super::records::record;
use super::{sys, watching};
use crate::errno::{Errno, Result};
use crate::platform::{Buffer, Event, Poller};
use crate::registry;
use core::mem::MaybeUninit;
use core::sync::atomic::Ordering::SeqCst;
use libc::c_int;

/// The signalfd of the kqueue in `slot` is readable: takes what the calling thread blocks, and records it for
/// every kqueue; this one is told by the result, which has a bit for each signal. The caller holds cancellation
/// back.
///
/// A signalfd gives the signals of its whole mask. Where the thread blocks only some of them, those alone are
/// fetched with sigtimedwait: the others belong to a handler.
pub fn take_blocked(slot: u32, kernel: &Poller) -> u64 {
    let awaited = registry::awaited_signals(slot).map_or(0, |awaited| awaited.load(SeqCst));
    let blocked = thread_blocks() & awaited;
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

/// What is pending of `signals`, which the thread blocks.
fn fetch_all(signals: u64, mut take: impl FnMut(c_int)) {
    let (set, now) = (set_of(signals), libc::timespec { tv_sec: 0, tv_nsec: 0 });
    loop {
        // SAFETY: set and time are locals; the siginfo is not wanted.
        match unsafe { libc::sigtimedwait(&set, core::ptr::null_mut(), &now) } {
            -1 if sys::last_errno() == Errno::EINTR => {}
            -1 => return,
            signo => take(signo),
        }
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
    match watching::swallowed() {
        0 => kernel.wait(buffer, room, timeout, None, cancel),
        swallowed => {
            let mask = set_of(thread_blocks() | swallowed);
            kernel.wait(buffer, room, timeout, Some(&mask), cancel)
        }
    }
}
