//! The system calls that every Unix has, as the library uses them: safe, with `Errno` for what went wrong.
//!
//! Calls go through libc's symbols, so that the sanitizers of the user's program see them.

use crate::errno::{Errno, Result};
use crate::platform::descriptors;
use crate::platform::sys::{close_raw, errno_location, nap, MAP_NORESERVE};
use core::cell::Cell;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicPtr, AtomicU8, Ordering::Relaxed};
use libc::{c_int, timespec};

extern "C" {
    fn kq_single_threaded() -> *const AtomicU8;
}

extern "C-unwind" {
    fn kq_hand_over(queue: *const libc::c_void);
    fn kq_take_over(queue: *const libc::c_void);
    fn pthread_testcancel();
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
}

/// What libc left in errno.
pub fn last_errno() -> Errno {
    // SAFETY: the place of errno is valid for the life of the thread.
    Errno(unsafe { *errno_location() })
}

pub fn set_errno(errno: Errno) {
    // SAFETY: as in `last_errno`.
    unsafe { *errno_location() = errno.0 }
}

#[inline]
pub fn check(result: c_int) -> Result<c_int> {
    if result == -1 {
        Err(last_errno())
    } else {
        Ok(result)
    }
}

/// A word that no other living thread has; never 0, bits 0 to 3 are 0.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_pointer_width = "64")))]
#[inline]
pub fn thread_self() -> usize {
    // SAFETY: pthread_self has no preconditions.
    unsafe { libc::pthread_self() as usize }
}

/// The same without a call, four of which every kevent() would make: the word that the ABI has at the thread pointer is
/// the thread pointer ("ELF Handling For Thread-Local Storage", 3.4.6).
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_pointer_width = "64"))]
#[inline]
pub fn thread_self() -> usize {
    let pointer;
    // SAFETY: reads one word, which every thread has; nothing else is touched.
    unsafe { core::arch::asm!("mov {}, fs:0", out(reg) pointer, options(nostack, preserves_flags, readonly, pure)) };
    pointer
}

static SINGLE_THREADED: AtomicPtr<AtomicU8> = AtomicPtr::new(core::ptr::null_mut());

/// From the constructor: where libc says how many threads there are.
pub fn begin_to_ask_for_threads() {
    // SAFETY: no preconditions.
    SINGLE_THREADED.store(unsafe { kq_single_threaded() }.cast_mut(), Relaxed);
}

/// Is this the only thread of the process? Then a word that threads contend for needs no locked instruction, of which a
/// kevent() has three: a signal handler in between puts back what it finds, before it returns.
#[inline]
pub fn is_alone() -> bool {
    let flag = SINGLE_THREADED.load(Relaxed);
    // SAFETY: null, or a byte that lives as long as libc.
    unsafe { flag.as_ref() }.is_some_and(|flag| flag.load(Relaxed) != 0)
}

pub fn getpid() -> i32 {
    // SAFETY: getpid has no preconditions.
    unsafe { libc::getpid() }
}

/// Zeroed memory from the kernel, for tables that are never given back.
pub fn map_zeroed(bytes: usize) -> Option<*mut u8> {
    // SAFETY: a fresh private anonymous mapping touches nothing that exists.
    let memory = unsafe {
        libc::mmap(
            core::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANON | MAP_NORESERVE,
            -1,
            0,
        )
    };
    (memory != libc::MAP_FAILED).then_some(memory.cast())
}

pub fn unmap(memory: *mut u8, bytes: usize) {
    // SAFETY: the caller made the mapping with `map_zeroed` and has shown it to nobody.
    unsafe { libc::munmap(memory.cast::<c_void>(), bytes) };
}

/// pthread.h: the same in glibc and musl.
const PTHREAD_CANCEL_DISABLE: c_int = 1;

/// Tells ThreadSanitizer, where the program has it, that what the calling thread did comes before what another does
/// that takes an event of the queue at this address.
#[inline]
pub fn hand_over<T>(queue: &'static T) {
    // SAFETY: the address is but a name.
    unsafe { kq_hand_over(core::ptr::from_ref(queue).cast()) };
}

/// The calling thread has taken an event of that queue.
#[inline]
pub fn take_over<T>(queue: &'static T) {
    // SAFETY: the address is but a name.
    unsafe { kq_take_over(core::ptr::from_ref(queue).cast()) };
}

/// How long to wait: `None` for ever.
pub type Timeout = Option<timespec>;

/// Acts on a pending pthread_cancel, by unwinding.
#[inline]
pub fn test_cancel() {
    // SAFETY: no preconditions; the frames above are "C-unwind".
    unsafe { pthread_testcancel() }
}

/// While it lives, the thread is not cancelled: the library's own system calls are cancellation points of libc.
pub struct Uncancelled {
    program_state: c_int,
}

