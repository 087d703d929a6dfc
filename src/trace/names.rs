//! The names of the constants, for reading.

use crate::errno::Errno;
use crate::event::*;
use core::ffi::{c_int, c_uint};
use core::fmt::{Display, Formatter, Result};

type Names = &'static [(u32, &'static str)];

macro_rules! names {
    ($($name:ident)*) => { &[$(($name as u32, stringify!($name))),*] };
}

const FILTERS: &[(i16, &str)] = &[
    (EVFILT_READ, "EVFILT_READ"),
    (EVFILT_WRITE, "EVFILT_WRITE"),
    (EVFILT_AIO, "EVFILT_AIO"),
    (EVFILT_VNODE, "EVFILT_VNODE"),
    (EVFILT_PROC, "EVFILT_PROC"),
    (EVFILT_SIGNAL, "EVFILT_SIGNAL"),
    (EVFILT_TIMER, "EVFILT_TIMER"),
    (EVFILT_USER, "EVFILT_USER"),
    (EVFILT_LIBKQUEUE, "EVFILT_LIBKQUEUE"),
    (EVFILT_EMPTY, "EVFILT_EMPTY"),
    (EVFILT_PROCDESC, "EVFILT_PROCDESC"),
    (EVFILT_EXCEPT, "EVFILT_EXCEPT"),
];

const FLAGS: Names = names![
    EV_ADD EV_DELETE EV_ENABLE EV_DISABLE EV_ONESHOT EV_CLEAR EV_RECEIPT EV_DISPATCH EV_FORCEONESHOT EV_KEEPUDATA
    EV_FLAG1 EV_ERROR EV_EOF
];
const READ_NOTES: Names = names![NOTE_LOWAT NOTE_FILE_POLL];
const WRITE_NOTES: Names = names![NOTE_LOWAT];
const EXCEPT_NOTES: Names = names![NOTE_OOB];
const VNODE_NOTES: Names = names![
    NOTE_DELETE NOTE_WRITE NOTE_EXTEND NOTE_ATTRIB NOTE_LINK NOTE_RENAME NOTE_REVOKE NOTE_TRUNCATE NOTE_OPEN
    NOTE_CLOSE NOTE_CLOSE_WRITE NOTE_READ
];
const PROC_NOTES: Names = names![NOTE_EXIT NOTE_FORK NOTE_EXEC NOTE_EXITSTATUS NOTE_TRACK NOTE_TRACKERR NOTE_CHILD];
const TIMER_NOTES: Names = names![NOTE_SECONDS NOTE_USECONDS NOTE_NSECONDS NOTE_ABSOLUTE NOTE_MSECONDS];
/// The first two bits are a number: FFCOPY is no union of the others.
const USER_CONTROLS: Names = names![NOTE_FFAND NOTE_FFOR NOTE_FFCOPY];
const USER_NOTES: Names = names![NOTE_TRIGGER];
/// Numbers, not bits.
const LIBRARY_NOTES: Names = names![
    NOTE_VERSION NOTE_VERSION_STR NOTE_THREAD_SAFE NOTE_FORK_CLEANUP NOTE_DEBUG NOTE_DEBUG_PREFIX NOTE_DEBUG_FUNC
    NOTE_FILE_POLL_INTERVAL
];

fn exact(value: u32, names: Names) -> Option<&'static str> {
    names.iter().find(|&&(other, _)| other == value).map(|&(_, name)| name)
}

/// Bits by name, joined by "|"; what has no name in hexadecimal.
struct Bits(u32, Names);

impl Display for Bits {
    fn fmt(&self, out: &mut Formatter) -> Result {
        let Bits(mut rest, names) = *self;
        if rest == 0 {
            return out.write_str("0");
        }
        let mut between = "";
        for &(bit, name) in names {
            if rest & bit != 0 {
                write!(out, "{between}{name}")?;
                rest &= !bit;
                between = "|";
            }
        }
        match rest {
            0 => Ok(()),
            rest => write!(out, "{between}{rest:#x}"),
        }
    }
}

