//! What a queue watches: an item for each number and place, and what is asked of the kernel on its behalf.
//!
//! A socket has a *guard*, an AFD request that sleeps until the socket is closed, and, while it is armed for something,
//! an *interest*, which completes once. A level item asks again at the next wait, when the program has had its time to
//! read; a one-shot does not. An edge that was told is *spent*: it asks again once it was seen not ready, or is told
//! again when there is more than there was; who waits looks for that by the clock.
//!
//! What is no socket (pipes, consoles, kqueues) tells nobody: it is looked at by the clock, while it is armed.

use super::afd;
use super::api::Handle;
use super::inspect::{self, Kind};
use super::processes::Wait;
use super::requests::{RequestId, Requests, Role, NONE};
use super::target::{self, Target};
use crate::errno::{Errno, Result};
use crate::index::Index;
use crate::platform::descriptors::Closing;
use crate::platform::events::{Arm, Clock, Mask, Place, Status};
use std::collections::VecDeque;

pub struct Item {
    pub number: i32,
    pub place: Place,
    pub epoch: u32,
    pub arm: Arm,
    target: Target,
    /// The socket that AFD knows.
    base: Handle,
    kind: Kind,
    interest: RequestId,
    /// In which of the table's turns that was asked.
    asked: u32,
    guard: RequestId,
    /// The edge was told, and this is how it stood.
    spent: Option<Spent>,
    /// How often it was told again since there surely was something new.
    guesses: u32,
    /// In `Table::idle`, in `Table::looked_at`, in `Table::ready`.
    is_idle: bool,
    is_looked_at: bool,
    is_ready: bool,
}

#[derive(Clone, Copy)]
struct Spent {
    status: Status,
    /// As much may have been taken as has come: then it is told again.
    until: u64,
}

/// Something to tell.
#[derive(Clone, Copy)]
pub struct News {
    pub item: u32,
    pub number: i32,
    pub place: Place,
    pub epoch: u32,
    pub mask: Mask,
    /// What it says is of this turn of the table's; of an earlier one, it may have changed since.
    turn: u32,
}

pub struct Table {
    items: Vec<Option<Item>>,
    free: Vec<u32>,
    index: Index<u32>,
    pub requests: Requests,
    /// Level items that were told, and ask again at the next wait.
    idle: VecDeque<u32>,
    /// Items that the clock looks at.
    looked_at: Vec<u32>,
    pub ready: VecDeque<News>,
    /// How long until they are looked at again, in nanoseconds.
    tick: u64,
    /// Counts waits.
    turn: u32,
    pub waits: Vec<Wait>,
}

/// Soon after something was told, and then less and less.
const SOON: u64 = 1_000_000;
const TICK: u64 = 15_000_000;
/// How long it is believed that nothing has come, where that cannot be known.
const TRUST: u64 = 1_000_000_000;
const TRUST_WRITE: u64 = 5_000_000_000;

fn key(number: i32, place: Place) -> u64 {
    u64::from(number as u32) << 2 | u64::from(place.0)
}

fn is_socket(target: Target) -> bool {
    matches!(target, Target::Stream(_) | Target::Datagram(_))
}

impl Item {
    fn interests(&self) -> bool {
        self.arm.intersects(Arm::IN | Arm::OUT | Arm::PRI)
    }

    fn status(&mut self, mask: Option<Mask>) -> Status {
        if !is_socket(self.target) {
            return self.look();
        }
        if self.arm.contains(Arm::IN) {
            inspect::readable(self.number, &mut self.kind, mask)
        } else if self.arm.contains(Arm::OUT) {
            inspect::writable(self.number, &mut self.kind, mask)
        } else {
            inspect::exceptional(self.number, mask)
        }
    }

    /// How what is no socket stands, for what it is armed for.
    fn look(&self) -> Status {
        let read = if self.arm.contains(Arm::IN) { inspect::readable_target(self.target) } else { Status::NOT_READY };
        if read.ready || !self.arm.contains(Arm::OUT) {
            return read;
        }
        inspect::writable_target(self.target)
    }

