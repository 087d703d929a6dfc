//! The birth of a descriptor and its record are one step for fork, and so are its death and the record's.
//!
//! Between the system call that makes a descriptor and the store that remembers it, a fork in another thread
//! would leave it open in a child that knows nothing of it. So births hold a lock that the prepare handler of
//! fork waits for; and deaths do, lest the child close a number that is the program's by now. A birth is one
//! system call or three and a store, never a malloc.
//!
//! A signal handler that interrupted a birth and forks, or gives birth itself, does not wait for its own thread;
//! the interrupted birth sees afterwards that it woke up in a child.
//!
//! A fork holds the lock while other handlers run that the program registered before it loaded us, and those may wait
//! for a thread that is about to make a descriptor. So that one does not wait for ever: a child that keeps a descriptor
//! is better than none.

use super::sys;
use crate::errno::{Errno, Result};
use crate::platform::lock::{self, Guard, Mutex};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering::*};
use parking_lot::lock_api::RawMutex as _;

static BIRTHS: Mutex<()> = Mutex::new(());
static HELD_FOR_FORK: AtomicBool = AtomicBool::new(false);
static FORKS: AtomicU32 = AtomicU32::new(0);
/// How long a fork is waited for, in nanoseconds.
const PATIENCE: u64 = 100_000_000;

/// While it lives, no other thread forks.
pub struct Hold {
    _guard: Option<Guard<'static, ()>>,
}

pub fn hold() -> Hold {
    let mut since = u64::MAX;
    let fork_goes_on = || {
        if !HELD_FOR_FORK.load(Relaxed) {
            since = u64::MAX;
            return false;
        }
        let now = sys::now(sys::CLOCK_MONOTONIC);
        since = since.min(now);
        now - since > PATIENCE
    };
    Hold { _guard: lock::lock_unless(&BIRTHS, fork_goes_on) }
}

/// Is the calling thread between its fork's handlers of ours, in either process?
#[inline]
pub fn are_held_for_fork() -> bool {
    HELD_FOR_FORK.load(Relaxed) && lock::is_mine(&BIRTHS)
}

/// Is the caller a signal handler that interrupted a birth, or a fork? Whoever holds a queue's lock may be waiting for
/// that to end, and is not to be waited for.
#[inline]
pub fn are_interrupted() -> bool {
    lock::is_mine(&BIRTHS)
}

/// Makes a descriptor and stores it in `place`, where the fork handler finds it.
pub fn birth(place: &AtomicI32, make: impl FnOnce() -> Result<i32>) -> Result<i32> {
    birth_and_record(make, |fd| {
        place.store(fd, SeqCst);
        Ok(())
    })
}

/// The same with a record of another kind. Where that fails the descriptor is closed.
pub fn birth_and_record(make: impl FnOnce() -> Result<i32>, record: impl FnOnce(i32) -> Result<()>) -> Result<i32> {
    let _hold = hold();
    let forks = FORKS.load(Relaxed);
    let fd = make()?;
    let recorded = if FORKS.load(Relaxed) == forks { record(fd) } else { Err(Errno::EBADF) };
    recorded.map(|()| fd).inspect_err(|_| sys::close_raw(fd))
}

/// Before fork: no birth is half done in any other thread.
pub fn prepare() {
    if let Ok(guard) = lock::lock(&BIRTHS) {
        core::mem::forget(guard);
        HELD_FOR_FORK.store(true, Relaxed);
    }
}

/// After fork, in both processes.
pub fn resume() {
    if HELD_FOR_FORK.swap(false, Relaxed) {
        // SAFETY: `prepare` of this very thread locked it and forgot the guard; the flag says so.
        unsafe { BIRTHS.raw().unlock() };
    }
}

pub fn count_fork() {
    FORKS.fetch_add(1, Relaxed);
}
