//! An index by a number, which it mixes: open addressing, in one allocation that the index points to the beginning of.
//!
//! That is what leak checkers look for: a table that is pointed into, as hashbrown's is, valgrind calls possibly lost in
//! every program that exits with a kqueue open. It grows by `reserve` alone, which may be refused.

use crate::errno::{Errno, Result};

pub struct Index<T> {
    /// A power of two, or none; never all full. From where the key of an entry leads to, to where it is, all are.
    places: Vec<Option<T>>,
    len: usize,
}

impl<T: Copy> Index<T> {
    pub const fn new() -> Self {
        Index { places: Vec::new(), len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.places.iter().filter_map(|place| *place)
    }

    fn mask(&self) -> usize {
        self.places.len().wrapping_sub(1)
    }

    /// The places where an entry of that key may be, in order.
    #[inline]
    fn probe(&self, key: u64) -> impl Iterator<Item = usize> {
        let mask = self.mask();
        let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let first = (mixed ^ mixed >> 32) as usize;
        (0..self.places.len()).map(move |step| first.wrapping_add(step) & mask)
    }

    #[inline]
    fn position(&self, key: u64, is_it: impl Fn(T) -> bool) -> Option<usize> {
        for at in self.probe(key) {
            if is_it(self.places[at]?) {
                return Some(at);
            }
        }
        None
    }

    #[inline]
    pub fn find(&self, key: u64, is_it: impl Fn(T) -> bool) -> Option<T> {
        self.places[self.position(key, is_it)?]
    }

    /// To put another in its place, of the same key.
    #[allow(dead_code)] // not every backend's
    pub fn find_mut(&mut self, key: u64, is_it: impl Fn(T) -> bool) -> Option<&mut T> {
        let at = self.position(key, is_it)?;
        self.places[at].as_mut()
    }

    /// All entries of that key, and maybe others.
    #[allow(dead_code)] // not every backend's
    pub fn all_mut(&mut self, key: u64) -> impl Iterator<Item = &mut T> {
        let first = self.probe(key).next().unwrap_or(0);
        let (before, from) = self.places.split_at_mut(first);
        from.iter_mut().chain(before).map_while(Option::as_mut)
    }

    /// Room for so many more. `ENOMEM`.
    pub fn reserve(&mut self, more: usize, key_of: impl Fn(T) -> u64) -> Result<()> {
        let mut size = self.places.len().max(8);
        while self.len + more > size / 4 * 3 {
            size *= 2;
        }
        if size == self.places.len() {
            return Ok(());
        }
        let mut places = Vec::new();
        places.try_reserve_exact(size).map_err(|_| Errno::ENOMEM)?;
        places.resize(size, None);
        let old = core::mem::replace(self, Index { places, len: 0 });
        for entry in old.iter() {
            self.insert(key_of(entry), entry);
        }
        Ok(())
    }

    /// Adds an entry, for which there is room. The same one must not be there.
    pub fn insert(&mut self, key: u64, entry: T) {
        if let Some(at) = self.probe(key).find(|&at| self.places[at].is_none()) {
            self.places[at] = Some(entry);
            self.len += 1;
        }
    }

    /// Takes an entry out, if it is there. Those behind it move up, so that what comes and goes leaves nothing, and asks
    /// for no memory.
    pub fn remove(&mut self, key: u64, is_it: impl Fn(T) -> bool, key_of: impl Fn(T) -> u64) {
        if let Some(at) = self.position(key, is_it) {
            self.take_out(at, &key_of);
        }
    }

    /// Takes out all that `keep` does not want, which may be asked twice of one.
    #[allow(dead_code)] // not every backend's
    pub fn retain(&mut self, mut keep: impl FnMut(T) -> bool, key_of: impl Fn(T) -> u64) {
        let mut at = 0;
        while at < self.places.len() {
            match self.places[at] {
                Some(entry) if !keep(entry) => self.take_out(at, &key_of),
                _ => at += 1,
            }
        }
    }

    fn take_out(&mut self, mut hole: usize, key_of: &impl Fn(T) -> u64) {
        let mask = self.mask();
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let Some(entry) = self.places[at] else { break };
            let way = self.probe(key_of(entry)).next().map_or(0, |first| at.wrapping_sub(first) & mask);
            if way >= at.wrapping_sub(hole) & mask {
                self.places[hole] = Some(entry);
                hole = at;
            }
        }
        self.places[hole] = None;
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Few places, so that entries meet.
    fn key(entry: (u32, u32)) -> u64 {
        u64::from(entry.0 % 7)
    }

    #[test]
    fn it_holds_what_a_map_holds() {
        let (mut index, mut map) = (Index::new(), HashMap::new());
        let mut state = 1u64;
        for turn in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let name = (state >> 33) as u32 % 40;
            let found = index.find(key((name, 0)), |entry: (u32, u32)| entry.0 == name);
            assert_eq!(found, map.get(&name).map(|&value| (name, value)));
            if found.is_none() {
                index.reserve(1, key).unwrap();
                index.insert(key((name, turn)), (name, turn));
                map.insert(name, turn);
            } else if state & 1 << 40 != 0 {
                index.remove(key((name, 0)), |entry| entry.0 == name, key);
                map.remove(&name);
            }
            if turn % 100 == 0 {
                index.retain(|entry: (u32, u32)| entry.0 % 3 > 0, key);
                map.retain(|name, _| name % 3 > 0);
            }
            let same = |entry: &&mut (u32, u32)| key(**entry) == key((name, 0));
            let of_that_key = map.keys().filter(|&&other| key((other, 0)) == key((name, 0))).count();
            assert_eq!(index.all_mut(key((name, 0))).filter(same).count(), of_that_key);
            assert_eq!(index.len(), map.len());
            assert_eq!(index.iter().count(), map.len());
        }
    }

    #[test]
    fn what_comes_and_goes_asks_for_no_memory() {
        let mut index = Index::new();
        let key = u64::from;
        index.reserve(5, key).unwrap();
        let memory = index.places.as_ptr();
        for entry in 0..4 {
            index.insert(key(entry), entry);
        }
        for entry in 4..10_000u32 {
            index.reserve(1, key).unwrap();
            index.insert(key(entry), entry);
            index.remove(key(entry), |other| other == entry, key);
        }
        assert_eq!((index.places.as_ptr(), index.len()), (memory, 4));
    }

    #[test]
    fn nothing_is_found_in_an_empty_one() {
        let mut index = Index::<u32>::new();
        assert_eq!(index.find(3, |_| true), None);
        index.remove(3, |_| true, |_| 3);
        assert_eq!(index.len(), 0);
    }
}