    /// The same as events.
    fn mask(&self) -> Mask {
        let bits = |arm: Arm, status: Status, ready: u32| match status {
            Status { ready: true, eof, .. } if self.arm.contains(arm) => ready | if eof { Mask::HUP } else { 0 },
            // The floor above finds out that it never will be.
            Status { never: true, .. } if self.arm.contains(arm) => ready,
            _ => 0,
        };
        Mask(
            bits(Arm::IN, inspect::readable_target(self.target), Mask::IN)
                | bits(Arm::OUT, inspect::writable_target(self.target), Mask::OUT),
        )
    }
}

impl Table {
    pub const fn new() -> Table {
        Table {
            items: Vec::new(),
            free: Vec::new(),
            index: Index::new(),
            requests: Requests::new(),
            idle: VecDeque::new(),
            looked_at: Vec::new(),
            ready: VecDeque::new(),
            tick: SOON,
            turn: 0,
            waits: Vec::new(),
        }
    }

    fn find(&self, number: i32, place: Place) -> Option<u32> {
        let same =
            |id: u32| self.items[id as usize].as_ref().is_some_and(|item| item.number == number && item.place == place);
        self.index.find(key(number, place), same)
    }

    fn item(&mut self, id: u32) -> Option<&mut Item> {
        self.items.get_mut(id as usize)?.as_mut()
    }

    /// Is there an item that is about what the number is now? A socket that was closed has lost its items by itself.
    pub fn has(&mut self, number: i32, place: Place) -> bool {
        let Some(id) = self.find(number, place) else { return false };
        let Some(item) = self.item(id) else { return false };
        is_socket(item.target) || target::resolve(number) == Some(item.target)
    }

    /// A new item, silent. Whatever else it takes is reserved. `EBADF`: the socket has been closed; `ENOMEM`.
    pub fn insert(&mut self, afd: Handle, number: i32, place: Place, epoch: u32, target: Target) -> Result<()> {
        if let Some(old) = self.find(number, place) {
            self.remove(afd, old);
        }
        let items = self.items.len() + 1;
        self.items.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.free.try_reserve(items).map_err(|_| Errno::ENOMEM)?;
        self.idle.try_reserve(items).map_err(|_| Errno::ENOMEM)?;
        self.looked_at.try_reserve(items).map_err(|_| Errno::ENOMEM)?;
        self.ready.try_reserve(items).map_err(|_| Errno::ENOMEM)?;
        let all = &self.items;
        let key_of = |id: u32| all[id as usize].as_ref().map_or(0, |item| key(item.number, item.place));
        self.index.reserve(1, key_of)?;
        let id = self.free.pop().unwrap_or_else(|| {
            self.items.push(None);
            (self.items.len() - 1) as u32
        });
        let (base, guard) = match target {
            Target::Stream(socket) | Target::Datagram(socket) => {
                let base = afd::base_of(socket);
                match self.requests.submit(afd, base, afd::LOCAL_CLOSE, id, Role::Guard) {
                    Ok(guard) => (base, guard),
                    Err(errno) => {
                        self.free.push(id);
                        return Err(errno);
                    }
                }
            }
            _ => (0, NONE),
        };
        self.items[id as usize] = Some(Item {
            number,
            place,
            epoch,
            arm: Arm::PRESENT,
            target,
            base,
            kind: Kind::of_target(target),
            interest: NONE,
            asked: 0,
            guard,
            spent: None,
            guesses: 0,
            is_idle: false,
            is_looked_at: false,
            is_ready: false,
        });
        self.index.insert(key(number, place), id);
        Ok(())
    }

    pub fn take_out(&mut self, afd: Handle, number: i32, place: Place) {
        if let Some(id) = self.find(number, place) {
            self.remove(afd, id);
        }
    }

    fn remove(&mut self, afd: Handle, id: u32) {
        let Some(item) = self.items[id as usize].take() else { return };
        self.requests.abandon(afd, item.interest);
        self.requests.abandon(afd, item.guard);
        let all = &self.items;
        let key_of = |id: u32| all[id as usize].as_ref().map_or(0, |item| key(item.number, item.place));
        self.index.remove(key(item.number, item.place), |other| other == id, key_of);
        if item.is_idle {
            self.idle.retain(|&other| other != id);
        }
        if item.is_looked_at {
            self.looked_at.retain(|&other| other != id);
        }
        if item.is_ready {
            self.ready.retain(|news| news.item != id);
        }
        self.free.push(id);
    }

