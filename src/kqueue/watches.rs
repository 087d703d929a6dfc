//! Watches on files, and who shares them: the kernel has one watch an inode, however many descriptors.
//!
//! A watch has members: the knotes on its file, and those on a directory in it (`Role::Parent`). `Knote::aux` names
//! the knote's own member. A watch without a number of the kernel's (`wd` -1) is one that could not be had: its
//! file is looked at by the clock.

use super::knote::{KnoteId, NIL};
use crate::errno::{Errno, Result};
use crate::index::Index;
use crate::platform::{FileName, FileState, Watched};

/// The index of a watch, and of a member.
pub type WatchId = u32;
pub type MemberId = u32;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Not yet: what is being taken in happened before.
    Joining,
    /// EVFILT_READ at the end of a file.
    Read,
    Vnode,
    /// EVFILT_VNODE on a directory, of whose removal only its parent tells.
    Parent,
}

#[derive(Clone, Copy)]
pub struct Watch {
    pub wd: i32,
    /// What the kernel tells of.
    pub armed: Watched,
    /// How the file stood when it was looked at last. `None`: no member is interested.
    pub seen: Option<FileState>,
    /// How many links a directory had before the drain `counted`, changed by what that drain has told.
    pub count: u64,
    pub counted: u32,
    /// The stamp of the change of the link count that was told last.
    pub linked: i64,
    /// Its members tell only what a look can tell: a memfd.
    pub memory: bool,
    /// It could not be widened; what is missing a look has to tell.
    pub patchy: bool,
    /// The drain that brought news last.
    pub drain: u32,
    pub first: MemberId,
}

#[derive(Clone, Copy)]
pub struct Member {
    pub knote: KnoteId,
    pub watch: WatchId,
    pub role: Role,
    /// Notes that happened and are not taken back yet.
    pub pending: u32,
    /// What the file was called when it was looked at last, where that matters: by its own descriptor, for a file may
    /// have many names.
    pub name: Option<FileName>,
    /// What it can do without, until it looks itself.
    pub muted: Watched,
    /// The same knote's member on the parent, or on the directory itself.
    pub other: MemberId,
    pub next: MemberId,
    prev: MemberId,
}

/// A walk through the members of a watch. The one it has just given may be taken out meanwhile.
pub struct Members(MemberId);

impl Members {
    pub fn next(&mut self, watches: &Watches) -> Option<(MemberId, Member)> {
        let id = self.0;
        let member = *watches.members.slots.get(id as usize)?;
        self.0 = member.next;
        Some((id, member))
    }
}

/// Elements that are named by their index.
struct Pool<T> {
    slots: Vec<T>,
    free: Vec<u32>,
}

impl Watch {
    /// Does it take looks at the file to know what happened?
    pub fn needs_looks(&self) -> bool {
        self.wd < 0 || self.memory || self.patchy
    }
}

impl<T> Pool<T> {
    const fn new() -> Pool<T> {
        Pool { slots: Vec::new(), free: Vec::new() }
    }

    /// Room for one more, so that `insert` and `remove` cannot fail.
    fn reserve(&mut self) -> Result<()> {
        self.slots.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let wanted = self.slots.len() + 1 - self.free.len();
        self.free.try_reserve(wanted).map_err(|_| Errno::ENOMEM)
    }

    fn insert(&mut self, element: T) -> u32 {
        match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = element;
                index
            }
            None => {
                self.slots.push(element);
                (self.slots.len() - 1) as u32
            }
        }
    }

    fn remove(&mut self, index: u32) {
        self.free.push(index);
    }
}

pub struct Watches {
    by_number: Index<(i32, WatchId)>,
    watches: Pool<Watch>,
    members: Pool<Member>,
    /// Counts drains of the kernel's queue.
    pub drain: u32,
    /// The collection that drained it last.
    pub turn: u32,
    /// The rename of which only the first half had come when the queue was drained last; 0: none.
    pub half: u32,
    /// Nobody has just widened a watch and counts on that: events that are news to nobody may narrow it.
    pub calming: bool,
    /// Descriptors that seem to have been closed, to be asked about when no knote is in hand.
    pub suspects: Vec<i32>,
}

fn key(wd: i32) -> u64 {
    wd as u32 as u64
}

impl Watches {
    pub const fn new() -> Watches {
        Watches {
            by_number: Index::new(),
            watches: Pool::new(),
            members: Pool::new(),
            drain: 0,
            turn: 0,
            half: 0,
            calming: false,
            suspects: Vec::new(),
        }
    }

    /// Room for one more watch with one more member. `ENOMEM`.
    pub fn reserve(&mut self) -> Result<()> {
        self.watches.reserve()?;
        self.members.reserve()?;
        // Any watch may be given a number later.
        let entries = self.watches.slots.len() - self.watches.free.len() + 1 - self.by_number.len();
        self.by_number.reserve(entries, |(wd, _)| key(wd))
    }

    pub fn find(&self, wd: i32) -> Option<WatchId> {
        self.by_number.find(key(wd), |entry| entry.0 == wd).map(|entry| entry.1)
    }

