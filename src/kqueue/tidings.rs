//! What the kernel tells of files, handed to the members of their watches.
//!
//! A drain takes in all that inotify has queued. Each event is noted with those who want it; where it takes the state
//! of the file to know what happened, the file is compared with how it stood. Nothing here frees a knote but
//! `files_changed`: the others may be called with one in hand.

use super::knote::{State, NIL};
use super::watches::{Role, WatchId};
use super::Queue;
use crate::event::{NOTE_ATTRIB, NOTE_EXTEND, NOTE_LINK, NOTE_RENAME, NOTE_WRITE};
use crate::filter::vnode;
use crate::platform::{self, descriptors, front, sys, FileEvent, FileState, Watched};

/// How often the other half of a rename is looked for.
const HALVES: u32 = 32;

/// Entries that have left a directory, to where nobody has told yet.
#[derive(Default)]
struct Departures {
    places: [Option<Departure>; 8],
    /// The event that came last was one.
    last: u32,
}

#[derive(Clone, Copy)]
struct Departure {
    cookie: u32,
    wd: i32,
    directory: bool,
}

impl Departures {
    fn take(&mut self, cookie: u32) -> Option<Departure> {
        let place = self.places.iter_mut().find(|place| place.is_some_and(|departure| departure.cookie == cookie))?;
        place.take()
    }

    /// Keeps one; the oldest where there is no room.
    fn keep(&mut self, departure: Departure) -> Option<Departure> {
        if let Some(place) = self.places.iter_mut().find(|place| place.is_none()) {
            *place = Some(departure);
            return None;
        }
        let oldest = self.places[0].take();
        self.places.rotate_left(1);
        self.places[7] = Some(departure);
        oldest
    }
}

