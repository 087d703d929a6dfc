//! The exported functions. Argument checks and errno, nothing else.
//!
//! - `queue`: kqueue(), kqueuex(), kqueue1(), kevent() and the library's own;
//! - `close`, `signal`: libc's functions that we stand in front of;
//! - `kill`: signals, where the system has none.

#[cfg(unix)]
pub mod close;
#[cfg(windows)]
pub mod kill;
pub mod queue;
#[cfg(unix)]
pub mod signal;

use crate::errno::{guarded, Result};
use crate::platform::sys;
use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::panic::{set_hook, take_hook, PanicHookInfo};
use std::sync::OnceLock;

/// Runs the body of an exported function: errno for an `Err`, and for a panic, which must not reach C.
fn result_or_errno(body: impl FnOnce() -> Result<c_int>) -> c_int {
    value_or_errno(guarded(body))
}

#[inline]
fn value_or_errno(result: Result<c_int>) -> c_int {
    match result {
        Ok(value) => value,
        Err(errno) => {
            sys::set_errno(errno);
            -1
        }
    }
}

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Sync + Send>;

/// Sees to it that a panic of ours prints nothing. One of the Rust program that we may be part of does what it
/// did. Neither box is an allocation: the default hook and ours have no size.
fn silence_panics() {
    static DONE: AtomicBool = AtomicBool::new(false);
    static BEFORE: OnceLock<Hook> = OnceLock::new();
    if DONE.swap(true, SeqCst) {
        return;
    }
    let _ = BEFORE.set(take_hook());
    set_hook(Box::new(|info| {
        let sources = file!().trim_end_matches("abi/mod.rs");
        if !info.location().is_some_and(|location| location.file().starts_with(sources)) {
            if let Some(before) = BEFORE.get() {
                before(info);
            }
        }
    }));
}
