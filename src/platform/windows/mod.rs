//! Windows: an I/O completion port, AFD's poll for sockets, the clock for pipes and files.
//!
//! - `poller`: the queue: its port, its descriptor, who waits;
//! - `table`, `requests`, `afd`: what is asked of sockets, and what the clock looks at;
//! - `crt`: whose descriptors and errno they are; `target`: what an ident is;
//! - `inspect`, `files`, `processes`, `signals`: the facts under the filters;
//! - `api`: the system's functions; `sys`: time, sleep, errno.
//!
//! What nobody tells of here either is shared with the POSIX folder.

mod afd;
mod api;
pub mod births;
#[path = "../posix/buffer.rs"]
mod buffer;
#[path = "../posix/connector.rs"]
pub mod connector;
#[path = "../posix/copies.rs"]
pub mod copies;
mod crt;
pub mod files;
pub mod inspect;
pub mod outlet;
pub mod poller;
pub mod processes;
#[path = "../posix/renewal.rs"]
pub mod renewal;
mod requests;
pub mod signals;
pub mod start;
pub mod sys;
mod table;
mod target;
#[path = "../posix/unwatched.rs"]
mod unwatched;
