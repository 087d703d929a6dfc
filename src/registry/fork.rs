//! fork: kqueues are not inherited (10.3).
//!
//! The child handler makes async-signal-safe system calls only. It closes every descriptor that the library
//! owns, and forgets the parent's queues: who held their locks is not known, so their memory stays as it is.
//!
//! With NOTE_FORK_CLEANUP 0 it leaves the queues that are whole, because no other thread held their lock, and they
//! may be taken over. The kernel's side is the parent's too, so until this process calls kevent() on one, it is left
//! alone: a child that only closes its descriptors and executes a program must not take the parent's items along.
//! The signals are put back in any case.

use super::{
    bury_unnoticed, inside, slot, triggers, used_slots, Slot, DEAD_SLOTS, DUPLICATES, FREE, INHERITED, LIVE, LOST,
    TAKEN,
};
use crate::filter::library;
use crate::platform::{births, copies, descriptors, front, processes, signals, sys, Poller};
use core::sync::atomic::{AtomicI32, Ordering::*};

/// The process that the tables are about; 0 while it, and those that it was forked from, have made no kqueue: a program
/// without one makes no system call for us. A vfork child, or one made by a raw clone, shares or copies the tables
/// without being told.
static OWNER: AtomicI32 = AtomicI32::new(0);

/// Before any kqueue, and before anything is traced.
#[inline]
pub fn begin() {
    if OWNER.load(Relaxed) == 0 {
        copies::settle();
        signals::own();
        OWNER.store(sys::getpid(), Relaxed);
    } else if births::are_held_for_fork() {
        is_our_process();
    }
}

/// Is this the process that the library knows? It is, from here on, if it is a child of fork() whose handlers have not
/// come to ours yet: those that the program registered before it loaded us run first, and may make a kqueue, or close
/// all that they find and open something else.
pub fn is_our_process() -> bool {
    if sys::getpid() == OWNER.load(Relaxed) && !copies::is_copy() {
        return true;
    }
    let early = births::are_held_for_fork() && copies::is_copy();
    if early {
        child();
    }
    early
}

pub fn prepare() {
    births::prepare();
}

pub fn parent() {
    births::resume();
}

pub fn child() {
    // There may have been no kqueue at the fork, or all is done.
    let done = copies::are_told() && !copies::is_copy();
    births::count_fork();
    if OWNER.load(Relaxed) == 0 || done {
        return births::resume();
    }
    OWNER.store(sys::getpid(), Relaxed);
    copies::settle();
    signals::child();
    Poller::child();
    let pidfds = used_slots().any(|slot| slot.kernel.has_processes());
    for slot in used_slots() {
        slot.triggers.reset();
        match slot.state.load(Relaxed) {
            FREE | LOST => continue,
            LIVE | INHERITED if !library::cleans_up_after_fork() && is_whole(slot) => {
                slot.state.store(INHERITED, Relaxed);
            }
            state => {
                if matches!(state, LIVE | INHERITED) {
                    descriptors::disown(slot.kernel.descriptor());
                }
                slot.kernel.close_all(slot.index, state == TAKEN);
                slot.state.store(LOST, Relaxed);
            }
        }
    }
    if DUPLICATES.load(Relaxed) {
        // They were made by the program, but no kqueue is inherited by any of its numbers.
        descriptors::each_duplicate_of_any(|fd, index| {
            if slot(index).is_none_or(|slot| !slot.is_inherited()) {
                descriptors::disown(fd);
                if front::is_in_front() || sys::is_queue(fd) {
                    sys::close_raw(fd);
                }
            }
        });
    }
    if pidfds {
        processes::close_pidfds(|index| slot(index).is_none_or(|slot| !slot.is_inherited()));
    }
    DEAD_SLOTS.store(0, Relaxed);
    inside::forget();
    triggers::forget();
    descriptors::forget_closers();
    births::resume();
}

/// Was no other thread changing it?
fn is_whole(slot: &'static Slot) -> bool {
    (slot.lock_is_mine() || !slot.contents.is_locked()) && slot.kernel.is_whole()
}

/// The first call of a child on a queue that its parent left it. From here on it is the child's: its signals are
/// watched in this process.
#[cold]
pub fn take_over(slot: &'static Slot) -> bool {
    if slot.state.load(SeqCst) != INHERITED || slot.lock_is_mine() {
        return false;
    }
    if !front::is_in_front() && !slot.kernel.is_still_open(slot.index) {
        bury_unnoticed(slot, slot.birth.load(SeqCst));
        return false;
    }
    if let Ok(mut contents) = slot.lock() {
        if slot.state.load(SeqCst) == INHERITED {
            slot.signals.store(0, SeqCst);
            slot.awaited_signals.store(0, SeqCst);
            slot.kernel.leave_signals();
            slot.queue(&mut contents).watch_signals_anew();
            let _ = slot.state.compare_exchange(INHERITED, LIVE, SeqCst, Relaxed);
        }
    }
    !slot.is_closed()
}