impl Uncancelled {
    #[inline]
    pub fn begin() -> Uncancelled {
        let mut program_state = 0;
        // SAFETY: the pointer is to a local.
        unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &mut program_state) };
        Uncancelled { program_state }
    }
}

impl Drop for Uncancelled {
    #[inline]
    fn drop(&mut self) {
        let mut ignored = 0;
        // SAFETY: the pointer is to a local.
        unsafe { pthread_setcancelstate(self.program_state, &mut ignored) };
    }
}

/// The same for a kevent(), which is a cancellation point in its wait and so holds cancellation back only while it must:
/// from `hold` to `release`, or to the end.
pub struct Cancellation(Cell<Option<Uncancelled>>);

impl Cancellation {
    pub const fn new() -> Cancellation {
        Cancellation(Cell::new(None))
    }

    #[inline]
    pub fn hold(&self) {
        let held = self.0.take().unwrap_or_else(Uncancelled::begin);
        self.0.set(Some(held));
    }

    #[inline]
    pub fn release(&self) {
        drop(self.0.take());
    }

    /// Lets a cancellation in while `wait` runs, and no longer.
    #[allow(dead_code)] // not every backend's
    #[inline]
    pub fn let_in<T>(cancellation: Option<&Cancellation>, wait: impl FnOnce() -> T) -> T {
        let Some(cancellation) = cancellation else { return wait() };
        cancellation.release();
        let result = wait();
        cancellation.hold();
        result
    }
}

pub const NANOSECONDS: u64 = 1_000_000_000;

pub use super::kernel::POLLRDHUP;
// What poll(2), the clocks and open(2) call things, for the floors above.
pub use libc::{CLOCK_MONOTONIC, CLOCK_REALTIME, O_CLOEXEC, O_NONBLOCK, POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI};

/// Those of the system's own.
pub const MORE_ERRNOS: &[(c_int, &str)] = &[
    (libc::ESHUTDOWN, "ESHUTDOWN"),
    (libc::EHOSTDOWN, "EHOSTDOWN"),
    (libc::ESTALE, "ESTALE"),
    (libc::EDQUOT, "EDQUOT"),
];

/// The numbers of kqueues are descriptors, which mean the same to the whole process.
#[inline]
pub fn queue_number(fd: c_int) -> c_int {
    fd
}

/// The descriptor of a kqueue's number.
#[inline]
pub fn queue_descriptor(number: c_int) -> c_int {
    number
}

pub fn timespec_of(nanoseconds: u64) -> timespec {
    timespec { tv_sec: (nanoseconds / NANOSECONDS) as _, tv_nsec: (nanoseconds % NANOSECONDS) as libc::c_long }
}

/// The time of a clock in nanoseconds.
#[inline]
pub fn now(clock: c_int) -> u64 {
    let mut time = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a local.
    unsafe { libc::clock_gettime(clock, &mut time) };
    (time.tv_sec as u64).saturating_mul(NANOSECONDS).saturating_add(time.tv_nsec as u64)
}

/// Waits for what another thread is about to finish, but not longer than some `milliseconds`.
pub fn wait_a_moment(milliseconds: u32, done: impl Fn() -> bool) {
    const TURNS: u32 = 100;
    for turn in 0..TURNS + milliseconds * 20 {
        if done() {
            return;
        }
        give_way(turn >= TURNS);
    }
}

/// Lets other threads run; `long`: those that wait for a processor, too.
pub fn give_way(long: bool) {
    if long {
        return nap(50_000);
    }
    // SAFETY: no preconditions.
    unsafe { libc::sched_yield() };
}

/// Moves a fresh descriptor of the library's own to `least` or above, out of the way of programs that count on
/// the lowest numbers. Where that cannot be, it stays where it is, but never on 0, 1, 2.
pub fn move_up(fd: c_int, least: c_int) -> Result<c_int> {
    if fd >= least && fd > 2 {
        return Ok(fd);
    }
    match duplicate(fd, least) {
        Ok(moved) => {
            close_raw(fd);
            Ok(moved)
        }
        Err(_) if fd > 2 => Ok(fd),
        Err(_) => {
            let moved = duplicate(fd, 3);
            close_raw(fd);
            moved
        }
    }
}

/// A duplicate of a descriptor of the library's own, out of the program's way as by `move_up`.
#[allow(dead_code)] // not every backend's
pub fn duplicate_up(fd: c_int, least: c_int) -> Result<c_int> {
    duplicate(fd, least).or_else(|_| duplicate(fd, 3))
}

/// A close-on-exec duplicate with the lowest free number from `least` on.
pub fn duplicate(fd: c_int, least: c_int) -> Result<c_int> {
    // SAFETY: no pointers.
    check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, least) })
}

