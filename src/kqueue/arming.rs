//! Arming: the kernel's items for a descriptor, made equal to what its knotes want.
//!
//! What the kernel is armed for is remembered in the node, what the knotes want is derived here, and `settle` is
//! the one function that makes the first equal the second.
//!
//! A disabled knote stays armed until the kernel reports it once; so EV_DISABLE and EV_ENABLE with nothing
//! between cost no system call.

use super::knote::{Knote, KnoteId, State, Sticky, NIL};
use super::node::Node;
use super::Queue;
use crate::errno::{Errno, Result};
use crate::filter::{self, Filter, POLLED_LANES};
use crate::platform::descriptors;
use crate::platform::front;
use crate::platform::{self, Arm, Kind, Place, PLACES};

/// How the kernel is to report a knote.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Off,
    Level,
    Edge,
    Once,
}

#[inline]
fn mode(knote: &Knote) -> Mode {
    #[cfg(feature = "seeded-bugs")]
    if crate::seeded::is("edge-made-level") && knote.sticky == Sticky::CLEAR && !knote.is(State::DISABLED) {
        return Mode::Level;
    }
    if knote.is(State::DISABLED | State::NEVER) {
        Mode::Off
    } else if knote.is(State::QUIET) {
        Mode::Edge
    } else if knote.sticky.intersects(Sticky::ONESHOT | Sticky::DISPATCH) {
        Mode::Once
    } else if knote.sticky.contains(Sticky::CLEAR) {
        Mode::Edge
    } else {
        Mode::Level
    }
}

/// Does the kernel tell of it as long as it holds?
pub fn is_level(knote: &Knote) -> bool {
    matches!(mode(knote), Mode::Off | Mode::Level)
}

fn arm_of(knote: &Knote) -> Arm {
    let interest = match knote.filter {
        Filter::Read => Arm::IN,
        Filter::Except => Arm::PRI,
        _ => Arm::OUT,
    };
    Arm::PRESENT
        | match mode(knote) {
            Mode::Off => Arm::empty(),
            Mode::Level => interest,
            Mode::Edge if knote.is(State::QUIET) => interest | Arm::EDGE | Arm::QUIET,
            Mode::Edge => interest | Arm::EDGE,
            Mode::Once => interest | Arm::ONCE,
        }
}

pub fn place_of(knote: &Knote) -> Place {
    Place(((knote.state & State::PLACE).bits() >> State::PLACE.bits().trailing_zeros()) as u8)
}

