//! Who is inside: which threads are between the look-up of a queue and the return from its call.
//!
//! close() of a kqueue waits for them, else a waiter enters whatever the program opens under the number next.
//! Each visit claims a cache line of its own by one compare-and-swap, near a place that depends on the thread,
//! so that threads of different queues write nothing in common. A signal handler that visits while its thread is
//! inside already claims another place.
//!
//! A thread that leaves by siglongjmp() never says so. Its next visit of the same queue sees that the stack has
//! been unwound past the old one, and takes its place over.

use crate::platform::sys;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::*};

const LINES: usize = 256;
/// Places in a line; a second one is used where more threads than lines are inside.
const DEPTH: usize = 8;
const SLOT_BITS: u32 = 21;
/// A frame that is farther away is on another stack: a handler's.
const STACK: usize = 1 << 20;

struct Place {
    word: AtomicU64,
    /// Where on its stack the visitor is.
    frame: AtomicUsize,
}

impl Place {
    #[inline]
    fn claim(&self, word: u64) -> bool {
        if sys::is_alone() {
            // Nobody closes a queue meanwhile but a handler, which comes back.
            self.word.store(word, Relaxed);
            return true;
        }
        self.word.compare_exchange(0, word, SeqCst, Relaxed).is_ok()
    }
}

#[repr(align(128))]
struct Line([Place; DEPTH]);

static VISITS: [Line; LINES] =
    [const { Line([const { Place { word: AtomicU64::new(0), frame: AtomicUsize::new(0) } }; DEPTH]) }; LINES];
/// A bit for each line that was ever used: nobody looks into the others.
static USED: [AtomicU64; LINES / 64] = [const { AtomicU64::new(0) }; LINES / 64];
/// How many places of the lines were ever used.
static DEEPEST: AtomicUsize = AtomicUsize::new(1);
/// Visits that found no place: queues cannot be told apart there, closers wait for all of them.
static UNPLACED: AtomicU32 = AtomicU32::new(0);

pub struct Visit(Option<&'static Place>);

/// The visiting thread and the queue in one word; thread pointers are aligned to 16 at least.
fn word(slot: u32) -> u64 {
    ((sys::thread_self() as u64 >> 4) << SLOT_BITS) | u64::from(slot + 1)
}

impl Visit {
    #[inline]
    pub fn begin(slot: u32) -> Visit {
        let word = word(slot);
        let marker = 0u8;
        let frame = core::ptr::from_ref(&marker) as usize;
        let start = ((word >> SLOT_BITS).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize;
        for depth in 0..DEPTH {
            for step in 0..LINES {
                let line = (start + step) % LINES;
                let place = &VISITS[line].0[depth];
                let seen = place.word.load(Relaxed);
                if USED[line / 64].load(Relaxed) & 1 << (line % 64) == 0 {
                    // Before the place is claimed.
                    USED[line / 64].fetch_or(1 << (line % 64), SeqCst);
                }
                // Stacks grow down: a visit deeper in the same stack cannot be under way any more.
                let left = seen == word && frame.wrapping_sub(place.frame.load(Relaxed)).wrapping_sub(1) < STACK;
                if left || (seen == 0 && place.claim(word)) {
                    place.frame.store(frame, Relaxed);
                    return Visit(Some(place));
                }
            }
            DEEPEST.fetch_max(depth + 2, SeqCst);
        }
        UNPLACED.fetch_add(1, SeqCst);
        Visit(None)
    }
}

impl Drop for Visit {
    #[inline]
    fn drop(&mut self) {
        match self.0 {
            Some(place) => place.word.store(0, Release),
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
    let deepest = DEEPEST.load(SeqCst).min(DEPTH);
    UNPLACED.load(SeqCst) != 0
        || used_lines().flat_map(|line| &line.0[..deepest]).any(|place| {
            let word = place.word.load(SeqCst);
            word != mine && slot_of(word) == slot_of(mine)
        })
}

fn used_lines() -> impl Iterator<Item = &'static Line> {
    VISITS.chunks(64).zip(&USED).flat_map(|(lines, used)| {
        let used = used.load(SeqCst);
        lines.iter().enumerate().filter(move |(line, _)| used & 1 << line != 0).map(|(_, line)| line)
    })
}

/// Is the calling thread inside a queue of which `holds` is true, other than that of `slot`? Then this is a handler.
#[cold]
pub fn holds_another(slot: u32, holds: impl Fn(u32) -> bool) -> bool {
    let mine = word(slot);
    let deepest = DEEPEST.load(SeqCst).min(DEPTH);
    used_lines().flat_map(|line| &line.0[..deepest]).any(|place| {
        let word = place.word.load(Relaxed);
        let number = (word & ((1 << SLOT_BITS) - 1)) as u32;
        word != mine && word >> SLOT_BITS == mine >> SLOT_BITS && number != 0 && holds(number - 1)
    })
}

/// In the child of a fork only the forking thread goes on, and it is inside nothing that lives on.
pub fn forget() {
    for place in used_lines().flat_map(|line| &line.0) {
        // A page that nothing is written to stays the parent's.
        if place.word.load(Relaxed) != 0 {
            place.word.store(0, Relaxed);
        }
    }
    UNPLACED.store(0, Relaxed);
}
