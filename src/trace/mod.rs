//! What the library says of each call, where that is asked for: one line, decoded as strace does.
//!
//! KQUEUE_DEBUG in the environment asks, or a change of EVFILT_LIBKQUEUE with NOTE_DEBUG. Switched off, it costs
//! a call one relaxed load. A line is made in a fixed buffer on the stack and leaves in one write(2): nothing is
//! allocated, no lock is taken but to open the file, errno stays, and a write that fails changes nothing, so
//! that kevent() may be called in a signal handler as ever.
//!
//! A call is told of when it returns. One that finds nothing and would wait for ever is told of before, too:
//! a program that is stuck shows where.
//!
//! - `dump`: what the queues hold; `line`: the buffer; `names`: the constants' names; `file`: KQUEUE_DEBUG_FILE; `text`: strings that are kept.

pub mod dump;
mod file;
mod line;
mod names;
mod text;

use crate::errno::{Errno, Result};
use crate::event::kevent;
use crate::platform::{outlet, sys};
use core::ffi::{c_int, CStr};
use core::fmt::{Arguments, Display, Write};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
pub use file::make_way;
use line::Line;
use names::{Entry, Side};
pub use names::{KqueueFlags, OpenFlags};
use text::Text;

static ON: AtomicBool = AtomicBool::new(false);
/// `void (*)(const char *, ...)`; 0: the lines are written.
static FUNCTION: AtomicUsize = AtomicUsize::new(0);
/// What each line begins with, and what it began with before: who changes it is told the old one's address.
static PREFIXES: [Text<PREFIX>; 2] = [Text::new(b"KQ"), Text::new(b"")];
static PREFIX_NOW: AtomicUsize = AtomicUsize::new(0);
/// Room for the prefix and its NUL.
const PREFIX: usize = 64;
/// Entries of a list that are shown.
const SHOWN: usize = 16;

/// From the constructor: what the environment asks for. "0" and nothing are as good as not set.
pub fn begin(debug: Option<&CStr>, path: Option<&CStr>) {
    ON.store(debug.is_some_and(|value| !matches!(value.to_bytes(), b"" | b"0")), Relaxed);
    if let Some(path) = path {
        file::set_path(path);
    }
}

#[inline]
pub fn is_on() -> bool {
    ON.load(Relaxed)
}

/// Returns what was set before, as the others do.
pub fn switch(on: bool) -> bool {
    ON.swap(on, Relaxed)
}

pub fn set_function(address: usize) -> usize {
    FUNCTION.swap(address, Relaxed)
}

/// Copies the prefix; 0 is the default. `EINVAL`: it is too long. Returns where the old one can be read until the
/// next change, which may put it back by that address.
pub fn set_prefix(address: usize) -> Result<usize> {
    let mut bytes = [0; PREFIX];
    let length = match address {
        0 => {
            bytes[..2].copy_from_slice(b"KQ");
            2
        }
        _ => outlet::copy_string(address, &mut bytes).ok_or(Errno::EINVAL)?,
    };
    let now = PREFIX_NOW.load(Acquire) & 1;
    PREFIXES[now ^ 1].store(&bytes[..length]);
    PREFIX_NOW.store(now ^ 1, Release);
    Ok(PREFIXES[now].address())
}

/// Begins a line: its prefix and the thread.
fn begin_line(line: &mut Line) {
    let mut bytes = [0; PREFIX];
    let length = PREFIXES[PREFIX_NOW.load(Acquire) & 1].load(&mut bytes);
    line.push(&bytes[..length]);
    let _ = write!(line, " {}: ", outlet::thread_id());
}

/// Lets the line out. The caller keeps errno.
fn emit(line: &mut Line) {
    match FUNCTION.load(Relaxed) {
        0 => {
            if let Some(fd) = file::descriptor() {
                outlet::write(fd, line.finish().to_bytes());
            }
        }
        function => outlet::tell(function, line.finish()),
    }
}

/// Runs `body` with errno as it is, and leaves it so.
fn keeping_errno(body: impl FnOnce(Errno)) {
    let errno = sys::last_errno();
    body(errno);
    sys::set_errno(errno);
}

fn put_result(line: &mut Line, result: c_int, errno: Errno) {
    let _ = match result {
        -1 => write!(line, " = -1 {}", names::ErrnoName(errno.0 as isize)),
        _ => write!(line, " = {result}"),
    };
}

/// A call that is told of when it has returned.
#[cold]
#[inline(never)]
pub fn tell(call: Arguments, result: c_int) {
    keeping_errno(|errno| {
        let mut line = Line::new();
        begin_line(&mut line);
        let _ = line.write_fmt(call);
        put_result(&mut line, result, errno);
        emit(&mut line);
    });
}

/// A kevent() that is told of. It stays where it is made: a signal handler's stack has no room for a second line.
pub struct Call {
    line: Line,
    kq: c_int,
}

/// A list as the program gave it: `None` is NULL.
type List<I> = Option<I>;

fn put_list(line: &mut Line, list: List<impl Iterator<Item = kevent>>, side: Side, count: impl Display) {
    let _ = match list {
        None => line.write_str("NULL"),
        Some(list) => {
            let _ = line.write_str("{");
            for (at, kevent) in list.enumerate() {
                let _ = line.write_str(if at > 0 { ", " } else { "" });
                if at == SHOWN {
                    let _ = line.write_str("...");
                    break;
                }
                let _ = write!(line, "{}", Entry { kevent, side });
            }
            line.write_str("}")
        }
    };
    let _ = write!(line, ", {count}, ");
}

impl Call {
    #[inline]
    pub fn new(kq: c_int) -> Call {
        Call { line: Line::new(), kq }
    }

    /// Before it is under way: the changes' place may be the eventlist's, too.
    pub fn begin(&mut self, changes: List<impl Iterator<Item = kevent>>, count: c_int) {
        keeping_errno(|_| {
            begin_line(&mut self.line);
            let _ = write!(self.line, "kevent({}, ", self.kq);
            put_list(&mut self.line, changes, Side::Change, count);
        });
    }

    /// The call will wait for ever: if nothing is ready, that is said now.
    pub fn may_stay(&mut self) {
        keeping_errno(|_| {
            if self.kq >= 0 && sys::poll(self.kq, sys::POLLIN) == 0 {
                let length = self.line.len();
                let _ = self.line.write_str("<unfinished ...>");
                emit(&mut self.line);
                self.line.truncate(length);
            }
        });
    }

    pub fn end(
        &mut self,
        events: List<impl Iterator<Item = kevent>>,
        room: c_int,
        timeout: Option<libc::timespec>,
        result: c_int,
    ) {
        keeping_errno(|errno| {
            let line = &mut self.line;
            put_list(line, events, Side::Event, room);
            let _ = match timeout {
                None => line.write_str("NULL)"),
                Some(time) => write!(line, "{{{}, {}}})", time.tv_sec, time.tv_nsec),
            };
            put_result(line, result, errno);
            emit(line);
        });
    }
}
