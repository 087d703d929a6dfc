//! Is this process a copy of the one that the library knows?
//!
//! A child that was forked, by whatever call, finds zero where its parent has a word; one that shares our memory
//! (vfork) finds the word, and has another number. The number alone does not tell: in a PID namespace of its own a
//! child is 1, and so may its parent be.

use super::sys;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering::*};

const SIZE: usize = 4096;
/// Null before there is a kqueue, and where the kernel cannot do it (before Linux 4.14): then there are no copies.
static WORD: AtomicPtr<AtomicU32> = AtomicPtr::new(core::ptr::null_mut());

fn word() -> Option<&'static AtomicU32> {
    // SAFETY: null, or a page that is never unmapped; zeroes are a valid value.
    unsafe { WORD.load(Acquire).as_ref() }
}

pub fn is_copy() -> bool {
    word().is_some_and(|word| word.load(Relaxed) == 0)
}

/// Does a copy know that it is one?
pub fn are_told() -> bool {
    word().is_some()
}

/// From here on the library knows this process. In a copy it makes no system call.
pub fn settle() {
    match word() {
        Some(word) => word.store(1, Relaxed),
        None => begin(),
    }
}

fn begin() {
    let Some(page) = sys::map_zeroed(SIZE) else { return };
    let word = page.cast::<AtomicU32>();
    // SAFETY: the page is ours alone, aligned, and large enough.
    let wiped = unsafe {
        (*word).store(1, Relaxed);
        libc::madvise(page.cast(), SIZE, libc::MADV_WIPEONFORK) == 0
    };
    if !wiped || WORD.compare_exchange(core::ptr::null_mut(), word, AcqRel, Relaxed).is_err() {
        sys::unmap(page, SIZE);
    }
}
