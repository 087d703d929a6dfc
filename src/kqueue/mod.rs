//! One queue: its knotes, what is ready, and the two halves of kevent().
//!
//! - `change` applies a changelist, `collect` waits and fills the eventlist;
//! - `arming` makes the kernel watch what the knotes of a descriptor want, no more and no less;
//! - `watching` does the same for files, `wishes` says what EVFILT_VNODE wants of them, `tidings` takes in what the
//!   kernel tells;
//! - `knote`, `node`, `heap`, `watches` are the storage: knotes, descriptors, timers, watched files.
//!
//! Everything here runs under the queue's lock, which is never held while blocked.

pub mod arming;
pub mod change;
pub mod collect;
pub mod heap;
pub mod knote;
pub mod node;
pub mod processes;
pub mod renewal;
mod tidings;
pub mod watches;
mod watching;
mod wishes;

use crate::errno::Result;
use crate::filter::{self, Filter, Report};
use crate::index::Index;
use crate::platform::{self, signals, Arm, Clock, Mask, Poller, CLOCKS};
use heap::Timers;
use knote::{DepartureList, Knote, KnoteId, LookoutList, ReadyList, Slab, State, Sticky, NIL};
use node::Nodes;
use processes::Processes;
use renewal::Staleness;
use watches::Watches;

/// How long until the knotes that the kernel tells nothing of are looked at again, in nanoseconds.
pub const TICK: u64 = 20_000_000;

/// What the lock of a queue protects.
pub struct Contents {
    pub knotes: Slab,
    pub nodes: Nodes,
    /// Knotes that are not about descriptors, by filter and ident.
    named: Index<KnoteId>,
    pub ready: ReadyList,
    pub departures: DepartureList,
    pub lookouts: LookoutList,
    pub processes: Processes,
    pub timers: [Timers; 2],
    pub watches: Watches,
    /// When the lookouts are looked at by the clock; `u64::MAX`: not.
    tick: u64,
    /// The clock for that could not be had.
    pub without_clock: bool,
    epochs: u32,
    /// Counts collections.
    turns: u32,
    /// The collection under way: a knote is reported once in each.
    turn: u32,
    /// Whether the ready list or the kernel is asked first: they take turns.
    pub kernel_first: bool,
    /// An item was armed anew because it came to nothing: it reports once more.
    pub rearmed: bool,
    /// As `kernel_first`, of the ready list and the departures, where there is room for one event only.
    pub departures_first: bool,
    /// As `kernel_first`, of the nested epolls and the queue's own.
    pub sides_first: bool,
    pub staleness: Staleness,
    /// The descriptor has been made readable and nobody has taken that yet.
    pub woken: bool,
}

impl Contents {
    pub const fn new() -> Contents {
        Contents {
            knotes: Slab::new(),
            nodes: Nodes::new(),
            named: Index::new(),
            ready: ReadyList::new(),
            departures: DepartureList::new(),
            lookouts: LookoutList::new(),
            processes: Processes::new(),
            timers: [Timers::new(), Timers::new()],
            watches: Watches::new(),
            tick: u64::MAX,
            without_clock: false,
            epochs: 0,
            turns: 0,
            turn: 0,
            kernel_first: false,
            rearmed: false,
            departures_first: false,
            sides_first: false,
            staleness: Staleness::new(),
            woken: false,
        }
    }
}

impl Contents {
    /// Is anything to be looked at by the next collection, without the kernel's being asked?
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty() || !self.departures.is_empty()
    }
}

fn key(filter: Filter, ident: usize) -> u64 {
    ident as u64 ^ (filter as u64) << 56
}

/// A queue whose lock is held.
pub struct Queue<'a> {
    pub slot: u32,
    pub kernel: &'static Poller,
    pub contents: &'a mut Contents,
}