    pub fn forget_place(&mut self, afd: Handle, place: Place) {
        for id in 0..self.items.len() as u32 {
            if self.item(id).is_some_and(|item| item.place == place) {
                self.remove(afd, id);
            }
        }
    }

    /// What an item is armed for from now on. `EBADF`: it is about a socket that has been closed.
    pub fn arm(&mut self, afd: Handle, number: i32, place: Place, epoch: u32, arm: Arm) -> Result<()> {
        let id = self.find(number, place).ok_or(Errno::ENOENT)?;
        let Some(item) = self.item(id) else { return Err(Errno::ENOENT) };
        (item.arm, item.epoch, item.spent, item.guesses) = (arm, epoch, None, 0);
        let interest = core::mem::replace(&mut item.interest, NONE);
        if core::mem::take(&mut item.is_ready) {
            self.ready.retain(|news| news.item != id);
        }
        self.requests.abandon(afd, interest);
        self.ask(afd, id)
    }

    /// Has the kernel, or the clock, tell of what the item is armed for.
    fn ask(&mut self, afd: Handle, id: u32) -> Result<()> {
        let Some(item) = self.items[id as usize].as_mut() else { return Ok(()) };
        if !item.interests() || item.spent.is_some() {
            return Ok(());
        }
        if !is_socket(item.target) {
            self.tick = SOON;
            if !core::mem::replace(&mut item.is_looked_at, true) {
                self.looked_at.push(id);
            }
            return Ok(());
        }
        if item.interest == NONE {
            item.asked = self.turn;
            item.interest = self.requests.submit(afd, item.base, afd::events_of(item.arm), id, Role::Interest)?;
        }
        Ok(())
    }

    /// A wait begins: level items that were told ask again.
    pub fn ask_again(&mut self, afd: Handle) {
        self.turn = self.turn.wrapping_add(1);
        for _ in 0..self.idle.len() {
            let Some(id) = self.idle.pop_front() else { return };
            let Some(item) = self.item(id) else { continue };
            item.is_idle = false;
            if self.ask(afd, id) == Err(Errno::ENOMEM) {
                self.rest(id);
            }
            // EBADF: closed, as its guard will tell.
        }
    }

    fn rest(&mut self, id: u32) {
        let Some(item) = self.items[id as usize].as_mut() else { return };
        if !core::mem::replace(&mut item.is_idle, true) {
            self.idle.push_back(id);
        }
    }

    /// The clock's turn: spent edges, and what tells nobody.
    pub fn look(&mut self, afd: Handle) {
        let mut at = 0;
        while let Some(&id) = self.looked_at.get(at) {
            let Some(item) = self.items[id as usize].as_mut() else {
                self.looked_at.swap_remove(at);
                continue;
            };
            if item.spent.is_some() {
                self.look_at_spent(id);
            }
            let Some(item) = self.items[id as usize].as_mut() else { continue };
            if item.spent.is_none() && is_socket(item.target) || !item.interests() {
                item.is_looked_at = false;
                self.looked_at.swap_remove(at);
                if self.ask(afd, id) == Err(Errno::ENOMEM) {
                    self.rest(id);
                }
                continue;
            }
            let mask = if item.spent.is_none() { item.mask() } else { Mask(0) };
            if mask.0 != 0 {
                self.tell(id, mask, true);
            }
            at += 1;
        }
    }

    /// How long until `look` is to be called again.
    pub fn patience(&mut self) -> Option<u64> {
        if self.looked_at.is_empty() {
            return None;
        }
        let tick = self.tick;
        self.tick = (tick * 2).min(TICK);
        Some(tick)
    }

