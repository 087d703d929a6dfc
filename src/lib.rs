//! `kqueue(2)` and `kevent(2)` for systems that have none.
//!
//! The floors, each calling only those below it:
//!
//! - `event`: the C types and constants, which every floor speaks in;
//! - `abi`: the exported C functions: argument checks and errno;
//! - `registry`: from a descriptor to its queue; close and fork;
//! - `kqueue`: one queue: applies changes, collects events;
//! - `filter`: what each EVFILT_* means;
//! - `index`: a table by hash;
//! - `trace`: what is said of each call, where that is asked for;
//! - `platform`: how the kernel is asked, one folder a system.

pub mod abi;
mod errno;
pub mod event;
mod filter;
mod index;
mod kqueue;
mod platform;
mod registry;
#[cfg(feature = "seeded-bugs")]
mod seeded;
mod trace;
