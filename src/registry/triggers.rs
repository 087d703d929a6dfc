//! NOTE_TRIGGER from a signal handler that interrupted the library under the same queue's lock.
//!
//! The lock cannot be waited for: the thread that holds it is the one that waits. So the trigger is left here,
//! in a fixed ring of atomics, and who holds the lock, or takes it next, applies it. Whether the knote exists is
//! not known at that moment: a trigger of none is dropped, without ENOENT.

use crate::event::{kevent, EVFILT_USER};
use core::sync::atomic::{AtomicI64, AtomicU32, AtomicU8, AtomicUsize, Ordering::SeqCst};

const PLACES: usize = 16;
const FREE: u8 = 0;
const TAKEN: u8 = 1;
const FULL: u8 = 2;

struct Place {
    state: AtomicU8,
    ident: AtomicUsize,
    fflags: AtomicU32,
    data: AtomicI64,
    udata: AtomicUsize,
}

pub struct Triggers {
    places: [Place; PLACES],
    waiting: AtomicU32,
}

impl Triggers {
    pub const fn new() -> Triggers {
        Triggers {
            places: [const {
                Place {
                    state: AtomicU8::new(FREE),
                    ident: AtomicUsize::new(0),
                    fflags: AtomicU32::new(0),
                    data: AtomicI64::new(0),
                    udata: AtomicUsize::new(0),
                }
            }; PLACES],
            waiting: AtomicU32::new(0),
        }
    }

    pub fn any(&self) -> bool {
        self.waiting.load(SeqCst) != 0
    }

    /// Leaves a trigger; false: the ring is full.
    pub fn leave(&self, change: &kevent) -> bool {
        for place in &self.places {
            if place.state.compare_exchange(FREE, TAKEN, SeqCst, SeqCst).is_ok() {
                place.ident.store(change.ident, SeqCst);
                place.fflags.store(change.fflags, SeqCst);
                place.data.store(change.data as i64, SeqCst);
                place.udata.store(change.udata as usize, SeqCst);
                place.state.store(FULL, SeqCst);
                self.waiting.fetch_add(1, SeqCst);
                return true;
            }
        }
        false
    }

    /// Takes one out. The caller holds the queue's lock.
    pub fn take(&self) -> Option<kevent> {
        if !self.any() {
            return None;
        }
        let place = self.places.iter().find(|place| place.state.load(SeqCst) == FULL)?;
        let change = kevent {
            ident: place.ident.load(SeqCst),
            filter: EVFILT_USER,
            flags: 0,
            fflags: place.fflags.load(SeqCst),
            data: place.data.load(SeqCst) as isize,
            udata: place.udata.load(SeqCst) as *mut core::ffi::c_void,
        };
        place.state.store(FREE, SeqCst);
        self.waiting.fetch_sub(1, SeqCst);
        Some(change)
    }
}
