//! The process's signals: one chained handler, and what the program wanted instead of it.
//!
//! EVFILT_SIGNAL hears of a signal in two ways. What the calling thread blocks stays in the kernel's queue and
//! is taken from there, through the signalfd of the kqueue. What is not blocked runs a handler: this file. No
//! thread's mask is changed; blocking the signal instead would be inherited by every program that is started.
//!
//! **Where the program's disposition is kept.** While any kqueue wants a signal, the kernel has one of our
//! *entries* as its handler. There are `ENTRIES` of them, all the same but for their address, and each stands
//! for one (handler, SA_ flags) of the program, written once and never changed: `DISPOSITIONS`. So the address
//! that the kernel holds says what the program wants, and one rt_sigaction changes both in one step: there is
//! nothing that could get out of step, and sigaction() needs neither a lock nor a malloc, as POSIX wants of a
//! function that handlers call. An entry that was saved by somebody and comes back years later (a library's
//! "restore what was", system()) still knows what it stands for. Equal dispositions share an entry, so a
//! program that sets two handlers in turn for ever uses two. With all entries used up, a new disposition is
//! installed as it is, unwatched, and EV_ADD says ENOMEM (BUGS.md).
//!
//! **What the kernel is told**: SA_SIGINFO and our entry, and of the program's a handler's sa_mask, SA_RESTART,
//! SA_NODEFER, SA_ONSTACK, SA_NOCLDSTOP, SA_NOCLDWAIT as they are. Not SA_RESETHAND: that would remove our entry
//! with the first signal; instead the entry is `armed` once for the signal and stands for SIG_DFL afterwards.
//! For SIG_IGN and SIG_DFL, where nothing of the program's runs: SA_RESTART, so that its reads go on, SA_ONSTACK,
//! because the stack may be a small one, and SA_NOCLDWAIT where SIGCHLD was ignored, so that children go on
//! being reaped.
//!
//! **What the handler does**: counts, tells the kqueues, then calls the program's handler with the siginfo and
//! context that it got. A signal that the program ignores or leaves to the default is swallowed, but
//! - SIGTSTP, SIGTTIN, SIGTTOU by default stop the process after they were recorded, really by default, so that
//!   the shell is told the right number and an orphaned process group is not stopped;
//! - a fault (SIGSEGV and the like, raised by the kernel for what this thread did) kills by default, and also
//!   when it is ignored: that is the kernel's rule, and the instruction would fault for ever.
//!
//! In a process that is not the one that asked - a vfork child, which shares our memory, or a child of a raw
//! clone - and after the last EV_DELETE, it records nothing and does what the program's disposition says.
//!
//! **Entered by hand.** Where our sigaction() is not the one that the program calls, it gets one of our entries
//! as "the old handler" and calls it from its own. Entries therefore distinguish being entered by the kernel
//! (the context lies right above the stack pointer) from being called: a signal is recorded once, and an entry
//! which is met again inside the handler that it called returns, else the two would call one another for ever.
//!
//! **Together with the signalfd** (the queue's): it is level-triggered and in the kqueue's epoll, with a mask of
//! what its enabled knotes want. Readable, it means that some wanted signal is pending for this thread or the process.
//! `take_blocked` takes what the calling thread blocks, and records it exactly as the handler does, so that
//! other kqueues get it too and `recorded` is the one count there is. What the thread does not block it leaves
//! alone: the handler is about to run, here or in another thread, and would be cheated of it.
//!
//! **Together with kevent()'s wait**: a swallowed signal would end epoll_pwait with EINTR, which belongs to the
//! program's own handlers: `waiting`.
//!
//! **The files**: `wants`, `records`: which kqueues want a signal, how often it came; `action`, `exchange`: what
//! the kernel is told; `entries`, `disposition`: what stands for what; `watching` makes the one follow the other;
//! `handler`, `sigaction`, `waiting`: what a signal, the program and kevent() do with it; `arrivals`: what ran in
//! a thread while it waited.

mod action;
mod arrivals;
mod disposition;
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), path = "entries_portable.rs")]
mod entries;
mod exchange;
mod handler;
mod mask;
mod records;
mod sigaction;
mod waiting;
mod wants;
mod watching;

use super::poller::Poller;
use super::sys;
use crate::errno::{Errno, Result};
use crate::registry;
use core::sync::atomic::Ordering::SeqCst;
use libc::c_int;

pub use action::Action;
pub use mask::{bit, set_of, thread_blocks};
pub use records::recorded;
pub use sigaction::change;
pub use waiting::{take_blocked, wait, Sleep};

/// From the library's constructor: whose process this is, and where libc's sigaction() is.
pub fn init() {
    exchange::find_next();
}

/// This is the process whose signals are watched.
pub fn own() {
    watching::own();
}

/// Does libc use the signal for itself (to cancel threads, to change their user)?
fn is_libcs(signo: c_int) -> bool {
    (32..libc::SIGRTMIN()).contains(&signo)
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
