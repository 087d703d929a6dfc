//! EVFILT_PROC, EVFILT_PROCDESC: a process exits, forks, executes (rules 8).
//!
//! Every watched process has a pidfd of the queue's own, whose item in the epoll tells when it has exited; how is
//! asked then. Forks and executions come from the process connector, which the queue listens to while a knote wants
//! them. With NOTE_TRACK a new child gets a knote like its parent's; what it has to say first is NOTE_CHILD.
//!
//! What happened gathers in the process's `pending` until it is reported, also while the knote is disabled.

use super::io;
use super::{Filter, Report};
use crate::errno::{Errno, Result};
use crate::event::*;
use crate::kqueue::knote::{KnoteId, State, Sticky, NIL};
use crate::kqueue::processes::{Audience, Process, ProcessId, Watch};
use crate::kqueue::Queue;
use crate::platform::{processes, signals, Fate, Hearing, News, MOST_NAMED};

/// What only the connector tells.
const HEARD: u32 = NOTE_FORK | NOTE_EXEC | NOTE_TRACK;
const EXITS: u32 = NOTE_EXIT | NOTE_EXITSTATUS;
/// Notes that only come out may be among those that go in.
const NOTES: u32 = HEARD | EXITS | NOTE_TRACKERR | NOTE_CHILD;

pub fn check(filter: Filter, change: &kevent) -> Result<()> {
    check_notes(filter, change.fflags)?;
    match filter {
        Filter::Procdesc => io::check_descriptor(change),
        // 8.1
        _ if i32::try_from(change.ident).is_ok_and(|pid| pid > 0) => Ok(()),
        _ => Err(Errno(libc::ESRCH)),
    }
}

pub fn check_touch(filter: Filter, change: &kevent) -> Result<()> {
    check_notes(filter, change.fflags)
}

