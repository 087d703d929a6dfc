//! A plain model of kqueue: what FreeBSD's kqueue(2) and the declared limits in BUGS.md say must, may and must not be
//! reported. No cleverness: every question is answered by looking at everything.
//!
//! Knotes about descriptors ask `files`; EVFILT_VNODE would be one more arm of `condition` and of `check`.

use super::constants::*;
use super::files::{Files, Kind, Ready, Report, What};
use super::things::{Child, Signal};
use kqueue::event::kevent;
use libc::{EBADF, EINVAL, ENOENT, EPERM, ESRCH};
use std::collections::BTreeMap;

/// Is there news for an EV_CLEAR knote?
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum News {
    No,
    /// The kernel's edge may come without news, and BUGS.md says so.
    May,
    Must,
}

/// How a condition stood when it was looked at last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stood {
    No,
    Maybe,
    Yes,
}

#[derive(Clone, Debug)]
pub struct Knote {
    pub ident: usize,
    pub filter: i16,
    /// As they come out.
    pub flags: u16,
    pub udata: usize,
    pub fflags: u32,
    pub data: i64,
    pub disabled: bool,
    pub forced: bool,
    /// The open file, of a descriptor's filter.
    pub file: usize,
    pub news: News,
    pub stood: Stood,
    /// USER: triggered; TIMER: expired.
    pub active: bool,
    /// A timer that runs: what the clock does to it is not modelled.
    pub running: bool,
    /// SIGNAL: how many have been told of.
    pub told: u64,
}

#[derive(Default)]
pub struct Queue {
    pub knotes: Vec<Knote>,
    /// Nothing has happened since its kevent() returned 0.
    pub quiet: bool,
}

/// What the changes of one call come to.
pub enum Applied {
    /// kevent() returns -1 with one of these.
    Error(Vec<i32>),
    /// Error entries and receipts: the change, and the errnos it may have.
    Told(Vec<(kevent, Vec<i32>)>),
    /// A receipt found no room.
    NoRoom,
    Collect,
}

#[derive(Default)]
pub struct Model {
    pub files: Files,
    /// Descriptors: number to open file.
    pub fds: BTreeMap<i32, usize>,
    pub queues: Vec<Queue>,
    pub signals: Vec<Signal>,
    pub children: Vec<Child>,
    /// close() of descriptors comes past the library (KQUEUE_VERIFY): one that is told of changes to another knote
    /// of the same descriptor may report anew.
    pub verify: bool,
    pub fates: Vec<(i16, u16, &'static str)>,
}

pub fn is_descriptor(filter: i16) -> bool {
    matches!(filter, READ | WRITE | EXCEPT | EMPTY)
}

impl Model {
    pub fn what(&self, fd: i32) -> Option<What> {
        self.fds.get(&fd).map(|&file| self.files.files[file].what)
    }

    pub fn queue_of(&self, fd: i32) -> Option<usize> {
        match self.what(fd)? {
            What::Queue { queue } => Some(queue),
            _ => None,
        }
    }

    pub fn position(&self, queue: usize, ident: usize, filter: i16) -> Option<usize> {
        self.queues[queue].knotes.iter().position(|knote| knote.ident == ident && knote.filter == filter)
    }

    pub fn fate(&mut self, filter: i16, flags: u16, fate: &'static str) {
        self.fates.push((filter, flags, fate));
    }

    // ---- changes

    /// 1.5 to 1.8, 1.10
    pub fn apply(&mut self, queue: usize, changes: &[kevent], room: usize) -> Applied {
        self.stir();
        let mut told = Vec::new();
        for change in changes.iter().filter(|change| change.filter != 0) {
            let errors = self.change(queue, change).err();
            if let Some(errors) = &errors {
                self.fate(change.filter, change.flags, "refused");
                if told.len() == room {
                    return Applied::Error(errors.clone());
                }
            } else if change.flags & RECEIPT == 0 {
                continue;
            } else if told.len() == room {
                return Applied::NoRoom;
            }
            told.push((*change, errors.unwrap_or_else(|| vec![0])));
        }
        if told.is_empty() {
            Applied::Collect
        } else {
            Applied::Told(told)
        }
    }

