//! The system calls of Linux as the library uses them, beside those that every Unix has: safe, with `Errno` for what
//! went wrong.
//!
//! Calls go through libc's symbols, so that the sanitizers of the user's program see them.

use super::procfs::Path;
use crate::errno::{Errno, Result};
use crate::platform::{front, unix};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use libc::{c_char, c_int, epoll_event, timespec};

pub(in crate::platform) use libc::{__errno_location as errno_location, MAP_NORESERVE};
pub use unix::sys::*;

extern "C" {
    pub(super) fn secure_getenv(name: *const c_char) -> *const c_char;
    fn kq_is_in_programs_namespace() -> c_int;
}

/// Are the library and the program in one namespace of the loader's, with one libc?
pub(super) fn is_in_programs_namespace() -> bool {
    // SAFETY: no preconditions.
    unsafe { kq_is_in_programs_namespace() != 0 }
}

fn futex_half(word: &AtomicUsize) -> *mut u32 {
    let half = word.as_ptr().cast::<u32>();
    // The kernel compares 32 bits: the half that holds the sleepers' bit. Two owners whose halves are equal
    // only cost a sleep that the next unlock ends.
    if cfg!(target_endian = "big") && size_of::<usize>() == 8 {
        half.wrapping_add(1)
    } else {
        half
    }
}

/// Sleeps until it is woken, no longer than a millisecond.
pub fn park(word: &AtomicUsize, expected: usize) {
    let errno = last_errno();
    let time = timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    // SAFETY: the word is alive while we sleep, it is borrowed; a spurious return is allowed.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            futex_half(word),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            expected as u32,
            &raw const time,
        );
    }
    set_errno(errno);
}

pub fn unpark_one(word: &AtomicUsize) {
    let errno = last_errno();
    // SAFETY: waking uses the address as a key only.
    unsafe {
        libc::syscall(libc::SYS_futex, futex_half(word), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1);
    }
    set_errno(errno);
}

pub fn epoll_create() -> Result<c_int> {
    // SAFETY: no pointers.
    check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })
}

/// `ENOMEM`, where the kernel says ENOSPC: too many watches.
#[inline]
pub fn epoll_ctl(epoll: c_int, operation: c_int, fd: c_int, events: u32, key: u64) -> Result<()> {
    let mut event = epoll_event { events, u64: key };
    // SAFETY: `event` lives through the call.
    match check(unsafe { libc::epoll_ctl(epoll, operation, fd, &mut event) }) {
        Ok(_) => Ok(()),
        Err(Errno(libc::ENOSPC)) => Err(Errno::ENOMEM),
        Err(errno) => Err(errno),
    }
}

extern "C-unwind" {
    fn kq_epoll_wait(
        epoll: c_int,
        events: *mut epoll_event,
        room: c_int,
        timeout: *const timespec,
        mask: *const libc::sigset_t,
    ) -> c_int;
}

/// `epoll_pwait2`: a cancellation point; a thread cancelled in here unwinds through the caller.
#[inline]
pub fn epoll_wait<'a>(
    epoll: c_int,
    buffer: &'a mut [MaybeUninit<epoll_event>],
    timeout: &Timeout,
    mask: Option<&libc::sigset_t>,
) -> Result<&'a [epoll_event]> {
    let timeout = timeout.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
    let mask = mask.map_or(core::ptr::null(), core::ptr::from_ref);
    // SAFETY: the buffer, the time-out and the mask live through the call, and the kernel writes at most
    // `buffer.len()` entries.
    let n = check(unsafe { kq_epoll_wait(epoll, buffer.as_mut_ptr().cast(), buffer.len() as c_int, timeout, mask) })?;
    // SAFETY: epoll_wait wrote the first `n` entries.
    Ok(unsafe { core::slice::from_raw_parts(buffer.as_ptr().cast(), n as usize) })
}

/// Closes without our own interposed close() and without a cancellation point.
pub fn close_raw(fd: c_int) {
    // SAFETY: the caller owns `fd`.
    unsafe { libc::syscall(libc::SYS_close, fd) };
}

