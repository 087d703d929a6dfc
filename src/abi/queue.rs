//! kqueue(2) and kevent(2).

use super::{result_or_errno, value_or_errno};
use crate::errno::{guarded, Errno, Result};
use crate::event::{kevent, KQUEUE_CLOEXEC};
use crate::kqueue::change::{Applied, Eventlist};
use crate::kqueue::collect::{self, Wait};
use crate::platform::signals::Sleep;
use crate::platform::sys::{self, Cancellation, Uncancelled};
use crate::platform::{births, start};
use crate::registry;
use crate::trace;
use core::ffi::{c_int, c_uint};
use core::fmt::Arguments;

/// `kqueue(2)`: makes a kqueue. Returns its descriptor, or -1 with errno set.
///
/// # Errors
/// `EMFILE`, `ENFILE` no descriptor left; `ENOMEM`. (kqueue(2), "ERRORS", FreeBSD)
#[no_mangle]
pub extern "C" fn kqueue() -> c_int {
    traced(create(false), format_args!("kqueue()"))
}

/// `kqueuex(2)`: makes a kqueue; `flags` is 0 or `KQUEUE_CLOEXEC`.
///
/// # Errors
/// As `kqueue`; `EINVAL` unknown flags. (kqueue(2), FreeBSD)
#[no_mangle]
pub extern "C" fn kqueuex(flags: c_uint) -> c_int {
    let known = flags & !KQUEUE_CLOEXEC == 0;
    let made = if known { create(false) } else { result_or_errno(|| Err(Errno::EINVAL)) };
    traced(made, format_args!("kqueuex({})", trace::KqueueFlags(flags)))
}

/// `kqueue1(2)`: makes a kqueue; `flags` are `O_CLOEXEC` and `O_NONBLOCK`.
///
/// # Errors
/// As `kqueue`; `EINVAL` unknown flags. (kqueue(2), NetBSD)
#[no_mangle]
pub extern "C" fn kqueue1(flags: c_int) -> c_int {
    let known = flags & !(sys::O_CLOEXEC | sys::O_NONBLOCK) == 0;
    let made = if known { create(flags & sys::O_NONBLOCK != 0) } else { result_or_errno(|| Err(Errno::EINVAL)) };
    traced(made, format_args!("kqueue1({})", trace::OpenFlags(flags)))
}

fn create(nonblocking: bool) -> c_int {
    start::ensure_for_queue();
    super::silence_panics();
    let _uncancelled = Uncancelled::begin();
    result_or_errno(|| registry::create(nonblocking))
}

/// Tells of a call that has returned, where that is asked for.
#[inline]
fn traced(result: c_int, call: Arguments) -> c_int {
    if trace::is_on() {
        let _uncancelled = Uncancelled::begin();
        trace::tell(call, result);
    }
    result
}

/// For programs that link the archive; the library starts by itself.
#[no_mangle]
pub extern "C" fn libkqueue_init() -> c_int {
    start::ensure();
    0
}

/// Returns once everything that closed kqueues held has been given back.
#[no_mangle]
pub extern "C" fn libkqueue_drain_pending_close() {
    let _uncancelled = Uncancelled::begin();
    let _ = guarded(|| {
        registry::drain();
        Ok(())
    });
}

/// Writes to descriptor `fd` what every kqueue of the process holds, an event a line: for a debugger, or a program
/// that wonders why an event does not come.
#[no_mangle]
pub extern "C" fn libkqueue_dump(fd: c_int) {
    let _uncancelled = Uncancelled::begin();
    let errno = sys::last_errno();
    let _ = guarded(|| {
        trace::dump::dump(fd);
        Ok(())
    });
    sys::set_errno(errno);
}

/// The changelist, read one by one: its place may be the eventlist's too (1.8).
#[derive(Clone)]
struct Changes {
    next: *const kevent,
    left: usize,
}

impl Iterator for Changes {
    type Item = kevent;

    #[inline]
    fn next(&mut self) -> Option<kevent> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        // SAFETY: the caller of kevent() promises `nchanges` readable entries; `left` counts what remains.
        unsafe {
            let change = self.next.read();
            self.next = self.next.add(1);
            Some(change)
        }
    }
}

/// The caller's eventlist, filled from the front.
struct Events {
    first: *mut kevent,
    room: usize,
    len: usize,
}

impl Eventlist for Events {
    #[inline]
    fn room(&self) -> usize {
        self.room - self.len
    }

    #[inline]
    fn len(&self) -> usize {
        self.len
    }

    fn contains(&self, ident: usize, filter: i16) -> bool {
        (0..self.len).any(|index| {
            // SAFETY: the first `len` entries were written by `push`.
            let entry = unsafe { self.first.add(index).read() };
            entry.ident == ident && entry.filter == filter
        })
    }

    #[inline]
    fn push(&mut self, entry: kevent) {
        if self.len < self.room {
            // SAFETY: the caller of kevent() promises `nevents` writable entries, and `len < room`.
            unsafe { self.first.add(self.len).write(entry) };
            self.len += 1;
        }
    }
}

/// `kevent(2)`: applies `nchanges` changes in order, then waits for events and stores at most `nevents` of them.
/// `timeout` NULL waits for ever. Returns how many were stored, 0 on time-out, -1 with errno set.
///
/// # Errors
/// `EBADF` `kq` is no kqueue, or was closed meanwhile; `EFAULT` a list is NULL; `EINVAL` a negative count or a
/// time-out out of range; `EINTR`; `EDEADLK` called by a signal handler that interrupted the library under the
/// same queue's lock; the errors of a change that found no room in `eventlist`. (kqueue(2), "ERRORS", FreeBSD)
///
/// # Safety
/// `changelist` has `nchanges` entries and `eventlist` room for `nevents`; they may be the same array.
#[no_mangle]
pub unsafe extern "C-unwind" fn kevent(
    kq: c_int,
    changelist: *const kevent,
    nchanges: c_int,
    eventlist: *mut kevent,
    nevents: c_int,
    timeout: *const libc::timespec,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        if trace::is_on() {
            traced_kevent(kq, changelist, nchanges, eventlist, nevents, timeout)
        } else {
            checked_kevent(kq, changelist, nchanges, eventlist, nevents, timeout)
        }
    }
}

