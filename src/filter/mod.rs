//! The filters: what each EVFILT_* means, in terms of knotes.
//!
//! Every filter is the same five functions and nothing else:
//!
//! - `check`: is the change of a shape that the filter accepts? (`EINVAL`)
//! - `attach`: the knote is new; begin to watch.
//! - `touch`: an existing knote is changed (the general flags have been applied); watch what it says now.
//! - `detach`: the knote is going; stop watching.
//! - `event`: does the condition hold now, and with what?
//!
//! How the kernel is asked is the platform's business. `library` alone is no such filter: it has no knotes.

mod io;
pub mod library;
pub mod proc;
mod signal;
mod timer;
mod user;
pub mod vnode;

use crate::errno::{Errno, Result};
use crate::event::*;
use crate::kqueue::knote::{Knote, KnoteId, State};
use crate::kqueue::Queue;
use crate::platform::{front, Mask};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Filter {
    Read,
    Write,
    Except,
    Empty,
    Vnode,
    Procdesc,
    Timer,
    User,
    Signal,
    Proc,
}

impl Filter {
    /// `EINVAL` unknown; `EPERM` EVFILT_AIO, which only the system itself may register (F).
    pub fn of(filter: i16) -> Result<Filter> {
        match filter {
            EVFILT_READ => Ok(Filter::Read),
            EVFILT_WRITE => Ok(Filter::Write),
            EVFILT_EXCEPT => Ok(Filter::Except),
            EVFILT_EMPTY => Ok(Filter::Empty),
            EVFILT_VNODE => Ok(Filter::Vnode),
            EVFILT_PROCDESC => Ok(Filter::Procdesc),
            EVFILT_PROC => Ok(Filter::Proc),
            EVFILT_TIMER => Ok(Filter::Timer),
            EVFILT_USER => Ok(Filter::User),
            EVFILT_SIGNAL => Ok(Filter::Signal),
            EVFILT_AIO => Err(Errno::EPERM),
            _ => Err(Errno::EINVAL),
        }
    }

    pub fn number(self) -> i16 {
        match self {
            Filter::Read => EVFILT_READ,
            Filter::Write => EVFILT_WRITE,
            Filter::Except => EVFILT_EXCEPT,
            Filter::Empty => EVFILT_EMPTY,
            Filter::Vnode => EVFILT_VNODE,
            Filter::Procdesc => EVFILT_PROCDESC,
            Filter::Proc => EVFILT_PROC,
            Filter::Timer => EVFILT_TIMER,
            Filter::User => EVFILT_USER,
            Filter::Signal => EVFILT_SIGNAL,
        }
    }

    /// Is the ident a descriptor?
    #[inline]
    pub fn is_descriptor(self) -> bool {
        (self as usize) < LANES
    }

    /// Does an item of the kernel's tell of it?
    #[inline]
    pub fn is_polled(self) -> bool {
        (self as usize) < POLLED_LANES
    }

    /// The place of a descriptor's knote of this filter among those of the descriptor.
    #[inline]
    pub fn lane(self) -> usize {
        self as usize
    }
}

/// How many filters are about descriptors: the first ones.
pub const LANES: usize = 6;
/// Those of them that the kernel's poll knows of: the first ones again.
pub const POLLED_LANES: usize = 4;

/// What a knote reports: these go into the event as they are; `flags` are added to the knote's own.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Report {
    pub flags: u16,
    pub fflags: u32,
    pub data: i64,
}

/// Is this a change that could make a new knote of the filter?
pub fn check(filter: Filter, change: &kevent) -> Result<()> {
    match filter {
        Filter::Read | Filter::Write | Filter::Except | Filter::Empty => io::check(change),
        Filter::Timer => timer::check(change),
        Filter::User => Ok(()),
        Filter::Signal => signal::check(change),
        Filter::Vnode => vnode::check(change),
        Filter::Proc | Filter::Procdesc => proc::check(filter, change),
    }
}

/// Is this a change that an existing knote takes?
pub fn check_touch(filter: Filter, change: &kevent, flags: u16) -> Result<()> {
    match filter {
        Filter::Timer if timer::restarts(change, flags) => timer::check(change),
        Filter::Read | Filter::Write | Filter::Except | Filter::Empty if flags & EV_ADD != 0 => io::check(change),
        Filter::Vnode => vnode::check_touch(change, flags),
        Filter::Proc | Filter::Procdesc => proc::check_touch(filter, change),
        _ => Ok(()),
    }
}

/// May a change of the filter call what libc makes a cancellation point (read, poll, waitid and their like)? The
/// commonest do not: system calls about epoll and timers are none.
#[inline]
pub fn may_block(filter: i16) -> bool {
    match filter {
        EVFILT_USER | EVFILT_TIMER => false,
        EVFILT_READ | EVFILT_WRITE | EVFILT_EXCEPT | EVFILT_EMPTY => !front::is_in_front(),
        _ => true,
    }
}

