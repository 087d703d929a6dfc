//! How the kernel is asked: one folder an operating system, each with the same names.
//!
//! # The contract
//!
//! The floors above name what is re-exported below and nothing else; what a name means is said here, how one system
//! does it in that folder. `posix` is the specification in code: the least that is right. `slot` always is the number
//! of the queue, `index` that of a process in it, and errors are [`Errno`](crate::errno::Errno)s that the man page
//! names. What a system cannot do is refused with one; nothing succeeds and does nothing unless that is said here.
//!
//! **Calling.** Methods of a [`Poller`] are called under the queue's lock, but for those that say so here. No method
//! blocks, but for `wait`. A method that a signal handler or the child of a fork may be in takes no lock, or one that
//! [`Poller::is_locked`] and [`Poller::lock_is_mine`] tell of, and allocates nothing. What grows does so by
//! `try_reserve`.
//!
//! ## The queue: [`Poller`]
//!
//! It lives in a slot that is never freed or moved, and is opened again and again.
//!
//! - *Birth and end.* `new` is a constant. `open` makes the kqueue descriptor, close-on-exec, which is one that poll(2)
//!   calls readable while kevent() would return something (10.5; `descriptor` is its number). `close_helpers` and
//!   `close_processes` give back everything but that descriptor, `abandon` follows when the number has been closed
//!   (both may come without it, where nobody told us), `close_all` is for the child of a fork, `child` comes there
//!   first. `is_whole`, `let_go` and `leave_signals` are for a child that was left its parent's queues. `move_helper`
//!   moves a helper that the program is about to put a file over; `is_still_open`, `is_duplicate` with [`Marker`] say
//!   whether a number is the queue.
//! - *Descriptors.* A descriptor has up to [`PLACES`] items, which know nothing of one another. `arm` makes the one in
//!   a [`Place`] what is `wanted`, where it is `armed` now; without `PRESENT` it goes, and never fails to. `EPERM`: the
//!   system cannot poll such a file, and it is served in user space; `ENOENT`: the number is another file than the one
//!   that was armed. An item that is `EDGE` is told once for each thing that is new, to one waiter; `ONCE` once; others
//!   as long as they hold. `epoch` comes back with its events: one with an older one is dropped above. `forget` comes
//!   before a watched number is closed, from any thread, and takes no lock: afterwards no event of the file comes,
//!   whoever else holds it open. `adding` brackets the addition of an item against such a close; `has_item` changes
//!   nothing. [`Renewal`] builds the table anew when an item is in the way that cannot be taken out.
//! - *Waiting.* `wait` is called without the lock, by several threads at once, and returns what it found of any
//!   [`Source`], at most `room` about descriptors; nothing, early, is allowed. With a `mask` it is the thread's
//!   meanwhile, as in ppoll. `EINTR` says that a handler has run, [`signals::wait`] whether it was the program's. It is
//!   the one cancellation point, if it is given a [`Cancellation`](sys::Cancellation), and may be left by siglongjmp().
//!   `has_sides`, `has_lost` and `side_events` are for a system whose items lie in more than one place.
//! - *Waking.* `prepare_wake` sees to it that `wake` cannot fail. `wake` (no lock) makes the descriptor readable until
//!   a waiter takes that as [`Source::Wake`] and ends one wait; `wake_from_handler` the same for a signal handler;
//!   `unwake` takes it back. `release_waiters` ends every wait, for ever, by [`Source::Tombstone`]. `rest` is called
//!   without the lock at the end of every call, for a system whose descriptor does not become readable by itself.
//! - *Timers.* The heap is above. After `arm_timer` a wait ends with [`Source::Timer`] at that time or before, whoever
//!   waits; only `timer_fired` moves it later. `late_timer` says that one is due which no waiter has taken.
//! - *Files.* `watch_file` may refuse: then the file is compared every [`interval`] by the clock, and [`TELLS_NAMES`]
//!   says whether [`file_name`] knows of renames. Where it watches, `file_events` says what happened, in order, and
//!   [`FileEvent::Lost`] where something was missed; `has_lost_files` that the watches are gone.
//! - *Processes.* `watch_process` gives a handle that reports [`Source::Process`] once at the exit, or `ENOSYS`: then
//!   the process is looked at by its number, when SIGCHLD comes ([`signals::hear`]) and by the clock where
//!   [`processes::needs_clock`], or [`processes::is_deaf`] at the beginning of a call, says so. `prepare_connector`
//!   refuses what the system does not tell of forks; else `hear` says of whom `read_connector` is to give [`News`].
//! - *Signals.* `set_signals`: those that an enabled knote is for.
//!
//! ## What is asked of descriptors, files, processes
//!
//! - [`readable`], [`writable`], [`exceptional`], [`emptied`] say how a descriptor stands ([`Status`]) as kqueue sees
//!   it, given what a wait has `seen`. They change nothing: above all a socket's error stays on it (3.3). [`ask`] is
//!   the system's own word, [`identity`] and [`is_another`] tell one open file of a number from another, never 0.
//! - [`file()`] says the same of a regular file for EVFILT_READ; [`vnode`], [`file_state`], [`directory_state`] of any
//!   file for EVFILT_VNODE. `EINVAL`: it has no vnode (5.5).
//! - [`processes::fate`] and [`processes::fate_by_number`] tell how a process stands ([`Fate`]), and never reap it. A
//!   status is one that the system told, or `None`.
//!
//! ## The process and its libc
//!
//! - [`signals`]: a chained handler that counts each signal and tells the queues that want it; `check`, `watch`,
//!   `rest`, `hear`, `unhear`, `forget` for one queue, `own`, `child` for the process, `change` is the program's
//!   sigaction(), `recorded` the count. `wait` is kevent()'s wait: [`signals::Sleep`] holds what it did to the thread's
//!   mask, which is as before when that is dropped. `take_blocked` takes what the program blocks.
//! - [`births`]: making a descriptor and recording it is one step for fork; [`copies`]: is this a child that was not told
//!   of its birth? [`next`]: libc's functions behind those that the library exports; [`start`]: the constructor, `ensure`
//!   for who comes before it, and `ensure_for_queue` for kqueue(); [`outlet`]: the way out of trace lines; [`sys`]: system
//!   calls, errno, time, cancellation, and `park` and `unpark_one` for the lock.
//!
//! ## What does not depend on the system
//!
//! It lies beside the folders: [`descriptors`] (who owns a number, and in which generation), [`events`] and `file_state`
//! (the words above), `program` (its strings), [`front`] (are we told of closes?), [`lock`], [`table`]; for all but Linux
//! `deadlines` (what bounds a wait) and `one_level` (no nested sets); and in `unix` what the systems of that family share,
//! `unix/kernel` what kernels there tell beyond POSIX.

