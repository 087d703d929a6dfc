//! NOTE_TRIGGER from a signal handler that interrupted the library under the same queue's lock.
//!
//! The lock cannot be waited for: the thread that holds it is the one that waits. So the trigger is left here,
//! in a fixed row of atomics that all queues share, and who holds the lock, or takes it next, applies it. Whether the
//! knote exists is not known at that moment: a trigger of none is dropped, without ENOENT. They are applied in the order
//! in which they were left, before anything that comes later.

use crate::event::{kevent, EVFILT_USER};
use core::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, AtomicU8, AtomicUsize, Ordering::SeqCst};

/// How many triggers of one queue are kept.
const MOST: u32 = 16;
const PLACES: usize = 64;
const FREE: u8 = 0;
const TAKEN: u8 = 1;
const FULL: u8 = 2;

struct Place {
    state: AtomicU8,
    turn: AtomicU64,
    slot: AtomicU32,
    ident: AtomicUsize,
    fflags: AtomicU32,
    data: AtomicI64,
    udata: AtomicUsize,
}

static ROW: [Place; PLACES] = [const {
    Place {
        state: AtomicU8::new(FREE),
        turn: AtomicU64::new(0),
        slot: AtomicU32::new(0),
        ident: AtomicUsize::new(0),
        fflags: AtomicU32::new(0),
        data: AtomicI64::new(0),
        udata: AtomicUsize::new(0),
    }
}; PLACES];
static TURNS: AtomicU64 = AtomicU64::new(0);

/// How many triggers of a queue wait in the row.
pub struct Triggers(AtomicU32);

impl Triggers {
    pub const fn new() -> Triggers {
        Triggers(AtomicU32::new(0))
    }

    pub fn any(&self) -> bool {
        self.0.load(SeqCst) != 0
    }

    /// Leaves a trigger for the queue in `slot`; false: there are too many.
    pub fn leave(&self, slot: u32, change: &kevent) -> bool {
        if self.0.load(SeqCst) >= MOST {
            return false;
        }
        let free = |place: &&Place| place.state.compare_exchange(FREE, TAKEN, SeqCst, SeqCst).is_ok();
        let Some(place) = ROW.iter().find(free) else { return false };
        place.turn.store(TURNS.fetch_add(1, SeqCst), SeqCst);
        place.slot.store(slot, SeqCst);
        place.ident.store(change.ident, SeqCst);
        place.fflags.store(change.fflags, SeqCst);
        place.data.store(change.data as i64, SeqCst);
        place.udata.store(change.udata as usize, SeqCst);
        place.state.store(FULL, SeqCst);
        self.0.fetch_add(1, SeqCst);
        true
    }

    /// Nothing waits, because `forget` was called.
    pub fn reset(&self) {
        self.0.store(0, SeqCst);
    }

    /// Takes the oldest one of the queue in `slot` out. The caller holds its lock.
    pub fn take(&self, slot: u32) -> Option<kevent> {
        if !self.any() {
            return None;
        }
        let ours = |place: &&Place| place.state.load(SeqCst) == FULL && place.slot.load(SeqCst) == slot;
        let place = ROW.iter().filter(ours).min_by_key(|place| place.turn.load(SeqCst))?;
        let change = kevent {
            ident: place.ident.load(SeqCst),
            filter: EVFILT_USER,
            flags: 0,
            fflags: place.fflags.load(SeqCst),
            data: place.data.load(SeqCst) as isize,
            udata: place.udata.load(SeqCst) as *mut core::ffi::c_void,
        };
        place.state.store(FREE, SeqCst);
        self.0.fetch_sub(1, SeqCst);
        Some(change)
    }
}

/// In the child of a fork: what was left for the parent's queues stays the parent's.
pub fn forget() {
    for place in ROW.iter().filter(|place| place.state.load(SeqCst) != FREE) {
        place.state.store(FREE, SeqCst);
    }
}
