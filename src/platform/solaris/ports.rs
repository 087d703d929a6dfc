//! What a port is asked. A port keeps what it has been told of until somebody takes it; a *serial* comes back with what it
//! was associated with.

use super::{api, sys};
use crate::errno::{Errno, Result};
use core::mem::MaybeUninit;
use libc::{c_int, c_uint, timespec};

/// One event, as port_getn() gives it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Event(api::port_event);

/// What it is about.
pub enum About {
    /// `events`: what it said when it was queued.
    Descriptor {
        fd: i32,
        serial: u32,
        events: i16,
    },
    Timer,
    /// It was sent: why is written elsewhere.
    Word,
}

impl Event {
    pub fn about(&self) -> About {
        match c_int::from(self.0.portev_source) {
            api::PORT_SOURCE_FD => {
                let (fd, serial) = (self.0.portev_object as i32, self.0.portev_user as usize as u32);
                About::Descriptor { fd, serial, events: self.0.portev_events as i16 }
            }
            api::PORT_SOURCE_TIMER => About::Timer,
            _ => About::Word,
        }
    }
}

fn user(serial: u32) -> *mut libc::c_void {
    core::ptr::without_provenance_mut(serial as usize)
}

/// A port, close-on-exec (between the two calls a fork and exec of another thread's inherits it: there is no flag).
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn create() -> Result<i32> {
    // SAFETY: no preconditions.
    let port = sys::check(unsafe { api::port_create() }).map_err(|errno| match errno.0 {
        // project.max-port-ids
        libc::EAGAIN => Errno(libc::ENFILE),
        _ => errno,
    })?;
    // SAFETY: no pointers.
    unsafe { libc::fcntl(port, libc::F_SETFD, libc::FD_CLOEXEC) };
    Ok(port)
}

/// Is the number open on a port?
pub fn is_port(fd: i32) -> bool {
    // The type differs from system to system.
    #[allow(clippy::unnecessary_cast)]
    sys::stat(fd).is_ok_and(|stat| stat.st_mode as u32 & libc::S_IFMT as u32 == api::S_IFPORT)
}

/// From now on the first of these `events` is told, in place of what was associated. One that holds is queued at once,
/// and who sleeps in poll() on the port is not told of that. `EBADF`, `ENOMEM`, or what the file's own poll says.
pub fn associate(port: i32, fd: i32, events: c_int, serial: u32) -> Result<()> {
    // SAFETY: the user pointer is but a number.
    let result = unsafe { api::port_associate(port, api::PORT_SOURCE_FD, fd as usize, events, user(serial)) };
    sys::check(result).map(|_| ()).map_err(|errno| match errno.0 {
        api::EBADFD => Errno::EBADF,
        // process.max-port-events
        libc::EAGAIN => Errno::ENOMEM,
        _ => errno,
    })
}

/// Nothing of the descriptor is told any more; what is queued goes, too. `ENOENT`: there was nothing.
pub fn dissociate(port: i32, fd: i32) -> Result<()> {
    // SAFETY: no pointers.
    sys::check(unsafe { api::port_dissociate(port, api::PORT_SOURCE_FD, fd as usize) }).map(|_| ())
}

/// Queues an event that is about nothing, and tells who sleeps. Async-signal-safe. `EAGAIN`: no slot is left.
pub fn send(port: i32) -> Result<()> {
    let errno = sys::last_errno();
    // SAFETY: the user pointer is null.
    let sent = sys::check(unsafe { api::port_send(port, 0, core::ptr::null_mut()) });
    sys::set_errno(errno);
    sent.map(|_| ())
}

/// How many events are queued.
pub fn queued(port: i32) -> u32 {
    let mut count: c_uint = 0;
    // SAFETY: with room for none the list is not looked at.
    let result = unsafe { api::port_getn(port, core::ptr::null_mut(), 0, &mut count, core::ptr::null_mut()) };
    if result == 0 {
        count
    } else {
        0
    }
}

/// Takes what is queued, the oldest first and so many at most, without waiting.
pub fn take<const N: usize>(port: i32, list: &mut [MaybeUninit<Event>; N], most: usize) -> &[Event] {
    let most = most.clamp(1, N);
    let mut count: c_uint = 1;
    let mut at_once = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the list has N places; an Event is a port_event.
    let result = unsafe { api::port_getn(port, list.as_mut_ptr().cast(), most as c_uint, &mut count, &mut at_once) };
    // With ETIME events may have been taken all the same.
    let taken = if result == 0 || sys::last_errno().0 == api::ETIME { count as usize } else { 0 };
    // SAFETY: the system filled `count` entries, of N at most.
    unsafe { core::slice::from_raw_parts(list.as_ptr().cast(), taken.min(N)) }
}

/// Are two numbers one port? Only through the same one an association that was made is found. No fork comes between.
pub fn is_same(port: i32, other: i32) -> bool {
    let _hold = super::births::hold();
    // SAFETY: a literal path.
    let opened = sys::check(unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) });
    let Ok(idle) = opened.and_then(|fd| sys::move_up(fd, sys::least_helper())) else { return false };
    let same = associate(port, idle, 0, 0).is_ok() && dissociate(other, idle).is_ok();
    sys::close_raw(idle);
    same
}

/// A timer that tells a port.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Timer(pub c_int);

impl Timer {
    /// `EAGAIN`: the process has too many; `EPERM`.
    pub fn create(clock: c_int, port: i32) -> Result<Timer> {
        let mut timer = 0;
        // SAFETY: the timer is a local.
        sys::check(unsafe { api::timer_create(clock, port, core::ptr::null_mut(), &mut timer) })?;
        Ok(Timer(timer))
    }

    /// Once, after so many nanoseconds, or, if `absolute`, at that time of its clock.
    pub fn set(self, time: u64, absolute: bool) -> Result<()> {
        let value = sys::timespec_of(time.clamp(1, i64::MAX as u64));
        let setting = libc::itimerspec { it_interval: timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        let flags = if absolute { libc::TIMER_ABSTIME } else { 0 };
        // SAFETY: the setting lives through the call.
        sys::check(unsafe { api::timer_settime(self.0, flags, &setting, core::ptr::null_mut()) }).map(|_| ())
    }

    pub fn delete(self) {
        // SAFETY: no pointers.
        unsafe { api::timer_delete(self.0) };
    }
}