    /// A spent edge that was seen not ready, or has something new, is one no more. Where that cannot be known for
    /// certain, because just as much may have been taken as came, it is told again after a while: once too often is
    /// better than never.
    fn look_at_spent(&mut self, id: u32) {
        let Some(item) = self.items[id as usize].as_mut() else { return };
        let Some(before) = item.spent else { return };
        let now = item.status(None);
        let then = before.status;
        if !now.ready || (now.eof && !then.eof) || now.error != then.error || now.data > then.data {
            (item.spent, item.guesses) = (None, 0);
        } else if now.eof || item.arm.contains(Arm::QUIET) || Clock::Monotonic.now() < before.until {
            item.spent = Some(Spent { status: now, ..before });
        } else {
            (item.spent, item.guesses) = (None, item.guesses.saturating_add(1));
        }
    }

    /// The packet of a request has come. `slept`: the wait slept for it.
    pub fn completed(&mut self, afd: Handle, context: usize, slept: bool) {
        let Some((id, role, events, status)) = self.requests.completed(context) else { return };
        let Some(item) = self.items[id as usize].as_mut() else { return };
        match role {
            Role::Interest => item.interest = NONE,
            Role::Guard => item.guard = NONE,
        }
        if events & afd::LOCAL_CLOSE != 0 || role == Role::Guard {
            return self.closed(afd, id);
        }
        if events == 0 {
            // It was ended early by something that is not ours.
            return self.rest(id);
        }
        let fresh = slept || item.asked == self.turn;
        self.tell(id, afd::mask_of(events, status), fresh);
    }

    /// The socket is closed (10.1): whoever looks at the number next finds that it is another one's, or nobody's.
    fn closed(&mut self, afd: Handle, id: u32) {
        let Some(Item { number, place, epoch, .. }) = self.items[id as usize] else { return };
        if let Some((closing, _)) = Closing::begin(number) {
            closing.closed();
        }
        self.remove(afd, id);
        // Tells nothing, but has its knotes looked at.
        self.ready.push_back(News { item: NONE, number, place, epoch, mask: Mask(0), turn: self.turn });
    }

    fn tell(&mut self, id: u32, mask: Mask, fresh: bool) {
        self.tick = SOON;
        let turn = if fresh { self.turn } else { self.turn.wrapping_sub(1) };
        let Some(item) = self.items[id as usize].as_mut() else { return };
        let news = News { item: id, number: item.number, place: item.place, epoch: item.epoch, mask, turn };
        if !core::mem::replace(&mut item.is_ready, true) {
            self.ready.push_back(news);
        }
    }

    /// The next thing to tell. What is not level is not told again. What was said of a socket before this turn is asked
    /// again: it may hold no more (1.14), or there may be more to say.
    pub fn take_news(&mut self, afd: Handle) -> Option<News> {
        loop {
            let mut news = self.ready.pop_front()?;
            let Some(item) = self.items.get_mut(news.item as usize).and_then(Option::as_mut) else { return Some(news) };
            item.is_ready = false;
            if is_socket(item.target) && news.turn != self.turn {
                let (events, status) = afd::look(item.base, afd::events_of(item.arm));
                news.mask = afd::mask_of(events, status);
                if news.mask.0 == 0 {
                    if self.ask(afd, news.item) == Err(Errno::ENOMEM) {
                        self.rest(news.item);
                    }
                    continue;
                }
            }
            if item.arm.contains(Arm::ONCE) {
                item.arm = Arm::PRESENT;
            } else if item.arm.contains(Arm::EDGE) {
                self.spend(news.item, news.mask);
            } else if is_socket(item.target) {
                self.rest(news.item);
            }
            return Some(news);
        }
    }

    fn spend(&mut self, id: u32, mask: Mask) {
        let Some(item) = self.items[id as usize].as_mut() else { return };
        let status = item.status(Some(mask));
        let first = if item.arm.contains(Arm::OUT) { TRUST_WRITE } else { TRUST };
        let until = Clock::Monotonic.now().saturating_add(first << item.guesses.min(6));
        item.spent = Some(Spent { status, until });
        if !core::mem::replace(&mut item.is_looked_at, true) {
            self.looked_at.push(id);
        }
    }

    /// Is anything to be told, or asked for?
    pub fn has_work(&self) -> bool {
        !self.ready.is_empty() || !self.idle.is_empty() || !self.looked_at.is_empty()
    }
}
