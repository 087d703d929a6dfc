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
//! **The files**: `queues`: what kqueues want of the signals; `wants`, `records`: which of them want one, how often
//! it came; `action`, `exchange`: what the kernel is told; `entries`, `disposition`: what stands for what; `watching`
//! makes the one follow the other; `handler`, `sigaction`, `waiting`: what a signal, the program and kevent() do with
//! it; `arrivals`: what ran in a thread while it waited.

mod action;
mod arrivals;
mod disposition;
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), path = "entries_portable.rs")]
mod entries;
mod exchange;
mod handler;
mod mask;
mod queues;
mod records;
mod sigaction;
mod waiting;
mod wants;
mod watching;

use super::sys;

pub use action::Action;
pub use libc::SIGCHLD;
pub use mask::{bit, set_of, thread_blocks};
pub use queues::{check, child, forget, hear, init, own, rest, unhear, watch};
pub use records::recorded;
pub use sigaction::change;
pub use waiting::{take_blocked, wait, Sleep};