/// `fflags`, as the filter takes them.
struct Notes(i16, u32);

impl Display for Notes {
    fn fmt(&self, out: &mut Formatter) -> Result {
        let Notes(filter, fflags) = *self;
        let names: Names = match filter {
            EVFILT_READ => READ_NOTES,
            EVFILT_WRITE => WRITE_NOTES,
            EVFILT_EXCEPT => EXCEPT_NOTES,
            EVFILT_VNODE => VNODE_NOTES,
            EVFILT_PROC | EVFILT_PROCDESC => PROC_NOTES,
            EVFILT_TIMER => TIMER_NOTES,
            EVFILT_USER => {
                let rest = fflags & !NOTE_FFCTRLMASK;
                return match exact(fflags & NOTE_FFCTRLMASK, USER_CONTROLS) {
                    Some(control) if rest == 0 => out.write_str(control),
                    Some(control) => write!(out, "{control}|{}", Bits(rest, USER_NOTES)),
                    None => Bits(rest, USER_NOTES).fmt(out),
                };
            }
            EVFILT_LIBKQUEUE => match exact(fflags, LIBRARY_NOTES) {
                Some(name) => return out.write_str(name),
                None => &[],
            },
            _ => &[],
        };
        Bits(fflags, names).fmt(out)
    }
}

/// Going in or coming out?
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Change,
    Event,
}

/// `{ident, filter, flags, fflags, data, udata}`.
pub struct Entry {
    pub kevent: kevent,
    pub side: Side,
}

impl Display for Entry {
    fn fmt(&self, out: &mut Formatter) -> Result {
        let kevent { ident, filter, flags, fflags, data, udata } = self.kevent;
        write!(out, "{{{ident}, ")?;
        match FILTERS.iter().find(|&&(number, _)| number == filter) {
            Some((_, name)) => out.write_str(name)?,
            None => write!(out, "{filter}")?,
        }
        write!(out, ", {}, ", Bits(u32::from(flags), FLAGS))?;
        let has = |flag| self.side == Side::Event && flags & flag != 0;
        match filter {
            // The error of a socket.
            EVFILT_READ | EVFILT_WRITE | EVFILT_EMPTY | EVFILT_EXCEPT if has(EV_EOF) && !has(EV_ERROR) => {
                write!(out, "{}, ", ErrnoName(fflags as isize))?;
            }
            _ => write!(out, "{}, ", Notes(filter, fflags))?,
        }
        match (filter, fflags) {
            _ if has(EV_ERROR) => write!(out, "{}", ErrnoName(data))?,
            (EVFILT_LIBKQUEUE, NOTE_VERSION | NOTE_DEBUG_PREFIX | NOTE_DEBUG_FUNC) => write!(out, "{data:#x}")?,
            _ => write!(out, "{data}")?,
        }
        write!(out, ", {:#x}}}", udata as usize)
    }
}

/// The flags of kqueuex().
pub struct KqueueFlags(pub c_uint);

impl Display for KqueueFlags {
    fn fmt(&self, out: &mut Formatter) -> Result {
        Bits(self.0, names![KQUEUE_CLOEXEC]).fmt(out)
    }
}

/// The flags of kqueue1().
pub struct OpenFlags(pub c_int);

impl Display for OpenFlags {
    fn fmt(&self, out: &mut Formatter) -> Result {
        use crate::platform::sys::{O_CLOEXEC, O_NONBLOCK};
        Bits(self.0 as u32, names![O_CLOEXEC O_NONBLOCK]).fmt(out)
    }
}

/// An error number by name; 0, and what has no name here, as it is.
pub struct ErrnoName(pub isize);

impl Display for ErrnoName {
    fn fmt(&self, out: &mut Formatter) -> Result {
        match i32::try_from(self.0).ok().and_then(|number| Errno(number).name()) {
            Some(name) => out.write_str(name),
            None => write!(out, "{}", self.0),
        }
    }
}
