//! Renewal: an epoll with an item that cannot be taken out is replaced by a new one.
//!
//! The kernel keeps an item as long as the open file lives, and takes it out only by the number that it was put in
//! with. Where the number was closed round us while a duplicate or a child keeps the file open, the item stays and
//! goes on reporting. Its events are recognised and dropped, but a level one would come back for ever.

use super::processes::Watch;
use super::Queue;
use crate::errno::Result;
use crate::platform::{descriptors, Arm, Place, Renewal, PLACES};

/// How many batches with a stale event are taken for the last words of descriptors just closed.
const PATIENCE: u32 = 8;

/// The stale items that were met.
pub struct Staleness {
    /// Batches that had one, with none in between that would have had it.
    turns: u32,
    places: [bool; PLACES],
    /// The queue's own epoll is a new one: kqueues of ours that watch it have lost it, and are told when the lock is
    /// free.
    pub renewed: bool,
}

impl Staleness {
    pub const fn new() -> Staleness {
        Staleness { turns: 0, places: [false; PLACES], renewed: false }
    }

    /// An event came of an item that no knote stands behind.
    pub fn met(&mut self, place: Place) {
        if let Some(met) = self.places.get_mut(place.0 as usize) {
            *met = true;
        }
    }
}

impl Queue<'_> {
    /// After a batch, which was `full` or not. True: stale items go on, and could not be got rid of for want of
    /// descriptors.
    pub fn check_staleness(&mut self, full: bool) -> bool {
        let staleness = &mut self.contents.staleness;
        if staleness.places == [false; PLACES] {
            staleness.turns = if full { staleness.turns } else { 0 };
            return false;
        }
        staleness.turns += 1;
        if staleness.turns < PATIENCE {
            staleness.places = [false; PLACES];
            return false;
        }
        let places = core::mem::replace(&mut staleness.places, [false; PLACES]);
        let renewed = Place::all().zip(places).filter(|&(_, met)| met).all(|(place, _)| self.renew(place));
        self.contents.staleness.turns = if renewed { 0 } else { PATIENCE };
        !renewed
    }

    /// Replaces an epoll by a new one with all live items. Edges are reported once more.
    #[cold]
    fn renew(&mut self, place: Place) -> bool {
        let kernel = self.kernel;
        let Ok(renewal) = kernel.begin_renewal(self.slot, place, self.contents.woken) else { return false };
        let renewed = self.move_items(&renewal, place).is_ok() && renewal.end();
        self.contents.staleness.renewed |= renewed && place == Place::MAIN;
        renewed
    }

    /// `ENOMEM`: not all are moved, and the old epoll has to stay.
    fn move_items(&mut self, renewal: &Renewal, place: Place) -> Result<()> {
        let mut fd = 0;
        while let Some((found, _)) = self.contents.nodes.from(fd) {
            fd = found + 1;
            let Some(node) = self.contents.nodes.get(found) else { continue };
            let armed = node.armed(place);
            if armed.contains(Arm::PRESENT) && !renewal.move_item(found, node.epoch, armed)? {
                // It is another file's number by now.
                self.forget(found);
            }
        }
        if place == Place::MAIN {
            for index in 0..self.contents.processes.indices() {
                if let Some(Watch::Pidfd(pidfd)) = self.contents.processes.get(index).map(|process| process.watch) {
                    renewal.move_process(pidfd, index)?;
                }
            }
        }
        Ok(())
    }

    /// The kqueue with this number has been renewed: the items for it are gone with its old epoll.
    pub fn add_again(&mut self, fd: i32) {
        let Some(node) = self.contents.nodes.get(fd) else { return };
        let mut node = *node;
        for place in Place::all() {
            let armed = node.armed(place);
            if armed.contains(Arm::PRESENT) {
                let added = self.kernel.arm(self.slot, place, fd, node.epoch, Arm::empty(), armed);
                node.set_armed(place, if added.is_ok() { armed } else { Arm::empty() });
            }
        }
        if let Ok(generation) = descriptors::watch(fd, self.slot) {
            node.generation = generation;
        }
        if let Some(place) = self.contents.nodes.get(fd) {
            *place = node;
        }
    }
}