impl Queue<'_> {
    /// Some files have news. No knote may be in hand: those whose descriptor is found closed are freed.
    pub fn files_changed(&mut self) {
        // The end of a watch is an event, too: a kevent() that returns 0 leaves nothing that polls readable (10.5).
        for _ in 0..4 {
            self.contents.watches.calming = true;
            self.drain_files();
            self.contents.watches.calming = false;
            if self.contents.watches.suspects.is_empty() {
                return;
            }
            while let Some(fd) = self.contents.watches.suspects.pop() {
                self.identify(fd);
            }
        }
    }

    /// Takes in what the kernel has told of files until now.
    pub fn drain_files(&mut self) {
        let kernel = self.kernel;
        if kernel.has_lost_files() {
            self.watch_anew();
            return;
        }
        self.contents.watches.drain = self.contents.watches.drain.wrapping_add(1);
        self.contents.watches.turn = self.contents.turn;
        let mut departures = Departures::default();
        kernel.file_events(|event| self.file_event(event, &mut departures));
        // The halves of a rename are queued one right after the other; the thread that renames may be just between.
        for turn in 0..HALVES {
            if !departures.places.into_iter().flatten().any(|departure| self.wants_moves(departure)) {
                break;
            }
            if turn > 0 {
                sys::give_way(turn > HALVES / 2);
            }
            kernel.file_events(|event| self.file_event(event, &mut departures));
        }
        // Of one that nobody waited for nothing was judged.
        let mut left = departures.places.into_iter().flatten().filter(|departure| departure.cookie == departures.last);
        let last = left.next().filter(|&departure| self.wants_moves(departure)).map_or(0, |departure| departure.cookie);
        for departure in departures.places.into_iter().flatten() {
            if departure.cookie != last || self.has_left(departure) {
                self.moved_out(departure);
            }
        }
        self.contents.watches.half = last;
    }

    fn file_event(&mut self, event: FileEvent, departures: &mut Departures) {
        let (wd, what, named, directory, cookie) = match event {
            FileEvent::Happened { watch, what, named, directory, cookie } => (watch, what, named, directory, cookie),
            FileEvent::Lost => return self.compare_all(),
            FileEvent::Gone { watch } => return self.watch_gone(watch),
        };
        departures.last = if named && what.contains(Watched::ENTRY_LEFT) { cookie } else { 0 };
        let Some(watch) = self.contents.watches.find(wd) else { return };
        self.begin_count(watch);
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
                let half = cookie == core::mem::replace(&mut self.contents.watches.half, 0);
                if half && departure.is_none() {
                    // `has_left` has judged it.
                } else if departure.is_none_or(|departure| departure.wd != wd) {
                    news |= self.moved(watch, directory, 1);
                    news |= departure.is_some_and(|departure| self.moved_out(departure));
                } else if directory && self.links_changed(watch) {
                    // It took the place of another one.
                    news |= self.post(watch, NOTE_LINK);
                }
            } else if what.intersects(entry) && directory {
                self.count(watch, if what.contains(Watched::ENTRY_MADE) { 1 } else { -1 });
                self.links_changed(watch);
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
        } else if *stamp != drain && self.contents.watches.calming {
            self.calm(watch, what);
        }
    }

    /// Does anybody want to know whether an entry has left the directory, or was renamed in it?
    fn wants_moves(&self, departure: Departure) -> bool {
        let notes = if departure.directory { NOTE_EXTEND | NOTE_LINK } else { NOTE_EXTEND };
        self.contents.watches.find(departure.wd).is_some_and(|watch| self.is_wanted(watch, notes))
    }

    /// Has a subdirectory gone to where nobody watches? Or is the other half of its rename still to come? The count of
    /// subdirectories knows, where there is one and nothing was kept from us.
    fn has_left(&mut self, departure: Departure) -> bool {
        let Some(watch) = self.contents.watches.find(departure.wd) else { return false };
        let place = *self.contents.watches.watch(watch);
        let told = place.armed.contains(Watched::ENTRY_MADE | Watched::ENTRY_REMOVED);
        let counts = told && place.seen.is_some_and(|seen| seen.links > 1);
        if !(departure.directory && counts && self.is_wanted(watch, NOTE_LINK)) {
            return true;
        }
        self.links_changed(watch);
        let place = self.contents.watches.watch(watch);
        place.seen.is_none_or(|seen| seen.links != place.count)
    }

    /// Keeps the link count from before a drain: what a look tells during it includes what the events to come did.
    fn begin_count(&mut self, watch: WatchId) {
        let drain = self.contents.watches.drain;
        let place = self.contents.watches.watch(watch);
        if place.counted != drain {
            (place.counted, place.count) = (drain, place.seen.map_or(0, |seen| seen.links));
        }
    }

    /// A subdirectory more, or less.
    fn count(&mut self, watch: WatchId, by: i64) {
        let place = self.contents.watches.watch(watch);
        place.count = place.count.wrapping_add_signed(by);
    }

    fn moved_out(&mut self, departure: Departure) -> bool {
        match self.contents.watches.find(departure.wd) {
            Some(watch) => self.moved(watch, departure.directory, -1),
            None => false,
        }
    }

    /// An entry was moved into the directory, or out of it. (One at a time: together they would be a file that grew.)
    fn moved(&mut self, watch: WatchId, directory: bool, by: i64) -> bool {
        let mut news = self.post(watch, NOTE_EXTEND);
        if directory {
            self.count(watch, by);
            self.links_changed(watch);
            news |= self.post(watch, NOTE_LINK);
        }
        news
    }

    /// Has a directory another number of subdirectories than when this was asked last, as far as anybody wants to know
    /// and its file system counts?
    fn links_changed(&mut self, watch: WatchId) -> bool {
        if !self.is_wanted(watch, NOTE_LINK) {
            return false;
        }
        let before = self.contents.watches.watch(watch).seen.map_or(0, |seen| seen.links);
        let mut now = self.state_of(watch, false);
        if now.is_some_and(|now| now.links != before) {
            // Some file systems count down and up again for a rename inside.
            now = self.state_of(watch, false);
        }
        let Some(now) = now.filter(|now| now.links > 1) else { return false };
        match &mut self.contents.watches.watch(watch).seen {
            Some(seen) => core::mem::replace(&mut seen.links, now.links) != now.links,
            None => false,
        }
    }

    /// Does an EVFILT_VNODE member want any of these notes?
    fn is_wanted(&self, watch: WatchId, notes: u32) -> bool {
        let mut wanted = false;
        let mut members = self.contents.watches.members(watch);
        while let Some((_, member)) = members.next(&self.contents.watches) {
            wanted |= member.role == Role::Vnode && self.contents.knotes[member.knote].fflags & notes != 0;
        }
        wanted
    }

    /// A directory in the watched one was removed: one of the members', perhaps.
    fn entry_removed(&mut self, watch: WatchId) -> bool {
        let mut news = false;
        let mut members = self.contents.watches.members(watch);
        while let Some((_, member)) = members.next(&self.contents.watches) {
            if member.role == Role::Parent && member.other != NIL {
                let own = self.contents.watches.member(member.other).watch;
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
        let now = if what.intersects(looked_at) { self.state_of(watch, false) } else { None };
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
        } else {
            // It cannot be looked at just now: what the kernel says is told as it is.
            for (event, note) in [(Watched::MODIFIED, NOTE_WRITE), (Watched::ATTRIBUTES, NOTE_ATTRIB)] {
                if what.contains(event) {
                    news |= self.post(watch, note);
                }
            }
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
        let mut members = self.contents.watches.members(watch);
        while let Some((_, member)) = members.next(&self.contents.watches) {
            if member.role == Role::Read && self.contents.knotes[member.knote].is(State::LOOKOUT) {
                self.contents.knotes[member.knote].state.remove(State::TOLD);
                self.activate(member.knote);
                news = true;
            }
        }
        news
    }

    /// Notes what happened with every EVFILT_VNODE member that wants it. False: nobody learned anything.
    pub fn post(&mut self, watch: WatchId, happened: u32) -> bool {
        let mut news = false;
        let mut members = self.contents.watches.members(watch);
        while let Some((m, member)) = members.next(&self.contents.watches) {
            let knote = &mut self.contents.knotes[member.knote];
            let fd = knote.fd();
            let notes = if member.role == Role::Vnode { vnode::noted(knote.fflags, happened) } else { 0 };
            if notes & !member.pending != 0 {
                self.contents.watches.member(m).pending |= notes;
                knote.state.insert(State::ACTIVE);
                self.activate(member.knote);
                news = true;
            }
            self.doubt(fd);
        }
        news
    }

    /// Has the descriptor been closed, perhaps? Then it will be asked about.
    pub fn doubt(&mut self, fd: i32) {
        if self.contents.nodes.get(fd).is_some_and(|node| !descriptors::trusted(fd, node.generation)) {
            self.contents.watches.suspect(fd);
        }
    }

    /// How the watched file stands, through any of the members' descriptors. `thorough`: also whether it is a removed
    /// directory, where its link count does not say.
    fn state_of(&mut self, watch: WatchId, thorough: bool) -> Option<FileState> {
        let seen = self.contents.watches.watch(watch).seen?;
        let mut members = self.contents.watches.members(watch);
        while let Some((_, member)) = members.next(&self.contents.watches) {
            if member.role == Role::Parent {
                continue;
            }
            let fd = self.contents.knotes[member.knote].fd();
            match platform::file_state(fd) {
                Ok(now) if now.is_same_file(&seen) => {
                    let mut now = if thorough { platform::directory_state(fd, now) } else { now };
                    if now.is_directory() && seen.links == 0 {
                        // It does not come back.
                        now.links = 0;
                    }
                    return Some(now);
                }
                _ => self.contents.watches.suspect(fd),
            }
        }
        None
    }

    /// Compares the file with how it stood, and notes what is sure.
    pub fn examine(&mut self, watch: WatchId) -> bool {
        let Some(now) = self.state_of(watch, true) else { return false };
        self.begin_count(watch);
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
        let Some(now) = self.state_of(watch, true) else { return };
        let renamed = self.note_names(watch);
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
    pub fn compare_all(&mut self) {
        let mut watch = 0;
        while let Some(found) = self.contents.watches.from(watch) {
            self.renew_watch(found);
            self.file_grew(found);
            self.compare(found, true);
            self.follow(found);
            watch = found + 1;
        }
    }

    /// That the kernel's watch ended may be among what was lost. (A parent is another one now, perhaps, which the others
    /// are not in: `follow` sees to that.)
    fn renew_watch(&mut self, watch: WatchId) {
        let mut members = self.contents.watches.members(watch);
        while let Some((m, member)) = members.next(&self.contents.watches) {
            if self.contents.watches.watch(watch).wd >= 0 && member.role != Role::Parent {
                let _ = self.watch_again(watch, m);
            }
        }
    }

    /// The kernel's watch ended with its file: whoever was open on it is closed. But Linux ends it, too, when the name
    /// that the file was opened by is gone and then the last name goes.
    fn watch_gone(&mut self, wd: i32) {
        let Some(watch) = self.contents.watches.find(wd) else { return };
        self.contents.watches.number(watch, -1);
        self.contents.watches.watch(watch).armed = Watched::empty();
        let mut members = self.contents.watches.members(watch);
        while let Some((m, member)) = members.next(&self.contents.watches) {
            let fd = self.contents.knotes[member.knote].fd();
            if member.role != Role::Parent && !self.is_still_open(fd) {
                if let Some(node) = self.contents.nodes.get(fd) {
                    // Another file may have the same inode number by now.
                    node.identity = u32::MAX;
                    self.contents.watches.suspect(fd);
                }
            } else if self.watch_again(watch, m).is_err() {
                self.contents.knotes[member.knote].state.insert(State::TICK);
                // What is pending is to be reported now.
                self.look_out_for_file(member.knote);
            }
        }
        self.file_grew(watch);
        self.compare(watch, false);
    }

    /// Is the number still open on the file whose watch has ended? Where nobody tells of a close that is so if the file
    /// has no name left, which another one with its inode number would have.
    fn is_still_open(&mut self, fd: i32) -> bool {
        let Some(node) = self.contents.nodes.get(fd) else { return false };
        !platform::is_another(fd, node.identity)
            && if front::is_in_front() {
                descriptors::trusted(fd, node.generation)
            } else {
                platform::file_state(fd).is_ok_and(|state| state.links == 0)
            }
    }
}
