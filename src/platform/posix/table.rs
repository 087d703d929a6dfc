//! The descriptors that a queue polls, and what each is armed for (`item`): what epoll keeps in the kernel.

use super::item::{Item, SOON, TICK};
use super::poller::{Mask, Place};
use crate::errno::{Errno, Result};
use crate::index::Index;
use crate::platform::front;
use crate::platform::unix::file_state::identity;
use libc::pollfd;

/// What one poll is asked: the entries, and whose each is.
pub struct Set {
    pub entries: Vec<pollfd>,
    pub items: Vec<(Place, u32)>,
}

impl Set {
    pub const fn new() -> Set {
        Set { entries: Vec::new(), items: Vec::new() }
    }

    pub fn clear(&mut self) {
        self.entries.clear();
        self.items.clear();
    }

    /// `ENOMEM`.
    pub fn reserve(&mut self, more: usize) -> Result<()> {
        self.entries.try_reserve(more).map_err(|_| Errno::ENOMEM)?;
        self.items.try_reserve(more).map_err(|_| Errno::ENOMEM)
    }

    pub fn push(&mut self, fd: i32, events: i16, item: (Place, u32)) {
        self.entries.push(pollfd { fd, events, revents: 0 });
        self.items.push(item);
    }
}

pub struct Table {
    items: Vec<Item>,
    index: Index<u32>,
    /// Where the next set begins, so that all have their turn.
    turn: usize,
    /// How long until spent edges are looked at.
    tick: u64,
    /// The storage of the latest set.
    spare: Set,
}

fn key(fd: i32, place: Place) -> u64 {
    u64::from(fd as u32) << 2 | u64::from(place.0)
}

impl Table {
    pub const fn new() -> Table {
        Table { items: Vec::new(), index: Index::new(), turn: 0, tick: SOON, spare: Set::new() }
    }

    fn at(&self, fd: i32, place: Place) -> Option<usize> {
        let items = &self.items;
        let same = |at: u32| items[at as usize].fd == fd && items[at as usize].place == place;
        self.index.find(key(fd, place), same).map(|at| at as usize)
    }

    /// The item, if the number still is the file that it is about.
    pub fn get(&mut self, fd: i32, place: Place) -> Option<&mut Item> {
        let at = self.at(fd, place)?;
        if !self.items[at].is_current() {
            self.remove(at);
            return None;
        }
        self.items.get_mut(at)
    }

    /// Sets an item, in place of what is there. `ENOMEM`.
    pub fn set(&mut self, item: Item) -> Result<()> {
        if let Some(at) = self.at(item.fd, item.place) {
            self.items[at] = item;
            return Ok(());
        }
        self.items.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let items = &self.items;
        let key_of = |at: u32| key(items[at as usize].fd, items[at as usize].place);
        self.index.reserve(1, key_of)?;
        self.index.insert(key(item.fd, item.place), items.len() as u32);
        self.items.push(item);
        Ok(())
    }

    fn unlink(&mut self, fd: i32, place: Place, at: usize) {
        let items = &self.items;
        let key_of = |at: u32| key(items[at as usize].fd, items[at as usize].place);
        self.index.remove(key(fd, place), |other| other as usize == at, key_of);
    }

    fn remove(&mut self, at: usize) {
        let Item { fd, place, .. } = self.items[at];
        self.unlink(fd, place, at);
        self.items.swap_remove(at);
        if let Some(&Item { fd, place, .. }) = self.items.get(at) {
            let last = self.items.len() as u32;
            if let Some(number) = self.index.find_mut(key(fd, place), |other| other == last) {
                *number = at as u32;
            }
        }
    }

    pub fn take_out(&mut self, fd: i32, place: Place) {
        if let Some(at) = self.at(fd, place) {
            self.remove(at);
        }
    }

    pub fn forget_place(&mut self, place: Place) {
        for at in (0..self.items.len()).rev() {
            if self.items[at].place == place {
                self.remove(at);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The set that was used last, empty.
    pub fn take_spare(&mut self) -> Set {
        let mut set = core::mem::replace(&mut self.spare, Set::new());
        set.clear();
        set
    }

    pub fn give_back(&mut self, set: Set) {
        if set.entries.capacity() > self.spare.entries.capacity() {
            self.spare = set;
        }
    }

    /// Adds what is to be polled. When somebody has to look at spent edges, in nanoseconds, if there are any. `ENOMEM`.
    pub fn fill(&mut self, set: &mut Set) -> Result<Option<u64>> {
        set.reserve(self.items.len())?;
        let mut spent = false;
        let mut at = 0;
        while at < self.items.len() {
            if !self.items[at].is_current() {
                self.remove(at);
                continue;
            }
            self.items[at].look();
            at += 1;
        }
        let (first, last) = self.items.split_at(self.turn.min(self.items.len()));
        for item in last.iter().chain(first) {
            spent |= item.is_spent();
            let events = item.events();
            if events != 0 {
                set.push(item.fd, events, (item.place, item.epoch));
            }
        }
        let tick = self.tick;
        if spent {
            self.tick = (tick * 2).min(TICK);
        }
        Ok(spent.then_some(tick))
    }

    /// Poll has called the item ready: is that to be told? What is not level is not told again. The next set begins
    /// behind it.
    pub fn take(&mut self, fd: i32, (place, epoch): (Place, u32), mask: Mask) -> bool {
        let Some(at) = self.at(fd, place) else { return false };
        let gone = mask.has(libc::POLLNVAL as u32)
            || (!front::is_in_front() && identity(fd) != Some(self.items[at].identity))
            || !self.items[at].is_current();
        if gone {
            self.remove(at);
            return false;
        }
        let item = &mut self.items[at];
        if item.epoch != epoch || item.events() == 0 {
            return false;
        }
        if item.told(mask) {
            self.tick = SOON;
        }
        self.turn = at + 1;
        true
    }
}