/// An eventfd that reads ready for ever.
pub fn eventfd_ready() -> Result<c_int> {
    // SAFETY: no pointers.
    check(unsafe { libc::eventfd(1, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })
}

/// A signalfd for the signals of `mask` (bit `signo - 1`); with `fd` not -1, that one is changed.
pub fn signalfd(fd: c_int, mask: u64) -> Result<c_int> {
    let set = super::signals::set_of(mask);
    // SAFETY: the set lives through the call.
    check(unsafe { libc::signalfd(fd, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })
}

pub fn timerfd(clock: c_int) -> Result<c_int> {
    // SAFETY: no pointers.
    check(unsafe { libc::timerfd_create(clock, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) })
}

/// Arms a timerfd for an absolute time of its clock, in nanoseconds.
pub fn timerfd_set(fd: c_int, deadline: u64) -> Result<()> {
    let value = timespec_of(deadline.max(1));
    let setting = libc::itimerspec { it_interval: timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
    // SAFETY: `setting` lives through the call.
    check(unsafe { libc::timerfd_settime(fd, libc::TFD_TIMER_ABSTIME, &setting, core::ptr::null_mut()) }).map(|_| ())
}

pub fn nap(nanoseconds: u64) {
    let time = timespec_of(nanoseconds);
    // SAFETY: `time` is a local; an early return is harmless.
    unsafe { libc::syscall(libc::SYS_nanosleep, &time, core::ptr::null_mut::<timespec>()) };
}

/// Puts the open file of `fd` on `number`, in place of what is there; the number's close-on-exec flag stays.
pub fn put_on_number(fd: c_int, number: c_int) -> Result<()> {
    // SAFETY: no pointers. Raw, because our own dup3() would take the number for closed.
    unsafe {
        let flags = check(libc::fcntl(number, libc::F_GETFD))?;
        let flags = if flags & libc::FD_CLOEXEC != 0 { libc::O_CLOEXEC } else { 0 };
        check(libc::syscall(libc::SYS_dup3, fd, number, flags) as c_int).map(|_| ())
    }
}

/// Is it a socket of the process connector's kind? Yes where a socket does not say.
pub fn is_connector(fd: c_int) -> bool {
    let is = |name, value| match socket_option::<c_int>(fd, libc::SOL_SOCKET, name, 0) {
        Ok((found, _)) => found == value,
        Err(errno) => !matches!(errno.0, libc::EBADF | libc::ENOTSOCK),
    };
    is(libc::SO_DOMAIN, libc::AF_NETLINK) && is(libc::SO_PROTOCOL, libc::NETLINK_CONNECTOR)
}

/// What /proc calls the file under `fd`, as far as it fits.
pub(super) fn read_link(fd: c_int, buffer: &mut [u8]) -> Result<&[u8]> {
    let path = Path::of_descriptor(fd);
    // SAFETY: the path ends in a NUL; the buffer's length is given.
    let n = unsafe { libc::readlink(path.as_c_str().as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
    match usize::try_from(n) {
        Ok(n) => buffer.get(..n).ok_or(Errno::EINVAL),
        Err(_) => Err(last_errno()),
    }
}

/// Is `fd` open on something that /proc calls `name`? Yes where there is no /proc.
pub fn is_anonymous(fd: c_int, name: &[u8]) -> bool {
    match read_link(fd, &mut [0; 32]) {
        Ok(target) => target == name,
        Err(_) => is_open(fd),
    }
}

/// The signal that would tell of news of an open file, if that were asked for: the last one marks a file as ours.
const MARK: c_int = 64;
const F_SETSIG: c_int = 10;
const F_GETSIG: c_int = 11;
/// No file could be marked here.
static NO_MARKS: AtomicBool = AtomicBool::new(false);

/// Marks a file that was made for the library, so that it is told from one of the program's that has its number later.
/// Only where nobody tells of a close: else that cannot be.
pub(super) fn own(fd: c_int) -> c_int {
    // SAFETY: no pointers.
    if !front::is_in_front() && unsafe { libc::fcntl(fd, F_SETSIG, MARK) } == -1 {
        NO_MARKS.store(true, Relaxed);
    }
    fd
}

/// Is it a file that was marked? Yes where none could be.
pub(super) fn is_own(fd: c_int) -> bool {
    // SAFETY: no pointers.
    NO_MARKS.load(Relaxed) || unsafe { libc::fcntl(fd, F_GETSIG) } == MARK
}

/// Is `fd` an epoll instance, by its name?
pub fn is_eventpoll(fd: c_int) -> bool {
    is_anonymous(fd, b"anon_inode:[eventpoll]")
}

/// Is it an epoll instance? `other` is an open descriptor that it does not have.
pub fn is_epoll(fd: c_int, other: c_int) -> bool {
    epoll_ctl(fd, libc::EPOLL_CTL_MOD, other, 0, 0) == Err(Errno::ENOENT)
}

/// Are two numbers one open file? `None`: it cannot be asked, for a sandbox or an old kernel.
pub fn is_same_file(one: c_int, other: c_int) -> Option<bool> {
    const KCMP_FILE: c_int = 0;
    let pid = getpid();
    // SAFETY: no pointers.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, pid, pid, KCMP_FILE, one, other) };
    match last_errno() {
        _ if order >= 0 => Some(order == 0),
        Errno::ENOENT | Errno::EBADF => Some(false),
        _ => None,
    }
}

/// The first two numbers of the kernel's release.
pub fn kernel_version() -> (u32, u32) {
    let mut names = MaybeUninit::<libc::utsname>::zeroed();
    // SAFETY: uname fills the struct; zeroes are valid too.
    let names = unsafe {
        libc::uname(names.as_mut_ptr());
        names.assume_init()
    };
    let mut numbers = names.release.split(|&byte| byte == b'.' as libc::c_char).map(|part| {
        let digits = part.iter().take_while(|&&byte| (byte as u8).is_ascii_digit());
        digits.fold(0u32, |number, &byte| number.saturating_mul(10).saturating_add(u32::from(byte as u8 - b'0')))
    });
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// How often a connection says its last words again before it gives up, if the system tells.
pub fn connection_attempts() -> Option<u64> {
    let _no_fork = super::births::hold();
    super::procfs::read_number(c"/proc/sys/net/ipv4/tcp_retries2")
}

/// The thread as the system numbers it; the first one's is the process's.
pub fn thread_id() -> i32 {
    // SAFETY: no pointers.
    unsafe { libc::syscall(libc::SYS_gettid) as i32 }
}

/// Sends a signal to the calling thread, with the siginfo that there is or none.
pub fn send_to_thread(signo: c_int, info: *mut libc::siginfo_t) {
    // SAFETY: a siginfo is null or the one that the kernel gave.
    unsafe {
        let (process, thread) = (getpid(), libc::syscall(libc::SYS_gettid));
        if info.is_null() || libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, signo, info) != 0 {
            libc::syscall(libc::SYS_tgkill, process, thread, signo);
        }
    }
}

/// Is the number, which once was a queue's, still one? Asked where nobody tells of a close.
pub fn is_queue(fd: c_int) -> bool {
    is_own(fd) && is_eventpoll(fd)
}

/// `setsockopt` of an int at SOL_SOCKET.
pub fn set_socket_option(fd: c_int, name: c_int, value: c_int) -> Result<()> {
    let length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: `value` is `length` bytes.
    check(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, name, (&raw const value).cast(), length) }).map(|_| ())
}
