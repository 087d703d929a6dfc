//! How often each signal came, and who is told.

use super::mask::{place, SIGNALS};
use super::{wants, watching};
use crate::registry;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use libc::c_int;

static RECORDED: [AtomicU64; SIGNALS] = [const { AtomicU64::new(0) }; SIGNALS];
/// The stack pointer of the latest activation that recorded the signal and has not returned. A hint.
static RECORDED_AT: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];

/// Counts a signal and tells every kqueue that wants it, but `except`, which knows.
pub(super) fn record(signo: c_int, except: Option<u32>) {
    RECORDED[place(signo)].fetch_add(1, SeqCst);
    wants::of(signo).each(|slot| {
        if Some(slot) != except {
            registry::signal_arrived(slot, signo);
        }
    });
}

pub(super) fn recorded_at(signo: c_int) -> &'static AtomicUsize {
    &RECORDED_AT[place(signo)]
}

/// How often the signal was recorded since the process began, by the handler or from a signalfd.
pub fn recorded(signo: c_int) -> u64 {
    RECORDED[place(signo)].load(SeqCst)
}

/// In the child of a fork: nothing has come yet.
pub(super) fn clear() {
    for signo in watching::ever_watched() {
        RECORDED[place(signo)].store(0, SeqCst);
    }
}
