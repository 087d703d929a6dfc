//! EVFILT_SIGNAL: how often a signal came (rules 7).
//!
//! The process-wide half, which catches signals without touching anybody's mask, is the platform's; a knote
//! remembers in `data` how many it has told of.

use super::{proc, Report};
use crate::errno::Result;
use crate::event::kevent;
use crate::kqueue::knote::{KnoteId, State, Sticky};
use crate::kqueue::Queue;
use crate::platform::signals;

/// `EINVAL`: no such signal, or one that nobody can catch.
pub fn check(change: &kevent) -> Result<()> {
    signals::check(change.ident)
}

pub fn attach(queue: &mut Queue, id: KnoteId) -> Result<()> {
    queue.kernel.prepare_wake(queue.slot)?;
    let knote = queue.knote(id);
    // 7.1
    knote.sticky.insert(Sticky::CLEAR);
    knote.data = signals::recorded(knote.ident as i32) as i64;
    watch(queue, id).inspect_err(|_| detach(queue, id))
}

pub fn touch(queue: &mut Queue, id: KnoteId) -> Result<()> {
    watch(queue, id)?;
    queue.activate(id);
    Ok(())
}

fn watch(queue: &mut Queue, id: KnoteId) -> Result<()> {
    let knote = *queue.knote(id);
    signals::watch(queue.slot, queue.kernel, knote.ident as i32, !knote.is(State::DISABLED))
}

pub fn detach(queue: &mut Queue, id: KnoteId) {
    let signo = queue.knote(id).ident as i32;
    signals::rest(queue.slot, queue.kernel, signo);
    if signo != signals::SIGCHLD || !proc::hears_of_children(queue) {
        signals::unhear(queue.slot, signo);
    }
}

pub fn event(queue: &mut Queue, id: KnoteId) -> Option<Report> {
    let knote = queue.knote(id);
    let total = signals::recorded(knote.ident as i32) as i64;
    let count = total.wrapping_sub(knote.data);
    if count == 0 {
        return None;
    }
    knote.data = total;
    knote.state.insert(State::ACTIVE);
    Some(Report { data: count, ..Report::default() })
}

/// After a report, which disables the knote where EV_DISPATCH is set.
pub fn reported(queue: &mut Queue, id: KnoteId) {
    let knote = queue.knote(id);
    knote.state.remove(State::ACTIVE);
    if knote.sticky.contains(Sticky::DISPATCH) {
        let signo = knote.ident as i32;
        signals::rest(queue.slot, queue.kernel, signo);
    }
}
