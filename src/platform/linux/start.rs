//! What happens when the library is loaded: libc's functions are found, fork handlers registered, and it is
//! found out whether the program's close() comes to us. No thread, no descriptor, no allocation.

use super::{next, sys};
use crate::platform::front;
use crate::registry::fork;
use crate::trace;
use core::ffi::{c_int, CStr};
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};

#[used]
#[link_section = ".init_array"]
static CONSTRUCTOR: extern "C" fn() = constructor;

static STARTED: AtomicBool = AtomicBool::new(false);
static PROBED: AtomicBool = AtomicBool::new(false);

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
    front::set(closes_come_to_us());
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
fn closes_come_to_us() -> bool {
    if environment(c"KQUEUE_VERIFY").is_some() {
        return false;
    }
    // SAFETY: the name is NUL-terminated.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"close".as_ptr()) };
    if address.is_null() {
        // Fully static: there is no other.
        return true;
    }
    let errno = sys::last_errno();
    // SAFETY: `close` has this type everywhere, and -1 closes nothing.
    unsafe {
        let close = core::mem::transmute::<*mut core::ffi::c_void, extern "C" fn(c_int) -> c_int>(address);
        close(-1);
    }
    sys::set_errno(errno);
    PROBED.load(SeqCst)
}

/// Our close() was called with a number that nobody has.
pub fn notice_probe() {
    PROBED.store(true, SeqCst);
}