/// `EINVAL`: a note that cannot be, or that nobody knows.
fn check_notes(filter: Filter, fflags: u32) -> Result<()> {
    let notes = if filter == Filter::Procdesc { EXITS } else { NOTES };
    if fflags & !notes != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// `ESRCH` no such process; `EOPNOTSUPP` the system does not tell of forks; `EINVAL` no process descriptor;
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn attach(queue: &mut Queue, id: KnoteId) -> Result<()> {
    // 8.2
    queue.knote(id).sticky.insert(Sticky::CLEAR);
    if queue.knote(id).filter == Filter::Proc {
        return watch(queue, id);
    }
    queue.attach_without_item(id)?;
    watch(queue, id).inspect_err(|_| queue.detach_from_descriptor(id))
}

fn watch(queue: &mut Queue, id: KnoteId) -> Result<()> {
    let knote = *queue.knote(id);
    let (kernel, slot) = (queue.kernel, queue.slot);
    let pid = match knote.filter {
        Filter::Procdesc => processes::number_of(knote.fd())?,
        _ => knote.ident as i32,
    };
    if knote.fflags & HEARD != 0 {
        // 8.1 comes first.
        let gone = || knote.filter == Filter::Proc && !processes::exists(pid);
        kernel.prepare_connector(slot).map_err(|errno| if gone() { Errno(libc::ESRCH) } else { errno })?;
    }
    let index = queue.contents.processes.insert(Process::new(id, pid))?;
    queue.knote(id).aux = index;
    let pidfd = match knote.filter {
        Filter::Procdesc => kernel.watch_process_of(slot, index, knote.fd()),
        _ => kernel.watch_process(slot, index, pid),
    };
    let watch = match pidfd {
        Ok(pidfd) => Ok(Watch::Pidfd(pidfd)),
        Err(Errno(libc::ENOSYS)) => watch_number(queue, pid).inspect(|_| look_at(queue, id, pid)),
        Err(errno) => Err(errno),
    };
    count_wishes(queue, 0, knote.fflags);
    match watch {
        Ok(watch) => {
            if let Some(process) = queue.contents.processes.get(index) {
                process.watch = watch;
            }
            hear(queue, knote.fflags);
            Ok(())
        }
        Err(errno) => {
            forget(queue, id);
            if queue.contents.processes.audience == Audience::Nobody {
                kernel.hear(&Hearing::Nobody);
            }
            Err(errno)
        }
    }
}

/// Without pidfds: the clock looks, and so does everyone when a child of ours has exited.
fn watch_number(queue: &mut Queue, pid: i32) -> Result<Watch> {
    if !processes::exists(pid) {
        return Err(Errno(libc::ESRCH));
    }
    queue.kernel.prepare_wake(queue.slot)?;
    signals::hear(queue.slot, signals::SIGCHLD)?;
    queue.contents.processes.numbered += 1;
    Ok(Watch::Number(processes::started(pid)))
}

fn look_at(queue: &mut Queue, id: KnoteId, pid: i32) {
    if processes::needs_clock(pid) {
        queue.knote(id).state.insert(State::TICK);
    }
    if !matches!(processes::fate_by_number(pid, None), Fate::Alive | Fate::Unheard) {
        // 8.1: it may be a zombie.
        queue.activate(id);
    } else if queue.knote(id).is(State::TICK) {
        queue.look_out(id);
    }
}

/// A child of ours has ended, or several: nobody tells which.
pub fn look_at_children(queue: &mut Queue) {
    for index in 0..queue.contents.processes.indices() {
        let numbered = |process: &mut Process| matches!(process.watch, Watch::Number(_)) && !process.exited;
        if queue.contents.processes.get(index).is_some_and(numbered) {
            has_news(queue, index);
        }
    }
}

/// A call begins: where its thread does not hear of children any more the clock looks.
pub fn heed_mask(queue: &mut Queue) {
    if queue.contents.processes.numbered == 0 || !processes::is_deaf() {
        return;
    }
    for index in 0..queue.contents.processes.indices() {
        let Some(Process { watch: Watch::Number(_), exited: false, knote, pid, .. }) =
            queue.contents.processes.get(index).copied()
        else {
            continue;
        };
        if !queue.knote(knote).is(State::TICK) {
            look_at(queue, knote, pid);
        }
    }
}

/// Does anybody but a knote of EVFILT_SIGNAL want to hear of SIGCHLD?
pub fn hears_of_children(queue: &Queue) -> bool {
    queue.contents.processes.numbered > 0
}

pub fn touch(queue: &mut Queue, id: KnoteId, change: &kevent, flags: u16) -> Result<()> {
    // 2.3
    if flags & EV_ADD != 0 || change.fflags != 0 {
        if change.fflags & HEARD != 0 {
            queue.kernel.prepare_connector(queue.slot)?;
        }
        let before = core::mem::replace(&mut queue.knote(id).fflags, change.fflags);
        count_wishes(queue, before, change.fflags);
        hear(queue, before | change.fflags);
    }
    // One with nothing to say would keep room of the eventlist from those that have (1.12).
    let aux = queue.knote(id).aux;
    match queue.contents.processes.get(aux).copied() {
        Some(process) if process.pending != 0 => queue.activate(id),
        // What nobody told while it was disabled.
        Some(Process { watch: Watch::Number(_), pid, .. }) => look_at(queue, id, pid),
        _ => {}
    }
    Ok(())
}

pub fn detach(queue: &mut Queue, id: KnoteId) {
    release(queue, id);
    if queue.knote(id).filter == Filter::Procdesc {
        queue.detach_from_descriptor(id);
    }
}

/// Watches the process no more.
pub fn release(queue: &mut Queue, id: KnoteId) {
    let wishes = queue.knote(id).fflags;
    forget(queue, id);
    hear(queue, wishes);
}

fn forget(queue: &mut Queue, id: KnoteId) {
    let knote = *queue.knote(id);
    queue.knote(id).aux = NIL;
    let Some(process) = queue.contents.processes.get(knote.aux).copied() else { return };
    match process.watch {
        Watch::Pidfd(pidfd) => {
            queue.kernel.unwatch_process(queue.slot, knote.aux, pidfd, knote.filter == Filter::Procdesc)
        }
        Watch::Number(_) => {
            queue.contents.processes.numbered -= 1;
            if !hears_of_children(queue) && queue.find(Filter::Signal, signals::SIGCHLD as usize).is_none() {
                signals::unhear(queue.slot, signals::SIGCHLD);
            }
        }
        Watch::Hearsay => {}
    }
    queue.contents.processes.remove(knote.aux);
    count_wishes(queue, knote.fflags, 0);
}

fn count_wishes(queue: &mut Queue, before: u32, now: u32) {
    let processes = &mut queue.contents.processes;
    let change = |count: &mut usize, notes: u32| {
        *count = (*count + usize::from(now & notes != 0)).saturating_sub(usize::from(before & notes != 0));
    };
    change(&mut processes.listeners, HEARD);
    change(&mut processes.trackers, NOTE_TRACK);
}

/// Makes the connector tell of those that knotes want to hear of, and of nobody else. `wishes` have come or gone.
fn hear(queue: &mut Queue, wishes: u32) {
    if wishes & HEARD == 0 {
        return;
    }
    let audience = queue.contents.processes.wanted_audience();
    if audience == queue.contents.processes.audience && audience != Audience::Named {
        return;
    }
    queue.contents.processes.audience = audience;
    let mut named = [0; MOST_NAMED];
    let mut count = 0;
    for index in 0..queue.contents.processes.indices() {
        let Some(Process { pid, knote, .. }) = queue.contents.processes.get(index).copied() else { continue };
        if queue.knote(knote).fflags & HEARD != 0 && count < named.len() {
            named[count] = pid;
            count += 1;
        }
    }
    queue.kernel.hear(&match audience {
        Audience::Nobody => Hearing::Nobody,
        Audience::Named => Hearing::Of(&named[..count]),
        Audience::Everybody => Hearing::Everybody,
    });
}

/// How a process stands, by its pidfd. That may move out of the way of a dup2() while it is asked, and is asked again.
fn fate_by_pidfd(queue: &Queue, index: u32, pidfd: i32, pid: i32) -> Fate {
    loop {
        let found = queue.kernel.pidfd_of(queue.slot, index, pidfd);
        let fate = match found {
            Some(pidfd) => processes::fate(pidfd, pid),
            None => processes::fate_by_number(pid, None),
        };
        if queue.kernel.pidfd_of(queue.slot, index, found.unwrap_or(pidfd)) == found {
            return fate;
        }
    }
}

/// Looks whether the process has exited. True: that is all there was to say, and the knote is gone (8.6).
pub fn has_ended(queue: &mut Queue, id: KnoteId) -> bool {
    let knote = *queue.knote(id);
    let Some(process) = queue.contents.processes.get(knote.aux).copied() else { return false };
    if !process.exited {
        let fate = match process.watch {
            Watch::Pidfd(pidfd) => fate_by_pidfd(queue, knote.aux, pidfd, process.pid),
            Watch::Number(started) => processes::fate_by_number(process.pid, started),
            Watch::Hearsay => Fate::Alive,
        };
        if fate == Fate::Unheard && !knote.is(State::TICK) {
            queue.knote(id).state.insert(State::TICK);
            queue.look_out(id);
        }
        if let Fate::Exited(status) = fate {
            if knote.fflags & HEARD != 0 {
                // All that it did before is there to be read, and would find no knote later. (Nothing but Hearsay is
                // deleted meanwhile.)
                listen(queue);
            }
            exited(queue, id, status);
        }
    }
    let over = queue.contents.processes.get(knote.aux).is_some_and(|process| process.exited && process.pending == 0);
    if over && !knote.is(State::FORCED) {
        queue.delete(id);
        return true;
    }
    false
}

fn exited(queue: &mut Queue, id: KnoteId, status: Option<i32>) {
    let knote = *queue.knote(id);
    let Some(process) = queue.contents.processes.get(knote.aux) else { return };
    process.exited = true;
    process.status = status.or(process.status);
    happened(queue, id, NOTE_EXIT);
}

/// Notes what the knote wants to know of.
fn happened(queue: &mut Queue, id: KnoteId, note: u32) {
    if queue.knote(id).fflags & note != 0 {
        tell(queue, id, note);
    }
}

fn tell(queue: &mut Queue, id: KnoteId, notes: u32) {
    let index = queue.knote(id).aux;
    let Some(process) = queue.contents.processes.get(index) else { return };
    process.pending |= notes;
    queue.knote(id).state.insert(State::ACTIVE);
    queue.activate(id);
}

pub fn event(queue: &mut Queue, id: KnoteId) -> Option<Report> {
    let knote = *queue.knote(id);
    let process = queue.contents.processes.get(knote.aux)?;
    if process.pending & NOTE_CHILD != 0 {
        // 8.5: an event of its own.
        process.told = NOTE_CHILD;
        return Some(Report { fflags: NOTE_CHILD, data: i64::from(process.parent), ..Report::default() });
    }
    process.told = process.pending;
    let mut report = Report { fflags: process.pending, ..Report::default() };
    if process.pending == 0 {
        return None;
    }
    if process.pending & NOTE_EXIT != 0 {
        report.data = i64::from(process.status.unwrap_or(0));
        // 8.3
        report.fflags |= if process.status.is_some() { knote.fflags & NOTE_EXITSTATUS } else { 0 };
    }
    if process.exited {
        // 8.2, 8.6: this report is the last one; the knote goes with it.
        report.flags = EV_EOF | EV_ONESHOT;
        queue.knote(id).sticky.insert(Sticky::ONESHOT);
    }
    Some(report)
}

pub fn reported(queue: &mut Queue, id: KnoteId) {
    let index = queue.knote(id).aux;
    let Some(process) = queue.contents.processes.get(index) else { return };
    process.pending &= !core::mem::take(&mut process.told);
    let (more, exited) = (process.pending != 0, process.exited);
    queue.knote(id).state.set(State::ACTIVE, more);
    if exited && !more {
        // 8.6: the next look drops it.
        queue.activate(id);
    } else if !more && queue.knote(id).is(State::TICK) {
        queue.look_out(id);
    }
}

/// The pidfd of a process has news.
pub fn has_news(queue: &mut Queue, index: ProcessId) {
    let Some(id) = queue.contents.processes.get(index).map(|process| process.knote) else { return };
    if !super::is_gone(queue, id) && queue.knote(id).is(State::ACTIVE) {
        queue.activate(id);
    }
}

/// Before a knote is made or wants to hear of more: what happened until then is not its news.
pub fn catch_up(queue: &mut Queue, change: &kevent) {
    if change.fflags & HEARD != 0 && queue.contents.processes.audience != Audience::Nobody {
        listen(queue);
    }
}

/// The connector has news.
pub fn listen(queue: &mut Queue) {
    let kernel = queue.kernel;
    let mut missed = false;
    kernel.read_connector(|news| match news {
        News::Fork { parent, child } => forked(queue, parent, child),
        News::Exec { pid } => {
            if let Some(id) = living(queue, pid) {
                happened(queue, id, NOTE_EXEC);
            }
        }
        News::Exit { pid, status } => ended(queue, pid, status),
        News::Lost => missed = true,
    });
    // After all that was not lost: what it tells of may have ended in what was.
    if missed {
        lost(queue);
    }
}

/// The knote of the process with that number. One whose process has exited is not meant: all that it did was heard
/// before, and the number is another's by now.
fn living(queue: &mut Queue, pid: i32) -> Option<KnoteId> {
    let id = queue.find(Filter::Proc, pid as usize)?;
    let index = queue.knote(id).aux;
    queue.contents.processes.get(index).is_some_and(|process| !process.exited).then_some(id)
}

fn forked(queue: &mut Queue, parent: i32, child: i32) {
    let Some(id) = living(queue, parent) else { return };
    happened(queue, id, NOTE_FORK);
    if queue.knote(id).fflags & NOTE_TRACK != 0 && adopt(queue, id, parent, child).is_err() {
        tell(queue, id, NOTE_TRACKERR);
    }
}

/// 8.5: a knote for the child, like its parent's.
fn adopt(queue: &mut Queue, id: KnoteId, parent: i32, child: i32) -> Result<()> {
    let model = *queue.knote(id);
    let child_id = match queue.find(Filter::Proc, child as usize) {
        Some(known) => known,
        None => {
            let new = queue.attach(Filter::Proc, child as usize, model.sticky - Sticky::ONESHOT)?;
            let knote = queue.knote(new);
            (knote.fflags, knote.udata) = (model.fflags, model.udata);
            match watch(queue, new) {
                Err(Errno(libc::ESRCH)) => watch_hearsay(queue, new, child),
                result => result,
            }
            .inspect_err(|_| queue.free(new))?;
            new
        }
    };
    let index = queue.knote(child_id).aux;
    let Some(process) = queue.contents.processes.get(index) else { return Ok(()) };
    match core::mem::replace(&mut process.parent, parent) {
        0 => tell(queue, child_id, NOTE_CHILD),
        // It was born before. The number has come round and a knote is about one process; or one was found after a
        // loss before its news came.
        _ => return Err(Errno(libc::EEXIST)),
    }
    Ok(())
}

/// The child is gone already; the connector has yet to tell how.
fn watch_hearsay(queue: &mut Queue, id: KnoteId, pid: i32) -> Result<()> {
    let index = queue.contents.processes.insert(Process::new(id, pid))?;
    queue.knote(id).aux = index;
    let wishes = queue.knote(id).fflags;
    count_wishes(queue, 0, wishes);
    Ok(())
}

fn ended(queue: &mut Queue, pid: i32, status: i32) {
    let Some(id) = living(queue, pid) else { return };
    let index = queue.knote(id).aux;
    let Some(process) = queue.contents.processes.get(index) else { return };
    if process.watch == Watch::Hearsay {
        exited(queue, id, Some(status));
        has_news(queue, index);
    } else {
        // Where nobody else will tell.
        process.status = process.status.or(Some(status));
    }
}

/// 8.5: something was missed. Children that are there are found, who is gone is gone.
fn lost(queue: &mut Queue) {
    let mut index = 0;
    // Adopted ones may come behind the last.
    while index < queue.contents.processes.indices() {
        if let Some(process) = queue.contents.processes.get(index).copied() {
            examine(queue, process);
        }
        index += 1;
    }
}

/// Deletes nothing: has_ended() may be at work on this very knote.
fn examine(queue: &mut Queue, process: Process) {
    let id = process.knote;
    // Who has exited before has nothing to miss any more.
    if process.exited {
        return;
    }
    if process.watch == Watch::Hearsay && !processes::exists(process.pid) {
        exited(queue, id, None);
        // 8.6: if nobody wants to know, the next look drops it.
        queue.activate(id);
    }
    if queue.knote(id).fflags & HEARD != 0 {
        tell(queue, id, NOTE_TRACKERR);
    }
    if queue.knote(id).fflags & NOTE_TRACK != 0 {
        processes::children_of(process.pid, &mut |child| {
            if queue.find(Filter::Proc, child as usize).is_none() {
                let _ = adopt(queue, id, process.pid, child);
            }
        });
    }
}
