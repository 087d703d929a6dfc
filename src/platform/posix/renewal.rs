//! Renewal: the table of the items that a queue watches is made anew, without those that no knote stands behind.

use super::poller::Poller;
use crate::errno::Result;
use crate::platform::events::{Arm, Place};

pub struct Renewal<'a> {
    poller: &'a Poller,
    slot: u32,
    place: Place,
}

impl Poller {
    pub fn begin_renewal(&self, slot: u32, place: Place, _: bool) -> Result<Renewal<'_>> {
        self.forget_place(place)?;
        Ok(Renewal { poller: self, slot, place })
    }
}

impl Renewal<'_> {
    /// Puts a descriptor into the table again, which has the room. False: it is none any more.
    pub fn move_item(&self, fd: i32, epoch: u32, armed: Arm) -> Result<bool> {
        Ok(self.poller.arm(self.slot, self.place, fd, epoch, Arm::empty(), armed).is_ok())
    }

    pub fn move_process(&self, _: i32, _: u32) -> Result<bool> {
        Ok(true)
    }

    pub fn end(self) -> bool {
        true
    }
}
