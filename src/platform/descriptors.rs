//! What the process knows of each descriptor number: its generation, who is closing it, which queues watch it.
//!
//! close() may be called by a signal handler, at any instant, so it takes no lock. One word a descriptor says
//! all that close and EV_ADD must agree on:
//!
//! ```text
//! generation (28 bits) | closers in flight (10) | classes of queues that watch the number (26)
//! ```
//!
//! A close adds itself to the closers, tells the queues of the classes it finds, calls the system, and then
//! turns the generation and takes itself out in one addition. An EV_ADD first sets its class, then arms the
//! kernel, and keeps the generation it saw. Whichever comes second sees the other: either the close finds the
//! class, or the EV_ADD finds the closer, whose end will make its knote be confirmed by the kernel.

use super::table::{DescriptorTable, Zeroed};
use crate::errno::{Errno, Result};
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering::SeqCst};

const CLOSER: u64 = 1 << 26;
const CLOSERS: u64 = 0x3ff << 26;
const GENERATION: u64 = 1 << 36;
const CLASSES: u64 = CLOSER - 1;
/// Queues in the first slots have a class of their own, so the last EV_DELETE can take it back; the others
/// share the rest, and a shared class stays set.
const OWN_CLASSES: u32 = 20;
const SHARED_CLASSES: u32 = 6;

pub struct Cell {
    state: AtomicU64,
    /// Which queue the number belongs to, as `registry` writes it; 0: none.
    pub queue: AtomicU64,
}

// SAFETY: two atomics, no drop.
unsafe impl Zeroed for Cell {}

static CELLS: DescriptorTable<Cell> = DescriptorTable::new();

#[inline]
pub fn cell(fd: i32) -> Option<&'static Cell> {
    CELLS.get(fd)
}

#[inline]
pub fn cell_or_make(fd: i32) -> Result<&'static Cell> {
    CELLS.get_or_make(fd)
}

/// The generation that a knote was attached in, with the closers that were in flight: every close that begins or
/// ends after that changes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Generation(u32);

impl Generation {
    pub const NONE: Generation = Generation(0);

    fn of(word: u64) -> Generation {
        Generation((word / CLOSER) as u32)
    }

    /// Was a close under way? Then it may be this very file that it closes.
    pub fn is_doubtful(self) -> bool {
        u64::from(self.0) & (CLOSERS / CLOSER) != 0
    }
}

/// The classes of queue slots, as bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Classes(u64);

impl Classes {
    pub fn of_slot(slot: u32) -> Classes {
        Classes(1 << if slot < OWN_CLASSES { slot } else { OWN_CLASSES + slot % SHARED_CLASSES })
    }

