//! One item: what a knote wants of a descriptor, and whether it is to be told.
//!
//! A level item is told always, one for once until it has been. An edge that was told is *spent*: the system would go
//! on telling of it, so it is left out until it was seen not ready, or until there is more than there was; who waits
//! looks for that by the clock.

use super::inspect::{self, Kind, Status};
use super::poller::{Arm, Clock, Mask, Place};
use super::sys;
use crate::platform::descriptors::{self, Generation};
use crate::platform::front;
use crate::platform::unix::file_state::identity;
use libc::{POLLIN, POLLOUT, POLLPRI};
use sys::POLLRDHUP;

impl Arm {
    pub(super) fn events(self) -> i16 {
        let ask = |arm, events| if self.contains(arm) { events } else { 0 };
        ask(Arm::IN, POLLIN | POLLRDHUP) | ask(Arm::OUT, POLLOUT) | ask(Arm::PRI, POLLPRI)
    }
}

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
pub const SOON: u64 = 1_000_000;
pub const TICK: u64 = 20_000_000;

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
    pub fn is_current(&mut self) -> bool {
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

    pub fn is_spent(&self) -> bool {
        self.spent.is_some()
    }

    /// It is being told: what is not level is not told again. True: it is spent.
    pub fn told(&mut self, mask: Mask) -> bool {
        if self.arm.contains(Arm::ONCE) {
            self.arm = Arm::PRESENT;
        } else if self.arm.contains(Arm::EDGE) {
            self.spend(mask);
            return true;
        }
        false
    }

    /// A spent edge is armed again that was seen not ready, or has something new. Where that cannot be known for
    /// certain, because just as much may have been taken as came, it is told again after a while: once too often is
    /// better than never.
    pub fn look(&mut self) {
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
