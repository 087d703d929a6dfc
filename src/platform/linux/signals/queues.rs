//! What kqueues want of the signals.

use super::super::poller::Poller;
use super::mask::bit;
use super::{exchange, mask, records, watching};
use crate::errno::{Errno, Result};
use crate::registry;
use core::sync::atomic::Ordering::SeqCst;
use libc::c_int;

/// From the library's constructor: whose process this is, and where libc's sigaction() is.
pub fn init() {
    exchange::find_next();
}

/// This is the process whose signals are watched.
pub fn own() {
    watching::own();
}

/// Does libc use the signal for itself (to cancel threads, to change their user)?
pub fn is_libcs(signo: c_int) -> bool {
    crate::platform::unix::kernel::libc_signals().contains(&signo)
}

/// `EINVAL`: no such signal, one that cannot be caught, or libc's own.
pub fn check(ident: usize) -> Result<()> {
    match c_int::try_from(ident) {
        Ok(libc::SIGKILL | libc::SIGSTOP) => Err(Errno::EINVAL),
        Ok(signo) if mask::place(signo) != 0 && !is_libcs(signo) => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

/// The queue in `slot` wants the signal from now on, and `awaits` it or not: while its event is disabled, one
/// that the program blocks stays where it is, and wakes nobody (7.1). Said again, it is made sure that our handler
/// still is the installed one: a program whose sigaction() is not ours may have replaced it; it is then chained
/// anew, as it is by a kevent() that waits. `ENOMEM`, `EMFILE`.
pub fn watch(slot: u32, kernel: &Poller, signo: c_int, awaits: bool) -> Result<()> {
    watching::begin(slot, signo)?;
    set_awaited(slot, kernel, signo, awaits)
}

/// The event of the queue in `slot` is gone, or was disabled by its own report.
pub fn rest(slot: u32, kernel: &Poller, signo: c_int) {
    // Taking a signal out of the set of a signalfd cannot fail.
    let _ = set_awaited(slot, kernel, signo, false);
}

/// The queue wants to hear of the signal when a handler runs, and does not mind if it is blocked.
pub fn hear(slot: u32, signo: c_int) -> Result<()> {
    watching::begin(slot, signo)
}

/// The queue wants it no more.
pub fn unhear(slot: u32, signo: c_int) {
    watching::end(slot, signo);
}

/// The queue is closed: it wants none any more.
pub fn forget(slot: u32) {
    watching::end_every(slot);
}

/// Puts a signal into the set of the queue's signalfd, or takes it out.
fn set_awaited(slot: u32, kernel: &Poller, signo: c_int, awaits: bool) -> Result<()> {
    let Some(awaited) = registry::awaited_signals(slot) else { return Err(Errno::EBADF) };
    let before = awaited.load(SeqCst);
    let after = if awaits { before | bit(signo) } else { before & !bit(signo) };
    if after != before {
        kernel.set_signals(slot, after)?;
        awaited.store(after, SeqCst);
    }
    Ok(())
}

/// In the child of a fork: nothing is watched and nothing has come.
pub fn child() {
    watching::end_all();
    records::clear();
    // Last: until here a signal finds a stranger's process and does what the program said.
    watching::own();
}
