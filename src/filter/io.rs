//! EVFILT_READ, EVFILT_WRITE, EVFILT_EXCEPT, EVFILT_EMPTY: something to read, room to write, urgent data, nothing
//! left to send (rules 3 and 4).
//!
//! What a descriptor can give and take is found out by the platform; here is what that means to a knote. A
//! knote's `data` is its low-water mark where fflags has NOTE_LOWAT.

use super::{Filter, Report};
use crate::errno::{Errno, Result};
use crate::event::*;
use crate::kqueue::knote::{KnoteId, State, NIL};
use crate::kqueue::Queue;
use crate::platform::descriptors::{self, Owner};
use crate::platform::front;
use crate::platform::{self, Kind, Mask, Status};

pub fn check(change: &kevent) -> Result<()> {
    // Nothing else of what is exceptional can be told apart.
    if change.filter == EVFILT_EXCEPT && change.fflags & NOTE_OOB == 0 {
        return Err(Errno::EINVAL);
    }
    if change.filter == EVFILT_EMPTY && !platform::TELLS_EMPTY {
        return Err(Errno::ENOTSUP);
    }
    check_descriptor(change)
}

/// `EBADF` no descriptor; `EINVAL` a kqueue, but for EVFILT_READ.
#[inline]
pub fn check_descriptor(change: &kevent) -> Result<()> {
    let fd = descriptors::number(change.ident)?;
    match descriptors::owner(fd) {
        // 3.8, F: a kqueue can only be read. In verify mode it may be closed by now.
        Owner::Queue { .. } | Owner::Duplicate { .. }
            if change.filter != EVFILT_READ && (front::is_in_front() || platform::sys::is_queue(fd)) =>
        {
            Err(Errno::EINVAL)
        }
        // As far as the program goes, that number is not open.
        owner if owner.is_helper() && front::is_in_front() => Err(Errno::EBADF),
        _ => Ok(()),
    }
}

pub fn attach(queue: &mut Queue, id: KnoteId) -> Result<()> {
    queue.attach_to_descriptor(id)?;
    if is_unpollable(queue, id) {
        queue.activate(id);
    }
    Ok(())
}

pub fn touch(queue: &mut Queue, id: KnoteId, change: &kevent, flags: u16) -> Result<()> {
    // 2.3
    if flags & EV_ADD != 0 || change.fflags != 0 {
        let knote = queue.knote(id);
        knote.fflags = change.fflags;
        knote.data = change.data as i64;
    }
    let knote = queue.knote(id);
    knote.state.remove(State::TOLD);
    if knote.is(State::DISABLED) {
        return Ok(());
    }
    // What programs say on every turn costs no system call.
    if queue.is_armed(id) {
        return Ok(());
    }
    if is_unpollable(queue, id) {
        queue.activate(id);
        return Ok(());
    }
    queue.settle(id, true)?;
    // The kernel looks now, and tells; what was known of the old wish would report it once more.
    queue.deactivate(id);
    queue.knote(id).state.remove(State::TICK);
    Ok(())
}

pub fn detach(queue: &mut Queue, id: KnoteId) {
    queue.detach_from_descriptor(id);
}

/// Is it served in user space, because the kernel's poll does not know it?
pub fn is_unpollable(queue: &mut Queue, id: KnoteId) -> bool {
    let fd = queue.knote(id).fd();
    queue.contents.nodes.get(fd).is_some_and(|node| node.kind.is_unpollable())
}

#[inline]
pub fn event(queue: &mut Queue, id: KnoteId, seen: Option<Mask>) -> Option<Report> {
    let knote = &queue.contents.knotes[id];
    let (fd, filter) = (knote.fd(), knote.filter);
    let node = queue.contents.nodes.get(fd)?;
    if node.kind.is_unpollable() {
        return unpollable_event(queue, id);
    }
    let status = match filter {
        Filter::Read => platform::readable(fd, &mut node.kind, seen),
        Filter::Except => platform::exceptional(fd, seen),
        Filter::Empty => platform::emptied(fd, &mut node.kind, seen),
        _ => platform::writable(fd, &mut node.kind, seen),
    };
    report(queue, id, status)
}

