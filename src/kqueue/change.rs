//! The first half of kevent(): a changelist is applied, in order, one change whole before the next.

use super::knote::{KnoteId, State, Sticky, NIL};
use super::Queue;
use crate::errno::{Errno, Result};
use crate::event::*;
use crate::filter::{self, library, proc, Filter};
use crate::platform::{descriptors, front, sys, Arm, Place};

/// Where errors, receipts and events go: the caller's eventlist.
pub trait Eventlist {
    /// How many entries still fit.
    fn room(&self) -> usize;
    fn push(&mut self, entry: kevent);
    fn len(&self) -> usize;
    /// Is there an entry of this knote?
    fn contains(&self, ident: usize, filter: i16) -> bool;
}

/// How applying a changelist ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// All of it, nothing to say: collecting may go on.
    All,
    /// Errors and receipts are in the eventlist: the call is over (1.6).
    Told,
    /// A receipt found no room (1.7).
    NoRoom,
}

impl Queue<'_> {
    /// Applies `changes`. `Err`: an error that found no room (1.5). `slowly` is called before what may be a
    /// cancellation point of libc's.
    pub fn apply(
        &mut self,
        changes: impl Iterator<Item = kevent>,
        out: &mut impl Eventlist,
        slowly: impl Fn(),
    ) -> Result<Applied> {
        for change in changes {
            // 1.10
            if change.filter == 0 {
                continue;
            }
            if filter::may_block(change.filter) {
                slowly();
            }
            let told = |errno| kevent { flags: (change.flags & !EV_SYSFLAGS) | EV_ERROR, data: errno, ..change };
            let answer = if change.filter == EVFILT_LIBKQUEUE {
                library::answer(&change)
            } else {
                self.change(&change).map(|()| (change.flags & EV_RECEIPT != 0).then(|| told(0)))
            };
            if matches!(answer, Ok(None)) {
                continue;
            }
            if out.room() == 0 {
                return answer.map(|_| Applied::NoRoom);
            }
            match answer {
                Ok(answer) => answer.into_iter().for_each(|entry| out.push(entry)),
                Err(errno) => out.push(told(errno.0 as isize)),
            }
        }
        Ok(if out.len() == 0 { Applied::All } else { Applied::Told })
    }

    /// The change that programs make on every turn, without the general way's questions: new udata for an event that is
    /// reported as long as its condition holds, or EV_DISABLE, EV_ENABLE of it, while the kernel is armed for it anyway.
    /// False: it is not that change, and nothing has been done.
    #[inline]
    fn change_plainly(&mut self, change: &kevent) -> bool {
        let lane = match change.filter {
            EVFILT_READ => Filter::Read.lane(),
            EVFILT_WRITE => Filter::Write.lane(),
            _ => return false,
        };
        let flags = change.flags;
        let known = flags & !(EV_ADD | EV_ENABLE | EV_DISABLE) == 0
            && flags & (EV_ENABLE | EV_DISABLE) != EV_ENABLE | EV_DISABLE;
        let Ok(fd) = i32::try_from(change.ident) else { return false };
        if !known || change.fflags != 0 || !front::is_in_front() || cfg!(feature = "seeded-bugs") {
            return false;
        }
        let Some(node) = self.contents.nodes.get(fd) else { return false };
        let armed = node.armed(Place::MAIN);
        let wanted = if lane == Filter::Read.lane() { Arm::IN } else { Arm::OUT };
        let id = node.knotes[lane];
        if id == NIL || !armed.contains(wanted) || !armed.is_level() || !descriptors::trusted(fd, node.generation) {
            return false;
        }
        let knote = &mut self.contents.knotes[id];
        let is_level = !knote.sticky.intersects(Sticky::ONESHOT | Sticky::CLEAR | Sticky::DISPATCH);
        if !is_level || !State::DISABLED.contains(knote.state) {
            return false;
        }
        knote.udata = change.udata as usize;
        if flags & EV_ADD != 0 {
            (knote.fflags, knote.data) = (0, change.data as i64);
        }
        if flags != 0 {
            knote.state.set(State::DISABLED, flags & EV_DISABLE != 0);
        }
        true
    }

    pub fn change(&mut self, change: &kevent) -> Result<()> {
        if self.change_plainly(change) {
            return Ok(());
        }
        let filter = Filter::of(change.filter)?;
        let flags = change.flags & !EV_SYSFLAGS;
        let both = |bits| flags & bits == bits;
        if both(EV_ENABLE | EV_DISABLE) || both(EV_ADD | EV_KEEPUDATA) {
            return Err(Errno::EINVAL);
        }
        if filter.is_descriptor() {
            if let Ok(fd) = i32::try_from(change.ident) {
                self.verify(fd);
            }
        }
        if filter == Filter::Proc && flags & EV_DELETE == 0 {
            proc::catch_up(self, change);
        }
        match self.find(filter, change.ident) {
            None if flags & EV_ADD != 0 => self.add(filter, change, flags),
            None if filter.is_descriptor() && !is_open(change.ident) => Err(Errno::EBADF),
            #[cfg(feature = "seeded-bugs")]
            None if crate::seeded::is("wrong-errno") && flags & EV_DELETE != 0 => Err(Errno::EINVAL),
            None => Err(Errno::ENOENT),
            Some(id) if flags & EV_DELETE != 0 => {
                self.delete(id);
                Ok(())
            }
            Some(id) => self.modify(id, change, flags),
        }
    }

    fn add(&mut self, filter: Filter, change: &kevent, flags: u16) -> Result<()> {
        filter::check(filter, change)?;
        let id = self.attach(filter, change.ident, Sticky::from_bits_truncate(flags as u8))?;
        let knote = self.knote(id);
        knote.udata = change.udata as usize;
        knote.fflags = change.fflags;
        knote.data = change.data as i64;
        if flags & EV_DISABLE != 0 {
            knote.state.insert(State::DISABLED);
        }
        if let Err(errno) = filter::attach(self, id, change) {
            self.free(id);
            return Err(errno);
        }
        self.force(id, flags);
        Ok(())
    }

    /// 2.1, 2.3, 2.5
    fn modify(&mut self, id: KnoteId, change: &kevent, flags: u16) -> Result<()> {
        let filter = self.knote(id).filter;
        filter::check_touch(filter, change, flags)?;
        let knote = self.knote(id);
        let before = *knote;
        if flags & EV_KEEPUDATA == 0 {
            knote.udata = change.udata as usize;
        }
        #[cfg(feature = "seeded-bugs")]
        if crate::seeded::is("udata-lost") && flags & EV_ENABLE != 0 {
            knote.udata = before.udata;
        }
        if flags & EV_DISABLE != 0 {
            knote.state.insert(State::DISABLED);
        } else if flags & (EV_ENABLE | EV_ADD) != 0 {
            knote.state.remove(State::DISABLED);
        }
        if let Err(errno) = filter::touch(self, id, change, flags) {
            if errno == Errno::ENOENT && filter.is_descriptor() {
                // The number is another file's by now: the knote went with the old one.
                self.forget(before.fd());
                return if flags & EV_ADD != 0 { self.add(filter, change, flags) } else { Err(errno) };
            }
            // Nothing that was registered is lost.
            let knote = self.knote(id);
            (knote.udata, knote.fflags, knote.data) = (before.udata, before.fflags, before.data);
            knote.state.set(State::DISABLED, before.is(State::DISABLED));
            return Err(errno);
        }
        if self.knote(id).is(State::DISABLED) {
            self.deactivate(id);
        }
        self.force(id, flags);
        Ok(())
    }

    /// 2.12: reported at the next collection, whatever the condition, and then deleted.
    #[inline]
    fn force(&mut self, id: KnoteId, flags: u16) {
        if flags & EV_FORCEONESHOT != 0 {
            self.begin_to_force(id);
        } else if self.knote(id).is(State::FORCED) {
            self.activate(id);
        }
    }

    #[cold]
    fn begin_to_force(&mut self, id: KnoteId) {
        let knote = self.knote(id);
        knote.sticky.insert(Sticky::ONESHOT);
        knote.state.insert(State::FORCED);
        if knote.filter == Filter::Vnode {
            // What has happened until now is its report.
            self.drain_files();
        }
        self.activate(id);
    }
}

fn is_open(ident: usize) -> bool {
    i32::try_from(ident).is_ok_and(sys::is_open)
}
