//! One kevent(), with anything in it, and what has to be true of every one.

use super::bytes::Bytes;
use super::World;
use kqueue::event::{self, kevent as Kevent, *};
use libc::{c_int, timespec};
use std::io::Error;

extern "C-unwind" {
    #[link_name = "kevent"]
    fn call(
        kq: c_int,
        changelist: *const Kevent,
        nchanges: c_int,
        eventlist: *mut Kevent,
        nevents: c_int,
        timeout: *const timespec,
    ) -> c_int;
}
extern "C" {
    fn kqueue() -> c_int;
}

const ROOM: usize = 8;
const FILTERS: [i16; 13] = [
    EVFILT_READ,
    EVFILT_WRITE,
    EVFILT_VNODE,
    EVFILT_PROC,
    EVFILT_SIGNAL,
    EVFILT_TIMER,
    EVFILT_USER,
    EVFILT_EMPTY,
    event::EVFILT_EXCEPT,
    -16,
    EVFILT_AIO,
    EVFILT_LIBKQUEUE,
    0,
];
/// What kevent() may refuse with, as the man page lists it.
const ERRORS: [c_int; 16] = [
    libc::EACCES,
    libc::EBADF,
    libc::EDEADLK,
    libc::EFAULT,
    libc::EINTR,
    libc::EINVAL,
    libc::ELOOP,
    libc::EMFILE,
    libc::ENOENT,
    libc::ENOMEM,
    libc::ENOSPC,
    libc::ENOSYS,
    libc::EOPNOTSUPP,
    libc::EOVERFLOW,
    libc::EPERM,
    libc::ESRCH,
];

const MARK: usize = 0x5ca1_ab1e;
const UNTOUCHED: Kevent = Kevent { ident: MARK, filter: 77, flags: 0, fflags: 0, data: 0, udata: MARK as *mut _ };

fn change(world: &World, bytes: &mut Bytes) -> Kevent {
    let filter = match bytes.byte() {
        known @ ..240 => FILTERS[usize::from(known) % FILTERS.len()],
        _ => bytes.number() as i16,
    };
    let ident = match bytes.byte() % 8 {
        0..=3 => world.descriptors.get(bytes.byte()) as usize,
        4 => world.descriptors.queue(bytes.byte()) as usize,
        5 if world.zombie != 0 => world.zombie as usize,
        5 => std::process::id() as usize,
        _ => bytes.any() as usize,
    };
    let flags = match bytes.byte() {
        add @ ..160 => EV_ADD | u16::from(add) & !EV_DELETE & 0xfc,
        other @ ..240 => 1 << (other % 10),
        _ => bytes.number() as u16,
    };
    let mut fflags = match bytes.byte() {
        one @ ..128 => 1 << (one % 32),
        low @ ..240 => u32::from(low & 0x7f),
        _ => bytes.number() as u32,
    };
    let udata = bytes.any() as *mut _;
    if filter == EVFILT_LIBKQUEUE {
        // The others take pointers, and write to the standard error.
        fflags = [NOTE_VERSION, NOTE_VERSION_STR, NOTE_THREAD_SAFE, NOTE_FORK_CLEANUP, 0x100][fflags as usize % 5];
    }
    Kevent { ident, filter, flags, fflags, data: bytes.any() as isize, udata }
}

pub fn kevent(world: &World, bytes: &mut Bytes) {
    let shape = bytes.byte();
    let kq = match shape % 16 {
        0 => bytes.any() as c_int,
        1 => world.descriptors.get(bytes.byte()),
        _ => world.descriptors.queue(shape / 16),
    };
    let count = bytes.byte();
    let (nchanges, nevents) = (usize::from(count % 16).min(ROOM), usize::from(count / 16).min(ROOM));
    let mut changes = [UNTOUCHED; ROOM + 1];
    changes[..nchanges].fill_with(|| change(world, bytes));
    let mut events = [UNTOUCHED; ROOM + 1];
    let how = bytes.byte();
    let timeout = match how % 8 {
        0 => timespec { tv_sec: bytes.any() as i64 % 1000, tv_nsec: -1 },
        1 => timespec { tv_sec: -1, tv_nsec: 0 },
        2 => timespec { tv_sec: 0, tv_nsec: i64::from(bytes.byte()) * 1000 },
        _ => timespec { tv_sec: 0, tv_nsec: 0 },
    };
    let in_place = how & 8 != 0;
    let (change_count, room) = match how / 16 {
        0 => (-1, nevents as c_int),
        1 => (nchanges as c_int, c_int::MIN),
        _ => (nchanges as c_int, nevents as c_int),
    };
    let before = changes;
    let out = if in_place { changes.as_mut_ptr() } else { events.as_mut_ptr() };
    let source = if in_place { out.cast_const() } else { changes.as_ptr() };
    let (source, out) = match how {
        250 => (core::ptr::null(), out),
        251 => (source, core::ptr::null_mut()),
        _ => (source, out),
    };
    // SAFETY: lists of at least the length that is said, or null; the library says what it does with both.
    let came = unsafe { call(kq, source, change_count, out, room, &timeout) };
    if !in_place {
        assert!((0..=ROOM).all(|i| is_same(&changes[i], &before[i])), "the changelist was written to");
    }
    if came == -1 {
        let errno = Error::last_os_error().raw_os_error().unwrap_or(0);
        assert!(ERRORS.contains(&errno), "kevent(): errno {errno}");
        return;
    }
    let came = usize::try_from(came).expect("-1, or a count");
    assert!(came <= nevents, "{came} events in room for {nevents}");
    let events = if in_place { &changes } else { &events };
    events[..came].iter().for_each(check);
    let untouched = if in_place { &before } else { &[UNTOUCHED; ROOM + 1] };
    // A receipt that finds no room ends the call with 0, whatever was written before it (1.7).
    let end = if came == 0 { nevents } else { came };
    let kept = (end..=ROOM).all(|i| is_same(&events[i], &untouched[i]));
    assert!(kept, "{came} events for {nchanges} changes, and written to behind them: {events:?}");
}

fn is_same(one: &Kevent, other: &Kevent) -> bool {
    let fields = |it: &Kevent| (it.ident, it.filter, it.flags, it.fflags, it.data, it.udata);
    fields(one) == fields(other)
}

fn check(event: &Kevent) {
    if event.flags & EV_ERROR != 0 {
        let errno = event.data as c_int;
        assert!(errno == 0 || ERRORS.contains(&errno), "{event:?}");
    } else {
        assert!(FILTERS[..FILTERS.len() - 1].contains(&event.filter) && event.filter != EVFILT_AIO, "{event:?}");
        assert!(event.flags & EV_DELETE == 0, "{event:?}");
    }
}

/// Whatever happened before: a new queue reports what is ready, and nothing else.
pub fn still_works() {
    let mut events = [UNTOUCHED; 2];
    let change =
        Kevent { ident: 1, filter: EVFILT_USER, flags: EV_ADD, fflags: NOTE_TRIGGER, data: 0, udata: MARK as *mut _ };
    // SAFETY: lists of the length that is said; the queue is ours.
    let came = unsafe {
        let kq = kqueue();
        assert!(kq >= 0, "kqueue(): {}", Error::last_os_error());
        let came = call(kq, &change, 1, events.as_mut_ptr(), 2, &timespec { tv_sec: 10, tv_nsec: 0 });
        assert_eq!(libc::close(kq), 0);
        came
    };
    assert_eq!((came, events[0].ident, events[0].udata as usize), (1, 1, MARK));
}
