//! fork: kqueues are not inherited (10.3).
//!
//! The child handler makes async-signal-safe system calls only. It closes every descriptor that the library
//! owns, and forgets the parent's queues: who held their locks is not known, so their memory stays as it is.

use super::{inside, used_slots, DEAD_SLOTS, FREE, LIVE, LOST};
use crate::platform::{births, descriptors, processes, signals, sys};
use core::sync::atomic::{AtomicI32, Ordering::*};

/// The process that the tables are about. A vfork child, or one made by a raw clone, shares or copies them
/// without being told.
static OWNER: AtomicI32 = AtomicI32::new(0);

pub fn begin() {
    OWNER.store(sys::getpid(), Relaxed);
}

/// Is this the process that the library knows?
pub fn is_our_process() -> bool {
    sys::getpid() == OWNER.load(Relaxed)
}

pub fn prepare() {
    births::prepare();
}

pub fn parent() {
    births::resume();
}

pub fn child() {
    births::count_fork();
    OWNER.store(sys::getpid(), Relaxed);
    signals::child();
    if used_slots().any(|slot| slot.kernel.has_processes()) {
        processes::close_all_pidfds();
    }
    for slot in used_slots() {
        match slot.state.load(Relaxed) {
            FREE | LOST => continue,
            state => {
                if state == LIVE {
                    descriptors::disown(slot.kernel.descriptor());
                }
                slot.kernel.close_all();
                slot.state.store(LOST, Relaxed);
            }
        }
    }
    DEAD_SLOTS.store(0, Relaxed);
    inside::forget();
    descriptors::forget_closers();
    births::resume();
}