#[cfg(not(backend = "linux"))]
mod deadlines;
pub mod descriptors;
pub mod events;
mod file_state;
pub mod front;
pub mod lock;
#[cfg(not(backend = "linux"))]
mod one_level;
mod program;
pub mod table;

#[cfg(unix)]
mod unix;

// One of these: `posix` is for every Unix that has no folder of its own, or where it is asked for.
#[cfg(backend = "linux")]
mod linux;
#[cfg(backend = "linux")]
use linux as system;

#[cfg(backend = "posix")]
mod posix;
#[cfg(backend = "posix")]
use posix as system;

#[cfg(backend = "solaris")]
mod solaris;
#[cfg(backend = "solaris")]
use solaris as system;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as system;

pub use system::connector::{Hearing, News, MOST_NAMED};
pub use system::files::{
    directory_state, file_name, file_state, interval, set_interval, vnode, FileEvent, FileName, FileState, Watched,
    Whose, TELLS_NAMES,
};
pub use system::inspect::{
    ask, bytes_to_read, emptied, exceptional, file, identity, is_another, readable, writable, Kind, Status, TELLS_EMPTY,
};
#[cfg(unix)]
pub use system::next;
pub use system::poller::{Arm, Buffer, Clock, Event, Marker, Mask, Place, Poller, Source, CLOCKS, PLACES};
pub use system::processes::{self, Fate};
pub use system::renewal::Renewal;
pub use system::{births, copies, outlet, signals, start, sys};