    /// Which errors a change has; any of them is right.
    fn check(&self, queue: usize, change: &kevent) -> Vec<i32> {
        let kevent { ident, filter, flags, fflags, data, .. } = *change;
        match filter {
            READ | WRITE | EXCEPT | EMPTY | PROC | SIGNAL | TIMER | USER => {}
            AIO => return vec![EPERM],
            _ => return vec![EINVAL],
        }
        let mut errors = Vec::new();
        let mut wrong = |condition: bool, errno| {
            if condition {
                errors.push(errno);
            }
        };
        let both = |bits| flags & bits == bits;
        // 2.3
        wrong(both(ENABLE | DISABLE) || both(ADD | KEEPUDATA), EINVAL);
        let what = i32::try_from(ident).ok().and_then(|fd| self.what(fd));
        // 1.11, 2.4
        wrong(is_descriptor(filter) && what.is_none(), EBADF);
        let known = self.position(queue, ident, filter);
        wrong(known.is_none() && flags & ADD == 0, ENOENT);
        // What an existing knote is not asked any more.
        if known.is_none() && flags & ADD != 0 {
            wrong(is_descriptor(filter) && what == Some(What::Directory), EINVAL);
            wrong(filter == READ && what == Some(What::Queue { queue }), EINVAL);
            wrong(filter != READ && is_descriptor(filter) && matches!(what, Some(What::Queue { .. })), EINVAL);
            wrong(filter == SIGNAL && !self.signals.iter().any(|signal| signal.number as usize == ident), EINVAL);
            wrong(filter == PROC && !self.children.iter().any(|child| child.pid == ident && child.is_there()), ESRCH);
        }
        // 2.6: EV_DELETE does not look at the rest.
        if flags & ADD != 0 && (known.is_none() || flags & DELETE == 0) {
            wrong(filter == EXCEPT && fflags & OOB == 0, EINVAL);
        }
        if filter == TIMER && known.is_none_or(|_| flags & DELETE == 0 && restarts(change)) && flags & ADD != 0
            || filter == TIMER && known.is_some() && flags & DELETE == 0 && restarts(change)
        {
            // 6.1
            let units = fflags & !ABSOLUTE;
            wrong(data < 0 || units & !0x17 != 0 || units.count_ones() > 1, EINVAL);
        }
        // A bad change of nothing is one of these.
        if errors.contains(&EBADF) {
            errors.retain(|&errno| errno != ENOENT);
        }
        errors
    }

    fn change(&mut self, queue: usize, change: &kevent) -> Result<(), Vec<i32>> {
        if self.verify && is_descriptor(change.filter) {
            let same = |knote: &&mut Knote| is_descriptor(knote.filter) && knote.ident == change.ident;
            self.queues[queue].knotes.iter_mut().filter(same).for_each(|knote| knote.hear(News::May));
        }
        let errors = self.check(queue, change);
        if !errors.is_empty() {
            return Err(errors);
        }
        let kevent { ident, filter, flags, fflags, .. } = *change;
        let data = change.data as i64;
        let fate = match self.position(queue, ident, filter) {
            None => {
                self.queues[queue].knotes.push(Knote {
                    ident,
                    filter,
                    // 1.15
                    flags: ADD | flags & (ONESHOT | CLEAR | RECEIPT | DISPATCH),
                    udata: change.udata as usize,
                    fflags: if filter == USER { fflags & FFLAGSMASK } else { fflags },
                    data,
                    disabled: flags & DISABLE != 0,
                    forced: false,
                    file: i32::try_from(ident).ok().and_then(|fd| self.fds.get(&fd)).map_or(usize::MAX, |&file| file),
                    news: News::Must,
                    stood: Stood::No,
                    active: filter == USER && fflags & TRIGGER != 0,
                    running: false,
                    told: self.signals.iter().find(|signal| signal.is(ident)).map_or(0, |signal| signal.recorded),
                });
                "added"
            }
            Some(at) if flags & DELETE != 0 => {
                self.remove(queue, at);
                "deleted"
            }
            Some(at) => {
                self.touch(queue, at, change);
                "changed"
            }
        };
        self.fate(filter, flags, fate);
        let Some(at) = self.position(queue, ident, filter) else { return Ok(()) };
        let knote = &mut self.queues[queue].knotes[at];
        // 6.2, 7.1, 8.2
        if matches!(filter, SIGNAL | PROC) || (filter == TIMER && knote.fflags & ABSOLUTE == 0) {
            knote.flags |= CLEAR;
        }
        if filter == TIMER && (fate == "added" || restarts(change)) {
            knote.start_timer();
        }
        if flags & FORCEONESHOT != 0 {
            knote.forced = true;
            knote.flags |= ONESHOT;
        }
        Ok(())
    }

