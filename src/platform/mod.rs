//! How the kernel is asked: one folder an operating system, each with the same names.
//!
//! The contract, as the floors above use it:
//!
//! - [`Poller`] is one queue's side of the kernel: `open` makes the kqueue descriptor, `arm` makes the kernel's
//!   item for a descriptor what is wanted, `wait` waits for [`Event`]s, `wake` makes the descriptor readable,
//!   `arm_timer` bounds the wait, `watch_file` and `file_events` tell of what happens to files.
//! - [`readable`] and [`writable`] say how a descriptor stands ([`Status`]); [`file`] the same of a regular file;
//!   [`vnode`] and [`file_state`] of any file, as EVFILT_VNODE sees it.
//! - [`signals`] catches signals for the queues that want them.
//! - [`processes`] tells how a process stands ([`Fate`]), the queue's connector of forks and executions ([`News`]).
//! - [`births`], [`next`], [`start`], [`sys`]: descriptors and fork, libc's functions behind ours, the
//!   constructor, system calls; [`outlet`]: the way out of trace lines.
//!
//! What does not depend on the system lies beside the folders: `descriptors`, `events`, `front`, `lock`,
//! `table`.

pub mod descriptors;
pub mod events;
pub mod front;
pub mod lock;
pub mod table;

#[cfg(unix)]
mod unix;

#[cfg(all(target_os = "linux", not(feature = "posix")))]
mod linux;
#[cfg(all(target_os = "linux", not(feature = "posix")))]
use linux as system;

#[cfg(all(unix, any(not(target_os = "linux"), feature = "posix")))]
mod posix;
#[cfg(all(unix, any(not(target_os = "linux"), feature = "posix")))]
use posix as system;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as system;

pub use system::connector::{Hearing, News, MOST_NAMED};
pub use system::files::{
    directory_state, file_name, file_state, interval, set_interval, vnode, FileEvent, FileName, FileState, Watched,
    Whose, TELLS_NAMES,
};
pub use system::inspect::{ask, emptied, exceptional, file, identity, readable, writable, Kind, Status, TELLS_EMPTY};
#[cfg(unix)]
pub use system::next;
pub use system::poller::{Arm, Buffer, Clock, Event, Marker, Mask, Place, Poller, Source, CLOCKS, PLACES};
pub use system::processes::{self, Fate};
pub use system::renewal::Renewal;
pub use system::{births, outlet, signals, start, sys};
