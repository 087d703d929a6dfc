//! The C types and constants of `<sys/event.h>`, with the values of the C libkqueue.
//!
//! cbindgen turns this file into `include/kqueue/sys/event.h` (`UPDATE_HEADER=1 cargo test --test header`);
//! the header shows the first line of each comment. Nothing is defined here that the build does not
//! implement, because programs test for features with `#ifdef`.

use core::ffi::{c_short, c_uint, c_ushort, c_void};

/// One change or one event.
///
/// 32 bytes on LP64, laid out as the C library's.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types)]
pub struct kevent {
    /// What is watched: a descriptor, a signal number or any number, as the filter says.
    pub ident: usize,
    /// EVFILT_*: what about it.
    pub filter: c_short,
    /// EV_*: actions going in, state coming out.
    pub flags: c_ushort,
    /// NOTE_*, as the filter says.
    pub fflags: c_uint,
    /// The filter's amount: bytes, expirations, a period; an errno beside EV_ERROR.
    pub data: isize,
    /// The caller's own, returned untouched.
    pub udata: *mut c_void,
}

/// Descriptor `ident` has something to read; `data` is how many bytes, or connections to accept.
pub const EVFILT_READ: c_short = -1;
/// Descriptor `ident` can be written to; `data` is the free space in bytes.
pub const EVFILT_WRITE: c_short = -2;
/// Only named, for programs that name it: registering it is EPERM, as for any program on FreeBSD.
pub const EVFILT_AIO: c_short = -3;
/// Something happened to the file, directory or FIFO under descriptor `ident`; `fflags` says what.
pub const EVFILT_VNODE: c_short = -4;
/// Process `ident` exited, forked or executed; `fflags` says which.
pub const EVFILT_PROC: c_short = -5;
/// Signal number `ident` was sent to the process; `data` is how many times.
pub const EVFILT_SIGNAL: c_short = -6;
/// Timer `ident` (any number) expired; `data` is the period going in, the expirations coming out.
pub const EVFILT_TIMER: c_short = -7;
/// Event `ident` (any number) of the program's own, fired by NOTE_TRIGGER.
pub const EVFILT_USER: c_short = -11;
/// The library's own settings and facts; `fflags` says which.
pub const EVFILT_LIBKQUEUE: c_short = -12;
/// Descriptor `ident` has sent all that was written to it: its send buffer is empty.
pub const EVFILT_EMPTY: c_short = -13;
/// The process behind process descriptor `ident` (a pidfd) exited.
pub const EVFILT_PROCDESC: c_short = -16;
/// Descriptor `ident` has something exceptional: urgent data, with NOTE_OOB.
pub const EVFILT_EXCEPT: c_short = -17;

/// Add the event, or change the one that is there; enables it unless EV_DISABLE is given.
pub const EV_ADD: c_ushort = 0x0001;
/// Remove the event, and its reports that are still pending.
pub const EV_DELETE: c_ushort = 0x0002;
/// Report the event (again).
pub const EV_ENABLE: c_ushort = 0x0004;
/// Keep the event, but do not report it until EV_ENABLE.
pub const EV_DISABLE: c_ushort = 0x0008;
/// Report once, then delete.
pub const EV_ONESHOT: c_ushort = 0x0010;
/// Reset the state when it is reported: only what is new is reported again.
pub const EV_CLEAR: c_ushort = 0x0020;
/// Answer this change with an EV_ERROR entry even if it succeeded (`data` is 0 then).
pub const EV_RECEIPT: c_ushort = 0x0040;
/// Report once, then disable until EV_ENABLE or EV_ADD.
pub const EV_DISPATCH: c_ushort = 0x0080;
/// Report now, whatever the condition, as if EV_ONESHOT had been given.
pub const EV_FORCEONESHOT: c_ushort = 0x0100;
/// Leave `udata` as it is (not with EV_ADD).
pub const EV_KEEPUDATA: c_ushort = 0x0200;
/// The bits that only the library sets; they are ignored going in.
pub const EV_SYSFLAGS: c_ushort = 0xF000;
/// Reserved for filters.
pub const EV_FLAG1: c_ushort = 0x2000;
/// Coming out: the change in this entry failed and `data` is the errno, or it is a receipt and `data` is 0.
pub const EV_ERROR: c_ushort = 0x4000;
/// Coming out: the other side is gone; `fflags` is the error of a socket, or 0.
pub const EV_EOF: c_ushort = 0x8000;

/// EVFILT_READ, EVFILT_WRITE: `data` is the low-water mark of this event, in bytes.
pub const NOTE_LOWAT: c_uint = 0x0001;
/// EVFILT_READ on a regular file: always ready, at its end too.
pub const NOTE_FILE_POLL: c_uint = 0x0002;

/// EVFILT_EXCEPT: urgent data is pending.
pub const NOTE_OOB: c_uint = 0x0002;

