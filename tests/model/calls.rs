//! One kevent() on both sides: what its changes are about, and whether the answer is right.

use super::constants::*;
use super::files::{Kind, Ready, What, HUGE};
use super::model::{is_descriptor, Applied, Model};
use super::operation::{About, Call, Change, List, QUEUES};
use super::pair::{describe, describe_all, Pair};
use super::world::{self, NOTHING};
use kqueue::event::kevent;

impl Pair {
    fn resolve(&self, change: &Change, own: usize) -> kevent {
        let Change { about, target, flags, note, data, udata } = *change;
        let udata = usize::from(udata) as *mut libc::c_void;
        let blank = kevent { flags, udata, ..NOTHING };
        let (note, data) = (u32::from(note), usize::from(data));
        match about {
            About::Read | About::Write | About::Except | About::Empty => {
                let Some((_, fd, what)) = self.find(target, |_| true) else { return NOTHING };
                let filter = match about {
                    About::Read => READ,
                    About::Except => EXCEPT,
                    About::Empty if self.is_stream(what) => EMPTY,
                    _ => WRITE,
                };
                let marked = matches!(what, What::PipeReader { .. } | What::PipeWriter { .. } | What::Socket { .. });
                let fflags = match filter {
                    EXCEPT if note % 8 != 0 => OOB,
                    READ | WRITE if marked && note % 4 == 0 => LOWAT,
                    READ if matches!(what, What::Regular { .. }) && note % 4 == 0 => FILE_POLL,
                    _ => 0,
                };
                let mark = if filter == WRITE { [0, 1, HUGE][data % 3] } else { [0, 1, 100, 5000, HUGE, 2][data] };
                kevent { ident: fd as usize, filter, fflags, data: mark as isize, ..blank }
            }
            About::Queue => match self.queues[usize::from(target) % QUEUES] {
                // No circles.
                Some(fd) if usize::from(target) % QUEUES >= own => {
                    let filter = if note % 16 == 0 { WRITE } else { READ };
                    kevent { ident: fd as usize, filter, ..blank }
                }
                _ => NOTHING,
            },
            About::NoDescriptor => {
                let gone = self.closed.get(usize::from(target)).filter(|fd| !self.model.fds.contains_key(fd));
                let some = self.find(target, |_| true).map_or(0, |(_, fd, _)| fd as usize);
                let ident = match (note % 4, gone) {
                    (0, _) => usize::MAX,
                    (1, _) => some | (1 << 32),
                    (_, Some(&fd)) => fd as usize,
                    _ => return NOTHING,
                };
                kevent { ident, filter: if note % 8 < 4 { READ } else { WRITE }, ..blank }
            }
            About::User => {
                let control = [0, FFAND, FFOR, FFCOPY][note as usize % 4];
                let trigger = if note % 8 >= 4 { TRIGGER } else { 0 };
                let fflags = control | trigger | ((note / 8) * 0x11);
                kevent { ident: usize::from(target) % 3, filter: USER, fflags, data: data as isize - 2, ..blank }
            }
            About::Timer => {
                let absolute = target % 2 == 1;
                let ident = usize::from(target) / 2 % 3 + if absolute { 100 } else { 0 };
                // At once, or in more than eleven days.
                let (fflags, data) = match (note % 16, absolute) {
                    (0, _) => (SECONDS, -1),
                    (1, _) => (SECONDS | USECONDS, 1_000_000),
                    (2, _) => (0x100 | SECONDS, 1_000_000),
                    (3, _) => (SECONDS, isize::MAX),
                    (_, true) if note % 2 == 0 => (SECONDS, 1),
                    (_, true) => (SECONDS, 100_000_000_000),
                    (_, false) if note % 2 == 0 => (SECONDS, 0),
                    (_, false) => (SECONDS, 1_000_000),
                };
                let fflags = if absolute { fflags | ABSOLUTE } else { fflags };
                kevent { ident, filter: TIMER, fflags, data, ..blank }
            }
            About::Signal => {
                let bad = [0, 65, libc::SIGKILL as usize, usize::MAX][usize::from(target) % 4];
                let good = self.model.signals[usize::from(target) % 3].number as usize;
                kevent { ident: if note < 4 { bad } else { good }, filter: SIGNAL, ..blank }
            }
            About::Process => {
                let bad = [0, usize::MAX, 1 << 33, i32::MAX as usize][usize::from(target) % 4];
                let count = self.model.children.len();
                let good = (count > 0).then(|| self.model.children[usize::from(target) % count.max(1)].pid);
                let ident = if note < 2 { Some(bad) } else { good };
                ident.map_or(NOTHING, |ident| kevent { ident, filter: PROC, fflags: EXIT, ..blank })
            }
            About::Unknown => {
                let filter = [0, AIO, -100, 5][usize::from(target) % 4];
                kevent { ident: data, filter, ..blank }
            }
        }
    }

    fn is_stream(&self, what: What) -> bool {
        matches!(what, What::Socket { pair, .. } if self.model.files.pairs[pair].kind == Kind::Stream)
    }

