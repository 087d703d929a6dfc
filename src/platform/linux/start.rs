//! What happens when the library is loaded: libc's functions are found and fork handlers registered. And at the first
//! kqueue(): it is found out whether the program's close() comes to us. No thread, no descriptor, no allocation.

use super::{next, sys};
use crate::platform::front;
use crate::registry::fork;
use crate::trace;
use core::ffi::{c_int, c_void, CStr};
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering::*};

#[used]
#[link_section = ".init_array"]
static CONSTRUCTOR: extern "C" fn() = constructor;

static STARTED: AtomicBool = AtomicBool::new(false);
/// Has the first kqueue() found out whether closes come to us?
static ASKED: AtomicBool = AtomicBool::new(false);
static PROBED: AtomicBool = AtomicBool::new(false);
/// The program is to be told as if they did not.
static VERIFIES: AtomicBool = AtomicBool::new(false);
/// The close() that the program's own symbol resolves to. Null: there is none but ours.
static FIRST_CLOSE: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

extern "C" fn constructor() {
    ensure();
}

/// The constructor, for who comes before it.
#[inline]
pub fn ensure() {
    if !STARTED.load(SeqCst) {
        start();
    }
}

/// The same for a kqueue(): closes matter from here on. The program's close() is not called sooner: in a program that
/// knows nothing of kqueues, and perhaps of descriptors, a function of that name may be anything.
#[inline]
pub fn ensure_for_queue() {
    ensure();
    if !ASKED.load(Acquire) {
        front::set(closes_come_to_us());
        ASKED.store(true, Release);
    }
}

#[cold]
fn start() {
    if STARTED.swap(true, SeqCst) {
        return;
    }
    // At the first kqueue() it would be too late: a prepare handler of the program's may be waiting for us.
    // SAFETY: the handlers live as long as the library, which is never unloaded.
    unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    next::resolve_all();
    super::sys::begin_to_ask_for_threads();
    super::signals::init();
    VERIFIES.store(environment(c"KQUEUE_VERIFY").is_some(), Relaxed);
    // SAFETY: the name is NUL-terminated.
    FIRST_CLOSE.store(unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"close".as_ptr()) }, Relaxed);
    // What was not found is no error for the program to hear of.
    // SAFETY: no preconditions.
    unsafe { libc::dlerror() };
    trace::begin(environment(c"KQUEUE_DEBUG"), environment(c"KQUEUE_DEBUG_FILE"));
    if trace::is_on() {
        fork::begin();
    }
}

/// A variable of the environment; none in a program that runs with another's rights.
fn environment(name: &CStr) -> Option<&'static CStr> {
    // SAFETY: the name is NUL-terminated; the value is used by the constructor alone, which nobody's setenv() meets.
    unsafe {
        let value = sys::secure_getenv(name.as_ptr());
        (!value.is_null()).then(|| CStr::from_ptr(value))
    }
}

unsafe extern "C" fn prepare() {
    fork::prepare();
}

unsafe extern "C" fn parent() {
    fork::parent();
}

unsafe extern "C" fn child() {
    fork::child();
}

/// Calls the close() that the program's own symbol resolves to, and sees whether that is ours.
#[cold]
fn closes_come_to_us() -> bool {
    let address = FIRST_CLOSE.load(Relaxed);
    if VERIFIES.load(Relaxed) || (!address.is_null() && !sys::is_in_programs_namespace()) {
        return false;
    }
    if address.is_null() {
        // Fully static: there is no other.
        return true;
    }
    let errno = sys::last_errno();
    // SAFETY: `close` has this type in a program that uses kqueues, and -1 closes nothing.
    unsafe {
        let close = core::mem::transmute::<*mut c_void, extern "C" fn(c_int) -> c_int>(address);
        close(-1);
    }
    sys::set_errno(errno);
    PROBED.load(SeqCst)
}

/// Our close() was called with a number that nobody has.
pub fn notice_probe() {
    PROBED.store(true, SeqCst);
}
