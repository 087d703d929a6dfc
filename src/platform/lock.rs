//! The queue lock: a futex mutex that knows its owner.
//!
//! The whole state is one word, `0` or `pthread_self() | SLEEPERS`, taken by one compare-and-swap. So there
//! is no instant in which a signal handler could wait for the very thread that it interrupted: it sees itself
//! as the owner and gives up with EDEADLK. And because the state lies in the queue alone (parking_lot's own
//! mutex keeps a process-wide table of sleepers, which fork copies in mid-change), a forked child that makes
//! queues of its own never meets a lock that some thread of the parent held.

use super::sys;
use crate::errno::{Errno, Result};
use core::sync::atomic::{AtomicUsize, Ordering::*};
use parking_lot::lock_api;

/// Somebody sleeps on the word, or may: whoever unlocks wakes one. Thread pointers are aligned, bit 0 is free.
const SLEEPERS: usize = 1;
const SPINS: u32 = 60;

pub struct OwnerLock(AtomicUsize);

pub type Mutex<T> = lock_api::Mutex<OwnerLock, T>;
pub type Guard<'a, T> = lock_api::MutexGuard<'a, OwnerLock, T>;

// SAFETY: `lock` returns only after the word went from 0 to this thread's, `unlock` is the only way back to 0. Where
// that is not one step there is no other thread.
unsafe impl lock_api::RawMutex for OwnerLock {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: Self = OwnerLock(AtomicUsize::new(0));
    type GuardMarker = lock_api::GuardNoSend;

    #[inline]
    fn lock(&self) {
        if !self.try_lock() {
            self.lock_contended(sys::thread_self(), || false);
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        let me = sys::thread_self();
        if sys::is_alone() {
            let free = self.0.load(Relaxed) == 0;
            if free {
                self.0.store(me, Relaxed);
            }
            return free;
        }
        self.0.compare_exchange(0, me, Acquire, Relaxed).is_ok()
    }

    #[inline]
    unsafe fn unlock(&self) {
        if sys::is_alone() {
            self.0.store(0, Release);
        } else if self.0.swap(0, Release) & SLEEPERS != 0 {
            sys::unpark_one(&self.0);
        }
    }

    /// Not as lock_api would: by locking it.
    #[inline]
    fn is_locked(&self) -> bool {
        self.0.load(Relaxed) != 0
    }
}

impl OwnerLock {
    /// False: `give_up` said so, after one of the short sleeps.
    #[cold]
    fn lock_contended(&self, me: usize, mut give_up: impl FnMut() -> bool) -> bool {
        for _ in 0..SPINS {
            if self.0.load(Relaxed) == 0 && self.0.compare_exchange(0, me, Acquire, Relaxed).is_ok() {
                return true;
            }
            core::hint::spin_loop();
        }
        loop {
            let word = self.0.load(Relaxed);
            if word == 0 {
                // Others may sleep as well: only the last one could know, so the bit stays set.
                if self.0.compare_exchange(0, me | SLEEPERS, Acquire, Relaxed).is_ok() {
                    return true;
                }
            } else if word & SLEEPERS != 0 || self.0.compare_exchange(word, word | SLEEPERS, Relaxed, Relaxed).is_ok() {
                // Not for ever: who was woken in our stead may be in a signal handler first, which may be waiting for
                // what we hold.
                sys::park(&self.0, word | SLEEPERS);
                if give_up() {
                    return false;
                }
            }
        }
    }

    fn is_mine(&self) -> bool {
        self.0.load(Relaxed) & !SLEEPERS == sys::thread_self()
    }
}

/// Locks, or says `EDEADLK` where the calling thread holds the lock already: it is a signal handler that
/// interrupted the code under the lock.
#[inline]
pub fn lock<T>(mutex: &Mutex<T>) -> Result<Guard<'_, T>> {
    if let Some(guard) = mutex.try_lock() {
        return Ok(guard);
    }
    if is_mine(mutex) {
        return Err(Errno::EDEADLK);
    }
    Ok(mutex.lock())
}

/// The same, for no longer than until `give_up` says so. `None`: it did, or the calling thread holds the lock already.
#[allow(dead_code)] // not every backend's
pub fn lock_unless<T>(mutex: &Mutex<T>, give_up: impl FnMut() -> bool) -> Option<Guard<'_, T>> {
    if let Some(guard) = mutex.try_lock() {
        return Some(guard);
    }
    // SAFETY: the raw lock is looked at, and a guard made where it was taken here and there is no other one.
    unsafe {
        let taken = !mutex.raw().is_mine() && mutex.raw().lock_contended(sys::thread_self(), give_up);
        taken.then(|| mutex.make_guard_unchecked())
    }
}

/// Does the calling thread hold this lock?
pub fn is_mine<T>(mutex: &Mutex<T>) -> bool {
    // SAFETY: the raw lock is only looked at, never locked or unlocked through this reference.
    unsafe { mutex.raw() }.is_mine()
}
