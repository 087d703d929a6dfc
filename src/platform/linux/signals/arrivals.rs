//! What ran in which thread: so that a kevent() whose wait came to nothing knows whether a signal came to it
//! meanwhile, and whose.
//!
//! A thread has a place by its number, not a thread_local: the first use of one in a handler may allocate. Two
//! threads may share a place; the later one then takes it over, and the other has forgotten.

use super::mask::bit;
use super::sys;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use libc::c_int;

const PLACES: usize = 256;

/// Written by the thread itself and by the handlers that interrupt it: the compiler's order is enough.
pub(super) struct Arrivals {
    thread: AtomicUsize,
    swallowed: AtomicU64,
    handled: AtomicBool,
    /// What the thread has let in only to have it counted: the program blocks it.
    taken: AtomicU64,
}

static ARRIVALS: [Arrivals; PLACES] = [const {
    Arrivals {
        thread: AtomicUsize::new(0),
        swallowed: AtomicU64::new(0),
        handled: AtomicBool::new(false),
        taken: AtomicU64::new(0),
    }
}; PLACES];

impl Arrivals {
    /// The calling thread's.
    pub(super) fn here() -> &'static Arrivals {
        let thread = sys::thread_self();
        let place = (thread as u64 >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        let arrivals = &ARRIVALS[place as usize % PLACES];
        if arrivals.thread.load(Relaxed) != thread {
            arrivals.forget();
            arrivals.thread.store(thread, Relaxed);
        }
        arrivals
    }

    pub(super) fn forget(&self) {
        self.forget_swallowed();
        self.handled.store(false, Relaxed);
        self.taken.store(0, Relaxed);
    }

    pub(super) fn forget_swallowed(&self) {
        self.swallowed.store(0, Relaxed);
    }

    /// A handler of the program's has returned.
    pub(super) fn note_handled(&self) {
        self.handled.store(true, Relaxed);
    }

    pub(super) fn note_swallowed(&self, signo: c_int) {
        self.swallowed.fetch_or(bit(signo), Relaxed);
    }

    /// From now on these signals are let in to be counted, whatever handler the program has for them.
    #[allow(dead_code)] // not every backend's
    pub(super) fn take(&self, signals: u64) {
        self.taken.store(signals, Relaxed);
    }

    pub(super) fn takes(&self, signo: c_int) -> bool {
        self.taken.load(Relaxed) & bit(signo) != 0
    }

    pub(super) fn handled(&self) -> bool {
        self.handled.load(Relaxed)
    }

    pub(super) fn swallowed(&self) -> u64 {
        self.swallowed.load(Relaxed)
    }
}