impl Queue<'_> {
    /// Drops what is known of `fd` if it has become another open file since.
    #[inline]
    pub fn refresh(&mut self, fd: i32) {
        let Some(node) = self.contents.nodes.get(fd) else { return };
        let generation = node.generation;
        if !descriptors::trusted(fd, generation) && !self.confirm(fd) {
            self.forget(fd);
        }
    }

    /// Asks the kernel whether the items of `fd` are still about the same open file: it keeps them by file and
    /// number.
    pub fn confirm(&mut self, fd: i32) -> bool {
        let Ok(generation) = descriptors::watch(fd, self.slot) else { return false };
        let kernel = self.kernel;
        let Some(node) = self.contents.nodes.get(fd) else { return false };
        if let Some(place) = Place::all().find(|&place| node.armed(place).contains(Arm::PRESENT)) {
            let same = kernel.has_item(place, fd);
            if same {
                node.generation = generation;
            }
            return same;
        }
        // No item: a file or a device. Either we know that it was closed, or it has to be the same one still.
        let doubted = node.generation.is_doubtful() || !front::is_in_front();
        let same = doubted && !platform::is_another(fd, node.identity);
        if same {
            node.generation = generation;
        }
        same
    }

    /// In verify mode a known number may be another file by now, and nobody told: asks.
    #[inline]
    pub fn verify(&mut self, fd: i32) {
        if !front::is_in_front() {
            self.ask_after(fd);
        }
    }

    #[cold]
    fn ask_after(&mut self, fd: i32) {
        if self.contents.nodes.get(fd).is_some_and(|node| node.identity != 0) {
            // The end of the old file may have been told; the new one may have its inode number.
            self.files_changed();
        }
        for place in Place::all() {
            if self.kernel.has_lost(place) {
                self.arm_all_again(place);
            }
        }
        if self.contents.nodes.get(fd).is_some() && !self.confirm(fd) {
            self.forget(fd);
        }
    }

    /// The nested epoll of that place is gone: its items are put into a new one.
    #[cold]
    fn arm_all_again(&mut self, place: Place) {
        let (slot, kernel) = (self.slot, self.kernel);
        let mut fd = 0;
        while let Some((found, _)) = self.contents.nodes.from(fd) {
            fd = found + 1;
            let Some(node) = self.contents.nodes.get(found) else { continue };
            let (armed, epoch) = (node.armed(place), node.epoch);
            if armed.contains(Arm::PRESENT) && kernel.arm(slot, place, found, epoch, Arm::empty(), armed).is_err() {
                self.forget(found);
            }
        }
    }

    /// The descriptor has been closed: its knotes are gone, and the kernel's items with it.
    pub fn forget(&mut self, fd: i32) {
        let Some(node) = self.contents.nodes.get(fd) else { return };
        for id in node.knotes {
            if id != NIL {
                filter::release(self, id);
                self.free(id);
            }
        }
        self.contents.nodes.remove(fd);
        descriptors::unwatch(fd, self.slot);
    }

    /// Ties a new knote to its descriptor and arms the kernel. `EBADF`, `EINVAL`, `ELOOP`, `ENOMEM`, `EMFILE`.
    pub fn attach_to_descriptor(&mut self, id: KnoteId) -> Result<()> {
        let fd = self.contents.knotes[id].fd();
        let kernel = self.kernel;
        kernel
            .adding(fd, || {
                self.refresh(fd);
                match self.enter_and_arm(id, fd) {
                    // Left over from a number that was closed behind our back: begin anew.
                    Err(Errno::ENOENT) => {
                        self.leave(id, fd);
                        self.forget(fd);
                        self.enter_and_arm(id, fd)
                    }
                    result => result,
                }
            })
            .or_else(|errno| match errno.0 {
                libc::EPERM => self.attach_unpollable(id, fd),
                _ => {
                    self.detach_from_descriptor(id);
                    Err(errno)
                }
            })
    }

    fn enter_and_arm(&mut self, id: KnoteId, fd: i32) -> Result<()> {
        self.enter(id, fd)?;
        // An edge that a disabled knote left armed has been told of to that one.
        self.settle(id, true)
    }

    /// Ties a new knote to its descriptor, of which no item of the kernel's tells. Who the file is has to be noted
    /// in the node. `ENOMEM`.
    pub fn enter_without_item(&mut self, id: KnoteId) -> Result<()> {
        let fd = self.contents.knotes[id].fd();
        self.refresh(fd);
        self.enter(id, fd)
    }

    /// Forgets the descriptor if it is not open on the file any more that its knotes are about, nobody having told.
    pub fn identify(&mut self, fd: i32) {
        self.refresh(fd);
        let Some(node) = self.contents.nodes.get(fd) else { return };
        if node.identity != 0 && platform::is_another(fd, node.identity) {
            self.forget(fd);
        }
    }

    /// Ties a new knote to its descriptor, of which no item of the kernel's tells. `EBADF`, `ENOMEM`.
    pub fn attach_without_item(&mut self, id: KnoteId) -> Result<()> {
        let fd = self.contents.knotes[id].fd();
        let identity = platform::identity(fd).ok_or(Errno::EBADF)?;
        self.enter_without_item(id)?;
        if let Some(node) = self.contents.nodes.get(fd) {
            node.identity = identity;
        }
        Ok(())
    }

    /// epoll does not take it. Files and the like are served in user space, the rest is refused.
    fn attach_unpollable(&mut self, id: KnoteId, fd: i32) -> Result<()> {
        let kind = Kind::of(fd, false);
        match kind {
            Ok(kind @ (Kind::File | Kind::Device)) => {
                let Some(identity) = platform::identity(fd) else {
                    self.detach_from_descriptor(id);
                    return Err(Errno::EBADF);
                };
                if let Some(node) = self.contents.nodes.get(fd) {
                    (node.kind, node.identity) = (kind, identity);
                }
                Ok(())
            }
            kind => {
                self.detach_from_descriptor(id);
                kind.and(Err(Errno::EINVAL))
            }
        }
    }

    /// Puts the knote among those of its descriptor.
    fn enter(&mut self, id: KnoteId, fd: i32) -> Result<()> {
        if self.contents.nodes.get(fd).is_none() {
            let mut generation = descriptors::watch(fd, self.slot)?;
            if generation.is_doubtful() {
                descriptors::await_closers(fd);
                generation = descriptors::watch(fd, self.slot)?;
            }
            let node = Node::new(self.next_epoch(), generation);
            self.contents.nodes.insert(fd, node)?;
        }
        let filter = self.contents.knotes[id].filter;
        if let Some(node) = self.contents.nodes.get(fd) {
            node.knotes[filter.lane()] = id;
        }
        Ok(())
    }

    fn leave(&mut self, id: KnoteId, fd: i32) {
        if let Some(node) = self.contents.nodes.get(fd) {
            for knote in node.knotes.iter_mut().filter(|knote| **knote == id) {
                *knote = NIL;
            }
        }
    }

    /// Unties a knote from its descriptor. The kernel's item goes too, unless it fell silent by itself and can
    /// wait for the next one-shot: our close() will take it away.
    pub fn detach_from_descriptor(&mut self, id: KnoteId) {
        let fd = self.contents.knotes[id].fd();
        self.unwatch_file(id);
        self.leave(id, fd);
        let (slot, kernel) = (self.slot, self.kernel);
        let Some(node) = self.contents.nodes.get(fd) else { return };
        if let Some(other) = node.knotes.into_iter().find(|&id| id != NIL) {
            // Taking away cannot fail but for a descriptor that is gone, and then there is nothing to take.
            let _ = self.settle(other, false);
            return;
        }
        let once = self.contents.knotes[id].sticky.contains(Sticky::ONESHOT);
        let silent = Place::all().all(|place| match node.armed(place) {
            armed if place == Place::MAIN => armed == Arm::PRESENT,
            armed => armed.is_empty(),
        });
        if once && silent && front::is_in_front() {
            return;
        }
        for place in Place::all() {
            let _ = kernel.arm(slot, place, fd, node.epoch, node.armed(place), Arm::empty());
        }
        self.contents.nodes.remove(fd);
        descriptors::unwatch(fd, slot);
    }

    /// Makes the kernel's items of a knote's descriptor what its knotes want. Where two knotes cannot share an
    /// item, `mover` goes to the side. `rearm`: an edge is to be reported again if its condition holds (2.14).
    pub fn settle(&mut self, mover: KnoteId, rearm: bool) -> Result<()> {
        let fd = self.contents.knotes[mover].fd();
        let Some(node) = self.contents.nodes.get(fd) else { return Ok(()) };
        let mut node = *node;
        if node.kind.is_unpollable() {
            return Ok(());
        }
        if self.contents.knotes[mover].filter.is_polled() {
            self.place(mover, &node);
        }
        // A collection that came to nothing may have changed the mode of more than one.
        for id in node.knotes.into_iter().take(POLLED_LANES).rev() {
            if id != NIL && id != mover {
                self.place(id, &node);
            }
        }
        let mut wanted = [Arm::empty(); PLACES];
        for id in node.knotes.into_iter().take(POLLED_LANES) {
            if id != NIL {
                let knote = &self.contents.knotes[id];
                wanted[place_of(knote).0 as usize] |= arm_of(knote);
            }
        }
        let mover = &self.contents.knotes[mover];
        let again = rearm && mover.filter.is_polled() && mode(mover) == Mode::Edge;
        let mut result = Ok(());
        for place in Place::all() {
            let (armed, wanted) = (node.armed(place), wanted[place.0 as usize]);
            if armed != wanted || (again && place_of(mover) == place) {
                match self.kernel.arm(self.slot, place, fd, node.epoch, armed, wanted) {
                    Ok(()) => node.set_armed(place, wanted),
                    Err(errno) => result = Err(errno),
                }
            }
        }
        if let Some(place) = self.contents.nodes.get(fd) {
            *place = node;
        }
        result
    }

    /// Does the kernel tell of a level knote already?
    #[inline]
    pub fn is_armed(&mut self, id: KnoteId) -> bool {
        let knote = &self.contents.knotes[id];
        let (fd, place, wanted) = (knote.fd(), place_of(knote), arm_of(knote));
        let level = mode(knote) == Mode::Level;
        level
            && self
                .contents
                .nodes
                .get(fd)
                .is_some_and(|node| node.armed(place).contains(wanted) && node.armed(place).is_level())
    }

    /// Decides which epoll the mover's item is in: it stays where it is, or goes to the first place where it can
    /// be. Two knotes share an item only where both are level (2.11, 2.15): an edge would be re-reported by the
    /// other's.
    fn place(&mut self, mover: KnoteId, node: &Node) {
        let knotes = &mut self.contents.knotes;
        let polled = node.knotes.into_iter().take(POLLED_LANES);
        let others = polled.filter(|&id| id != NIL && id != mover);
        let shares = |one: &Knote, other: &Knote| match (mode(one), mode(other)) {
            (Mode::Off, _) | (_, Mode::Off) => true,
            (one, other) => one == Mode::Level && other == Mode::Level,
        };
        let fits = |place: Place| {
            others.clone().all(|other| place_of(&knotes[other]) != place || shares(&knotes[mover], &knotes[other]))
        };
        let here = place_of(&knotes[mover]);
        if fits(here) {
            return;
        }
        // There are as many places as knotes, so one fits.
        if let Some(place) = Place::all().find(|&place| fits(place)) {
            let bits = u16::from(place.0) << State::PLACE.bits().trailing_zeros();
            let state = &mut knotes[mover].state;
            *state = (*state - State::PLACE) | State::from_bits_retain(bits);
        }
    }
}
