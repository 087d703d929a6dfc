//! EVFILT_USER: an event that the program itself triggers (rules 9).
//!
//! `State::ACTIVE` is "triggered"; fflags are the user's 24 bits; data is that of the last change.

use super::Report;
use crate::errno::Result;
use crate::event::*;
use crate::kqueue::knote::{KnoteId, State};
use crate::kqueue::Queue;

pub fn attach(queue: &mut Queue, id: KnoteId, change: &kevent) -> Result<()> {
    // So that a trigger needs no descriptor, whoever makes it.
    queue.kernel.prepare_wake(queue.slot)?;
    // 9.1: the first EV_ADD stores them whatever the control bits.
    queue.knote(id).fflags = change.fflags & NOTE_FFLAGSMASK;
    trigger(queue, id, change);
    Ok(())
}

pub fn touch(queue: &mut Queue, id: KnoteId, change: &kevent, flags: u16) -> Result<()> {
    let knote = queue.knote(id);
    let user = change.fflags & NOTE_FFLAGSMASK;
    match change.fflags & NOTE_FFCTRLMASK {
        NOTE_FFAND => knote.fflags &= user,
        NOTE_FFOR => knote.fflags |= user,
        NOTE_FFCOPY => knote.fflags = user,
        _ => {}
    }
    knote.data = change.data as i64;
    // 9.1: EV_CLEAR first, then the trigger.
    if flags & EV_CLEAR != 0 {
        knote.state.remove(State::ACTIVE);
        queue.deactivate(id);
    }
    trigger(queue, id, change);
    Ok(())
}

fn trigger(queue: &mut Queue, id: KnoteId, change: &kevent) {
    if change.fflags & NOTE_TRIGGER != 0 {
        queue.knote(id).state.insert(State::ACTIVE);
    }
    // 9.3: also one that came while it was disabled.
    if queue.knote(id).is(State::ACTIVE) {
        queue.activate(id);
    }
}

pub fn event(queue: &mut Queue, id: KnoteId) -> Option<Report> {
    let knote = queue.knote(id);
    knote.is(State::ACTIVE).then_some(Report { flags: 0, fflags: knote.fflags, data: knote.data })
}
