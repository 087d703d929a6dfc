//! Are we in front of libc? That is: does the program's close() come to ours first?
//!
//! It does where the executable itself is linked with us, where we are preloaded, and in the archive; not where
//! a library of the program's brought us in. Where it does not we are in *verify mode*: nobody tells of a close,
//! so every change asks the kernel whether a number still is the file it was.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

static IN_FRONT: AtomicBool = AtomicBool::new(false);

/// Found out once, before there is a kqueue.
pub fn set(in_front: bool) {
    IN_FRONT.store(in_front, Relaxed);
}

#[inline]
pub fn is_in_front() -> bool {
    IN_FRONT.load(Relaxed)
}
