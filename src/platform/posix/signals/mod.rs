//! The process's signals, caught by the chained handler that Linux's folder describes.
//!
//! The other way to hear of a signal is another one here: what the calling thread blocks stays in the system's queue,
//! and nothing polls it. A call looks whether something is pending, and one that sleeps lets it in while it sleeps
//! (`waiting`).

#[path = "../../linux/signals/action.rs"]
mod action;
#[path = "../../linux/signals/arrivals.rs"]
mod arrivals;
#[path = "../../linux/signals/disposition.rs"]
mod disposition;
#[path = "../../linux/signals/entries_portable.rs"]
mod entries;
mod exchange;
#[path = "../../linux/signals/handler.rs"]
mod handler;
#[path = "../../linux/signals/mask.rs"]
mod mask;
#[path = "../../linux/signals/queues.rs"]
mod queues;
#[path = "../../linux/signals/records.rs"]
mod records;
#[path = "../../linux/signals/sigaction.rs"]
mod sigaction;
mod waiting;
#[path = "../../linux/signals/wants.rs"]
mod wants;
#[path = "../../linux/signals/watching.rs"]
mod watching;

use super::sys;

pub use action::Action;
pub use libc::SIGCHLD;
pub use mask::{bit, set_of, thread_blocks};

pub(super) use mask::pending;
pub use queues::{check, child, forget, hear, init, own, rest, unhear, watch};
pub use records::recorded;
pub use sigaction::change;
pub use waiting::{take_blocked, wait, Sleep};
