//! The birth of a descriptor. There is no fork here that could come in between.

use crate::errno::Result;
use core::sync::atomic::{AtomicI32, Ordering::SeqCst};

pub struct Hold;

pub fn hold() -> Hold {
    Hold
}

/// No handler interrupts a thread.
#[inline]
pub fn are_interrupted() -> bool {
    false
}

pub fn birth(place: &AtomicI32, make: impl FnOnce() -> Result<i32>) -> Result<i32> {
    make().inspect(|&number| place.store(number, SeqCst))
}

pub fn prepare() {}

pub fn resume() {}

pub fn are_held_for_fork() -> bool {
    false
}

pub fn count_fork() {}
