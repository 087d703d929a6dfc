//! What the system is told of an action, and says, with nothing of ours in between.

use super::action::Action;
use super::sys;
use crate::errno::Result;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicPtr, Ordering::SeqCst};
use libc::c_int;

type Sigaction = unsafe extern "C" fn(c_int, *const libc::sigaction, *mut libc::sigaction) -> c_int;

extern "C" {
    fn kq_sigaction(signo: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int;
}

/// The sigaction() behind ours: libc's, or another interposer's. Null before `find_next` and in a static program.
static NEXT: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

/// Finds the sigaction() behind ours.
pub(super) fn find_next() {
    // SAFETY: a literal name; RTLD_NEXT is the object after ours in the search order.
    NEXT.store(unsafe { libc::dlsym(libc::RTLD_NEXT, c"sigaction".as_ptr()) }, SeqCst);
}

/// Sets `new` if there is one, and returns what was before.
pub(super) fn exchange(signo: c_int, new: Option<&Action>) -> Result<Action> {
    let next = NEXT.load(SeqCst);
    let next = if next.is_null() {
        // Fully static: nothing comes next but libc's own, by the name that only libc uses.
        kq_sigaction as Sigaction
    } else {
        // SAFETY: `find_next` stored the address of a function of this type.
        unsafe { core::mem::transmute::<*mut c_void, Sigaction>(next) }
    };
    let new = new.map(|action| action.to_libc());
    let mut old = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: both structs are locals that live through the call; a zeroed one is valid if it is not filled.
    unsafe {
        if next(signo, new.as_ref().map_or(core::ptr::null(), core::ptr::from_ref), old.as_mut_ptr()) != 0 {
            return Err(sys::last_errno());
        }
        Ok(Action::from_libc(&old.assume_init()))
    }
}

/// The same in the child of a fork: libc's sigaction() may be called there.
pub(super) fn exchange_raw(signo: c_int, new: Option<&Action>) -> Result<Action> {
    exchange(signo, new)
}
