//! Signals are 1 to 64; a set of them is a word with bit `signo - 1` for each.

use super::sys;
use crate::errno::Errno;
use crate::platform::unix::kernel;
use core::mem::MaybeUninit;
use libc::{c_int, sigset_t};

/// The length of a table with a place for each signal.
pub(super) const SIGNALS: usize = 65;

pub const fn bit(signo: c_int) -> u64 {
    1 << (signo.wrapping_sub(1) & 63)
}

/// The place of a signal in our tables; the last place for what cannot come.
pub(super) const fn place(signo: c_int) -> usize {
    if signo > 0 && (signo as usize) < SIGNALS {
        signo as usize
    } else {
        0
    }
}

/// Bits set in a word, lowest first.
pub(super) fn bits(mut word: u64) -> impl Iterator<Item = u32> {
    core::iter::from_fn(move || {
        let lowest = word.trailing_zeros();
        word &= word.wrapping_sub(1);
        (lowest < 64).then_some(lowest)
    })
}

/// A sigset_t as one word. Signals 1 to 64 are its first 64 bits on every Linux libc that is little-endian or
/// has 64-bit words.
pub(super) fn mask_of(set: &sigset_t) -> u64 {
    const { assert!(size_of::<sigset_t>() >= 8) };
    // SAFETY: the set has at least 8 bytes, all initialised.
    unsafe { core::ptr::from_ref(set).cast::<u64>().read_unaligned() }
}

pub fn set_of(mask: u64) -> sigset_t {
    // SAFETY: a sigset_t is an array of integers, for which all zeroes are valid; it has at least 8 bytes.
    unsafe {
        let mut set: sigset_t = MaybeUninit::zeroed().assume_init();
        (&raw mut set).cast::<u64>().write_unaligned(mask);
        set
    }
}

/// The signals that are pending, for the process or the calling thread.
pub(in crate::platform) fn pending() -> u64 {
    let mut set = MaybeUninit::<sigset_t>::zeroed();
    // SAFETY: the set is a local, valid also if it is not filled.
    unsafe {
        libc::sigpending(set.as_mut_ptr());
        mask_of(&set.assume_init())
    }
}

pub(super) fn is_pending(signo: c_int) -> bool {
    pending() & bit(signo) != 0
}

/// The calling thread's signal mask.
pub fn thread_blocks() -> u64 {
    let mut set = MaybeUninit::<sigset_t>::zeroed();
    // SAFETY: nothing is changed; the set is a local, valid also if it is not filled.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, core::ptr::null(), set.as_mut_ptr());
        mask_of(&set.assume_init())
    }
}

/// Blocks signals in the calling thread; returns what it blocked before.
pub(super) fn block(signals: u64) -> u64 {
    let mut before = MaybeUninit::<sigset_t>::zeroed();
    // SAFETY: both sets are locals, valid also if the second is not filled.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, &set_of(signals), before.as_mut_ptr());
        mask_of(&before.assume_init())
    }
}

pub(super) fn unblock(signals: u64) {
    // SAFETY: a local set.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &set_of(signals), core::ptr::null_mut()) };
}

/// Takes what is pending of `signals`, which the thread blocks.
pub(super) fn fetch_all(signals: u64, mut take: impl FnMut(c_int)) {
    let (set, now) = (set_of(signals), libc::timespec { tv_sec: 0, tv_nsec: 0 });
    loop {
        // SAFETY: set and time are locals; the siginfo is not wanted.
        match unsafe { kernel::sigtimedwait(&set, core::ptr::null_mut(), &now) } {
            -1 if sys::last_errno() == Errno::EINTR => {}
            -1 => return,
            signo => take(signo),
        }
    }
}
