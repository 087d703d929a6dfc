//! Any Unix: poll, a pipe, sigaction, waitid, fstat.
//!
//! The smallest backend that is right, and the one that others begin from: what the system does not tell is found
//! out by looking, and what it does not wait for a thread waits for (`watchman`). Files that hold nothing of one
//! system are shared with Linux's folder.

#[path = "../linux/births.rs"]
pub mod births;
mod buffer;
mod calls;
pub mod connector;
pub mod copies;
pub mod files;
mod idle;
#[path = "../linux/inspect.rs"]
pub mod inspect;
mod item;
pub mod next;
#[path = "../linux/outlet.rs"]
pub mod outlet;
mod pipe;
pub mod poller;
pub mod processes;
pub mod renewal;
pub mod signals;
mod sleepers;
#[path = "../linux/start.rs"]
pub mod start;
pub mod sys;
mod table;
mod unwatched;
pub mod watchman;
