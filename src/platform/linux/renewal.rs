//! A new epoll under the number of an old one.
//!
//! The new one gets every live item and then the number, by dup3(). The old one goes on living while threads sleep
//! in it, or poll it, or the program has duplicates of it that we do not know; so the new one is put into it: they
//! wake, and by number they find the new one.

use super::poller::{set_item, Arm, Place, Poller, PROCESS, SILENT, TOMBSTONE};
use super::{births, sys};
use crate::errno::{Errno, Result};
use crate::platform::descriptors;
use core::sync::atomic::Ordering::*;
use libc::{EPOLLET, EPOLLIN, EPOLL_CTL_ADD, EPOLL_CTL_DEL};

/// A renewal under way. No other thread forks meanwhile. Dropped before its end, it was none: all is as it was.
pub struct Renewal<'a> {
    poller: &'a Poller,
    slot: u32,
    place: Place,
    old: i32,
    new: i32,
    _hold: births::Hold,
}

impl Poller {
    /// Makes the new epoll for a place, with the helpers' items where it is the queue's own; `woken`: the wake-up
    /// is to be told. `EMFILE`, `ENFILE`, `ENOMEM`; `EBADF` the old one is not ours any more.
    pub fn begin_renewal(&self, slot: u32, place: Place, woken: bool) -> Result<Renewal<'_>> {
        let hold = births::hold();
        let old = self.epoll_of(place);
        if old < 0 {
            return Err(Errno::EBADF);
        }
        let new = sys::move_up(sys::own(sys::epoll_create()?), sys::least_helper())?;
        let renewal = Renewal { poller: self, slot, place, old, new, _hold: hold };
        if place == Place::MAIN {
            for (helper, events, key) in self.helpers() {
                let fd = helper.load(Relaxed);
                let silent = core::ptr::eq(helper, &self.wake) && !woken;
                let events = if silent { SILENT } else { events };
                if fd >= 0 {
                    renewal.carry(fd, events as u32, key)?;
                }
            }
        }
        Ok(renewal)
    }
}

impl Renewal<'_> {
    /// Puts the item of `fd` into the new epoll. False: the old one has none for what the number is now. `ENOMEM`.
    pub fn move_item(&self, fd: i32, epoch: u32, armed: Arm) -> Result<bool> {
        self.carry(fd, armed.events(), Poller::key(fd, epoch))
    }

    /// The same for the pidfd of a process.
    pub fn move_process(&self, pidfd: i32, index: u32) -> Result<bool> {
        self.carry(pidfd, (EPOLLIN | EPOLLET) as u32, u64::from(index) << 32 | u64::from(PROCESS))
    }

    fn carry(&self, fd: i32, events: u32, key: u64) -> Result<bool> {
        if !set_item(self.old, fd, events, key)? {
            return Ok(false);
        }
        match sys::epoll_ctl(self.new, EPOLL_CTL_ADD, fd, events, key) {
            Err(Errno::ENOMEM) => Err(Errno::ENOMEM),
            added => Ok(added.is_ok()),
        }
    }

    /// The new epoll takes the number over. False: the system refused, and all is as it was.
    pub fn end(self) -> bool {
        match self.place.side() {
            None => self.take_number(),
            Some(side) => self.take_side(side),
        }
    }

    fn take_number(self) -> bool {
        // (Kqueues in kqueues may be too deep for it: then only who comes anew finds the new one.)
        let told = sys::epoll_ctl(self.old, EPOLL_CTL_ADD, self.new, EPOLLIN as u32, TOMBSTONE);
        if told == Err(Errno::ENOMEM) {
            return false;
        }
        let taken = sys::put_on_number(self.new, self.old).is_ok();
        if taken {
            descriptors::each_duplicate(self.slot, |fd| {
                let _ = sys::put_on_number(self.new, fd);
            });
        }
        taken
    }

    /// A nested one is a helper: it has no number that anybody knows.
    fn take_side(mut self, side: usize) -> bool {
        let Some(place) = self.poller.sides.get(side) else { return false };
        let key = Poller::side_key(self.place);
        let epoll = self.poller.descriptor();
        if sys::epoll_ctl(epoll, EPOLL_CTL_ADD, self.new, EPOLLIN as u32, key).is_err() {
            return false;
        }
        let new = core::mem::replace(&mut self.new, -1);
        descriptors::note_helper(new, self.slot);
        place.store(new, SeqCst);
        let _ = sys::epoll_ctl(epoll, EPOLL_CTL_DEL, self.old, 0, 0);
        sys::close_raw(self.old);
        descriptors::disown(self.old);
        true
    }
}

impl Drop for Renewal<'_> {
    fn drop(&mut self) {
        if self.new >= 0 {
            sys::close_raw(self.new);
        }
    }
}