pub fn attach(queue: &mut Queue, id: KnoteId, change: &kevent) -> Result<()> {
    match queue.knote(id).filter {
        Filter::Read | Filter::Write | Filter::Except | Filter::Empty => io::attach(queue, id),
        Filter::Timer => timer::attach(queue, id, change),
        Filter::User => user::attach(queue, id, change),
        Filter::Signal => signal::attach(queue, id),
        Filter::Vnode => vnode::attach(queue, id),
        Filter::Proc | Filter::Procdesc => proc::attach(queue, id),
    }
}

/// The knote of a signal in a child that takes it over.
pub fn attach_anew(queue: &mut Queue, id: KnoteId) -> Result<()> {
    signal::attach(queue, id)
}

pub fn touch(queue: &mut Queue, id: KnoteId, change: &kevent, flags: u16) -> Result<()> {
    match queue.knote(id).filter {
        Filter::Read | Filter::Write | Filter::Except | Filter::Empty => io::touch(queue, id, change, flags),
        Filter::Timer => timer::touch(queue, id, change, flags),
        Filter::User => user::touch(queue, id, change, flags),
        Filter::Signal => signal::touch(queue, id),
        Filter::Vnode => vnode::touch(queue, id, change, flags),
        Filter::Proc | Filter::Procdesc => proc::touch(queue, id, change, flags),
    }
}

pub fn detach(queue: &mut Queue, id: KnoteId) {
    match queue.knote(id).filter {
        Filter::Read | Filter::Write | Filter::Except | Filter::Empty => io::detach(queue, id),
        Filter::Timer => timer::detach(queue, id),
        Filter::User => {}
        Filter::Signal => signal::detach(queue, id),
        Filter::Vnode => vnode::detach(queue, id),
        Filter::Proc | Filter::Procdesc => proc::detach(queue, id),
    }
}

/// The descriptor of the knote is gone, and the kernel's item with it: gives back what else it held.
pub fn release(queue: &mut Queue, id: KnoteId) {
    match queue.knote(id).filter {
        Filter::Read => queue.unwatch_file(id),
        Filter::Vnode => vnode::release(queue, id),
        Filter::Procdesc => proc::release(queue, id),
        _ => {}
    }
}

/// What the knote reports now, `None` where its condition does not hold. The event is the caller's to deliver:
/// asking a timer or a signal counts its occurrences as told.
#[inline]
pub fn event(queue: &mut Queue, id: KnoteId, seen: Option<Mask>) -> Option<Report> {
    match queue.knote(id).filter {
        Filter::Read | Filter::Write | Filter::Except | Filter::Empty => io::event(queue, id, seen),
        Filter::Timer => timer::event(queue, id),
        Filter::User => user::event(queue, id),
        Filter::Signal => signal::event(queue, id),
        Filter::Vnode => vnode::event(queue, id),
        Filter::Proc | Filter::Procdesc => proc::event(queue, id),
    }
}

/// What a knote reports that is made to (2.12), though its condition does not hold.
pub fn forced(queue: &mut Queue, id: KnoteId) -> Report {
    match *queue.knote(id) {
        Knote { filter: Filter::User, fflags, data, .. } => Report { flags: 0, fflags, data },
        _ => Report::default(),
    }
}

/// After a report: EV_CLEAR takes the state back.
pub fn reported(queue: &mut Queue, id: KnoteId) {
    match queue.knote(id).filter {
        Filter::Read | Filter::Write | Filter::Except | Filter::Empty => io::reported(queue, id),
        Filter::Timer | Filter::User => queue.knote(id).state.remove(State::ACTIVE),
        Filter::Signal => signal::reported(queue, id),
        Filter::Vnode => vnode::reported(queue, id),
        Filter::Proc | Filter::Procdesc => proc::reported(queue, id),
    }
}

/// Is the knote served in user space, and so still ready after a report without EV_CLEAR?
pub fn stays_ready(queue: &mut Queue, id: KnoteId) -> bool {
    match queue.knote(id).filter {
        Filter::Read | Filter::Write | Filter::Except | Filter::Empty => io::is_unpollable(queue, id),
        _ => queue.knote(id).is(State::ACTIVE),
    }
}

/// Looks whether there is something new for a knote that nobody tells of and that was reported with EV_CLEAR.
pub fn look_again(queue: &mut Queue, id: KnoteId) {
    io::look_again(queue, id);
}

/// Does the kernel go on calling the descriptor ready, for a filter that does not?
pub fn insists(filter: Filter, fd: i32) -> bool {
    io::insists(filter, fd)
}

/// Has the descriptor of the knote been closed, or its process ended without a word? Then the knote has just been
/// freed.
pub fn is_gone(queue: &mut Queue, id: KnoteId) -> bool {
    let knote = *queue.knote(id);
    if knote.filter == Filter::Vnode && !front::is_in_front() {
        // No item of the kernel's knows the descriptor, and nobody tells of a close.
        queue.identify(knote.fd());
    }
    if knote.filter.is_descriptor() {
        queue.refresh(knote.fd());
        if queue.contents.nodes.get(knote.fd()).is_none_or(|node| !node.knotes.contains(&id)) {
            return true;
        }
    }
    matches!(knote.filter, Filter::Proc | Filter::Procdesc) && proc::has_ended(queue, id)
}
