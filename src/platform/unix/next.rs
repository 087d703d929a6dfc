//! Libc's own functions behind ours: where they are, and those of streams and directories.

use super::sys;
use core::ffi::{c_char, c_int, c_void, CStr};
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering::Relaxed};
use libc::{DIR, FILE};

pub struct Next {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

impl Next {
    const fn new(name: &'static CStr) -> Next {
        Next { name, address: AtomicPtr::new(core::ptr::null_mut()) }
    }

    fn resolve(&self) -> *mut c_void {
        // SAFETY: the name is NUL-terminated.
        let address = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        self.address.store(address, Relaxed);
        address
    }

    pub fn get(&self) -> Option<*mut c_void> {
        let address = self.address.load(Relaxed);
        (!address.is_null()).then_some(address)
    }
}

pub static CLOSE: Next = Next::new(c"close");
pub static DUP2: Next = Next::new(c"dup2");
pub static DUP3: Next = Next::new(c"dup3");
pub static CLOSE_RANGE: Next = Next::new(c"close_range");
static FCLOSE: Next = Next::new(c"fclose");
static PCLOSE: Next = Next::new(c"pclose");
static CLOSEDIR: Next = Next::new(c"closedir");
static FREOPEN: Next = Next::new(c"freopen");
static FREOPEN64: Next = Next::new(c"freopen64");
pub static MQ_CLOSE: Next = Next::new(c"mq_close");

static ALL_RESOLVED: AtomicBool = AtomicBool::new(false);

/// Called by the constructor.
pub fn resolve_all() {
    for next in [&CLOSE, &DUP2, &DUP3, &CLOSE_RANGE, &FCLOSE, &PCLOSE, &CLOSEDIR, &FREOPEN, &FREOPEN64, &MQ_CLOSE] {
        next.resolve();
    }
    ALL_RESOLVED.store(true, Relaxed);
}

/// Calls libc's function, or does what is said where nothing comes next.
macro_rules! forward {
    ($next:ident as fn($($type:ty),*) -> $result:ty, ($($argument:expr),*), $otherwise:expr) => {
        match $next.get() {
            Some(address) => {
                // SAFETY: the symbol of that name in libc has this type.
                let function = unsafe {
                    core::mem::transmute::<*mut core::ffi::c_void, unsafe extern "C-unwind" fn($($type),*) -> $result>(address)
                };
                // SAFETY: the arguments are the program's own, passed on.
                unsafe { function($($argument),*) }
            }
            None => $otherwise,
        }
    };
}
pub(in crate::platform) use forward;

extern "C-unwind" {
    fn kq_static_fclose(stream: *mut FILE) -> c_int;
    fn kq_static_closedir(directory: *mut DIR) -> c_int;
    fn kq_static_freopen(path: *const c_char, mode: *const c_char, stream: *mut FILE) -> *mut FILE;
}

/// The address of a function that has no raw system call behind it; looked for again where the constructor has
/// not run yet.
pub fn found(next: &Next) -> Option<*mut c_void> {
    next.get().or_else(|| {
        let address = if ALL_RESOLVED.load(Relaxed) { core::ptr::null_mut() } else { next.resolve() };
        (!address.is_null()).then_some(address)
    })
}

/// # Safety
/// `stream` is an open stream.
pub unsafe fn fileno(stream: *mut FILE) -> c_int {
    let errno = sys::last_errno();
    // SAFETY: the caller's promise.
    let fd = unsafe { libc::fileno(stream) };
    sys::set_errno(errno);
    fd
}

/// -1 for no directory: glibc's closedir() takes that, and its dirfd() does not.
///
/// # Safety
/// `directory` is an open directory stream, or null.
pub unsafe fn dirfd(directory: *mut DIR) -> c_int {
    if directory.is_null() {
        return -1;
    }
    // SAFETY: the caller's promise.
    unsafe { libc::dirfd(directory) }
}

/// # Safety
/// As libc's.
pub unsafe fn fclose(stream: *mut FILE) -> c_int {
    found(&FCLOSE);
    // SAFETY: the caller's promise.
    forward!(FCLOSE as fn(*mut FILE) -> c_int, (stream), unsafe { kq_static_fclose(stream) })
}

/// # Safety
/// As libc's.
pub unsafe fn pclose(stream: *mut FILE) -> c_int {
    found(&PCLOSE);
    // SAFETY: the caller's promise; glibc's fclose() and pclose() are one.
    forward!(PCLOSE as fn(*mut FILE) -> c_int, (stream), unsafe { kq_static_fclose(stream) })
}

/// # Safety
/// As libc's.
pub unsafe fn closedir(directory: *mut DIR) -> c_int {
    found(&CLOSEDIR);
    // SAFETY: the caller's promise.
    forward!(CLOSEDIR as fn(*mut DIR) -> c_int, (directory), unsafe { kq_static_closedir(directory) })
}

/// # Safety
/// As libc's.
pub unsafe fn freopen(path: *const c_char, mode: *const c_char, stream: *mut FILE) -> *mut FILE {
    found(&FREOPEN);
    // SAFETY: the caller's promise.
    let parts = || unsafe { kq_static_freopen(path, mode, stream) };
    forward!(FREOPEN as fn(*const c_char, *const c_char, *mut FILE) -> *mut FILE, (path, mode, stream), parts())
}

/// # Safety
/// As libc's.
pub unsafe fn freopen64(path: *const c_char, mode: *const c_char, stream: *mut FILE) -> *mut FILE {
    found(&FREOPEN64);
    // SAFETY: the caller's promise.
    let parts = || unsafe { kq_static_freopen(path, mode, stream) };
    forward!(FREOPEN64 as fn(*const c_char, *const c_char, *mut FILE) -> *mut FILE, (path, mode, stream), parts())
}
