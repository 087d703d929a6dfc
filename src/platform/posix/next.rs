//! libc's own functions, behind ours.
//!
//! Found once, by the constructor, or at the first use before it ran. In a fully static program nothing comes next:
//! there shim.c and streams.c know libc's other names for the most needed ones, and the rest is refused.

use super::sys;
use crate::errno::Errno;
use core::ffi::{c_char, c_int, c_uint, c_void, CStr};
use core::sync::atomic::{AtomicI8, AtomicPtr, Ordering::Relaxed};
pub use libc::{DIR, FILE};

struct Next {
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

    fn get(&self) -> Option<*mut c_void> {
        let address = self.address.load(Relaxed);
        (!address.is_null()).then_some(address)
    }
}

static CLOSE: Next = Next::new(c"close");
static DUP2: Next = Next::new(c"dup2");
static DUP3: Next = Next::new(c"dup3");
static CLOSE_RANGE: Next = Next::new(c"close_range");
static FCLOSE: Next = Next::new(c"fclose");
static PCLOSE: Next = Next::new(c"pclose");
static CLOSEDIR: Next = Next::new(c"closedir");
static FREOPEN: Next = Next::new(c"freopen");
static FREOPEN64: Next = Next::new(c"freopen64");
static MQ_CLOSE: Next = Next::new(c"mq_close");

/// Called by the constructor.
pub fn resolve_all() {
    for next in [&CLOSE, &DUP2, &DUP3, &CLOSE_RANGE, &FCLOSE, &PCLOSE, &CLOSEDIR, &FREOPEN, &FREOPEN64, &MQ_CLOSE] {
        next.resolve();
    }
}

macro_rules! forward {
    ($next:ident as fn($($type:ty),*) -> $result:ty, ($($argument:expr),*), $otherwise:expr) => {
        match $next.get() {
            Some(address) => {
                // SAFETY: the symbol of that name in libc has this type.
                let function = unsafe {
                    core::mem::transmute::<*mut c_void, unsafe extern "C-unwind" fn($($type),*) -> $result>(address)
                };
                // SAFETY: the arguments are the program's own, passed on.
                unsafe { function($($argument),*) }
            }
            None => $otherwise,
        }
    };
}

fn refused() -> c_int {
    sys::set_errno(Errno(libc::ENOSYS));
    -1
}

/// Libc's close(); null where nothing comes next.
pub fn address_of_close() -> *mut c_void {
    found(&CLOSE).unwrap_or(core::ptr::null_mut())
}

pub fn close(fd: c_int) -> c_int {
    found(&CLOSE);
    // SAFETY: a plain number, as the program gave it.
    forward!(CLOSE as fn(c_int) -> c_int, (fd), unsafe { kq_close(core::ptr::null_mut(), fd) })
}

pub fn dup2(old: c_int, new: c_int) -> c_int {
    found(&DUP2);
    // SAFETY: plain numbers.
    forward!(DUP2 as fn(c_int, c_int) -> c_int, (old, new), unsafe { kq_dup2(old, new) })
}

pub fn dup3(old: c_int, new: c_int, flags: c_int) -> c_int {
    found(&DUP3);
    forward!(DUP3 as fn(c_int, c_int, c_int) -> c_int, (old, new, flags), refused())
}

pub fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int {
    found(&CLOSE_RANGE);
    forward!(CLOSE_RANGE as fn(c_uint, c_uint, c_int) -> c_int, (first, last, flags), refused())
}

/// Does the system have close_range, and a sandbox allow it? Asked once, about a number that nobody has.
pub fn has_close_range() -> bool {
    static KNOWN: AtomicI8 = AtomicI8::new(-1);
    if KNOWN.load(Relaxed) < 0 {
        let errno = sys::last_errno();
        let result = close_range(c_uint::MAX, c_uint::MAX, 0);
        let works = result == 0 || !matches!(sys::last_errno().0, libc::ENOSYS | libc::EPERM);
        sys::set_errno(errno);
        KNOWN.store(i8::from(works), Relaxed);
    }
    KNOWN.load(Relaxed) == 1
}

extern "C-unwind" {
    fn kq_close(close: *mut c_void, fd: c_int) -> c_int;
    fn kq_dup2(old: c_int, new: c_int) -> c_int;
    fn kq_static_fclose(stream: *mut FILE) -> c_int;
    fn kq_static_closedir(directory: *mut DIR) -> c_int;
    fn kq_static_freopen(path: *const c_char, mode: *const c_char, stream: *mut FILE) -> *mut FILE;
}

/// The address of a function that has no raw system call behind it; looked for again where the constructor has
/// not run yet.
fn found(next: &Next) -> Option<*mut c_void> {
    next.get().or_else(|| {
        let address = next.resolve();
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

/// # Safety
/// `directory` is an open directory stream.
pub unsafe fn dirfd(directory: *mut DIR) -> c_int {
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

pub fn mq_close(queue: c_int) -> c_int {
    // SAFETY: a plain number.
    forward!(MQ_CLOSE as fn(c_int) -> c_int, (queue), unsafe { kq_close(core::ptr::null_mut(), queue) })
}
