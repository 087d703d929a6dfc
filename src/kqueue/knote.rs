//! Knotes: what one (ident, filter) of a queue wants, and where it stands.
//!
//! They live in a slab of chunks that never move; a knote is named by its index. All links are indices, so a
//! knote costs 48 bytes and no allocation of its own.

use crate::errno::{Errno, Result};
use crate::event::{self, kevent};
use crate::filter::{Filter, Report};
use bitflags::bitflags;

/// The index of a knote in its queue.
pub type KnoteId = u32;
/// No knote.
pub const NIL: KnoteId = u32::MAX;

bitflags! {
    /// The `EV_*` bits of the first EV_ADD that are kept for life (1.15).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Sticky: u8 {
        const ONESHOT = event::EV_ONESHOT as u8;
        const CLEAR = event::EV_CLEAR as u8;
        const RECEIPT = event::EV_RECEIPT as u8;
        const DISPATCH = event::EV_DISPATCH as u8;
    }

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct State: u16 {
        /// Recorded, not reported, until EV_ENABLE.
        const DISABLED = 1 << 0;
        /// In the ready list.
        const READY = 1 << 1;
        /// In the lookout list: looked at again by every kevent().
        const LOOKOUT = 1 << 2;
        /// The filter's condition holds: triggered, expired, caught. Kept while disabled.
        const ACTIVE = 1 << 3;
        /// Reported whatever the condition: EV_FORCEONESHOT.
        const FORCED = 1 << 4;
        /// In the list of what ended or began: reported after all else.
        const DEPARTING = 1 << 5;
        /// Two bits: which of the kernel's places its item is in.
        const PLACE = 3 << 10;
        /// The kernel calls it ready and the filter does not: it is armed for edges until that changes.
        const QUIET = 1 << 6;
        /// It never can be ready: the read end of a pipe, for writing.
        const NEVER = 1 << 7;
        /// EV_CLEAR on a file: reported, waits for news of the file.
        const TOLD = 1 << 8;
        /// The kernel will not tell when the condition comes: looked at by the clock.
        const TICK = 1 << 9;
        /// The kernel called it ready, and a moment later did not: the second time running the item is doubted.
        const SUSPECT = 1 << 12;
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Knote {
    pub ident: usize,
    pub udata: usize,
    /// The filter's number: low-water mark, period in ns, the user's data, signals told so far.
    pub data: i64,
    pub fflags: u32,
    next: KnoteId,
    prev: KnoteId,
    /// The filter's own: a timer's place, a member of a file's watch, a process.
    pub aux: u32,
    /// The collection that reported it last.
    pub turn: u32,
    pub sticky: Sticky,
    pub filter: Filter,
    pub state: State,
}

impl Knote {
    pub fn new(ident: usize, filter: Filter, sticky: Sticky) -> Knote {
        Knote {
            ident,
            udata: 0,
            data: 0,
            fflags: 0,
            next: NIL,
            prev: NIL,
            aux: NIL,
            turn: 0,
            sticky,
            filter,
            state: State::empty(),
        }
    }

    #[inline]
    pub fn is(&self, state: State) -> bool {
        self.state.intersects(state)
    }

    /// What a report of it tells the program.
    #[inline]
    pub fn event(&self, report: Report) -> kevent {
        kevent {
            ident: self.ident,
            filter: self.filter.number(),
            // 1.15
            flags: event::EV_ADD | u16::from(self.sticky.bits()) | report.flags,
            fflags: report.fflags,
            data: report.data as isize,
            udata: self.udata as *mut core::ffi::c_void,
        }
    }

    /// The descriptor of a knote of READ or WRITE, checked when it was attached.
    #[inline]
    pub fn fd(&self) -> i32 {
        self.ident as i32
    }
}

const CHUNK_BITS: usize = 6;
const CHUNK: usize = 1 << CHUNK_BITS;

/// The knotes of one queue.
pub struct Slab {
    #[allow(clippy::vec_box)] // to grow copies no knotes
    chunks: Vec<Box<[Knote; CHUNK]>>,
    /// Indices below have been given.
    used: usize,
    free: KnoteId,
}

impl Slab {
    pub const fn new() -> Slab {
        Slab { chunks: Vec::new(), used: 0, free: NIL }
    }

    /// `ENOMEM`.
    pub fn insert(&mut self, knote: Knote) -> Result<KnoteId> {
        if self.free != NIL {
            let id = self.free;
            self.free = self[id].next;
            self[id] = knote;
            return Ok(id);
        }
        if self.used == self.chunks.len() * CHUNK {
            self.chunks.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            self.chunks.push(boxed(knote)?);
        }
        let id = self.used as KnoteId;
        self.used += 1;
        self[id] = knote;
        Ok(id)
    }

    pub fn remove(&mut self, id: KnoteId) {
        self[id].next = self.free;
        self.free = id;
    }
}

/// An array of copies, on the heap. `ENOMEM`.
pub fn boxed<T: Copy, const N: usize>(value: T) -> Result<Box<[T; N]>> {
    let mut elements = Vec::new();
    elements.try_reserve_exact(N).map_err(|_| Errno::ENOMEM)?;
    elements.resize(N, value);
    elements.into_boxed_slice().try_into().map_err(|_| Errno::ENOMEM)
}

impl core::ops::Index<KnoteId> for Slab {
    type Output = Knote;
    #[inline]
    fn index(&self, id: KnoteId) -> &Knote {
        &self.chunks[id as usize >> CHUNK_BITS][id as usize % CHUNK]
    }
}

impl core::ops::IndexMut<KnoteId> for Slab {
    #[inline]
    fn index_mut(&mut self, id: KnoteId) -> &mut Knote {
        &mut self.chunks[id as usize >> CHUNK_BITS][id as usize % CHUNK]
    }
}

/// A first-in first-out list through the knotes; `MARK` says in the knote's state that it is in this one. A
/// knote is in one list at most.
pub struct List<const MARK: u16> {
    head: KnoteId,
    tail: KnoteId,
    len: usize,
}

pub type ReadyList = List<{ State::READY.bits() }>;
/// Processes' knotes, whose events come after those of descriptors (1.12).
pub type DepartureList = List<{ State::DEPARTING.bits() }>;
pub type LookoutList = List<{ State::LOOKOUT.bits() }>;

impl<const MARK: u16> List<MARK> {
    const MARKED: State = State::from_bits_retain(MARK);

    pub const fn new() -> Self {
        List { head: NIL, tail: NIL, len: 0 }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn push(&mut self, slab: &mut Slab, id: KnoteId) {
        if slab[id].is(Self::MARKED) {
            return;
        }
        slab[id].state.insert(Self::MARKED);
        slab[id].next = NIL;
        slab[id].prev = self.tail;
        if self.tail == NIL {
            self.head = id;
        } else {
            slab[self.tail].next = id;
        }
        self.tail = id;
        self.len += 1;
    }

    pub fn remove(&mut self, slab: &mut Slab, id: KnoteId) {
        if !slab[id].is(Self::MARKED) {
            return;
        }
        let (next, prev) = (slab[id].next, slab[id].prev);
        if prev == NIL {
            self.head = next;
        } else {
            slab[prev].next = next;
        }
        if next == NIL {
            self.tail = prev;
        } else {
            slab[next].prev = prev;
        }
        slab[id].state.remove(Self::MARKED);
        self.len -= 1;
    }

    pub fn pop(&mut self, slab: &mut Slab) -> Option<KnoteId> {
        let id = self.head;
        if id == NIL {
            return None;
        }
        self.remove(slab, id);
        Some(id)
    }
}
