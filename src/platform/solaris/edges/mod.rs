//! EV_CLEAR: what tells of something new where there is something old.
//!
//! A port does not: associated with data left it tells at once, and not associated never. illumos has epoll(5), whose
//! edges do; of others nothing is known, and there the clock looks (`item`).

#[cfg(any(target_os = "illumos", feature = "event-port-emulation"))]
mod epoll;
#[cfg(any(target_os = "illumos", feature = "event-port-emulation"))]
pub use epoll::{begin, child, end, forget, harvest, leave, silence, take_news};

#[cfg(not(any(target_os = "illumos", feature = "event-port-emulation")))]
mod clock;
#[cfg(not(any(target_os = "illumos", feature = "event-port-emulation")))]
pub use clock::{begin, child, end, forget, harvest, leave, silence, take_news};
