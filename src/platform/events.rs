//! What a queue's side of the system is asked for and tells, in words that all systems have in common.

use super::sys;
use bitflags::bitflags;
use core::ffi::c_int;
use sys::{POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDHUP};

bitflags! {
    /// What an item is armed for. `PRESENT` alone: it is there, and silent.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Arm: u8 {
        const IN = 1;
        const OUT = 2;
        const EDGE = 4;
        const ONCE = 8;
        const PRESENT = 16;
        const PRI = 32;
        /// It came to nothing: only more than there was is news. To epoll, an edge like any.
        const QUIET = 64;
    }
}

impl Arm {
    /// Is it told as long as it holds?
    pub fn is_level(self) -> bool {
        self.intersects(Arm::IN | Arm::OUT | Arm::PRI) && !self.intersects(Arm::EDGE | Arm::ONCE)
    }
}

/// Which of a descriptor's items, which know nothing of one another. On Linux: which epoll it is in, the queue's
/// own or one of those nested in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place(pub u8);

/// As many as a descriptor has knotes.
pub const PLACES: usize = 4;

impl Place {
    pub const MAIN: Place = Place(0);

    pub fn all() -> impl Iterator<Item = Place> {
        (0..PLACES as u8).map(Place)
    }
}

/// Whose time a timer follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    Monotonic = 0,
    Wall = 1,
}

pub const CLOCKS: [Clock; 2] = [Clock::Monotonic, Clock::Wall];

impl Clock {
    pub fn id(self) -> c_int {
        match self {
            Clock::Monotonic => sys::CLOCK_MONOTONIC,
            Clock::Wall => sys::CLOCK_REALTIME,
        }
    }

    pub fn now(self) -> u64 {
        sys::now(self.id())
    }
}

/// What an event is about. A backend makes those that its system has.
#[derive(Clone, Copy)]
#[allow(dead_code)]
pub enum Source {
    Descriptor {
        place: Place,
        fd: i32,
        epoch: u32,
        mask: Mask,
    },
    Wake,
    Side(Place),
    Timer(Clock),
    Files,
    Signals,
    /// The process with this index has news.
    Process(u32),
    /// Processes forked, executed, exited.
    Connector,
    Tombstone,
}

/// The events of one item: poll's names, which stand for the same bits in epoll.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mask(pub u32);

impl Mask {
    pub const IN: u32 = POLLIN as u32;
    pub const OUT: u32 = POLLOUT as u32;
    pub const RDHUP: u32 = POLLRDHUP as u32;
    pub const HUP: u32 = POLLHUP as u32;
    pub const PRI: u32 = POLLPRI as u32;
    pub const ERR: u32 = POLLERR as u32;

    #[inline]
    pub fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    #[inline]
    pub fn concerns_reading(self) -> bool {
        self.has(Mask::IN | Mask::RDHUP | Mask::HUP | Mask::ERR)
    }

    #[inline]
    pub fn concerns_exceptions(self) -> bool {
        self.has(Mask::PRI | Mask::HUP | Mask::ERR)
    }

    #[inline]
    pub fn concerns_writing(self) -> bool {
        self.has(Mask::OUT | Mask::HUP | Mask::ERR)
    }
}

/// What a filter has to know of a descriptor to say whether its knote is ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status {
    pub ready: bool,
    /// Bytes to read, or room to write.
    pub data: i64,
    pub eof: bool,
    /// The socket's error with an EOF, else 0.
    pub error: u32,
    /// The low-water mark of a knote has no say: an end, an error, a connection to accept.
    pub unconditional: bool,
    /// It never can be ready: the read end of a pipe, for writing.
    pub never: bool,
}

impl Status {
    pub const NOT_READY: Status =
        Status { ready: false, data: 0, eof: false, error: 0, unconditional: false, never: false };
    pub const NEVER: Status = Status { never: true, ..Status::NOT_READY };

    pub fn ready(data: i64) -> Status {
        Status { ready: true, data, ..Status::NOT_READY }
    }

    pub fn end(data: i64, error: u32) -> Status {
        Status { ready: true, data, eof: true, error, unconditional: true, never: false }
    }
}

/// How a process stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(dead_code)] // not every backend's
pub enum Fate {
    Alive,
    /// Alive as far as can be seen; but it is nobody's child of ours, or none any more, and no signal will tell.
    Unheard,
    /// It has exited; the status as of wait(2), where the system tells it.
    Exited(Option<i32>),
    /// It has exited, and the system will tell how when it is reaped.
    Undisclosed,
}

/// What the system tells of processes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(dead_code)] // not every backend's
pub enum News {
    Fork {
        parent: i32,
        child: i32,
    },
    Exec {
        pid: i32,
    },
    /// The first thread of a process, with its status as of wait(2).
    Exit {
        pid: i32,
        status: i32,
    },
    /// Some were lost.
    Lost,
}

/// Of which processes somebody wants to hear.
#[allow(dead_code)] // not every backend's
pub enum Hearing<'a> {
    Nobody,
    /// Forks and executions of these.
    Of(&'a [i32]),
    /// Everything: who will be a child is not known before.
    Everybody,
}
