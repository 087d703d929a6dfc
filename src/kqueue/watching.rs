//! Watching files: the kernel's watches, made what their members want, and what they tell handed to the members.
//!
//! The kernel has one watch an inode, whose mask is the union of what its members want. It is widened at once
//! and narrowed lazily: an event that is news to nobody takes away what nobody lacks any more, so that a file
//! that is written on and on neither fills the kernel's queue nor wakes anybody while its knote is disabled or not
//! collected. Who needs it again widens it first and then compares the file with how it stood.
//!
//! Nothing here frees a knote but `files_changed`: the others may be called with one in hand.

use super::knote::{KnoteId, State, NIL};
use super::watches::{Member, MemberId, Role, WatchId};
use super::Queue;
use crate::errno::Result;
use crate::event::{NOTE_EXTEND, NOTE_LINK, NOTE_RENAME, NOTE_WRITE};
use crate::filter::vnode;
use crate::platform::{self, descriptors, FileEvent, FileState, Watched, Whose};

/// Entries that have left a directory, to where nobody has told yet.
#[derive(Default)]
struct Departures([Option<Departure>; 8]);

#[derive(Clone, Copy)]
struct Departure {
    cookie: u32,
    wd: i32,
    directory: bool,
}

impl Departures {
    fn take(&mut self, cookie: u32) -> Option<Departure> {
        let place = self.0.iter_mut().find(|place| place.is_some_and(|departure| departure.cookie == cookie))?;
        place.take()
    }

    /// Keeps one; the oldest where there is no room.
    fn keep(&mut self, departure: Departure) -> Option<Departure> {
        if let Some(place) = self.0.iter_mut().find(|place| place.is_none()) {
            *place = Some(departure);
            return None;
        }
        let oldest = self.0[0].take();
        self.0.rotate_left(1);
        self.0[7] = Some(departure);
        oldest
    }
}

