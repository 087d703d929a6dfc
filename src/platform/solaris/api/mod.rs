//! The calls, types and constants of event ports: from the crate libc where the system is one that has them, else as the
//! emulation of tests/event-ports has them, which are the same.

#[cfg(not(feature = "event-port-emulation"))]
mod native;
#[cfg(not(feature = "event-port-emulation"))]
use native as system;

#[cfg(feature = "event-port-emulation")]
mod emulated;
#[cfg(feature = "event-port-emulation")]
use emulated as system;

pub use crate::platform::unix::kernel::missing::{POLLRDHUP, S_IFPORT};
pub use system::{
    port_associate, port_create, port_dissociate, port_event, port_getn, port_send, timer_create, timer_delete,
    timer_settime, EBADFD, ETIME, PORT_SOURCE_FD, PORT_SOURCE_TIMER,
};

// sys/port.h, LP64.
const _: () = {
    assert!(size_of::<port_event>() == 24);
    assert!(core::mem::offset_of!(port_event, portev_source) == 4);
    assert!(core::mem::offset_of!(port_event, portev_object) == 8);
    assert!(core::mem::offset_of!(port_event, portev_user) == 16);
};