    /// A new watch, after `reserve`.
    pub fn insert(&mut self, wd: i32, armed: Watched) -> WatchId {
        let watch = Watch {
            wd: -1,
            armed,
            seen: None,
            count: 0,
            counted: 0,
            linked: 0,
            memory: false,
            patchy: false,
            drain: 0,
            first: NIL,
        };
        let id = self.watches.insert(watch);
        self.number(id, wd);
        id
    }

    /// The watch has that number from now on; -1: none.
    pub fn number(&mut self, id: WatchId, wd: i32) {
        let before = core::mem::replace(&mut self.watches.slots[id as usize].wd, wd);
        if before >= 0 {
            self.by_number.remove(key(before), |entry| entry.1 == id, |(wd, _)| key(wd));
        }
        // Room was reserved with the watch, and each has one entry at most.
        if wd >= 0 {
            self.by_number.insert(key(wd), (wd, id));
        }
    }

    /// A new member, after `reserve`.
    pub fn join(&mut self, watch: WatchId, knote: KnoteId, role: Role) -> MemberId {
        let next = self.watch(watch).first;
        let (name, muted) = (None, Watched::empty());
        let member = Member { knote, watch, role, pending: 0, name, muted, other: NIL, next, prev: NIL };
        let id = self.members.insert(member);
        if next != NIL {
            self.member(next).prev = id;
        }
        self.watch(watch).first = id;
        id
    }

    /// Takes a member out. The number of its watch where it was the last one, and the watch went along.
    pub fn part(&mut self, id: MemberId) -> Option<i32> {
        let wd = self.leave(id);
        self.member(id).knote = NIL;
        self.members.remove(id);
        wd
    }

    /// Makes a member of one watch a member of another one.
    pub fn change(&mut self, id: MemberId, watch: WatchId) {
        self.leave(id);
        let next = core::mem::replace(&mut self.watch(watch).first, id);
        if next != NIL {
            self.member(next).prev = id;
        }
        let member = self.member(id);
        (member.watch, member.next, member.prev) = (watch, next, NIL);
    }

    fn leave(&mut self, id: MemberId) -> Option<i32> {
        let Member { watch, next, prev, .. } = *self.member(id);
        match prev {
            NIL => self.watch(watch).first = next,
            prev => self.member(prev).next = next,
        }
        if next != NIL {
            self.member(next).prev = prev;
        }
        if self.watch(watch).first != NIL {
            return None;
        }
        let wd = self.watch(watch).wd;
        self.number(watch, -1);
        self.watches.remove(watch);
        Some(wd)
    }

    pub fn members(&self, watch: WatchId) -> Members {
        Members(self.watches.slots[watch as usize].first)
    }

    pub fn watch(&mut self, id: WatchId) -> &mut Watch {
        &mut self.watches.slots[id as usize]
    }

    pub fn member(&mut self, id: MemberId) -> &mut Member {
        &mut self.members.slots[id as usize]
    }

    /// The live watches, from `id` on.
    pub fn from(&self, id: WatchId) -> Option<WatchId> {
        let rest = self.watches.slots.iter().enumerate().skip(id as usize);
        rest.into_iter().find(|(_, watch)| watch.first != NIL).map(|(id, _)| id as WatchId)
    }

    /// Remembers a descriptor that is to be asked about; where there is no room it is met again.
    pub fn suspect(&mut self, fd: i32) {
        if !self.suspects.contains(&fd) && self.suspects.len() < 64 && self.suspects.try_reserve(1).is_ok() {
            self.suspects.push(fd);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_goes_with_its_last_member() {
        let mut watches = Watches::new();
        watches.reserve().unwrap();
        let watch = watches.insert(7, Watched::MODIFIED);
        let first = watches.join(watch, 1, Role::Vnode);
        watches.reserve().unwrap();
        let second = watches.join(watch, 2, Role::Read);
        assert_eq!(watches.find(7), Some(watch));
        assert_eq!(watches.part(first), None);
        let mut members = watches.members(watch);
        assert_eq!(members.next(&watches).map(|(id, member)| (id, member.knote)), Some((second, 2)));
        assert!(members.next(&watches).is_none());
        assert_eq!(watches.part(second), Some(7));
        assert_eq!((watches.find(7), watches.from(0)), (None, None));
    }

    #[test]
    fn a_member_can_change_to_another_watch() {
        let mut watches = Watches::new();
        watches.reserve().unwrap();
        let old = watches.insert(1, Watched::MODIFIED);
        let first = watches.join(old, 1, Role::Vnode);
        watches.reserve().unwrap();
        let new = watches.insert(2, Watched::MODIFIED);
        let second = watches.join(new, 2, Role::Vnode);
        watches.change(first, new);
        assert_eq!((watches.find(1), watches.member(first).watch), (None, new));
        assert_eq!(watches.part(second), None);
        assert_eq!(watches.part(first), Some(2));
    }

    #[test]
    fn a_watch_can_lose_its_number_and_get_another() {
        let mut watches = Watches::new();
        watches.reserve().unwrap();
        let watch = watches.insert(1, Watched::MODIFIED);
        let member = watches.join(watch, 1, Role::Vnode);
        watches.number(watch, -1);
        assert_eq!((watches.find(1), watches.find(-1)), (None, None));
        watches.number(watch, 2);
        assert_eq!(watches.find(2), Some(watch));
        assert_eq!(watches.part(member), Some(2));
    }
}
