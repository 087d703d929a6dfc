//! Those of tests/event-ports/port.h.

use libc::{c_int, c_uint, c_ushort, c_void, clockid_t, itimerspec, timespec, uintptr_t};

pub const PORT_SOURCE_TIMER: c_int = 2;
pub const PORT_SOURCE_FD: c_int = 4;
pub const ETIME: c_int = 62;
pub const EBADFD: c_int = 81;

#[allow(non_camel_case_types)]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct port_event {
    pub portev_events: c_int,
    pub portev_source: c_ushort,
    pub portev_pad: c_ushort,
    pub portev_object: uintptr_t,
    pub portev_user: *mut c_void,
}

#[repr(C)]
struct PortNotify {
    port: c_int,
    user: *mut c_void,
}

extern "C" {
    pub fn port_create() -> c_int;
    pub fn port_associate(port: c_int, source: c_int, object: uintptr_t, events: c_int, user: *mut c_void) -> c_int;
    pub fn port_dissociate(port: c_int, source: c_int, object: uintptr_t) -> c_int;
    pub fn port_getn(
        port: c_int,
        list: *mut port_event,
        max: c_uint,
        nget: *mut c_uint,
        timeout: *mut timespec,
    ) -> c_int;
    pub fn port_send(port: c_int, events: c_int, user: *mut c_void) -> c_int;
    fn port_timer_create(clock: clockid_t, notify: *const PortNotify, timer: *mut c_int) -> c_int;
    #[link_name = "port_timer_settime"]
    pub fn timer_settime(timer: c_int, flags: c_int, value: *const itimerspec, old: *mut itimerspec) -> c_int;
    #[link_name = "port_timer_delete"]
    pub fn timer_delete(timer: c_int) -> c_int;
}

/// A timer whose expiries go to a port. Returns as timer_create().
///
/// # Safety
/// `timer` can be written to.
pub unsafe fn timer_create(clock: clockid_t, port: c_int, user: *mut c_void, timer: *mut c_int) -> c_int {
    let notify = PortNotify { port, user };
    // SAFETY: what `notify` is, is read in the call; the timer is the caller's promise.
    unsafe { port_timer_create(clock, &notify, timer) }
}
