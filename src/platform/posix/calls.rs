//! The system calls beside those in `unix`, for the backends that have no more of libc than what this says.

use crate::errno::Result;
use crate::platform::unix;
use crate::platform::unix::file_state::identity;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use libc::{c_char, c_int, pollfd, timespec};

pub use unix::sys::*;

/// Not in POSIX: a table that is mapped may count as used.
pub(in crate::platform) const MAP_NORESERVE: c_int = 0;

extern "C" {
    fn kq_errno() -> *mut c_int;
    #[link_name = "kq_secure_getenv"]
    pub(super) fn secure_getenv(name: *const c_char) -> *const c_char;
}

/// There is but one namespace of the loader's that these know of.
pub(super) fn is_in_programs_namespace() -> bool {
    true
}

/// Every libc has its own name for it.
pub(in crate::platform) unsafe fn errno_location() -> *mut c_int {
    // SAFETY: no preconditions.
    unsafe { kq_errno() }
}

/// How long a thread sleeps that waits for a lock: there is nothing in POSIX that could wake it and that fork and
/// signal handlers leave alone.
const PAUSE: u64 = 20_000;

pub fn park(word: &AtomicUsize, expected: usize) {
    if word.load(Relaxed) == expected {
        nap(PAUSE);
    }
}

pub fn unpark_one(_: &AtomicUsize) {}

extern "C-unwind" {
    fn kq_poll(
        entries: *mut pollfd,
        count: libc::c_ulong,
        timeout: *const timespec,
        mask: *const libc::sigset_t,
    ) -> c_int;
    fn kq_close(close: *mut libc::c_void, fd: c_int) -> c_int;
}

/// `ppoll`: a cancellation point; a thread cancelled in here unwinds through the caller.
pub fn wait(entries: &mut [pollfd], timeout: &Timeout, mask: Option<&libc::sigset_t>) -> Result<usize> {
    let timeout = timeout.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
    let mask = mask.map_or(core::ptr::null(), core::ptr::from_ref);
    // SAFETY: the entries, the time-out and the mask live through the call.
    check(unsafe { kq_poll(entries.as_mut_ptr(), entries.len() as libc::c_ulong, timeout, mask) })
        .map(|ready| ready as usize)
}

/// Closes without our own interposed close() and without a cancellation point.
pub fn close_raw(fd: c_int) {
    let errno = last_errno();
    // SAFETY: the caller owns `fd`; the address is null or libc's close().
    unsafe { kq_close(super::next::address_of_close(), fd) };
    set_errno(errno);
}

pub fn nap(nanoseconds: u64) {
    let time = timespec_of(nanoseconds);
    let _uncancelled = Uncancelled::begin();
    let errno = last_errno();
    // SAFETY: `time` is a local; an early return is harmless.
    unsafe { libc::nanosleep(&time, core::ptr::null_mut()) };
    set_errno(errno);
}

/// Puts the open file of `fd` on `number`, in place of what is there; the number's close-on-exec flag stays.
pub fn put_on_number(fd: c_int, number: c_int) -> Result<()> {
    // SAFETY: no pointers. Not our own dup2(), which would take the number for closed.
    let flags = check(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
    check(super::next::dup2(fd, number))?;
    // SAFETY: no pointers.
    check(unsafe { libc::fcntl(number, libc::F_SETFD, flags) }).map(|_| ())
}

/// Are two numbers one file? `None`: it cannot be asked.
pub fn is_same_file(one: c_int, other: c_int) -> Option<bool> {
    Some(identity(one).is_some() && identity(one) == identity(other))
}

/// How often a connection says its last words again before it gives up, if the system tells.
#[allow(dead_code)] // only some kernels tell of a connection what makes this matter
pub fn connection_attempts() -> Option<u64> {
    None
}

/// The thread, as far as a number can name it; that of the process where there is no such thing.
pub fn thread_id() -> i32 {
    getpid()
}

/// Sends a signal to the calling thread. What came with it is lost.
pub fn send_to_thread(signo: c_int, _: *mut libc::siginfo_t) {
    // SAFETY: the calling thread lives.
    unsafe { libc::pthread_kill(libc::pthread_self(), signo) };
}

/// Starts a thread that nobody waits for, and that no signal is delivered to. `EAGAIN`.
#[allow(dead_code)] // not every backend's
pub fn start_thread(
    body: extern "C" fn(*mut libc::c_void) -> *mut libc::c_void,
    argument: *mut libc::c_void,
) -> Result<()> {
    let mut thread = core::mem::MaybeUninit::<libc::pthread_t>::uninit();
    let mut program = core::mem::MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: all are locals; the new thread has the mask of the one that makes it; a thread that was made may be
    // detached.
    let error = unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, &super::signals::set_of(!0), program.as_mut_ptr());
        let error = libc::pthread_create(thread.as_mut_ptr(), core::ptr::null(), body, argument);
        if error == 0 {
            libc::pthread_detach(thread.assume_init());
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, program.as_ptr(), core::ptr::null_mut());
        error
    };
    match error {
        0 => Ok(()),
        error => Err(crate::errno::Errno(error)),
    }
}
