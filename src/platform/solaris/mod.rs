//! Solaris and illumos: event ports.
//!
//! The kqueue descriptor is the port. What the ports are asked is in `ports`, and `api` says of every call that the crate
//! libc does not have where it is from. The rest - signals, processes, files - is as on any Unix (`posix`), where nothing
//! here says otherwise.

mod api;
#[path = "../linux/births.rs"]
pub mod births;
#[path = "../posix/buffer.rs"]
mod buffer;
#[path = "../posix/calls.rs"]
mod calls;
#[path = "../posix/connector.rs"]
pub mod connector;
#[path = "../posix/copies.rs"]
pub mod copies;
mod edges;
#[path = "../posix/files.rs"]
pub mod files;
#[path = "../linux/inspect.rs"]
pub mod inspect;
#[path = "../posix/item.rs"]
mod item;
#[path = "../posix/next.rs"]
mod libcs;
pub mod next;
#[path = "../linux/outlet.rs"]
pub mod outlet;
mod pipe;
pub mod poller;
mod ports;
#[path = "../posix/processes.rs"]
pub mod processes;
#[path = "../posix/renewal.rs"]
pub mod renewal;
#[path = "../posix/signals/mod.rs"]
pub mod signals;
#[path = "../linux/start.rs"]
pub mod start;
pub mod sys;
mod table;
mod timers;
#[path = "../posix/unwatched.rs"]
mod unwatched;