    /// 2.1, 2.3, 2.5, 2.14
    fn touch(&mut self, queue: usize, at: usize, change: &kevent) {
        let kevent { filter, flags, fflags, .. } = *change;
        let knote = &mut self.queues[queue].knotes[at];
        if flags & KEEPUDATA == 0 {
            knote.udata = change.udata as usize;
        }
        if flags & DISABLE != 0 {
            knote.disabled = true;
        } else if flags & (ENABLE | ADD) != 0 {
            knote.disabled = false;
        }
        match filter {
            READ | WRITE | EXCEPT | EMPTY | PROC => {
                if flags & ADD != 0 || fflags != 0 {
                    (knote.fflags, knote.data) = (fflags, change.data as i64);
                }
                knote.news = News::Must;
            }
            TIMER if restarts(change) => (knote.fflags, knote.data) = (fflags, change.data as i64),
            USER => {
                // 9.1, 9.2
                let user = fflags & FFLAGSMASK;
                match fflags & FFCOPY {
                    FFAND => knote.fflags &= user,
                    FFOR => knote.fflags |= user,
                    FFCOPY => knote.fflags = user,
                    _ => {}
                }
                knote.data = change.data as i64;
                knote.active &= flags & CLEAR == 0;
                knote.active |= fflags & TRIGGER != 0;
            }
            _ => {}
        }
    }

    pub fn remove(&mut self, queue: usize, at: usize) {
        let knote = self.queues[queue].knotes.remove(at);
        let watched = |signal: &Signal| {
            self.queues.iter().flat_map(|queue| &queue.knotes).any(|k| k.filter == SIGNAL && signal.is(k.ident))
        };
        if knote.filter == SIGNAL {
            let left = self.signals.iter().position(|signal| signal.is(knote.ident) && !watched(signal));
            if let Some(signal) = left {
                self.signals[signal].unwatched();
            }
        }
    }

    // ---- conditions

    pub fn condition(&self, knote: &Knote) -> Ready {
        let mark = knote.data;
        match knote.filter {
            READ => match self.files.files[knote.file].what {
                What::Queue { queue } => self.queue_readable(queue),
                what => self.files.read(what, knote.fflags, mark),
            },
            WRITE => self.files.write(self.files.files[knote.file].what, knote.fflags, mark),
            EMPTY => self.files.empty(self.files.files[knote.file].what),
            USER if knote.active => Ready::Yes(Report { fflags: Some(knote.fflags), ..Report::data(knote.data) }),
            TIMER if knote.active => Ready::Yes(Report::data(1)),
            TIMER if knote.running => Ready::Maybe(Report::ANY),
            SIGNAL => self
                .signals
                .iter()
                .find(|signal| signal.is(knote.ident))
                .map_or(Ready::No, |signal| signal.since(knote.told)),
            PROC => {
                self.children.iter().find(|child| child.pid == knote.ident).map_or(Ready::No, |child| child.ended())
            }
            _ => Ready::No,
        }
    }

    /// 3.8, 10.5
    fn queue_readable(&self, queue: usize) -> Ready {
        let any = Report { data: (1, i64::MAX), ..Report::data(0) };
        if self.must_be_readable(queue) {
            Ready::Yes(any)
        } else if self.queues[queue].quiet && !self.is_ticking(queue) {
            Ready::No
        } else {
            Ready::Maybe(any)
        }
    }

    /// What the knote has to say in a collection now.
    pub fn due(&self, knote: &Knote) -> Ready {
        if knote.disabled {
            return Ready::No;
        }
        let condition = self.condition(knote);
        let condition = match knote.news {
            _ if !is_descriptor(knote.filter) || knote.flags & CLEAR == 0 => condition,
            News::Must => condition,
            News::May => condition.maybe(),
            News::No => Ready::No,
        };
        match condition {
            Ready::Yes(report) => Ready::Yes(report),
            // 2.12: the rules do not say with what.
            _ if knote.forced => Ready::Yes(Report::ANY),
            other => other,
        }
    }

    /// Must kevent() with time-out 0 return something?
    pub fn has_ready(&self, queue: usize) -> bool {
        self.queues[queue].knotes.iter().any(|knote| matches!(self.due(knote), Ready::Yes(_)))
    }

    /// 10.5: nothing tells of an offset that lseek moved.
    pub fn must_be_readable(&self, queue: usize) -> bool {
        let told = |knote: &&Knote| {
            !is_descriptor(knote.filter)
                || !matches!(self.files.files[knote.file].what, What::Regular { moved: true, .. })
        };
        self.queues[queue].knotes.iter().filter(told).any(|knote| matches!(self.due(knote), Ready::Yes(_)))
    }

