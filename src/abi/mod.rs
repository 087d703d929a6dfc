//! The exported functions. Argument checks and errno, nothing else.
//!
//! - `queue`: kqueue(), kqueuex(), kqueue1(), kevent() and the library's own;
//! - `close`, `signal`: libc's functions that we stand in front of.

pub mod close;
pub mod queue;
pub mod signal;

use crate::errno::Result;
use crate::platform::sys;
use core::ffi::c_int;
use std::panic::{catch_unwind, AssertUnwindSafe};

/// Runs the body of an exported function: errno for an `Err`, and for a panic, which must not reach C.
fn result_or_errno(body: impl FnOnce() -> Result<c_int>) -> c_int {
    match guarded(body) {
        Ok(value) => value,
        Err(errno) => {
            sys::set_errno(errno);
            -1
        }
    }
}

/// A defect of ours is an error of the call, not the end of the caller.
fn guarded<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(Err(crate::errno::Errno(libc::EIO)))
}