#[inline]
fn report(queue: &mut Queue, id: KnoteId, status: Status) -> Option<Report> {
    #[cfg(feature = "seeded-bugs")]
    let status = Status {
        eof: status.eof && !(crate::seeded::is("end-forgotten") && status.data > 0),
        data: status.data + i64::from(crate::seeded::is("one-byte-more") && status.data == 4096),
        ..status
    };
    let knote = queue.knote(id);
    if !status.ready {
        if status.never {
            knote.state.insert(State::NEVER);
        }
        return None;
    }
    if knote.filter == Filter::Except {
        // 4.4
        return (knote.fflags & NOTE_OOB != 0).then_some(Report { fflags: NOTE_OOB, ..Report::default() });
    }
    let mark = if knote.fflags & NOTE_LOWAT != 0 && knote.filter != Filter::Empty { knote.data } else { 0 };
    // 3.1, 3.5, 4.1
    if !status.unconditional && mark > 0 && status.data < mark {
        return None;
    }
    Some(Report { flags: if status.eof { EV_EOF } else { 0 }, fflags: status.error, data: status.data })
}

/// 3.6, 3.7, 4.3: regular files and devices that are always ready.
#[cold]
fn unpollable_event(queue: &mut Queue, id: KnoteId) -> Option<Report> {
    let knote = *queue.knote(id);
    let fd = knote.fd();
    let node = *queue.contents.nodes.get(fd)?;
    match knote.filter {
        Filter::Write | Filter::Empty => return Some(Report::default()),
        Filter::Except => return None,
        _ => {}
    }
    if node.kind == Kind::Device {
        return Some(Report { data: 1, ..Report::default() });
    }
    let Some(file) = platform::file(fd).filter(|file| file.identity == node.identity) else {
        // Where the system would not say, it is asked again.
        queue.look_out(id);
        return None;
    };
    if file.unread != 0 || knote.fflags & NOTE_FILE_POLL != 0 {
        return Some(Report { data: file.unread, ..Report::default() });
    }
    // At the end. Once more after the watch is set: it may have grown in between.
    if !knote.is(State::TICK) && queue.watch_growth(id) {
        if file.nameless {
            queue.knote(id).state.insert(State::TICK);
        }
        return unpollable_event(queue, id);
    }
    queue.look_out(id);
    None
}

/// EV_CLEAR. Sockets and their like are armed for edges; a file waits for news of it (2.9).
pub fn reported(queue: &mut Queue, id: KnoteId) {
    if is_unpollable(queue, id) {
        let file = queue.knote(id).filter == Filter::Read;
        if file {
            // What the system has told of until now has been reported.
            queue.watch_growth(id);
            queue.drain_files();
            let fd = queue.knote(id).fd();
            let now = platform::file(fd);
            // Of what is written to a memfd nobody tells, watched or not.
            if queue.knote(id).aux == NIL || now.as_ref().is_some_and(|file| file.nameless) {
                let knote = queue.knote(id);
                knote.state.insert(State::TICK);
                knote.data = now.map_or(0, |file| file.stamp);
            }
            queue.look_out(id);
        }
        queue.knote(id).state.insert(State::TOLD);
    }
}

/// A file that was reported with EV_CLEAR and that nobody tells of: has it been written since?
pub fn look_again(queue: &mut Queue, id: KnoteId) {
    let knote = *queue.knote(id);
    let written = || platform::file(knote.fd()).is_some_and(|file| file.stamp != knote.data);
    if knote.filter == Filter::Read && knote.is(State::TICK) && knote.is(State::TOLD) && written() {
        queue.knote(id).state.remove(State::TOLD);
    }
}

/// Does the kernel go on calling the descriptor ready?
pub fn insists(filter: Filter, fd: i32) -> bool {
    let mask = platform::ask(fd);
    match filter {
        Filter::Read => mask.concerns_reading(),
        Filter::Except => mask.concerns_exceptions(),
        _ => mask.concerns_writing(),
    }
}
