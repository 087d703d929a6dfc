//! What EVFILT_VNODE knotes want of their files: the watch on the file, and, for a directory, the one on its parent.
//!
//! Where a watch cannot be had, or does not tell all (a memfd), the file is looked at by the clock.

use super::knote::{KnoteId, State, Sticky, NIL};
use super::watches::{Member, MemberId, Role, WatchId};
use super::Queue;
use crate::errno::{Errno, Result};
use crate::event::NOTE_RENAME;
use crate::filter::vnode;
use crate::platform::{self, FileState, Watched, Whose};

impl Queue<'_> {
    /// Begins to watch the file of a new knote. `EBADF`; `EINVAL` it is no file; the system's errno, where a note is
    /// wanted that only a watch can tell.
    pub fn watch_vnode(&mut self, id: KnoteId) -> Result<()> {
        let knote = self.contents.knotes[id];
        let fd = knote.fd();
        let (state, memory) = platform::vnode(fd)?;
        if let Some(node) = self.contents.nodes.get(fd) {
            node.identity = state.identity;
        }
        let mut what = vnode::watched(knote.fflags, 0, state.is_directory());
        if memory {
            vnode::check_memory(knote.fflags)?;
            what &= Watched::OPENED;
        }
        let m = match self.join(id, Role::Vnode, what, Some((state, memory))) {
            Ok(m) => m,
            Err(errno) => self.look_instead(id, state, errno)?,
        };
        self.contents.knotes[id].aux = m;
        if memory {
            self.contents.knotes[id].state.insert(State::TICK);
        }
        self.settle_wish(m);
        self.look_out_for_file(id);
        Ok(())
    }

    /// No watch on the file could be had.
    fn look_instead(&mut self, id: KnoteId, state: FileState, errno: Errno) -> Result<MemberId> {
        let knote = &mut self.contents.knotes[id];
        if platform::identity(knote.fd()) != Some(state.identity) {
            // Closed meanwhile.
            return Err(Errno::EBADF);
        }
        vnode::check_unwatched(knote.fflags, platform::file_name(knote.fd()).is_some(), errno)?;
        knote.state.insert(State::TICK);
        self.contents.watches.reserve()?;
        let watch = self.contents.watches.insert(-1, Watched::empty());
        self.contents.watches.watch(watch).seen = Some(state);
        Ok(self.contents.watches.join(watch, id, Role::Vnode))
    }

    /// What else is to be known of the file for what is wanted: its name, its parent.
    fn settle_wish(&mut self, m: MemberId) {
        let Member { knote, watch, .. } = *self.contents.watches.member(m);
        let wish = self.contents.knotes[knote].fflags;
        let place = *self.contents.watches.watch(watch);
        let needed = !place.memory && vnode::needs_name(wish, place.wd < 0);
        let fd = self.contents.knotes[knote].fd();
        self.contents.watches.member(m).name = if needed { platform::file_name(fd) } else { None };
        let Some(seen) = place.seen.filter(|seen| seen.is_directory()) else { return };
        let wanted = wish & vnode::GONE != 0 && seen.links != 0 && place.wd >= 0;
        if wanted != (self.contents.watches.member(m).other != NIL) {
            self.watch_parent(m, wanted);
        }
    }

    /// Hangs the watch that tells of a directory's removal on the parent that it has now, or takes it away.
    fn watch_parent(&mut self, m: MemberId, wanted: bool) {
        let Member { knote: id, watch, .. } = *self.contents.watches.member(m);
        let parent = if wanted { self.join(id, Role::Parent, Watched::ENTRY_REMOVED, None) } else { Ok(NIL) };
        // Where the instance was lost, all watches have just been made anew, this one too.
        let other = self.contents.watches.member(m).other;
        if other != NIL {
            self.part(other);
        }
        let parent = parent.unwrap_or_else(|_| {
            self.contents.knotes[id].state.insert(State::TICK);
            NIL
        });
        self.contents.watches.member(m).other = parent;
        if parent != NIL {
            self.contents.watches.member(parent).other = m;
            // It may have been removed before the watch was there.
            self.examine(watch);
        }
    }

    /// The file was moved: its name, and its parent, are others.
    pub fn follow(&mut self, watch: WatchId) {
        self.note_names(watch);
        let mut m = self.contents.watches.watch(watch).first;
        while m != NIL {
            if self.contents.watches.member(m).role == Role::Vnode && self.contents.watches.member(m).other != NIL {
                self.watch_parent(m, true);
            }
            m = self.contents.watches.member(m).next;
        }
    }

    /// Remembers what the file is called now, where that is of interest. True: it was called something else.
    pub fn note_names(&mut self, watch: WatchId) -> bool {
        let Some(seen) = self.contents.watches.watch(watch).seen else { return false };
        let mut renamed = false;
        let mut members = self.contents.watches.members(watch);
        while let Some((m, member)) = members.next(&self.contents.watches) {
            let Some(before) = member.name else { continue };
            let fd = self.contents.knotes[member.knote].fd();
            if platform::identity(fd) != Some(seen.identity) {
                continue;
            }
            if let Some(now) = platform::file_name(fd) {
                // While that is pending nobody tells of more.
                renamed |= member.pending & NOTE_RENAME == 0 && now.is_other(&before);
                self.contents.watches.member(m).name = Some(now);
            }
        }
        renamed
    }

    pub fn unwatch_vnode(&mut self, id: KnoteId) {
        let m = core::mem::replace(&mut self.contents.knotes[id].aux, NIL);
        if m != NIL {
            let parent = self.contents.watches.member(m).other;
            if parent != NIL {
                self.part(parent);
            }
            self.part(m);
        }
    }

    /// 2.3: another wish. What happened before is noted by the old one. On an error the knote is as it was.
    pub fn change_wish(&mut self, id: KnoteId, wish: u32) -> Result<()> {
        let m = self.contents.knotes[id].aux;
        let watch = self.contents.watches.member(m).watch;
        let place = *self.contents.watches.watch(watch);
        let fd = self.contents.knotes[id].fd();
        if place.memory {
            vnode::check_memory(wish)?;
        } else if place.wd < 0 {
            let named = self.is_named(m);
            vnode::check_unwatched(wish, named, Errno::ENOTSUP).map_err(|_| self.why_unwatched(fd))?;
        }
        self.drain_files();
        if place.needs_looks() {
            self.compare(watch, false);
        } else {
            self.examine(watch);
        }
        self.contents.knotes[id].fflags = wish;
        if let Err(errno) = self.widen(m, true) {
            if errno == Errno::ENOENT && platform::identity(fd) != place.seen.map(|seen| seen.identity) {
                // Closed meanwhile.
                return Err(errno);
            }
            vnode::check_unwatched(wish, self.is_named(m), errno)?;
            self.cannot_widen(m);
        }
        self.settle_wish(m);
        Ok(())
    }

    /// Does the system tell what a member's file is called?
    fn is_named(&mut self, m: MemberId) -> bool {
        let Member { knote, name, .. } = *self.contents.watches.member(m);
        name.is_some() || platform::file_name(self.contents.knotes[knote].fd()).is_some()
    }

    /// What the system has against a watch on the file. (If nothing any more, the knote has to be made anew.)
    fn why_unwatched(&mut self, fd: i32) -> Errno {
        match self.kernel.watch_file(self.slot, fd, Whose::Own, Watched::empty(), false) {
            Err(errno) if errno != Errno::ENOENT => errno,
            Err(_) => Errno::ENOTSUP,
            Ok(wd) => {
                if self.contents.watches.find(wd).is_none() {
                    self.kernel.unwatch_file(wd);
                }
                Errno::ENOTSUP
            }
        }
    }

    /// Brings a knote's notes up to date where the kernel was not asked to tell all that it wants.
    pub fn look_at_vnode(&mut self, id: KnoteId) {
        let knote = self.contents.knotes[id];
        let m = knote.aux;
        if m == NIL {
            return;
        }
        let watch = self.contents.watches.member(m).watch;
        let place = *self.contents.watches.watch(watch);
        if place.needs_looks() {
            if place.wd >= 0 {
                self.drain_files();
            }
            return self.compare(watch, false);
        }
        let mut muted = false;
        for m in self.pair(m) {
            muted |= !core::mem::replace(&mut self.contents.watches.member(m).muted, Watched::empty()).is_empty();
        }
        // 5.1: what happened since adds to what is pending from an earlier collection.
        if knote.is(State::ACTIVE) && self.contents.watches.turn != self.contents.turn && self.is_wide_pair(m) {
            self.drain_files();
        }
        // Asked after that: a directory that has moved leaves its old parent's watch, which is narrowed then.
        // (And what was muted may have been missed, though somebody else has it told again.)
        if !muted && !knote.is(State::TICK) && self.is_wide_pair(m) {
            return;
        }
        // What is about to be taken back has to be told again.
        let all = knote.sticky.contains(Sticky::CLEAR);
        self.widen_pair(m, all);
        self.drain_files();
        // Somebody may have left a watch meanwhile, or the directory have moved to another parent.
        self.widen_pair(m, all);
        self.examine(watch);
        if self.pending_notes(id) & NOTE_RENAME != 0 {
            // While that was pending nobody told of more.
            self.note_names(watch);
        }
    }

    /// The member on the file, and the one on its parent; the same twice where there is none.
    fn pair(&mut self, m: MemberId) -> [MemberId; 2] {
        match self.contents.watches.member(m).other {
            NIL => [m, m],
            parent => [m, parent],
        }
    }

    fn is_wide_pair(&mut self, m: MemberId) -> bool {
        self.pair(m).into_iter().all(|m| self.is_wide(m))
    }

    fn widen_pair(&mut self, m: MemberId, all: bool) {
        for m in self.pair(m) {
            if self.widen(m, all).is_err() {
                self.cannot_widen(m);
            }
        }
    }

    /// The file, or its directory, must not be read any more, and the system asks that of a watch each time.
    fn cannot_widen(&mut self, m: MemberId) {
        let Member { knote, watch, role, .. } = *self.contents.watches.member(m);
        if role == Role::Vnode {
            self.contents.watches.watch(watch).patchy = true;
        }
        self.contents.knotes[knote].state.insert(State::TICK);
    }

    /// What happened and is to be reported.
    pub fn pending_notes(&mut self, id: KnoteId) -> u32 {
        match self.contents.knotes[id].aux {
            NIL => 0,
            m => self.contents.watches.member(m).pending,
        }
    }

    /// EV_CLEAR.
    pub fn clear_notes(&mut self, id: KnoteId) {
        let m = self.contents.knotes[id].aux;
        if m != NIL {
            self.contents.watches.member(m).pending = 0;
        }
        self.contents.knotes[id].state.remove(State::ACTIVE);
    }

    /// Has the file looked at by the clock, where nobody tells of it.
    pub fn look_out_for_file(&mut self, id: KnoteId) {
        if self.contents.knotes[id].is(State::TICK) && !self.contents.knotes[id].is(State::ACTIVE) {
            self.look_out(id);
        }
    }
}