    pub fn call(&mut self, call: &Call) -> Result<(), String> {
        let Some((own, fd)) = self.queue(call.queue) else { return Ok(()) };
        let changes: Vec<kevent> = call.changes.iter().map(|change| self.resolve(change, own)).collect();
        self.kevent(fd, &changes, usize::from(call.room), call.list).map(|_| ())
    }

    /// Returns the events that were collected.
    fn kevent(&mut self, fd: i32, changes: &[kevent], room: usize, list: List) -> Result<Vec<kevent>, String> {
        let Some(queue) = self.model.queue_of(fd) else { return Ok(Vec::new()) };
        // 10.5
        if self.model.must_be_readable(queue) && !world::is_readable(fd) {
            return Err(format!("kqueue {fd} does not poll readable, and something is ready"));
        }
        let applied = self.model.apply(queue, changes, room);
        self.model.look();
        let waiting = list == List::Waiting && self.model.has_ready(queue);
        let timeout = if waiting { world::LONG } else { world::AT_ONCE };
        // Not where a change is about a number that is closed, and that the duplicate would get.
        let open = |change: &kevent| {
            let fd = i32::try_from(change.ident).unwrap_or(0);
            !is_descriptor(change.filter) || self.model.fds.contains_key(&fd)
        };
        let duplicated = list == List::ByDuplicate && !self.model.verify && changes.iter().all(open);
        let through = if duplicated { world::duplicate(fd) } else { fd };
        let result = world::kevent(through, changes, room, list == List::Shared, &timeout);
        if through != fd {
            world::close(through);
        }
        self.tell(|| {
            let said = result.as_ref().map_or_else(|errno| format!("errno {errno}"), |events| describe_all(events));
            format!("kevent({through}, {}, room {room}, {list:?}) = {said}", describe_all(changes))
        });
        match applied {
            Applied::Error(errnos) => match result {
                Err(errno) if errnos.contains(&errno) => Ok(Vec::new()),
                other => Err(format!("kevent() is {other:?}, not -1 with errno {errnos:?}")),
            },
            Applied::NoRoom => match result {
                Ok(events) if events.is_empty() => Ok(events),
                other => Err(format!("kevent() is {other:?}, not 0: the receipt finds no room")),
            },
            Applied::Told(entries) => {
                let events = result.map_err(|errno| format!("kevent() is -1, errno {errno}, not entries"))?;
                if events.len() != entries.len() {
                    return Err(format!("{} error entries and receipts, not {}", events.len(), entries.len()));
                }
                for (event, (change, errnos)) in events.iter().zip(&entries) {
                    // 1.5, 1.7
                    let same = event.ident == change.ident
                        && event.filter == change.filter
                        && event.flags == (change.flags & !SYSFLAGS) | ERROR
                        && event.udata == change.udata
                        && errnos.iter().any(|&errno| errno as isize == event.data);
                    if !same {
                        let (event, change) = (describe(event), describe(change));
                        return Err(format!("{event} is not the entry of {change} with errno {errnos:?}"));
                    }
                }
                Ok(Vec::new())
            }
            Applied::Collect => {
                let events = result.map_err(|errno| format!("kevent() is -1, errno {errno}"))?;
                if room == 0 {
                    return if events.is_empty() { Ok(events) } else { Err("events without room".into()) };
                }
                self.model.collect(queue, &events, room)?;
                // 10.5: what was discarded has been consumed.
                let settled = !self.model.is_ticking(queue) && !self.model.has_wrong_end(queue);
                if events.is_empty() && settled && world::is_readable(fd) {
                    return Err(format!("kqueue {fd} polls readable, and kevent() returned 0"));
                }
                Ok(events)
            }
        }
    }

    /// 1.12: whatever is ready is heard of, in a bounded number of calls.
    pub fn round(&mut self, queue: u8, room: usize) -> Result<(), String> {
        let Some((_, fd)) = self.queue(queue) else { return Ok(()) };
        let Some(queue) = self.model.queue_of(fd) else { return Ok(()) };
        let mut waiting = self.model.ready(queue);
        let calls = 4 * (waiting.len() / room) + 4;
        for _ in 0..calls {
            let events = self.kevent(fd, &[], room, List::Apart)?;
            waiting.retain(|&(ident, filter)| !events.iter().any(|e| (e.ident, e.filter) == (ident, filter)));
            self.model.look();
        }
        match waiting.first() {
            Some(&(ident, filter)) => {
                Err(format!("{} of {ident:#x} was not reported in {calls} calls", filter_name(filter)))
            }
            None => Ok(()),
        }
    }
}

impl Model {
    /// The knotes that have to be reported.
    fn ready(&self, queue: usize) -> Vec<(usize, i16)> {
        let ready = self.queues[queue].knotes.iter().filter(|knote| matches!(self.due(knote), Ready::Yes(_)));
        ready.map(|knote| (knote.ident, knote.filter)).collect()
    }
}