/// EVFILT_VNODE: the last name of the file or directory was removed.
pub const NOTE_DELETE: c_uint = 0x0001;
/// EVFILT_VNODE: its contents were written; an entry of the directory was made, removed or renamed.
pub const NOTE_WRITE: c_uint = 0x0002;
/// EVFILT_VNODE: it grew; an entry was moved into the directory or out of it.
pub const NOTE_EXTEND: c_uint = 0x0004;
/// EVFILT_VNODE: its mode, owner, times or extended attributes were set.
pub const NOTE_ATTRIB: c_uint = 0x0008;
/// EVFILT_VNODE: its link count changed; a subdirectory was made, removed or moved.
pub const NOTE_LINK: c_uint = 0x0010;
/// EVFILT_VNODE: it was renamed.
pub const NOTE_RENAME: c_uint = 0x0020;
/// EVFILT_VNODE: access was revoked. Cannot happen on Linux: accepted beside other notes.
pub const NOTE_REVOKE: c_uint = 0x0040;
/// EVFILT_VNODE: it shrank.
pub const NOTE_TRUNCATE: c_uint = 0x0080;
/// EVFILT_VNODE: it was opened.
pub const NOTE_OPEN: c_uint = 0x0100;
/// EVFILT_VNODE: a descriptor on it that could not write was closed.
pub const NOTE_CLOSE: c_uint = 0x0200;
/// EVFILT_VNODE: a descriptor on it that could write was closed.
pub const NOTE_CLOSE_WRITE: c_uint = 0x0400;
/// EVFILT_VNODE: it was read.
pub const NOTE_READ: c_uint = 0x0800;

/// EVFILT_PROC, EVFILT_PROCDESC: the process exited; `data` is its status as of wait(2).
pub const NOTE_EXIT: c_uint = 0x80000000;
/// EVFILT_PROC: it forked.
pub const NOTE_FORK: c_uint = 0x40000000;
/// EVFILT_PROC: it executed a program.
pub const NOTE_EXEC: c_uint = 0x20000000;
/// EVFILT_PROC: the bits that say what happened.
pub const NOTE_PCTRLMASK: c_uint = 0xf0000000;
/// EVFILT_PROC: the bits of a process number.
pub const NOTE_PDATAMASK: c_uint = 0x000fffff;
/// EVFILT_PROC: watch the children that it makes, too, and theirs.
pub const NOTE_TRACK: c_uint = 0x00000001;
/// EVFILT_PROC: coming out: a child could not be watched, or something was missed.
pub const NOTE_TRACKERR: c_uint = 0x00000002;
/// EVFILT_PROC: coming out: `ident` is a new child, `data` its parent.
pub const NOTE_CHILD: c_uint = 0x00000004;
/// With NOTE_EXIT: coming out, `data` is the status; without it the system hides the status (macOS).
pub const NOTE_EXITSTATUS: c_uint = 0x04000000;

/// EVFILT_USER: leave the event's flags as they are.
pub const NOTE_FFNOP: c_uint = 0x00000000;
/// EVFILT_USER: and them with those given.
pub const NOTE_FFAND: c_uint = 0x40000000;
/// EVFILT_USER: or those given into them.
pub const NOTE_FFOR: c_uint = 0x80000000;
/// EVFILT_USER: replace them by those given.
pub const NOTE_FFCOPY: c_uint = 0xc0000000;
/// EVFILT_USER: the bits that say which of these four is meant.
pub const NOTE_FFCTRLMASK: c_uint = 0xc0000000;
/// EVFILT_USER: the bits that are the program's own.
pub const NOTE_FFLAGSMASK: c_uint = 0x00ffffff;
/// EVFILT_USER: fire.
pub const NOTE_TRIGGER: c_uint = 0x01000000;

/// EVFILT_TIMER: `data` is seconds. (Without a unit it is milliseconds.)
pub const NOTE_SECONDS: c_uint = 0x0001;
/// EVFILT_TIMER: `data` is microseconds.
pub const NOTE_USECONDS: c_uint = 0x0002;
/// EVFILT_TIMER: `data` is nanoseconds.
pub const NOTE_NSECONDS: c_uint = 0x0004;
/// EVFILT_TIMER: `data` is a time since the epoch, not a period.
pub const NOTE_ABSOLUTE: c_uint = 0x0008;
/// FreeBSD's and NetBSD's name for NOTE_ABSOLUTE.
pub const NOTE_ABSTIME: c_uint = 0x0008;
/// EVFILT_TIMER: `data` is milliseconds.
pub const NOTE_MSECONDS: c_uint = 0x0010;

/// EVFILT_LIBKQUEUE: the library's version, 0xMMmmpprr, in `data`.
pub const NOTE_VERSION: c_uint = 0x0001;
/// EVFILT_LIBKQUEUE: the same as a string in `udata`.
pub const NOTE_VERSION_STR: c_uint = 0x0002;
/// EVFILT_LIBKQUEUE: `data` 0 allows the library to leave locks out; it never does.
pub const NOTE_THREAD_SAFE: c_uint = 0x0003;
/// EVFILT_LIBKQUEUE: `data` 0 leaves a child of fork its copies of our descriptors.
pub const NOTE_FORK_CLEANUP: c_uint = 0x0004;
/// EVFILT_LIBKQUEUE: `data` 1 has every call described on stderr, 0 none.
pub const NOTE_DEBUG: c_uint = 0x0005;
/// EVFILT_LIBKQUEUE: `data` points to the string that each line begins with.
pub const NOTE_DEBUG_PREFIX: c_uint = 0x0006;
/// EVFILT_LIBKQUEUE: `data` points to a function, `void (*)(const char *, ...)`, that is given the lines.
pub const NOTE_DEBUG_FUNC: c_uint = 0x0007;
/// EVFILT_LIBKQUEUE: `data` is how often files are looked at, where the system does not tell of them.
pub const NOTE_FILE_POLL_INTERVAL: c_uint = 0x0008;

/// kqueuex(): the descriptor is closed by exec. (That of kqueue() is too.)
pub const KQUEUE_CLOEXEC: c_uint = 0x0001;
