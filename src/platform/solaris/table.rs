//! The descriptors that a queue watches: what each knote wants (`item`), and what the port has been asked.
//!
//! The port has one association a descriptor, for all that is wanted of it, and that ends when it tells. So there is a
//! list of those that are to be associated again, and one of those with a spent edge.

use super::item::{Item, SOON, TICK};
use super::poller::{Arm, Mask, Place, PLACES};
use super::{api, edges, ports, sys};
use crate::errno::{Errno, Result};
use crate::index::Index;
use crate::platform::front;
use crate::platform::unix::file_state::identity;
use core::ffi::c_int;

/// poll()'s word for what a port is asked: it differs in one bit from that of the emulation's host.
fn port_events(events: i16) -> c_int {
    let hang_up = if events & sys::POLLRDHUP != 0 { c_int::from(api::POLLRDHUP) } else { 0 };
    c_int::from(events & !sys::POLLRDHUP) | hang_up
}

/// An item, and what is known of its edge.
#[derive(Clone, Copy)]
struct Entry {
    item: Item,
    /// `edges` will tell of what is new. (Else the clock looks.)
    covered: bool,
    /// It was told, and only what is new is to be.
    silent: bool,
}

impl Entry {
    fn events(&self) -> i16 {
        if self.silent {
            0
        } else {
            self.item.events()
        }
    }

    /// Ends what `edges` was asked.
    fn release(&self, slot: u32) {
        if self.covered {
            edges::end(slot, self.item.place, self.item.fd, self.item.arm);
        }
    }
}

struct Descriptor {
    fd: i32,
    entries: [Option<Entry>; PLACES],
    /// What the port is asked; `None`: nothing.
    armed: Option<i16>,
    /// Comes back with the port's events; another one when the number is another file.
    serial: u32,
    /// It is in the list of those to be looked at.
    listed: bool,
    /// Whose turn it is, where there is not room for all.
    turn: usize,
}

impl Descriptor {
    fn entries(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut().flatten()
    }

    /// Is the number still the file that it was?
    fn is_current(&mut self) -> bool {
        self.entries().all(|entry| entry.item.is_current())
    }

    /// What all want; `None`: there is none.
    fn wanted(&self) -> Option<i16> {
        self.entries.iter().flatten().map(Entry::events).reduce(|one, other| one | other)
    }

    fn is_spent(&self) -> bool {
        self.entries.iter().flatten().any(|entry| entry.item.is_spent())
    }

    /// Associates it for what is wanted. `EBADF`, `ENOMEM`.
    fn settle(&mut self, port: i32) -> Result<()> {
        let wanted = self.wanted().filter(|&events| events != 0);
        if wanted == self.armed {
            return Ok(());
        }
        match wanted {
            Some(events) => ports::associate(port, self.fd, port_events(events), self.serial)?,
            // It may have told meanwhile: that is dropped when it is taken.
            None => drop(ports::dissociate(port, self.fd)),
        }
        self.armed = wanted;
        Ok(())
    }
}

/// Whose table it is: the number of the queue, and its port.
#[derive(Clone, Copy)]
pub struct Whose {
    pub slot: u32,
    pub port: i32,
}

pub struct Table {
    descriptors: Vec<Descriptor>,
    index: Index<u32>,
    /// To be looked at before the next wait: not associated as wanted, or spent.
    list: Vec<i32>,
    serials: u32,
    /// How many entries ask `edges`.
    covered: usize,
    /// How long until spent edges are looked at.
    tick: u64,
    /// Something was associated since that was last asked.
    associated: bool,
}

fn key(fd: i32) -> u64 {
    u64::from(fd as u32)
}

impl Table {
    pub const fn new() -> Table {
        Table {
            descriptors: Vec::new(),
            index: Index::new(),
            list: Vec::new(),
            serials: 0,
            covered: 0,
            tick: SOON,
            associated: false,
        }
    }

    fn at(&self, fd: i32) -> Option<usize> {
        self.index.find(key(fd), |at| self.descriptors[at as usize].fd == fd).map(|at| at as usize)
    }

