//! Who is inside: which threads are between the look-up of a queue and the return from its call.
//!
//! close() of a kqueue waits for them, else a waiter enters whatever the program opens under the number next.
//! Each visit claims a cache line of its own by one compare-and-swap, near a place that depends on the thread,
//! so that threads of different queues write nothing in common. A signal handler that visits while its thread
//! is inside already claims another line.

use crate::platform::sys;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

const LINES: usize = 256;
const SLOT_BITS: u32 = 21;

#[repr(align(128))]
struct Line(AtomicU64);

static VISITS: [Line; LINES] = [const { Line(AtomicU64::new(0)) }; LINES];
/// Visits that found no free line: queues cannot be told apart there, closers wait for all of them.
static UNPLACED: AtomicU32 = AtomicU32::new(0);

pub struct Visit(Option<&'static Line>);

/// The visiting thread and the queue in one word; thread pointers are aligned to 16 at least.
fn word(slot: u32) -> u64 {
    ((sys::thread_self() as u64 >> 4) << SLOT_BITS) | u64::from(slot + 1)
}

impl Visit {
    #[inline]
    pub fn begin(slot: u32) -> Visit {
        let word = word(slot);
        let start = (word >> SLOT_BITS).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        for step in 0..LINES {
            let line = &VISITS[(start as usize + step) % LINES];
            if line.0.load(Relaxed) == 0 && line.0.compare_exchange(0, word, SeqCst, Relaxed).is_ok() {
                return Visit(Some(line));
            }
        }
        UNPLACED.fetch_add(1, SeqCst);
        Visit(None)
    }
}

impl Drop for Visit {
    #[inline]
    fn drop(&mut self) {
        match self.0 {
            Some(line) => line.0.store(0, Release),
            None => {
                UNPLACED.fetch_sub(1, SeqCst);
            }
        }
    }
}

/// Is a thread other than the calling one inside the queue of `slot`?
pub fn others(slot: u32) -> bool {
    let mine = word(slot);
    let slot_of = |word: u64| word & ((1 << SLOT_BITS) - 1);
    UNPLACED.load(SeqCst) != 0
        || VISITS.iter().any(|line| {
            let word = line.0.load(SeqCst);
            word != mine && slot_of(word) == slot_of(mine)
        })
}

/// In the child of a fork only the forking thread goes on, and it is inside nothing that lives on.
pub fn forget() {
    for line in &VISITS {
        line.0.store(0, Relaxed);
    }
    UNPLACED.store(0, Relaxed);
}