/// # Safety
/// As `kevent`.
#[inline]
unsafe fn checked_kevent(
    kq: c_int,
    changelist: *const kevent,
    nchanges: c_int,
    eventlist: *mut kevent,
    nevents: c_int,
    timeout: *const libc::timespec,
) -> c_int {
    let (Ok(left), Ok(room)) = (usize::try_from(nchanges), usize::try_from(nevents)) else {
        return result_or_errno(|| Err(Errno::EINVAL));
    };
    if (left > 0 && changelist.is_null()) || (room > 0 && eventlist.is_null()) {
        return result_or_errno(|| Err(Errno::EFAULT));
    }
    // 1.13
    if left > 0 && room > 0 {
        sys::test_cancel();
    }
    // Outlives all else: what it lets in at the end may leave by siglongjmp(), or change errno.
    let mut sleep = Sleep::new();
    let cancellation = Cancellation::new();
    let mut events = Events { first: eventlist, room, len: 0 };
    let result = run(kq, Changes { next: changelist, left }, &mut events, timeout, &cancellation, &mut sleep);
    drop(cancellation);
    drop(sleep);
    value_or_errno(result.map(|count| count as c_int))
}

/// kevent(), told of. The guards are gone while the call is under way: it may be cancelled.
///
/// # Safety
/// As `kevent`.
#[cold]
#[inline(never)]
unsafe fn traced_kevent(
    kq: c_int,
    changelist: *const kevent,
    nchanges: c_int,
    eventlist: *mut kevent,
    nevents: c_int,
    timeout: *const libc::timespec,
) -> c_int {
    let list = |first: *const kevent, count: c_int| {
        (!first.is_null()).then(|| Changes { next: first, left: usize::try_from(count).unwrap_or(0) })
    };
    let uncancelled = Uncancelled::begin();
    let mut call = trace::Call::new(kq);
    call.begin(list(changelist, nchanges), nchanges);
    if timeout.is_null() && nevents > 0 && nchanges >= 0 {
        call.may_stay();
    }
    // SAFETY: the caller of kevent() promises a valid time-out where it is not NULL.
    let time = (!timeout.is_null()).then(|| unsafe { *timeout });
    drop(uncancelled);
    // SAFETY: the caller's promise.
    let result = unsafe { checked_kevent(kq, changelist, nchanges, eventlist, nevents, timeout) };
    let _uncancelled = Uncancelled::begin();
    call.end(list(eventlist, result), nevents, time, result);
    result
}

#[inline]
fn run(
    kq: c_int,
    changes: Changes,
    events: &mut Events,
    timeout: *const libc::timespec,
    cancellation: &Cancellation,
    sleep: &mut Sleep,
) -> Result<usize> {
    let entered = registry::enter(kq, cancellation)?;
    let slot = entered.slot;
    if changes.left > 0 {
        sys::hand_over(slot);
    }
    if slot.lock_is_mine() || births::are_interrupted() || slot.lock_is_crossed() {
        return if events.room == 0 { slot.leave_triggers(changes).map(|()| 0) } else { Err(Errno::EDEADLK) };
    }
    let cancelable = changes.left == 0;
    if changes.left > 0 {
        let applied = guarded(|| {
            let mut contents = slot.lock()?;
            let mut queue = slot.queue(&mut contents);
            // Handlers left them before.
            slot.take_triggers(&mut queue);
            let result = queue.apply(changes, events, || cancellation.hold());
            slot.set_attention(&contents);
            result
        });
        // 1.5, 1.6, 1.7
        match applied {
            Ok(Applied::All) => {}
            other => {
                cancellation.hold();
                slot.announce();
                slot.rest();
                return other.map(|applied| if applied == Applied::Told { events.len } else { 0 });
            }
        }
    }
    // 1.4: with no room for events the time-out does not matter.
    let result = if events.room == 0 {
        Ok(())
    } else {
        wait_of(timeout).and_then(|wait| collect::collect(slot, events, wait, cancellation, cancelable, sleep))
    };
    if slot.has_attention() {
        cancellation.hold();
        slot.announce();
    }
    slot.rest();
    if events.len > 0 {
        sys::take_over(slot);
    }
    result.map(|()| events.len)
}

/// How long the time-out waits (1.3, 1.4).
fn wait_of(timeout: *const libc::timespec) -> Result<Wait> {
    if timeout.is_null() {
        return Ok(Wait::Forever);
    }
    // SAFETY: the caller of kevent() promises a valid time-out where it is not NULL.
    let libc::timespec { tv_sec, tv_nsec } = unsafe { *timeout };
    let (Ok(seconds), Ok(nanoseconds)) = (u64::try_from(tv_sec), u64::try_from(tv_nsec)) else {
        return Err(Errno::EINVAL);
    };
    match (seconds, nanoseconds) {
        (_, sys::NANOSECONDS..) => Err(Errno::EINVAL),
        (0, 0) => Ok(Wait::No),
        (0..=0x7fff_ffff, _) => Ok(Wait::For(seconds * sys::NANOSECONDS + nanoseconds)),
        _ => Ok(Wait::Forever),
    }
}