    /// The item, if the number still is the file that it is about.
    pub fn get(&mut self, whose: Whose, fd: i32, place: Place) -> Option<&mut Item> {
        let at = self.at(fd)?;
        let entry = self.descriptors[at].entries[place.0 as usize].as_mut()?;
        if !entry.item.is_current() {
            self.remove(whose, at);
            return None;
        }
        self.descriptors[at].entries[place.0 as usize].as_mut().map(|entry| &mut entry.item)
    }

    /// Sets an item, in place of what is there, and has the port tell of it. `EBADF`, `ENOMEM`.
    pub fn set(&mut self, whose: Whose, item: Item) -> Result<()> {
        let (fd, place) = (item.fd, item.place);
        let at = match self.at(fd) {
            Some(at) => at,
            None => self.add(fd)?,
        };
        if self.descriptors[at].entries().any(|other| other.item.identity != item.identity) {
            // Of another file, that nobody said was closed.
            Place::all().for_each(|place| self.clear(whose, at, place));
        }
        self.clear(whose, at, place);
        let covered = item.arm.contains(Arm::EDGE) && edges::begin(whose.slot, place, fd, item.arm).is_ok();
        self.covered += usize::from(covered);
        let descriptor = &mut self.descriptors[at];
        descriptor.entries[place.0 as usize] = Some(Entry { item, covered, silent: false });
        // It is told again if it holds: only association asks for that (2.14).
        descriptor.armed = None;
        let result = descriptor.settle(whose.port);
        self.associated = true;
        if result.is_err() {
            self.clear(whose, at, place);
            self.drop_if_empty(whose, at);
        }
        result
    }

    fn add(&mut self, fd: i32) -> Result<usize> {
        self.descriptors.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.list.try_reserve(self.descriptors.len() + 1).map_err(|_| Errno::ENOMEM)?;
        let descriptors = &self.descriptors;
        self.index.reserve(1, |at| key(descriptors[at as usize].fd))?;
        let at = self.descriptors.len();
        self.index.insert(key(fd), at as u32);
        self.serials = self.serials.wrapping_add(1);
        let (entries, serial) = ([None; PLACES], self.serials);
        self.descriptors.push(Descriptor { fd, entries, armed: None, serial, listed: false, turn: 0 });
        Ok(at)
    }

    /// Takes an entry out, and leaves the port as it is.
    fn clear(&mut self, whose: Whose, at: usize, place: Place) {
        if let Some(entry) = self.descriptors[at].entries[place.0 as usize].take() {
            self.covered -= usize::from(entry.covered);
            entry.release(whose.slot);
        }
    }

    fn remove(&mut self, whose: Whose, at: usize) {
        Place::all().for_each(|place| self.clear(whose, at, place));
        let fd = self.descriptors[at].fd;
        let descriptors = &self.descriptors;
        self.index.remove(key(fd), |other| other as usize == at, |at| key(descriptors[at as usize].fd));
        let gone = self.descriptors.swap_remove(at);
        if gone.listed {
            self.list.retain(|&listed| listed != fd);
        }
        if let Some(moved) = self.descriptors.get(at) {
            let last = self.descriptors.len() as u32;
            if let Some(number) = self.index.find_mut(key(moved.fd), |other| other == last) {
                *number = at as u32;
            }
        }
    }

    fn drop_if_empty(&mut self, whose: Whose, at: usize) {
        if self.descriptors[at].entries().next().is_none() {
            // Where the number is another file by now it has no association of ours.
            let _ = ports::dissociate(whose.port, self.descriptors[at].fd);
            self.remove(whose, at);
        }
    }

    pub fn take_out(&mut self, whose: Whose, fd: i32, place: Place) {
        let Some(at) = self.at(fd) else { return };
        self.clear(whose, at, place);
        // What is asked too much goes with the next association.
        self.drop_if_empty(whose, at);
    }

    pub fn forget_place(&mut self, whose: Whose, place: Place) {
        for at in (0..self.descriptors.len()).rev() {
            self.clear(whose, at, place);
            self.drop_if_empty(whose, at);
        }
    }

    fn list(&mut self, at: usize) {
        let descriptor = &mut self.descriptors[at];
        if !core::mem::replace(&mut descriptor.listed, true) {
            // `add` reserved the room.
            self.list.push(descriptor.fd);
        }
    }

    /// The port has lost every association.
    pub fn list_all(&mut self) {
        for at in 0..self.descriptors.len() {
            self.descriptors[at].armed = None;
            self.list(at);
        }
    }

