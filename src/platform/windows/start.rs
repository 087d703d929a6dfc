//! What happens before the first kqueue is made. (Nothing happens when the library is loaded: the loader's lock is held
//! then.)

use super::api::*;
use crate::platform::front;
use crate::trace;
use core::ffi::CStr;
use core::sync::atomic::{AtomicU8, Ordering::*};

const STARTING: u8 = 1;
const STARTED: u8 = 2;
static STATE: AtomicU8 = AtomicU8::new(0);

#[inline]
pub fn ensure() {
    if STATE.load(Acquire) != STARTED {
        start();
    }
}

/// The same for a kqueue().
#[inline]
pub fn ensure_for_queue() {
    ensure();
}

#[cold]
fn start() {
    if STATE.compare_exchange(0, STARTING, AcqRel, Acquire).is_err() {
        while STATE.load(Acquire) != STARTED {
            super::sys::give_way(true);
        }
        return;
    }
    let mut data = [0; 64];
    // SAFETY: room for a WSADATA. The library stays loaded, so this is never taken back.
    unsafe { WSAStartup(0x0202, &mut data) };
    keep_loaded();
    // No close() is told of before it happens.
    front::set(false);
    let (mut debug, mut path) = ([0; 16], [0; 1024]);
    trace::begin(environment(c"KQUEUE_DEBUG", &mut debug), environment(c"KQUEUE_DEBUG_FILE", &mut path));
    STATE.store(STARTED, Release);
}

/// Callbacks of ours may run at any time: the library must not be unloaded.
fn keep_loaded() {
    const FROM_ADDRESS_PINNED: u32 = 4 | 1;
    let mut module = 0;
    // SAFETY: with these flags the second argument is an address in the module.
    unsafe { GetModuleHandleExW(FROM_ADDRESS_PINNED, ensure as fn() as usize as *const u16, &mut module) };
}

fn environment<'a>(name: &CStr, value: &'a mut [u8]) -> Option<&'a CStr> {
    // SAFETY: the name ends in a NUL; the room is given.
    let length = unsafe { GetEnvironmentVariableA(name.as_ptr().cast(), value.as_mut_ptr(), value.len() as u32) };
    if length == 0 || length as usize >= value.len() {
        return None;
    }
    CStr::from_bytes_until_nul(value).ok()
}
