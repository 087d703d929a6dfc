//! EVFILT_LIBKQUEUE: facts and settings of the library itself (rules 10.6 and 11).
//!
//! No knote: a change is answered by the call that makes it, and nothing is attached or reported later. The
//! settings are the process's, whatever the kqueue.

use crate::errno::{Errno, Result};
use crate::event::*;
use crate::platform;
use crate::trace;
use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// 0xMMmmpprr; of a release `rr` is 0.
const VERSION: isize = number(env!("CARGO_PKG_VERSION_MAJOR")) << 24
    | number(env!("CARGO_PKG_VERSION_MINOR")) << 16
    | number(env!("CARGO_PKG_VERSION_PATCH")) << 8;

const VERSION_STRING: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

const fn number(digits: &str) -> isize {
    let (digits, mut number, mut at) = (digits.as_bytes(), 0, 0);
    while at < digits.len() {
        number = number * 10 + (digits[at] - b'0') as isize;
        at += 1;
    }
    number
}

/// The locks stay: the library cannot know which threads the program will have.
static THREAD_SAFE: AtomicBool = AtomicBool::new(true);
static FORK_CLEANUP: AtomicBool = AtomicBool::new(true);

/// Are the kqueues to be closed in the child of a fork?
pub fn cleans_up_after_fork() -> bool {
    FORK_CLEANUP.load(Relaxed)
}

/// What a change of the filter is answered with, if with anything: questions always, settings with EV_RECEIPT,
/// by the value that was set before.
///
/// `EINVAL` no such note or value, or not EV_ADD; `ENOSYS` what this platform has no use for.
pub fn answer(change: &kevent) -> Result<Option<kevent>> {
    let flags = change.flags & !EV_SYSFLAGS;
    // EV_ADD enables by itself; anything else would promise an event.
    if flags & !(EV_RECEIPT | EV_ENABLE) != EV_ADD {
        return Err(Errno::EINVAL);
    }
    let entry = kevent { flags: EV_ADD | EV_RECEIPT, ..*change };
    let before = match change.fflags {
        NOTE_VERSION => return Ok(Some(kevent { data: VERSION, ..entry })),
        NOTE_VERSION_STR => return Ok(Some(kevent { udata: VERSION_STRING.as_ptr().cast_mut().cast(), ..entry })),
        NOTE_THREAD_SAFE => isize::from(THREAD_SAFE.swap(switch(change)?, Relaxed)),
        NOTE_FORK_CLEANUP => isize::from(FORK_CLEANUP.swap(switch(change)?, Relaxed)),
        NOTE_DEBUG => isize::from(trace::switch(switch(change)?)),
        NOTE_DEBUG_PREFIX => trace::set_prefix(change.data as usize)? as isize,
        NOTE_DEBUG_FUNC => trace::set_function(change.data as usize) as isize,
        NOTE_FILE_POLL_INTERVAL => platform::set_interval(change.data)?,
        _ => return Err(Errno::EINVAL),
    };
    Ok((flags & EV_RECEIPT != 0).then_some(kevent { data: before, ..entry }))
}

fn switch(change: &kevent) -> Result<bool> {
    match change.data {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Errno::EINVAL),
    }
}