    /// Looks at edges that were told, and associates what is to be told of. How long until somebody has to look again, in
    /// nanoseconds, if there is anything that only the clock tells of.
    pub fn settle(&mut self, whose: Whose) -> Option<u64> {
        if self.covered > 0 {
            edges::harvest();
            edges::take_news(whose.slot, |fd, place| self.has_news(fd, place));
        }
        let mut spent = false;
        let mut kept = 0;
        let mut next = 0;
        while let Some(&fd) = self.list.get(next) {
            next += 1;
            let Some(at) = self.at(fd) else { continue };
            let descriptor = &mut self.descriptors[at];
            if !descriptor.is_current() {
                descriptor.listed = false;
                self.remove(whose, at);
                continue;
            }
            descriptor.entries().for_each(|entry| entry.item.look());
            let settled = descriptor.settle(whose.port);
            self.associated |= settled.is_ok();
            descriptor.listed = descriptor.is_spent() || settled == Err(Errno::ENOMEM);
            spent |= descriptor.listed;
            if descriptor.listed {
                self.list[kept] = fd;
                kept += 1;
            }
        }
        self.list.truncate(kept);
        let tick = self.tick;
        if spent {
            self.tick = (tick * 2).min(TICK);
        }
        spent.then_some(tick)
    }

    fn has_news(&mut self, fd: i32, place: Place) {
        let Some(at) = self.at(fd) else { return };
        if let Some(entry) = &mut self.descriptors[at].entries[place.0 as usize] {
            entry.silent = false;
            self.list(at);
        }
    }

    /// Was anything associated since this was last asked? The port may have queued it, and told nobody.
    pub fn has_associated(&mut self) -> bool {
        core::mem::replace(&mut self.associated, false)
    }

    /// The port has told of the descriptor, and it is to be asked again.
    pub fn taken(&mut self, fd: i32, serial: u32) {
        if let Some(at) = self.at(fd).filter(|&at| self.descriptors[at].serial == serial) {
            self.descriptors[at].armed = None;
            self.list(at);
        }
    }

    /// The port has told of the descriptor. Calls `each` with what is ready now and is to be told, as long as that says
    /// that there is room.
    pub fn told(
        &mut self,
        whose: Whose,
        fd: i32,
        serial: u32,
        events: i16,
        mut each: impl FnMut(Place, u32, Mask) -> bool,
    ) {
        let Some(at) = self.at(fd).filter(|&at| self.descriptors[at].serial == serial) else { return };
        let descriptor = &mut self.descriptors[at];
        descriptor.armed = None;
        let gone = !descriptor.is_current()
            || (!front::is_in_front()
                && descriptor.entries().next().is_some_and(|entry| identity(fd) != Some(entry.item.identity)));
        if gone {
            return self.remove(whose, at);
        }
        self.list(at);
        let descriptor = &mut self.descriptors[at];
        // What comes from here on is news.
        for entry in descriptor.entries().filter(|entry| entry.covered && !entry.silent) {
            edges::silence(whose.slot, entry.item.place, fd, entry.item.arm, true);
        }
        // 1.14: it is a hint, and may be stale.
        let asked = sys::poll_or_errno(fd, descriptor.wanted().unwrap_or(0));
        let mask = asked.unwrap_or(u32::from(events as u16));
        let mut full = false;
        let first = descriptor.turn;
        for at in (first..first + PLACES).map(|at| at % PLACES) {
            let Some(entry) = descriptor.entries[at].as_mut().filter(|entry| !entry.silent) else { continue };
            let always = libc::POLLERR | libc::POLLHUP;
            let events = entry.events();
            let own = Mask(mask & u32::from((events | always) as u16));
            let item = entry.item;
            let tells = events != 0 && own.0 != 0 && !full;
            full |= tells && !each(item.place, item.epoch, own);
            if tells && !full {
                descriptor.turn = at + 1;
            }
            match (tells && !full, entry.covered) {
                (true, true) => entry.silent = true,
                (true, false) => {
                    if entry.item.told(own) {
                        self.tick = SOON;
                    }
                }
                (false, true) => edges::silence(whose.slot, item.place, fd, item.arm, false),
                (false, false) => {}
            }
        }
    }
}