impl Queue<'_> {
    pub fn knote(&mut self, id: KnoteId) -> &mut Knote {
        &mut self.contents.knotes[id]
    }

    /// Calls `each` with every knote, and with what the kernel is armed for on its behalf, where it is.
    pub fn each_knote(&mut self, mut each: impl FnMut(&Knote, Option<Arm>)) {
        let mut fd = 0;
        while let Some((found, knotes)) = self.contents.nodes.from(fd) {
            fd = found + 1;
            for id in knotes.into_iter().filter(|&id| id != NIL) {
                let knote = self.contents.knotes[id];
                let node = self.contents.nodes.get(found).filter(|_| knote.filter.is_polled());
                each(&knote, node.map(|node| node.armed(arming::place_of(&knote))));
            }
        }
        for id in self.contents.named.iter() {
            each(&self.contents.knotes[id], None);
        }
    }

    /// The knote of (ident, filter), if it is attached.
    #[inline]
    pub fn find(&mut self, filter: Filter, ident: usize) -> Option<KnoteId> {
        if !filter.is_descriptor() {
            let knotes = &self.contents.knotes;
            let same = |id: KnoteId| knotes[id].ident == ident && knotes[id].filter == filter;
            return self.contents.named.find(key(filter, ident), same);
        }
        let fd = i32::try_from(ident).ok()?;
        self.refresh(fd);
        let node = self.contents.nodes.get(fd)?;
        let id = node.knotes[filter.lane()];
        (id != NIL).then_some(id)
    }

    /// Makes a knote and attaches it; where the filter refuses, nothing is left of it.
    pub fn attach(&mut self, filter: Filter, ident: usize, sticky: Sticky) -> Result<KnoteId> {
        let id = self.contents.knotes.insert(Knote::new(ident, filter, sticky))?;
        if !filter.is_descriptor() {
            let contents = &mut *self.contents;
            let knotes = &contents.knotes;
            let key_of = |id: KnoteId| key(knotes[id].filter, knotes[id].ident);
            if let Err(errno) = contents.named.reserve(1, key_of) {
                contents.knotes.remove(id);
                return Err(errno);
            }
            contents.named.insert(key(filter, ident), id);
        }
        Ok(id)
    }

    /// Takes a knote out of everything and frees it. Its filter has been detached, or never was attached.
    pub fn free(&mut self, id: KnoteId) {
        self.deactivate(id);
        let contents = &mut *self.contents;
        let Knote { ident, filter, .. } = contents.knotes[id];
        if !filter.is_descriptor() {
            let knotes = &contents.knotes;
            let key_of = |id: KnoteId| key(knotes[id].filter, knotes[id].ident);
            contents.named.remove(key(filter, ident), |other| other == id, key_of);
        }
        contents.knotes.remove(id);
    }

    /// 2.6: gone at once, with what is pending.
    pub fn delete(&mut self, id: KnoteId) {
        filter::detach(self, id);
        self.free(id);
    }

    /// The condition of a knote may hold: it will be looked at by the next collection.
    #[inline]
    pub fn activate(&mut self, id: KnoteId) {
        let contents = &mut *self.contents;
        if contents.knotes[id].is(State::DISABLED) {
            return;
        }
        contents.lookouts.remove(&mut contents.knotes, id);
        match contents.knotes[id].filter {
            Filter::Proc | Filter::Procdesc => contents.departures.push(&mut contents.knotes, id),
            _ => contents.ready.push(&mut contents.knotes, id),
        }
    }

    /// No event of the knote is pending any more.
    #[inline]
    pub fn deactivate(&mut self, id: KnoteId) {
        let contents = &mut *self.contents;
        if !contents.knotes[id].is(State::READY | State::DEPARTING | State::LOOKOUT) {
            return;
        }
        contents.ready.remove(&mut contents.knotes, id);
        contents.departures.remove(&mut contents.knotes, id);
        contents.lookouts.remove(&mut contents.knotes, id);
    }

    /// The knote's condition does not hold, and what would make it hold the kernel does not tell, or not surely:
    /// every kevent() looks, and a clock where `State::TICK` is set.
    pub fn look_out(&mut self, id: KnoteId) {
        let contents = &mut *self.contents;
        if contents.knotes[id].is(State::DISABLED) {
            return;
        }
        contents.ready.remove(&mut contents.knotes, id);
        contents.departures.remove(&mut contents.knotes, id);
        contents.lookouts.push(&mut contents.knotes, id);
        if contents.knotes[id].is(State::TICK) {
            let file = matches!(contents.knotes[id].filter, Filter::Vnode | Filter::Read);
            self.start_tick(if file { platform::interval().unwrap_or(TICK) } else { TICK });
        }
    }

    /// Has the lookouts looked at after so many nanoseconds, or before.
    fn start_tick(&mut self, time: u64) {
        // There is one, unless it is that of files, which others do not wait for.
        if self.contents.tick != u64::MAX && platform::interval().is_none_or(|interval| time >= interval) {
            return;
        }
        let tick = Clock::Monotonic.now() + time;
        if tick >= self.contents.tick {
            return;
        }
        let kernel = self.kernel;
        let started = kernel
            .prepare_timer(self.slot, Clock::Monotonic)
            .and_then(|()| kernel.arm_timer(self.slot, Clock::Monotonic, tick));
        if started.is_ok() {
            self.contents.tick = tick;
        }
        // Out of descriptors: then a waiting kevent() comes back by itself.
        self.contents.without_clock = started.is_err();
    }

    /// Looks at what the kernel does not tell of; what holds becomes ready.
    pub fn check_lookouts(&mut self) {
        for _ in 0..self.contents.lookouts.len() {
            let contents = &mut *self.contents;
            let Some(id) = contents.lookouts.pop(&mut contents.knotes) else { return };
            if filter::is_gone(self, id) {
                continue;
            }
            self.look_out(id);
            if self.knote(id).is(State::TOLD) {
                filter::look_again(self, id);
            }
            if !self.knote(id).is(State::TOLD) && self.evaluate(id, None).is_some() && !self.leave_to_kernel(id) {
                self.activate(id);
            }
        }
    }

    /// Has the kernel tell, now, of a lookout that holds and that it has an edge for: that edge may be under way, and
    /// would report the knote a second time. False: it cannot.
    fn leave_to_kernel(&mut self, id: KnoteId) -> bool {
        if !self.knote(id).filter.is_polled() || filter::stays_ready(self, id) || self.settle(id, true).is_err() {
            return false;
        }
        self.deactivate(id);
        self.contents.rearmed = true;
        true
    }

    /// A timerfd fired: what is due becomes ready, and the timerfd is set to the next.
    pub fn expire(&mut self, clock: Clock) {
        self.kernel.timer_fired(clock);
        let now = clock.now();
        while let Some((_, timer)) = self.contents.timers[clock as usize].pop_due(now) {
            let id = self.contents.timers[clock as usize].get(timer).knote;
            self.knote(id).state.insert(State::ACTIVE);
            self.activate(id);
        }
        let mut next = self.contents.timers[clock as usize].earliest().unwrap_or(u64::MAX);
        if clock == Clock::Monotonic && self.contents.tick != u64::MAX {
            if self.contents.tick <= now {
                self.contents.tick = u64::MAX;
                self.check_lookouts();
            }
            next = next.min(self.contents.tick);
        }
        if next != u64::MAX {
            let _ = self.kernel.arm_timer(self.slot, clock, next);
        }
    }

    /// Looks at all clocks, whoever was to be told of an expiry.
    pub fn expire_all(&mut self) {
        for clock in CLOCKS {
            if self.contents.timers[clock as usize].len() > 0 || self.contents.tick != u64::MAX {
                self.expire(clock);
            }
        }
    }

    /// Makes every knote ready to be looked at whose event the kernel tells only once.
    pub fn activate_edges(&mut self) {
        let mut fd = 0;
        while let Some((found, knotes)) = self.contents.nodes.from(fd) {
            for id in knotes.into_iter().filter(|&id| id != NIL) {
                if !arming::is_level(&self.contents.knotes[id]) {
                    self.activate(id);
                }
            }
            fd = found + 1;
        }
    }

    /// Signals were caught since the last look: `signals` has a bit for each.
    pub fn signals_caught(&mut self, signals: u64) {
        if signals & signals::bit(signals::SIGCHLD) != 0 && self.contents.processes.numbered > 0 {
            self.check_lookouts();
            filter::proc::look_at_children(self);
        }
        let mut rest = signals;
        while rest != 0 {
            let signal = rest.trailing_zeros() + 1;
            rest &= rest - 1;
            if let Some(id) = self.find(Filter::Signal, signal as usize) {
                self.activate(id);
            }
        }
    }

    /// In a child that takes its parent's queue over: nothing has come yet, and nothing is watched.
    pub fn watch_signals_anew(&mut self) {
        for signo in 1..=64 {
            if let Some(id) = self.find(Filter::Signal, signo) {
                self.deactivate(id);
                // Where that fails the signal is not reported until it is added anew.
                let _ = filter::attach_anew(self, id);
            }
        }
    }

    /// The filter's word on whether the knote is ready, and with what. `seen`: what the kernel has just said.
    #[inline]
    pub fn evaluate(&mut self, id: KnoteId, seen: Option<Mask>) -> Option<Report> {
        match filter::event(self, id, seen) {
            // 2.12: whatever the condition.
            None if self.knote(id).is(State::FORCED) => Some(filter::forced(self, id)),
            report => report,
        }
    }

    /// A new epoch for a node; never 0.
    pub fn next_epoch(&mut self) -> u32 {
        self.contents.epochs = self.contents.epochs.wrapping_add(1).max(1);
        self.contents.epochs
    }

    /// Does anything but the ready list have to be asked for events?
    pub fn kernel_can_tell(&self) -> bool {
        self.contents.nodes.len > 0
            || self.contents.timers.iter().any(|timers| timers.len() > 0)
            || self.contents.tick != u64::MAX
            || self.contents.processes.len() > 0
    }
}