    /// Is there a knote that the library has to look at by the clock? (BUGS.md: NOTE_LOWAT, EVFILT_EMPTY)
    pub fn is_ticking(&self, queue: usize) -> bool {
        self.queues[queue].knotes.iter().any(|knote| match knote.filter {
            EMPTY => true,
            WRITE => knote.fflags & LOWAT != 0,
            TIMER => knote.running,
            READ => match self.files.files[knote.file].what {
                What::Queue { queue } => self.is_ticking(queue),
                _ => false,
            },
            _ => false,
        })
    }

    /// KNOWN: the read end of a pipe without writers, asked for writing, makes the kqueue poll readable for nothing,
    /// once more than it should.
    pub fn has_wrong_end(&self, queue: usize) -> bool {
        self.queues[queue].knotes.iter().filter(|knote| is_descriptor(knote.filter)).any(|knote| {
            let what = self.files.files[knote.file].what;
            matches!((knote.filter, what), (WRITE, What::PipeReader { .. }))
        })
    }

    // ---- what happens

    /// Something happened: no queue is known to be quiet.
    pub fn stir(&mut self) {
        self.queues.iter_mut().for_each(|queue| queue.quiet = false);
    }

    /// Tells the EV_CLEAR knotes of `filter` on files that `concerned` picks.
    pub fn news(&mut self, filter: i16, news: News, concerned: impl Fn(What) -> bool) {
        let files = &self.files.files;
        for knote in self.queues.iter_mut().flat_map(|queue| &mut queue.knotes) {
            let concerned = knote.filter == filter && concerned(files[knote.file].what);
            if concerned {
                knote.hear(news);
            }
        }
    }

    /// After something happened: a condition that did not hold and holds now is news, whatever the kernel's edges.
    pub fn look(&mut self) {
        for queue in 0..self.queues.len() {
            for at in 0..self.queues[queue].knotes.len() {
                let knote = &self.queues[queue].knotes[at];
                if !is_descriptor(knote.filter) {
                    continue;
                }
                let file = matches!(self.files.files[knote.file].what, What::Regular { .. });
                let stands = match self.condition(knote) {
                    Ready::No => Stood::No,
                    Ready::Maybe(_) => Stood::Maybe,
                    Ready::Yes(_) => Stood::Yes,
                };
                let restless = match self.files.files[knote.file].what {
                    // Whatever stirs in the other kqueue is an edge.
                    What::Queue { .. } => true,
                    // So is an acknowledgement, which comes when it likes.
                    What::Socket { pair, .. } => self.files.pairs[pair].kind == Kind::Tcp && knote.filter != READ,
                    _ => false,
                };
                let news = match (knote.stood, stands) {
                    (Stood::No, Stood::Yes) if !file => News::Must,
                    (Stood::No | Stood::Maybe, Stood::Yes | Stood::Maybe) => News::May,
                    _ if restless => News::May,
                    _ => News::No,
                };
                let knote = &mut self.queues[queue].knotes[at];
                knote.hear(news);
                knote.stood = stands;
            }
        }
    }

    /// 10.1: the knotes of a descriptor that is gone. `file`: its open file, whose queue ends with it.
    pub fn forget(&mut self, fd: i32) {
        for queue in 0..self.queues.len() {
            let gone = |knote: &Knote| is_descriptor(knote.filter) && knote.ident == fd as usize;
            while let Some(at) = self.queues[queue].knotes.iter().position(gone) {
                let knote = self.queues[queue].knotes.remove(at);
                self.fate(knote.filter, knote.flags, "closed");
            }
        }
    }

    pub fn end_queue(&mut self, queue: usize) {
        while !self.queues[queue].knotes.is_empty() {
            let knote = self.queues[queue].knotes[0].clone();
            self.fate(knote.filter, knote.flags, "closed");
            self.remove(queue, 0);
        }
    }
}

/// 6.6, 6.7
fn restarts(change: &kevent) -> bool {
    change.flags & ADD != 0 || (change.flags & DISABLE == 0 && change.data != 0)
}

impl Knote {
    pub fn is_about(&self, file: usize) -> bool {
        is_descriptor(self.filter) && self.file == file
    }

    pub fn hear(&mut self, news: News) {
        self.news = self.news.max(news);
    }

    /// Times are at once, or too far away to matter; a period of one second is neither.
    fn start_timer(&mut self) {
        let once = self.flags & ONESHOT != 0;
        if self.fflags & ABSOLUTE != 0 {
            (self.active, self.running) = (self.data < 1_000_000, false);
        } else {
            (self.active, self.running) = (self.data == 0 && once, self.data == 0 && !once);
        }
    }
}
