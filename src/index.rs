//! An index by hash: open addressing, in one allocation that the index points to the beginning of.
//!
//! That is what leak checkers look for: a table that is pointed into, as hashbrown's is, valgrind calls possibly lost in
//! every program that exits with a kqueue open. What grows does so by `reserve` alone, which may be refused.

use crate::errno::{Errno, Result};

#[derive(Clone, Copy)]
enum Place<T> {
    Empty,
    /// Something was here, and the search goes on behind it.
    Left,
    Full(T),
}

pub struct Index<T> {
    /// A power of two, or none; never all in use.
    places: Vec<Place<T>>,
    len: usize,
    /// The places that are not empty.
    used: usize,
}

impl<T: Copy> Index<T> {
    pub const fn new() -> Self {
        Index { places: Vec::new(), len: 0, used: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.places.iter().filter_map(|place| match place {
            Place::Full(entry) => Some(*entry),
            _ => None,
        })
    }

    /// The places where an entry of that hash may be, in order.
    #[inline]
    fn probe(&self, hash: u64) -> impl Iterator<Item = usize> {
        let mask = self.places.len().wrapping_sub(1);
        let first = (hash ^ hash >> 32) as usize;
        (0..self.places.len()).map(move |step| first.wrapping_add(step) & mask)
    }

    #[inline]
    fn position(&self, hash: u64, is_it: impl Fn(T) -> bool) -> Option<usize> {
        for at in self.probe(hash) {
            match self.places[at] {
                Place::Full(entry) if is_it(entry) => return Some(at),
                Place::Empty => return None,
                _ => {}
            }
        }
        None
    }

    #[inline]
    pub fn find(&self, hash: u64, is_it: impl Fn(T) -> bool) -> Option<T> {
        match self.places[self.position(hash, is_it)?] {
            Place::Full(entry) => Some(entry),
            _ => None,
        }
    }

    /// Room for so many more. `ENOMEM`.
    pub fn reserve(&mut self, more: usize, hash: impl Fn(T) -> u64) -> Result<()> {
        let fits = |used: usize, places: usize| used + more <= places / 4 * 3;
        if fits(self.used, self.places.len()) {
            return Ok(());
        }
        let mut size = self.places.len().max(8);
        // With a quarter to spare, or those that have left would soon make it full again.
        while !fits(self.len + size / 4, size) {
            size *= 2;
        }
        let mut places = Vec::new();
        places.try_reserve_exact(size).map_err(|_| Errno::ENOMEM)?;
        places.resize(size, Place::Empty);
        let old = core::mem::replace(self, Index { places, len: 0, used: 0 });
        for entry in old.iter() {
            self.insert(hash(entry), entry);
        }
        Ok(())
    }

    /// Adds an entry, for which there is room. The same one must not be there.
    pub fn insert(&mut self, hash: u64, entry: T) {
        let free = self.probe(hash).find(|&at| !matches!(self.places[at], Place::Full(_)));
        if let Some(at) = free {
            self.used += usize::from(matches!(self.places[at], Place::Empty));
            self.len += 1;
            self.places[at] = Place::Full(entry);
        }
    }

    /// Takes an entry out, if it is there.
    pub fn remove(&mut self, hash: u64, is_it: impl Fn(T) -> bool) {
        let Some(at) = self.position(hash, is_it) else { return };
        self.len -= 1;
        self.places[at] = Place::Left;
        // Behind the end of a run nothing is searched for.
        let mask = self.places.len() - 1;
        let mut at = at;
        while matches!(self.places[at], Place::Left) && matches!(self.places[(at + 1) & mask], Place::Empty) {
            self.places[at] = Place::Empty;
            self.used -= 1;
            at = at.wrapping_sub(1) & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Few places, so that entries meet.
    fn hash(entry: (u32, u32)) -> u64 {
        u64::from(entry.0 % 7)
    }

    #[test]
    fn it_holds_what_a_map_holds() {
        let (mut index, mut map) = (Index::new(), HashMap::new());
        let mut state = 1u64;
        for turn in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let key = (state >> 33) as u32 % 40;
            let found = index.find(hash((key, 0)), |entry: (u32, u32)| entry.0 == key);
            assert_eq!(found, map.get(&key).map(|&value| (key, value)));
            if found.is_none() {
                index.reserve(1, hash).unwrap();
                index.insert(hash((key, turn)), (key, turn));
                map.insert(key, turn);
            } else if state & 1 << 40 != 0 {
                index.remove(hash((key, 0)), |entry| entry.0 == key);
                map.remove(&key);
            }
            assert_eq!(index.len(), map.len());
            assert_eq!(index.iter().count(), map.len());
        }
    }

    #[test]
    fn entries_that_come_and_go_do_not_make_it_grow() {
        let mut index = Index::new();
        for entry in 0..10_000u32 {
            let hash = |entry: u32| u64::from(entry).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            index.reserve(1, hash).unwrap();
            index.insert(hash(entry), entry);
            index.remove(hash(entry), |other| other == entry);
        }
        assert_eq!(index.places.len(), 8);
    }

    #[test]
    fn nothing_is_found_in_an_empty_one() {
        let mut index = Index::<u32>::new();
        assert_eq!(index.find(3, |_| true), None);
        index.remove(3, |_| true);
        assert_eq!(index.len(), 0);
    }
}