/// The soft limit on descriptors, which is no promise that there are so many. None where nobody tells.
pub fn descriptor_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: 0 };
    // SAFETY: `limit` is a local.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    // Its type differs from system to system.
    #[allow(clippy::unnecessary_cast)]
    return limit.rlim_cur as u64;
}

/// The least number of a descriptor of ours that the program does not know: it counts on the lowest ones, and 512
/// leaves select() its half.
pub fn least_helper() -> c_int {
    let least = (descriptor_limit() / 2).min(512) as c_int;
    descriptors::helpers_from(least);
    least
}

/// Is the number an open descriptor?
pub fn is_open(fd: c_int) -> bool {
    // SAFETY: no pointers.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 || last_errno() != Errno::EBADF }
}

pub fn set_nonblocking(fd: c_int) {
    // SAFETY: no pointers.
    unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) };
}

/// `F_GETFL`.
pub fn status_flags(fd: c_int) -> Result<c_int> {
    // SAFETY: no pointers.
    check(unsafe { libc::fcntl(fd, libc::F_GETFL) })
}

/// The status of a child that has exited, as wait(2) gives it; it stays to be waited for. `Ok(None)`: not exited yet.
/// `ECHILD`: not a child of ours, or reaped. `options` are waitid's, beside those that say so.
pub fn exit_status(kind: libc::idtype_t, id: c_int, options: c_int) -> Result<Option<c_int>> {
    // waitid(2) fills a siginfo only where there is a child to tell of.
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = options | libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: a siginfo_t of zeroes is valid; of a child that has exited the system fills pid and status.
    let (pid, code, status) = unsafe {
        check(libc::waitid(kind, id as libc::id_t, info.as_mut_ptr(), options))?;
        let info = info.assume_init();
        (info.si_pid(), info.si_code, info.si_status())
    };
    const CORE: c_int = 0x80;
    Ok((pid != 0).then_some(match code {
        libc::CLD_EXITED => (status & 0xff) << 8,
        libc::CLD_DUMPED => status | CORE,
        _ => status,
    }))
}

/// What poll(2) says of `fd` now, for the asked events and those that always come.
pub fn poll(fd: c_int, events: i16) -> u32 {
    poll_or_errno(fd, events).unwrap_or(0)
}

/// `EINTR`: nothing, and a signal is pending.
pub fn poll_or_errno(fd: c_int, events: i16) -> Result<u32> {
    let mut entry = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: one local entry.
    check(unsafe { libc::poll(&mut entry, 1, 0) }).map(|_| u32::from(entry.revents as u16))
}

/// How many bytes wait to be read.
#[inline]
pub fn bytes_to_read(fd: c_int) -> Result<i64> {
    let mut bytes: c_int = 0;
    // SAFETY: FIONREAD writes one int.
    check(unsafe { libc::ioctl(fd, libc::FIONREAD, &mut bytes) })?;
    Ok(i64::from(bytes))
}

/// How many bytes that were written are still on their way.
pub fn bytes_queued(fd: c_int) -> Result<i64> {
    let mut bytes: c_int = 0;
    // SAFETY: TIOCOUTQ writes one int.
    check(unsafe { libc::ioctl(fd, libc::TIOCOUTQ, &mut bytes) })?;
    Ok(i64::from(bytes))
}

pub fn stat(fd: c_int) -> Result<libc::stat> {
    let mut buffer = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat fills the buffer where it succeeds.
    unsafe {
        check(libc::fstat(fd, buffer.as_mut_ptr()))?;
        Ok(buffer.assume_init())
    }
}

/// Where the next read of `fd` begins.
pub fn offset(fd: c_int) -> Result<i64> {
    // SAFETY: no pointers.
    let offset = unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) };
    if offset == -1 {
        Err(last_errno())
    } else {
        Ok(offset)
    }
}

/// `getsockopt` into a plain value; the length that the kernel gave comes with it.
pub fn socket_option<T: Copy>(fd: c_int, level: c_int, name: c_int, initial: T) -> Result<(T, usize)> {
    let mut value = initial;
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` is `length` bytes of a type without invalid values (integers and structs of them).
    check(unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &mut length) })?;
    Ok((value, length as usize))
}

/// Would a send on this connected stream socket be refused because the write side is shut? Sends nothing.
pub fn send_side_is_shut(fd: c_int) -> bool {
    // SAFETY: no bytes are read from the pointer.
    let sent = unsafe { libc::send(fd, c"".as_ptr().cast(), 0, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
    sent == -1 && last_errno().0 == libc::EPIPE
}

/// Is it a terminal, also one that was hung up?
pub fn is_terminal(fd: c_int) -> bool {
    let errno = last_errno();
    // SAFETY: no pointers of ours.
    let terminal = unsafe { libc::isatty(fd) } == 1 || last_errno() == Errno(libc::EIO);
    set_errno(errno);
    terminal
}
