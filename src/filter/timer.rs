//! EVFILT_TIMER: periods, one-shots and points in time (rules 6).
//!
//! Times are nanoseconds of a clock; `u64::MAX` is never. A knote keeps its period in `data` (0: absolute), and
//! its timer the expiry that was counted last. Expirations are not counted one by one: what a periodic timer
//! reports is worked out from the clock when it is collected, so one that nobody collects costs nothing.

use super::Report;
use crate::errno::{Errno, Result};
use crate::event::*;
use crate::kqueue::knote::{KnoteId, State, Sticky, NIL};
use crate::kqueue::Queue;
use crate::platform::Clock;

const UNITS: u32 = NOTE_SECONDS | NOTE_MSECONDS | NOTE_USECONDS | NOTE_NSECONDS;

/// Nanoseconds in the unit of `data`; two units, unknown bits: `EINVAL` (6.1).
fn unit(fflags: u32) -> Result<u64> {
    if fflags & !(UNITS | NOTE_ABSOLUTE) != 0 {
        return Err(Errno::EINVAL);
    }
    match fflags & UNITS {
        0 | NOTE_MSECONDS => Ok(1_000_000),
        NOTE_SECONDS => Ok(1_000_000_000),
        NOTE_USECONDS => Ok(1_000),
        NOTE_NSECONDS => Ok(1),
        _ => Err(Errno::EINVAL),
    }
}

fn clock_of(fflags: u32) -> Clock {
    if fflags & NOTE_ABSOLUTE != 0 {
        Clock::Wall
    } else {
        Clock::Monotonic
    }
}

pub fn check(change: &kevent) -> Result<()> {
    unit(change.fflags)?;
    if change.data < 0 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// 6.6, 6.7: does this change of an existing timer start it anew?
pub fn restarts(change: &kevent, flags: u16) -> bool {
    flags & EV_ADD != 0 || (flags & EV_DISABLE == 0 && change.data != 0)
}

pub fn attach(queue: &mut Queue, id: KnoteId, change: &kevent) -> Result<()> {
    queue.kernel.prepare_wake(queue.slot)?;
    start(queue, id, change)
}

pub fn touch(queue: &mut Queue, id: KnoteId, change: &kevent, flags: u16) -> Result<()> {
    if restarts(change, flags) {
        return start(queue, id, change);
    }
    // 6.7: what expired meanwhile is reported.
    if queue.knote(id).is(State::ACTIVE) {
        queue.activate(id);
    }
    Ok(())
}

/// Begins with the change's data and fflags, and forgets what came before. On an error nothing has changed.
fn start(queue: &mut Queue, id: KnoteId, change: &kevent) -> Result<()> {
    let unit = unit(change.fflags)?;
    let time = (change.data as u64).saturating_mul(unit);
    let clock = clock_of(change.fflags);
    let knote = *queue.knote(id);
    let once = knote.sticky.contains(Sticky::ONESHOT);
    let now = clock.now();
    let (period, deadline) = match clock {
        Clock::Wall => (0, time),
        // 6.3
        Clock::Monotonic if time == 0 && once => (0, now),
        Clock::Monotonic => {
            let period = time.max(unit);
            (period, now.saturating_add(period))
        }
    };
    queue.kernel.prepare_timer(queue.slot, clock)?;
    let timer = queue.contents.timers[clock as usize].insert(id)?;
    if deadline > now {
        if let Err(errno) = queue.kernel.arm_timer(queue.slot, clock, deadline) {
            queue.contents.timers[clock as usize].remove(timer);
            return Err(errno);
        }
    }
    detach(queue, id);
    queue.deactivate(id);
    let timers = &mut queue.contents.timers[clock as usize];
    timers.get(timer).base = now;
    let knote = &mut queue.contents.knotes[id];
    knote.aux = timer;
    knote.fflags = change.fflags;
    knote.data = period.min(i64::MAX as u64) as i64;
    knote.state.remove(State::ACTIVE);
    if clock == Clock::Monotonic {
        // 6.2
        knote.sticky.insert(Sticky::CLEAR);
    }
    if deadline > now {
        timers.arm(timer, deadline);
    } else {
        knote.state.insert(State::ACTIVE);
        queue.activate(id);
    }
    Ok(())
}

pub fn detach(queue: &mut Queue, id: KnoteId) {
    let knote = &mut queue.contents.knotes[id];
    let (timer, clock) = (knote.aux, clock_of(knote.fflags));
    if timer != NIL {
        knote.aux = NIL;
        queue.contents.timers[clock as usize].remove(timer);
    }
}

pub fn event(queue: &mut Queue, id: KnoteId) -> Option<Report> {
    let knote = *queue.knote(id);
    if !knote.is(State::ACTIVE) {
        return None;
    }
    if clock_of(knote.fflags) == Clock::Wall || knote.sticky.contains(Sticky::ONESHOT) {
        return Some(Report { data: 1, ..Report::default() });
    }
    // 6.5: counted from the start, so that nothing drifts.
    let period = knote.data as u64;
    let now = Clock::Monotonic.now();
    let timers = &mut queue.contents.timers[Clock::Monotonic as usize];
    let timer = timers.get(knote.aux);
    let count = ((now - timer.base) / period).max(1);
    timer.base = timer.base.saturating_add(count.saturating_mul(period));
    let next = timer.base.saturating_add(period);
    timers.arm(knote.aux, next);
    // The timer exists; where it cannot be set the next kevent() is late, not lost.
    let _ = queue.kernel.arm_timer(queue.slot, Clock::Monotonic, next);
    Some(Report { data: count as i64, ..Report::default() })
}
