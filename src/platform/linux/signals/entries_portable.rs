//! Entries for any machine. The kernel lays its frame out the same way every time and enters right below it, so
//! the smallest distance between the context and our frame that was ever seen is the kernel's; an entry that is
//! called has frames in between.

use super::handler::{entered, Arrival, Handler, NEAR};
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use libc::siginfo_t;

pub(super) const ENTRIES: usize = 64;
static SHORTEST: AtomicUsize = AtomicUsize::new(NEAR);

#[inline(never)]
unsafe extern "C-unwind" fn entry<const INDEX: usize>(signo: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let arrival = Arrival { signo, info, context, sp: 0, direct: false };
    let sp = (&raw const arrival) as usize;
    let distance = (context as usize).wrapping_sub(sp);
    let direct = distance <= SHORTEST.fetch_min(distance, SeqCst);
    // SAFETY: the arguments are those of a signal handler.
    unsafe { entered(INDEX, &Arrival { sp, direct, ..arrival }) }
}

macro_rules! row {
    ($($high:literal)*) => { [$(
        entry::<{ $high }>, entry::<{ $high + 1 }>, entry::<{ $high + 2 }>, entry::<{ $high + 3 }>,
        entry::<{ $high + 4 }>, entry::<{ $high + 5 }>, entry::<{ $high + 6 }>, entry::<{ $high + 7 }>,
    )*] };
}
static ROW: [Handler; ENTRIES] = row!(0 8 16 24 32 40 48 56);

pub(super) fn address(index: usize) -> usize {
    ROW.get(index).map_or(0, |&entry| entry as usize)
}

pub(super) fn index(address: usize) -> Option<usize> {
    ROW.iter().position(|&entry| entry as usize == address)
}

/// The kernel brings its own.
#[allow(dead_code)] // not every backend's
pub(super) fn restorer() -> usize {
    0
}