    pub fn contains(self, slot: u32) -> bool {
        self.0 & Classes::of_slot(slot).0 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Says that the queue in `slot` watches `fd` from now on; before the kernel is armed.
#[inline]
pub fn watch(fd: i32, slot: u32) -> Result<Generation> {
    let cell = cell_or_make(fd)?;
    Ok(Generation::of(cell.state.fetch_or(Classes::of_slot(slot).0, SeqCst)))
}

/// Waits a moment for closes of the number to end: one that has looked for our item already must not close the file
/// after we have added it. (Not for ever: it may linger over an old file whose number has been reused.)
pub fn await_closers(fd: i32) {
    if let Some(cell) = cell(fd) {
        super::sys::wait_a_moment(5, || cell.state.load(SeqCst) & CLOSERS == 0);
    }
}

/// The queue in `slot` watches `fd` no more. Its lock is held, so no EV_ADD of its own is under way.
pub fn unwatch(fd: i32, slot: u32) {
    if slot < OWN_CLASSES {
        if let Some(cell) = cell(fd) {
            cell.state.fetch_and(!Classes::of_slot(slot).0, SeqCst);
        }
    }
}

/// The generation of a number now.
#[allow(dead_code)] // not every backend's
pub fn generation(fd: i32) -> Generation {
    cell(fd).map_or(Generation::NONE, |cell| Generation::of(cell.state.load(SeqCst)))
}

/// Is a knote of that generation still about the same open descriptor?
#[inline]
pub fn trusted(fd: i32, generation: Generation) -> bool {
    cell(fd).is_some_and(|cell| Generation::of(cell.state.load(SeqCst)) == generation)
}

/// A close under way, from before the system is called until after.
pub struct Closing(&'static Cell);

impl Closing {
    /// `None`: the number was never seen by the library, nothing to tell.
    #[inline]
    pub fn begin(fd: i32) -> Option<(Closing, Classes)> {
        let cell = CELLS.get_to_write(fd)?;
        let word = cell.state.fetch_add(CLOSER, SeqCst);
        Some((Closing(cell), Classes(word & CLASSES)))
    }

    /// The number is free or another file's now.
    #[inline]
    pub fn closed(self) {
        self.0.state.fetch_add(GENERATION - CLOSER, SeqCst);
    }

    /// The system refused: the descriptor is what it was.
    pub fn failed(self) {
        self.0.state.fetch_sub(CLOSER, SeqCst);
    }
}

/// In the child of a fork: closes that other threads had under way will never end here, and whether the number
/// was closed is not known.
pub fn forget_closers() {
    CELLS.each_page(0, u32::MAX, |_, cell| {
        let closers = cell.state.load(SeqCst) & CLOSERS;
        if closers != 0 {
            cell.state.fetch_add(GENERATION - closers, SeqCst);
        }
    });
}

/// The number as a descriptor, or `EBADF`: never truncated (1.11).
pub fn number(ident: usize) -> Result<i32> {
    i32::try_from(ident).map_err(|_| Errno::EBADF)
}

/// What `Cell::queue` says in a word: whose number it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// Nobody of ours, or not known.
    None,
    /// The number of the queue in that slot, of its birth.
    Queue { slot: u32, birth: u32 },
    /// A duplicate of it that the program made (10.7).
    Duplicate { slot: u32, birth: u32 },
    /// A descriptor that the queue in the slot works with; the program knows nothing of it.
    Helper { slot: u32 },
    /// The same, of the process with this index there.
    Process { slot: u32, index: u32 },
}

const KIND: u64 = 3;

impl Owner {
    pub fn word(self) -> u64 {
        let pack = |kind: u64, slot: u32, birth: u32| (u64::from(birth) << 32) | (u64::from(slot) << 2) | kind;
        match self {
            Owner::None => 0,
            Owner::Queue { slot, birth } => pack(1, slot, birth),
            Owner::Duplicate { slot, birth } => pack(2, slot, birth),
            Owner::Helper { slot } => pack(3, slot, 0),
            Owner::Process { slot, index } => pack(3, slot, index + 1),
        }
    }

    pub fn of(word: u64) -> Owner {
        let (slot, birth) = ((word as u32) >> 2, (word >> 32) as u32);
        match word & KIND {
            1 => Owner::Queue { slot, birth },
            2 => Owner::Duplicate { slot, birth },
            3 if birth == 0 => Owner::Helper { slot },
            3 => Owner::Process { slot, index: birth - 1 },
            _ => Owner::None,
        }
    }

    /// Is it one of the library's own, which the program knows nothing of?
    pub fn is_helper(self) -> bool {
        matches!(self, Owner::Helper { .. } | Owner::Process { .. })
    }
}

/// No descriptor of the library's own that is to stay has a number below this one; but for want of others.
static LEAST_HELPER: AtomicI32 = AtomicI32::new(i32::MAX);

#[allow(dead_code)] // not every backend's
pub fn helpers_from(least: i32) {
    LEAST_HELPER.fetch_min(least, SeqCst);
}

pub fn may_be_helper(fd: i32) -> bool {
    fd >= LEAST_HELPER.load(SeqCst)
}

/// The library's own descriptor now has this number. Where the table cannot grow nothing is noted, and a
/// program that closes the number is noticed at the next use.
pub fn note_helper(fd: i32, slot: u32) {
    if let Ok(cell) = cell_or_make(fd) {
        cell.queue.store(Owner::Helper { slot }.word(), SeqCst);
    }
}

/// The same for the descriptor of a process: this is the only record of it that fork and close() can read. `ENOMEM`.
#[allow(dead_code)] // not every backend's
pub fn note_process(fd: i32, slot: u32, index: u32) -> Result<()> {
    cell_or_make(fd)?.queue.store(Owner::Process { slot, index }.word(), SeqCst);
    Ok(())
}

/// Calls `each` with every descriptor of a process up to `last`, its slot and index.
#[allow(dead_code)] // not every backend's
pub fn each_process(last: i32, mut each: impl FnMut(i32, u32, u32)) {
    CELLS.each_page(0, last.max(0) as u32, |fd, cell| {
        if let Owner::Process { slot, index } = Owner::of(cell.queue.load(SeqCst)) {
            each(fd as i32, slot, index);
        }
    });
}

/// Calls `each` with every known duplicate of a queue's number, and the queue's slot.
pub fn each_duplicate_of_any(mut each: impl FnMut(i32, u32)) {
    CELLS.each_page(0, u32::MAX, |fd, cell| {
        if let Owner::Duplicate { slot, .. } = Owner::of(cell.queue.load(SeqCst)) {
            each(fd as i32, slot);
        }
    });
}

/// Calls `each` with every known duplicate of the queue in `slot`.
pub fn each_duplicate(slot: u32, mut each: impl FnMut(i32)) {
    each_duplicate_of_any(|fd, of| {
        if of == slot {
            each(fd);
        }
    });
}

/// The classes of the queues that watch the number.
pub fn watchers(fd: i32) -> Classes {
    Classes(cell(fd).map_or(0, |cell| cell.state.load(SeqCst) & CLASSES))
}

pub fn owner(fd: i32) -> Owner {
    cell(fd).map_or(Owner::None, |cell| Owner::of(cell.queue.load(SeqCst)))
}

pub fn disown(fd: i32) {
    if let Some(cell) = cell(fd) {
        cell.queue.store(0, SeqCst);
    }
}

/// The same, unless somebody else was faster to have the number.
pub fn disown_of(fd: i32, owner: Owner) {
    if let Some(cell) = cell(fd) {
        let _ = cell.queue.compare_exchange(owner.word(), 0, SeqCst, SeqCst);
    }
}

/// Does a queue watch the number, or is it one of ours?
#[allow(dead_code)] // not every backend's
pub fn is_known(fd: i32) -> bool {
    cell(fd).is_some_and(is_cell_known)
}

#[allow(dead_code)] // not every backend's
fn is_cell_known(cell: &Cell) -> bool {
    cell.queue.load(SeqCst) != 0 || cell.state.load(SeqCst) & CLASSES != 0
}

/// Calls `each` with every number from `first` to `last` that a queue watches or that is one of ours.
#[allow(dead_code)] // not every backend's
pub fn each_known(first: u32, last: u32, mut each: impl FnMut(u32)) {
    CELLS.each_page(first, last, |fd, cell| {
        if is_cell_known(cell) {
            each(fd);
        }
    });
}
