//! The descriptors that a queue polls, and what each is armed for: what epoll keeps in the kernel.
//!
//! A level item is polled always, one for once until it has been reported. An edge that was reported is *spent*: poll
//! would go on telling of it, so it is left out until it was seen not ready, or until there is more than there was
//! (`State`); who waits looks for that by the clock.

use super::inspect::{self, Kind, Status};
use super::poller::{Arm, Clock, Mask, Place};
use super::sys;
use crate::errno::{Errno, Result};
use crate::index::Index;
use crate::platform::descriptors::{self, Generation};
use crate::platform::front;
use crate::platform::unix::file_state::identity;
use libc::pollfd;

/// One knote's interest in a descriptor, or that of several level ones.
#[derive(Clone, Copy)]
pub struct Item {
    pub fd: i32,
    pub place: Place,
    pub epoch: u32,
    pub arm: Arm,
    /// Who the file was when it was armed, and in which generation of the number.
    pub identity: u32,
    pub generation: Generation,
    kind: Kind,
    /// The edge was reported, and this is how it stood.
    spent: Option<Spent>,
    /// How often it was told again since there surely was something new.
    guesses: u32,
}

/// How a descriptor stood when its edge was reported, or looked at since.
#[derive(Clone, Copy)]
struct Spent {
    status: Status,
    /// What has ever come, or gone, where the system counts.
    count: Option<u64>,
    /// As much may have been taken as has come: then it is told again.
    until: u64,
}

/// How long it is believed that nothing has come, in nanoseconds: longer and longer, once that proves to be true. A
/// program seldom leaves off writing before the buffer is full, and then that is seen.
fn trust(arm: Arm, guesses: u32) -> u64 {
    let first = if arm.contains(Arm::OUT) { 800_000_000 } else { 100_000_000 };
    first << guesses.saturating_sub(8).min(6)
}

/// How often spent edges are looked at: soon after one was reported, and then less and less.
const SOON: u64 = 1_000_000;
const TICK: u64 = 20_000_000;

impl Item {
    pub fn new(fd: i32, place: Place, epoch: u32, arm: Arm, identity: u32) -> Item {
        let generation = descriptors::generation(fd);
        Item { fd, place, epoch, arm, identity, generation, kind: Kind::Unknown, spent: None, guesses: 0 }
    }

    /// What poll is asked for; 0: nothing.
    pub fn events(&self) -> i16 {
        if self.spent.is_some() {
            0
        } else {
            self.arm.events()
        }
    }

    /// Is the number still the file that was armed?
    fn is_current(&mut self) -> bool {
        if descriptors::trusted(self.fd, self.generation) {
            return true;
        }
        let same = (self.generation.is_doubtful() || !front::is_in_front()) && identity(self.fd) == Some(self.identity);
        self.generation = descriptors::generation(self.fd);
        same
    }

    fn status(&mut self, mask: Mask) -> Status {
        if self.arm.contains(Arm::IN) {
            inspect::readable(self.fd, &mut self.kind, Some(mask))
        } else if self.arm.contains(Arm::OUT) {
            inspect::writable(self.fd, &mut self.kind, Some(mask))
        } else {
            Status { ready: mask.has(Mask::PRI), ..Status::default() }
        }
    }

    fn spend(&mut self, mask: Mask) {
        if self.kind == Kind::Unknown {
            self.kind = Kind::of(self.fd, true).unwrap_or(Kind::Unknown);
        }
        let status = self.status(mask);
        let count = inspect::count(self.fd, self.kind, self.arm.contains(Arm::OUT));
        self.spent =
            Some(Spent { status, count, until: Clock::Monotonic.now().saturating_add(trust(self.arm, self.guesses)) });
    }

    /// A spent edge is armed again that was seen not ready, or has something new. Where that cannot be known for
    /// certain, because just as much may have been taken as came, it is told again after a while: once too often is
    /// better than never.
    fn look(&mut self) {
        let Some(before) = self.spent else { return };
        let events = self.arm.events();
        let mask = Mask(sys::poll(self.fd, events));
        if !mask.has(events as u16 as u32 | Mask::ERR | Mask::HUP) {
            (self.spent, self.guesses) = (None, 0);
            return;
        }
        let now = self.status(mask);
        let count = inspect::count(self.fd, self.kind, self.arm.contains(Arm::OUT));
        let then = before.status;
        let grown = now.data > then.data || (now.eof && !then.eof) || now.error != then.error;
        let more = now.ready && (!then.ready || grown || (count.is_some() && count != before.count));
        if more {
            (self.spent, self.guesses) = (None, 0);
        } else if count.is_none()
            && !now.eof
            && now.ready
            && !self.arm.contains(Arm::QUIET)
            && Clock::Monotonic.now() >= before.until
        {
            (self.spent, self.guesses) = (None, self.guesses.saturating_add(1));
        } else {
            self.spent = Some(Spent { status: now, ..before });
        }
    }
}

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

fn hash(fd: i32, place: Place) -> u64 {
    (u64::from(fd as u32) << 2 | u64::from(place.0)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Table {
    pub const fn new() -> Table {
        Table { items: Vec::new(), index: Index::new(), turn: 0, tick: SOON, spare: Set::new() }
    }

    fn at(&self, fd: i32, place: Place) -> Option<usize> {
        let items = &self.items;
        let same = |at: u32| items[at as usize].fd == fd && items[at as usize].place == place;
        self.index.find(hash(fd, place), same).map(|at| at as usize)
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
        let rehash = |at: u32| hash(items[at as usize].fd, items[at as usize].place);
        self.index.reserve(1, rehash)?;
        self.index.insert(hash(item.fd, item.place), items.len() as u32);
        self.items.push(item);
        Ok(())
    }

    fn unlink(&mut self, fd: i32, place: Place, at: usize) {
        let items = &self.items;
        let rehash = |at: u32| hash(items[at as usize].fd, items[at as usize].place);
        self.index.remove(hash(fd, place), |other| other as usize == at, rehash);
    }

    fn remove(&mut self, at: usize) {
        let Item { fd, place, .. } = self.items[at];
        self.unlink(fd, place, at);
        self.items.swap_remove(at);
        if let Some(&Item { fd, place, .. }) = self.items.get(at) {
            let last = self.items.len() as u32;
            if let Some(number) = self.index.find_mut(hash(fd, place), |other| other == last) {
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
            spent |= item.spent.is_some();
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
        if item.arm.contains(Arm::ONCE) {
            item.arm = Arm::PRESENT;
        } else if item.arm.contains(Arm::EDGE) {
            item.spend(mask);
            self.tick = SOON;
        }
        self.turn = at + 1;
        true
    }
}