impl Queue<'_> {
    /// Some files have news. No knote may be in hand: those whose descriptor is found closed are freed.
    pub fn files_changed(&mut self) {
        self.drain_files();
        while let Some(fd) = self.contents.watches.suspects.pop() {
            self.identify(fd);
        }
    }

    /// Takes in what the kernel has told of files until now.
    pub fn drain_files(&mut self) {
        if self.contents.watches.is_empty() {
            // Left over from watches that have gone.
            self.kernel.file_events(|_| {});
            return;
        }
        let kernel = self.kernel;
        if kernel.has_lost_files() {
            self.watch_anew();
            return;
        }
        self.contents.watches.drain = self.contents.watches.drain.wrapping_add(1);
        self.contents.watches.turn = self.contents.turn;
        let mut departures = Departures::default();
        kernel.file_events(|event| self.file_event(event, &mut departures));
        if departures.0.iter().any(|place| place.is_some()) {
            // The halves of a rename are queued one after the other.
            platform::sys::nap(1);
            kernel.file_events(|event| self.file_event(event, &mut departures));
        }
        for departure in departures.0.into_iter().flatten() {
            self.moved_out(departure);
        }
    }

    fn file_event(&mut self, event: FileEvent, departures: &mut Departures) {
        let (wd, what, named, directory, cookie) = match event {
            FileEvent::Happened { watch, what, named, directory, cookie } => (watch, what, named, directory, cookie),
            FileEvent::Lost => return self.compare_all(),
            FileEvent::Gone { watch } => return self.watch_gone(watch),
        };
        let Some(watch) = self.contents.watches.find(wd) else { return };
        let mut news = false;
        if named {
            let entry = Watched::ENTRY_MADE | Watched::ENTRY_REMOVED | Watched::ENTRY_LEFT | Watched::ENTRY_CAME;
            if what.intersects(entry) {
                news |= self.post(watch, NOTE_WRITE);
            }
            if what.contains(Watched::ENTRY_LEFT) {
                let oldest = departures.keep(Departure { cookie, wd, directory });
                news |= oldest.is_some_and(|oldest| self.moved_out(oldest));
            } else if what.contains(Watched::ENTRY_CAME) {
                let departure = departures.take(cookie);
                if departure.is_none_or(|departure| departure.wd != wd) {
                    news |= self.moved(watch, directory);
                    news |= departure.is_some_and(|departure| self.moved_out(departure));
                }
            } else if what.intersects(entry) && directory {
                news |= self.post(watch, NOTE_LINK);
            }
            if what.contains(Watched::ENTRY_REMOVED) && directory {
                news |= self.entry_removed(watch);
            }
        } else {
            news |= self.file_itself(watch, what);
        }
        let drain = self.contents.watches.drain;
        let stamp = &mut self.contents.watches.watch(watch).drain;
        if news {
            *stamp = drain;
        } else if *stamp != drain {
            self.calm(watch, what);
        }
    }

    fn moved_out(&mut self, departure: Departure) -> bool {
        match self.contents.watches.find(departure.wd) {
            Some(watch) => self.moved(watch, departure.directory),
            None => false,
        }
    }

    /// An entry was moved into the directory, or out of it. (One at a time: together they would be a file that grew.)
    fn moved(&mut self, watch: WatchId, directory: bool) -> bool {
        let mut news = self.post(watch, NOTE_EXTEND);
        if directory {
            news |= self.post(watch, NOTE_LINK);
        }
        news
    }

    /// A directory in the watched one was removed: one of the members', perhaps.
    fn entry_removed(&mut self, watch: WatchId) -> bool {
        let mut news = false;
        let mut m = self.contents.watches.watch(watch).first;
        while m != NIL {
            let Member { role, other, next, .. } = *self.contents.watches.member(m);
            m = next;
            if role == Role::Parent {
                let own = self.contents.watches.member(other).watch;
                news |= self.examine(own);
            }
        }
        news
    }

    /// Something happened to the watched file itself.
    fn file_itself(&mut self, watch: WatchId, what: Watched) -> bool {
        let mut news = false;
        if what.contains(Watched::MODIFIED) {
            news |= self.file_grew(watch);
        }
        let looked_at = Watched::MODIFIED | Watched::ATTRIBUTES | Watched::RENAMED;
        let now = if what.intersects(looked_at) { self.state_of(watch) } else { None };
        let seen = self.contents.watches.watch(watch).seen;
        if let (Some(seen), Some(now)) = (seen, now) {
            if what.contains(Watched::MODIFIED) {
                news |= self.post(watch, vnode::modified(&seen, &now));
            }
            if what.contains(Watched::ATTRIBUTES) {
                let linked = self.contents.watches.watch(watch).linked;
                news |= self.post(watch, vnode::attributes_changed(&seen, &now, linked));
                if now.links != seen.links {
                    self.contents.watches.watch(watch).linked = now.changed;
                }
            }
            // What another event is still to tell of stays as it was seen.
            let mut then = now;
            if !what.contains(Watched::MODIFIED) {
                then.size = seen.size;
            }
            if !what.contains(Watched::ATTRIBUTES) {
                (then.links, then.mode, then.owner, then.group) = (seen.links, seen.mode, seen.owner, seen.group);
            }
            self.contents.watches.watch(watch).seen = Some(then);
        }
        if what.contains(Watched::RENAMED) {
            self.follow(watch);
            news |= self.post(watch, NOTE_RENAME);
        }
        for (event, note) in vnode::OBSERVATIONS {
            if what.contains(event) {
                news |= self.post(watch, note);
            }
        }
        news
    }

    /// READ knotes at the end of the file look again.
    fn file_grew(&mut self, watch: WatchId) -> bool {
        let mut news = false;
        let mut m = self.contents.watches.watch(watch).first;
        while m != NIL {
            let Member { knote, role, next, .. } = *self.contents.watches.member(m);
            m = next;
            if role == Role::Read && self.contents.knotes[knote].is(State::LOOKOUT) {
                self.contents.knotes[knote].state.remove(State::TOLD);
                self.activate(knote);
                news = true;
            }
        }
        news
    }

    /// Notes what happened with every EVFILT_VNODE member that wants it. False: nobody learned anything.
    pub fn post(&mut self, watch: WatchId, happened: u32) -> bool {
        let mut news = false;
        let mut m = self.contents.watches.watch(watch).first;
        while m != NIL {
            let Member { knote: id, role, pending, next, .. } = *self.contents.watches.member(m);
            let this = core::mem::replace(&mut m, next);
            let knote = &mut self.contents.knotes[id];
            let fd = knote.fd();
            let notes = if role == Role::Vnode { vnode::noted(knote.fflags, happened) } else { 0 };
            if notes & !pending != 0 {
                self.contents.watches.member(this).pending |= notes;
                knote.state.insert(State::ACTIVE);
                self.activate(id);
                news = true;
            }
            self.doubt(fd);
        }
        news
    }

    fn doubt(&mut self, fd: i32) {
        if self.contents.nodes.get(fd).is_some_and(|node| !descriptors::trusted(fd, node.generation)) {
            self.contents.watches.suspect(fd);
        }
    }

    /// How the watched file stands, through any of the members' descriptors.
    pub fn state_of(&mut self, watch: WatchId) -> Option<FileState> {
        let seen = self.contents.watches.watch(watch).seen?;
        let mut m = self.contents.watches.watch(watch).first;
        while m != NIL {
            let Member { knote, role, next, .. } = *self.contents.watches.member(m);
            m = next;
            if role == Role::Parent {
                continue;
            }
            let fd = self.contents.knotes[knote].fd();
            match platform::file_state(fd) {
                Ok(now) if now.is_same_file(&seen) => return Some(now),
                _ => self.contents.watches.suspect(fd),
            }
        }
        None
    }

    /// Compares the file with how it stood, and notes what is sure.
    pub fn examine(&mut self, watch: WatchId) -> bool {
        let Some(now) = self.state_of(watch) else { return false };
        let place = self.contents.watches.watch(watch);
        let Some(seen) = place.seen.replace(now) else { return false };
        if now.links != seen.links {
            place.linked = now.changed;
        }
        match vnode::compared_surely(&seen, &now) {
            0 => false,
            notes => self.post(watch, notes),
        }
    }

    /// 5.6, and where there is no watch: notes all that a look can tell. `lost`: events were.
    pub fn compare(&mut self, watch: WatchId, lost: bool) {
        let Some(now) = self.state_of(watch) else { return };
        let mut renamed = false;
        if let Some(name) = self.contents.watches.watch(watch).name {
            self.note_name(watch);
            renamed = self.contents.watches.watch(watch).name != Some(name);
        }
        let place = self.contents.watches.watch(watch);
        let Some(seen) = place.seen.replace(now) else { return };
        if now.links != seen.links {
            place.linked = now.changed;
        }
        match vnode::compared(&seen, &now, renamed, lost) {
            0 => {}
            notes => _ = self.post(watch, notes),
        }
    }

    /// Events were lost (5.6).
    fn compare_all(&mut self) {
        let mut watch = 0;
        while let Some(found) = self.contents.watches.from(watch) {
            self.file_grew(found);
            self.compare(found, true);
            self.follow(found);
            watch = found + 1;
        }
    }

    /// The kernel's watch ended with its file: whoever was open on it is closed.
    fn watch_gone(&mut self, wd: i32) {
        let Some(watch) = self.contents.watches.find(wd) else { return };
        self.contents.watches.number(watch, -1);
        let mut m = self.contents.watches.watch(watch).first;
        while m != NIL {
            let Member { knote, role, next, .. } = *self.contents.watches.member(m);
            m = next;
            let fd = self.contents.knotes[knote].fd();
            if let Some(node) = self.contents.nodes.get(fd).filter(|_| role != Role::Parent) {
                // Another file may have the same inode number by now.
                node.identity = u32::MAX;
                self.contents.watches.suspect(fd);
            }
        }
    }

    /// What a member wants the kernel to tell; `all`: also what is pending already.
    fn wants(&mut self, m: MemberId, all: bool) -> Watched {
        let member = *self.contents.watches.member(m);
        let wish = self.contents.knotes[member.knote].fflags;
        let watch = *self.contents.watches.watch(member.watch);
        let pending = if all { 0 } else { self.pending_notes(member.knote) };
        let what = match member.role {
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
        let mut m = place.first;
        while m != NIL {
            union |= self.wants(m, false);
            let Member { knote, role, next, .. } = *self.contents.watches.member(m);
            m = next;
            let number = self.contents.knotes[knote].fd();
            let node = self.contents.nodes.get(number);
            if node.is_some_and(|node| descriptors::trusted(number, node.generation)) {
                fd = Some((number, whose(role)));
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
        let mut m = self.contents.watches.watch(watch).first;
        while m != NIL && exactly {
            let _ = self.widen(m, true);
            m = self.contents.watches.member(m).next;
        }
    }

    /// An event was news to nobody: those who can do without it do, and what nobody lacks is not told any more.
    fn calm(&mut self, watch: WatchId, what: Watched) {
        let mut union = Watched::empty();
        let mut m = self.contents.watches.watch(watch).first;
        while m != NIL {
            let Member { knote: id, role, pending, next, .. } = *self.contents.watches.member(m);
            let knote = self.contents.knotes[id];
            let directory = self.contents.watches.watch(watch).seen.is_some_and(|seen| seen.is_directory());
            let mutable = match role {
                // It will look itself.
                Role::Read if knote.is(State::READY | State::DISABLED) => Watched::MODIFIED,
                Role::Read => Watched::empty(),
                _ if !knote.is(State::DISABLED) => Watched::empty(),
                Role::Parent => Watched::ENTRY_REMOVED,
                Role::Vnode => vnode::mutable(knote.fflags & !pending, directory),
            };
            self.contents.watches.member(m).muted |= mutable & what;
            union |= self.wants(m, false);
            m = next;
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
        self.contents.watches.reserve()?;
        if self.kernel.has_lost_files() {
            self.watch_anew();
        }
        let fd = self.contents.knotes[id].fd();
        let wd = self.kernel.watch_file(self.slot, fd, whose(role), what, false)?;
        let (watch, seen) = match self.contents.watches.find(wd) {
            None => (self.contents.watches.insert(wd, what), seen),
            Some(watch) => {
                self.contents.watches.watch(watch).armed |= what;
                if role == Role::Vnode {
                    self.drain_files();
                    self.examine(watch);
                }
                (watch, seen.map(|(seen, memory)| (platform::file_state(fd).unwrap_or(seen), memory)))
            }
        };
        if let Some((seen, memory)) = seen {
            let place = self.contents.watches.watch(watch);
            (place.seen, place.memory) = (Some(seen), memory);
        }
        let m = self.contents.watches.join(watch, id, role);
        // The drain may have narrowed it.
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
        if knote.filter == crate::filter::Filter::Read && knote.aux != NIL {
            let m = core::mem::replace(&mut knote.aux, NIL);
            self.part(m);
        }
    }

    /// The program has closed the instance behind our back, and all watches are gone with it.
    #[cold]
    fn watch_anew(&mut self) {
        let mut id = 0;
        while let Some(watch) = self.contents.watches.from(id) {
            self.contents.watches.number(watch, -1);
            id = watch + 1;
        }
        id = 0;
        while let Some(watch) = self.contents.watches.from(id) {
            id = watch + 1;
            self.contents.watches.watch(watch).armed = Watched::empty();
            let mut m = self.contents.watches.watch(watch).first;
            while m != NIL {
                let Member { knote, role, next, .. } = *self.contents.watches.member(m);
                let what = self.wants(m, true);
                m = next;
                let fd = self.contents.knotes[knote].fd();
                match self.kernel.watch_file(self.slot, fd, whose(role), what, false) {
                    Ok(wd) if self.contents.watches.find(wd).is_none_or(|known| known == watch) => {
                        self.contents.watches.number(watch, wd);
                        self.contents.watches.watch(watch).armed |= what;
                    }
                    _ => {
                        self.contents.knotes[knote].state.insert(State::TICK);
                        self.contents.watches.suspect(fd);
                    }
                }
            }
        }
        self.compare_all();
    }
}

pub fn whose(role: Role) -> Whose {
    if role == Role::Parent {
        Whose::Parent
    } else {
        Whose::Own
    }
}
