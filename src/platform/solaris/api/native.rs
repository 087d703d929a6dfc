//! The system's own.

use core::mem::MaybeUninit;
use libc::{c_int, c_void, clockid_t, timer_t};

pub use libc::{
    port_associate, port_create, port_dissociate, port_event, port_getn, port_send, timer_delete, timer_settime,
    EBADFD, ETIME, PORT_SOURCE_FD, PORT_SOURCE_TIMER,
};

/// A timer whose expiries go to a port (timer_create(3C), signal.h(3HEAD)). Returns as timer_create().
///
/// # Safety
/// `timer` can be written to.
pub unsafe fn timer_create(clock: clockid_t, port: c_int, user: *mut c_void, timer: *mut timer_t) -> c_int {
    const _: () = assert!(size_of::<libc::port_notify>() == 16 && size_of::<libc::sigevent>() == 40);
    let mut notify = libc::port_notify { portnfy_port: port, portnfy_user: user };
    let mut event = MaybeUninit::<libc::sigevent>::zeroed();
    // SAFETY: a sigevent of zeroes is valid; what it points to is read in the call.
    unsafe {
        let event = event.assume_init_mut();
        event.sigev_notify = libc::SIGEV_PORT;
        event.sigev_value.sival_ptr = (&raw mut notify).cast();
        libc::timer_create(clock, event, timer)
    }
}
