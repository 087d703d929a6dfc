//! Watching files: the kernel's watches, made what their members want.
//!
//! The kernel has one watch an inode, whose mask is the union of what its members want. It is widened at once
//! and narrowed lazily: an event that is news to nobody takes away what nobody lacks any more, so that a file
//! that is written on and on neither fills the kernel's queue nor wakes anybody while its knote is disabled or not
//! collected. Who needs it again widens it first and then compares the file with how it stood.

use super::knote::{KnoteId, State, NIL};
use super::watches::{Member, MemberId, Role, WatchId};
use super::Queue;
use crate::errno::{Errno, Result};
use crate::filter::{vnode, Filter};
use crate::platform::{self, descriptors, FileState, Watched, Whose};

impl Queue<'_> {
    /// What a member wants the kernel to tell; `all`: also what is pending already.
    fn wants(&mut self, m: MemberId, all: bool) -> Watched {
        let member = *self.contents.watches.member(m);
        let wish = self.contents.knotes[member.knote].fflags;
        let watch = *self.contents.watches.watch(member.watch);
        let pending = if all { 0 } else { self.pending_notes(member.knote) };
        let what = match member.role {
            Role::Joining => Watched::empty(),
            Role::Read => Watched::MODIFIED,
            Role::Parent if wish & !pending & vnode::GONE != 0 => Watched::ENTRY_REMOVED,
            Role::Parent => Watched::empty(),
            Role::Vnode => {
                let directory = watch.seen.is_some_and(|seen| seen.is_directory());
                let what = vnode::watched(wish, pending, directory);
                if watch.memory {
                    what & Watched::OPENED
                } else {
                    what
                }
            }
        };
        if all {
            what
        } else {
            what - member.muted
        }
    }

    /// Does the kernel tell all that the member wants?
    pub fn is_wide(&mut self, m: MemberId) -> bool {
        let all = self.wants(m, true);
        let watch = self.contents.watches.member(m).watch;
        let watch = self.contents.watches.watch(watch);
        watch.wd < 0 || watch.armed.contains(all)
    }

    /// Sees to it that the kernel tells what the member wants. True: it did not.
    pub fn widen(&mut self, m: MemberId, all: bool) -> Result<bool> {
        self.contents.watches.member(m).muted = Watched::empty();
        let what = self.wants(m, all);
        let Member { knote, watch, role, .. } = *self.contents.watches.member(m);
        let place = *self.contents.watches.watch(watch);
        if place.wd < 0 || place.armed.contains(what) {
            return Ok(false);
        }
        let fd = self.contents.knotes[knote].fd();
        let wd = self.kernel.watch_file(self.slot, fd, whose(role), what, false)?;
        if wd == place.wd {
            self.contents.watches.watch(watch).armed |= what;
            return Ok(true);
        }
        self.strayed(wd, what, false);
        self.contents.watches.suspect(fd);
        Ok(false)
    }

    /// Takes away from a watch what no member wants any more.
    pub fn narrow(&mut self, watch: WatchId) {
        let place = *self.contents.watches.watch(watch);
        let (mut union, mut fd) = (Watched::empty(), None);
        let mut members = self.contents.watches.members(watch);
        while let Some((m, member)) = members.next(&self.contents.watches) {
            union |= self.wants(m, false);
            let number = self.contents.knotes[member.knote].fd();
            let node = self.contents.nodes.get(number);
            if node.is_some_and(|node| descriptors::trusted(number, node.generation)) {
                fd = Some((number, whose(member.role)));
            }
        }
        let Some((fd, whose)) = fd.filter(|_| place.wd >= 0 && union != place.armed) else { return };
        match self.kernel.watch_file(self.slot, fd, whose, union, true) {
            Ok(wd) if wd == place.wd => self.contents.watches.watch(watch).armed = union,
            Ok(wd) => self.strayed(wd, union, true),
            Err(_) => {}
        }
    }

    /// The descriptor has become another file's meanwhile, and so that one is watched by now, or its watch changed.
    fn strayed(&mut self, wd: i32, what: Watched, exactly: bool) {
        let Some(watch) = self.contents.watches.find(wd) else { return self.kernel.unwatch_file(wd) };
        let armed = &mut self.contents.watches.watch(watch).armed;
        *armed = if exactly { what } else { *armed | what };
        let mut members = self.contents.watches.members(watch);
        while let Some((m, _)) = members.next(&self.contents.watches).filter(|_| exactly) {
            let _ = self.widen(m, true);
        }
    }

    /// An event was news to nobody: those who can do without it do, and what nobody lacks is not told any more.
    pub fn calm(&mut self, watch: WatchId, what: Watched) {
        let mut union = Watched::empty();
        let mut members = self.contents.watches.members(watch);
        while let Some((m, member)) = members.next(&self.contents.watches) {
            let knote = self.contents.knotes[member.knote];
            let directory = self.contents.watches.watch(watch).seen.is_some_and(|seen| seen.is_directory());
            let mutable = match member.role {
                // It will look itself.
                Role::Read if knote.is(State::READY | State::DISABLED) => Watched::MODIFIED,
                Role::Read | Role::Joining => Watched::empty(),
                _ if !knote.is(State::DISABLED) => Watched::empty(),
                Role::Parent => Watched::ENTRY_REMOVED,
                Role::Vnode => vnode::mutable(knote.fflags & !member.pending, directory),
            };
            self.contents.watches.member(m).muted |= mutable & what;
            union |= self.wants(m, false);
            self.doubt(knote.fd());
        }
        if !union.intersects(what) {
            self.narrow(watch);
        }
    }

    /// A member on the file of a knote, or on its parent; `seen` is how the file stands, and whether it is a memfd.
    /// What was queued before is the older members'.
    pub fn join(
        &mut self,
        id: KnoteId,
        role: Role,
        what: Watched,
        seen: Option<(FileState, bool)>,
    ) -> Result<MemberId> {
        if self.kernel.has_lost_files() {
            self.watch_anew();
        }
        // After that, which may take some.
        self.contents.watches.reserve()?;
        let fd = self.contents.knotes[id].fd();
        let wd = self.kernel.watch_file(self.slot, fd, whose(role), what, false)?;
        let known = self.contents.watches.find(wd);
        let watch = known.unwrap_or_else(|| self.contents.watches.insert(wd, what));
        self.contents.watches.watch(watch).armed |= what;
        let m = self.contents.watches.join(watch, id, Role::Joining);
        if let Some((seen, memory)) = seen {
            let mut now = seen;
            if known.is_some() {
                self.drain_files();
                self.examine(watch);
                now = platform::file_state(fd).unwrap_or(seen);
            }
            let place = self.contents.watches.watch(watch);
            (place.seen, place.memory) = (Some(now), memory);
        }
        self.contents.watches.member(m).role = role;
        // Somebody may have left meanwhile.
        self.widen(m, true).inspect_err(|_| self.part(m))?;
        Ok(m)
    }

    /// Takes a member out; the last one takes the watch along.
    pub fn part(&mut self, m: MemberId) {
        let watch = self.contents.watches.member(m).watch;
        match self.contents.watches.part(m) {
            None => self.narrow(watch),
            Some(wd) if wd >= 0 => self.kernel.unwatch_file(wd),
            Some(_) => {}
        }
    }

    /// Watches the file of a READ knote for growth. True: it was not watched until now. Where the system cannot, the
    /// clock looks.
    pub fn watch_growth(&mut self, id: KnoteId) -> bool {
        let watched = match self.contents.knotes[id].aux {
            NIL => self.join(id, Role::Read, Watched::MODIFIED, None).map(|m| {
                self.contents.knotes[id].aux = m;
                true
            }),
            m => self.widen(m, true),
        };
        watched.unwrap_or_else(|_| {
            self.contents.knotes[id].state.insert(State::TICK);
            true
        })
    }

    pub fn unwatch_file(&mut self, id: KnoteId) {
        let knote = &mut self.contents.knotes[id];
        if knote.filter == Filter::Read && knote.aux != NIL {
            let m = core::mem::replace(&mut knote.aux, NIL);
            self.part(m);
        }
    }

    /// The program has closed the instance behind our back, and all watches are gone with it.
    #[cold]
    pub fn watch_anew(&mut self) {
        let mut id = 0;
        while let Some(watch) = self.contents.watches.from(id) {
            self.contents.watches.number(watch, -1);
            id = watch + 1;
        }
        id = 0;
        while let Some(watch) = self.contents.watches.from(id) {
            id = watch + 1;
            self.contents.watches.watch(watch).armed = Watched::empty();
            let mut members = self.contents.watches.members(watch);
            while let Some((m, member)) = members.next(&self.contents.watches) {
                if self.watch_again(watch, m).is_err() {
                    let fd = self.contents.knotes[member.knote].fd();
                    self.contents.knotes[member.knote].state.insert(State::TICK);
                    self.look_out_for_file(member.knote);
                    self.contents.watches.suspect(fd);
                }
            }
        }
        self.compare_all();
    }

    /// Has the kernel watch a member's file again, for a watch that has lost its number.
    pub fn watch_again(&mut self, watch: WatchId, m: MemberId) -> Result<()> {
        let what = self.wants(m, true);
        let Member { knote, role, .. } = *self.contents.watches.member(m);
        let fd = self.contents.knotes[knote].fd();
        let wd = self.kernel.watch_file(self.slot, fd, whose(role), what, false)?;
        if let Some(known) = self.contents.watches.find(wd).filter(|&known| known != watch) {
            let node = self.contents.nodes.get(fd).map(|node| node.identity);
            if node.is_none() || platform::identity(fd) != node {
                // The descriptor is another file's, which has a watch.
                return Err(Errno::EBADF);
            }
            // A younger knote's has been set on the file since this one ended.
            return self.change_watch(m, known, what);
        }
        self.contents.watches.number(watch, wd);
        self.contents.watches.watch(watch).armed |= what;
        Ok(())
    }

    /// Two watches are on one file: the member goes to the one that has a number, with all that is known by now.
    fn change_watch(&mut self, m: MemberId, to: WatchId, what: Watched) -> Result<()> {
        let from = self.contents.watches.member(m).watch;
        self.compare(from, false);
        self.examine(to);
        let seen = self.contents.watches.watch(from).seen;
        let place = self.contents.watches.watch(to);
        place.armed |= what;
        place.seen = place.seen.or(seen);
        self.contents.watches.change(m, to);
        Ok(())
    }
}

fn whose(role: Role) -> Whose {
    if role == Role::Parent {
        Whose::Parent
    } else {
        Whose::Own
    }
}
