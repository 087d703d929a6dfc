//! The system calls of Linux as the library uses them: safe, with `Errno` for what went wrong.
//!
//! Calls go through libc's symbols, so that the sanitizers of the user's program see them.

use crate::errno::{Errno, Result};
use core::cell::Cell;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::sync::atomic::AtomicUsize;
use libc::{c_int, epoll_event, timespec};

/// What libc left in errno.
pub fn last_errno() -> Errno {
    // SAFETY: __errno_location is valid for the life of the thread.
    Errno(unsafe { *libc::__errno_location() })
}

pub fn set_errno(errno: Errno) {
    // SAFETY: as in `last_errno`.
    unsafe { *libc::__errno_location() = errno.0 }
}

#[inline]
pub(super) fn check(result: c_int) -> Result<c_int> {
    if result == -1 {
        Err(last_errno())
    } else {
        Ok(result)
    }
}

/// A word that no other living thread has; never 0, bits 0 to 3 are 0.
#[inline]
pub fn thread_self() -> usize {
    // SAFETY: pthread_self has no preconditions.
    unsafe { libc::pthread_self() as usize }
}

pub fn getpid() -> i32 {
    // SAFETY: getpid has no preconditions.
    unsafe { libc::getpid() }
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
pub fn futex_wait(word: &AtomicUsize, expected: usize) {
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
}

pub fn futex_wake_one(word: &AtomicUsize) {
    let errno = last_errno();
    // SAFETY: waking uses the address as a key only.
    unsafe {
        libc::syscall(libc::SYS_futex, futex_half(word), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1);
    }
    set_errno(errno);
}

/// Zeroed memory from the kernel, for tables that are never given back.
pub fn map_zeroed(bytes: usize) -> Option<*mut u8> {
    // SAFETY: a fresh private anonymous mapping touches nothing that exists.
    let memory = unsafe {
        libc::mmap(
            core::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
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
    fn kq_hand_over(queue: *const libc::c_void);
    fn kq_take_over(queue: *const libc::c_void);
    fn pthread_testcancel();
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
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

pub const NANOSECONDS: u64 = 1_000_000_000;

pub fn timespec_of(nanoseconds: u64) -> timespec {
    timespec {
        tv_sec: (nanoseconds / NANOSECONDS) as libc::time_t,
        tv_nsec: (nanoseconds % NANOSECONDS) as libc::c_long,
    }
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

pub fn nap(nanoseconds: u64) {
    let time = timespec_of(nanoseconds);
    // SAFETY: `time` is a local; an early return is harmless.
    unsafe { libc::syscall(libc::SYS_nanosleep, &time, core::ptr::null_mut::<timespec>()) };
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
pub fn duplicate_up(fd: c_int, least: c_int) -> Result<c_int> {
    duplicate(fd, least).or_else(|_| duplicate(fd, 3))
}

/// A close-on-exec duplicate with the lowest free number from `least` on.
pub fn duplicate(fd: c_int, least: c_int) -> Result<c_int> {
    // SAFETY: no pointers.
    check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, least) })
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

/// The soft limit on descriptors, which is no promise that there are so many. None where nobody tells.
pub fn descriptor_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: 0 };
    // SAFETY: `limit` is a local.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    limit.rlim_cur
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

/// `ioctl` that fills one int: FIONREAD and its kin.
#[inline]
pub fn ioctl_int(fd: c_int, request: libc::Ioctl) -> Result<i64> {
    let mut value: c_int = 0;
    // SAFETY: the requests used here write one int.
    check(unsafe { libc::ioctl(fd, request, &mut value) })?;
    Ok(i64::from(value))
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

/// `setsockopt` of an int at SOL_SOCKET.
pub fn set_socket_option(fd: c_int, name: c_int, value: c_int) -> Result<()> {
    let length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: `value` is `length` bytes.
    check(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, name, (&raw const value).cast(), length) }).map(|_| ())
}

/// Is it a socket of the process connector's kind?
pub fn is_connector(fd: c_int) -> bool {
    let option = |name| socket_option::<c_int>(fd, libc::SOL_SOCKET, name, 0).map_or(-1, |(value, _)| value);
    option(libc::SO_DOMAIN) == libc::AF_NETLINK && option(libc::SO_PROTOCOL) == libc::NETLINK_CONNECTOR
}

/// Would a send on this connected stream socket be refused because the write side is shut? Sends nothing.
pub fn send_side_is_shut(fd: c_int) -> bool {
    // SAFETY: no bytes are read from the pointer.
    let sent = unsafe { libc::send(fd, c"".as_ptr().cast(), 0, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
    sent == -1 && last_errno().0 == libc::EPIPE
}

pub fn pipe_size(fd: c_int) -> Result<i64> {
    // SAFETY: no pointers.
    check(unsafe { libc::fcntl(fd, libc::F_GETPIPE_SZ) }).map(i64::from)
}

/// Is it a terminal, also one that was hung up?
pub fn is_terminal(fd: c_int) -> bool {
    let errno = last_errno();
    // SAFETY: no pointers of ours.
    let terminal = unsafe { libc::isatty(fd) } == 1 || last_errno() == Errno(libc::EIO);
    set_errno(errno);
    terminal
}

/// `/proc/self/fd/N`, without an allocation; ends in a NUL.
pub(super) struct FdPath {
    path: [u8; 28],
    length: usize,
}

impl FdPath {
    pub(super) fn of(fd: c_int) -> FdPath {
        let mut path = *b"/proc/self/fd/\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let mut digits = [0u8; 10];
        let (mut rest, mut first) = (fd.max(0), digits.len());
        while rest > 0 || first == digits.len() {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let length = 14 + digits.len() - first;
        path[14..length].copy_from_slice(&digits[first..]);
        FdPath { path, length }
    }

    /// `/proc/self/fd/N/..`
    pub(super) fn parent(mut self) -> FdPath {
        self.path[self.length..self.length + 3].copy_from_slice(b"/..");
        self.length += 3;
        self
    }

    pub(super) fn as_ptr(&self) -> *const libc::c_char {
        self.path.as_ptr().cast()
    }
}

/// What /proc calls the file under `fd`, as far as it fits.
pub(super) fn read_link(fd: c_int, buffer: &mut [u8]) -> Result<&[u8]> {
    let path = FdPath::of(fd);
    // SAFETY: the path ends in a NUL: at most 13 of its last 14 bytes are used. The buffer's length is given.
    let n = unsafe { libc::readlink(path.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
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

/// Is `fd` an epoll instance, by its name?
pub fn is_eventpoll(fd: c_int) -> bool {
    is_anonymous(fd, b"anon_inode:[eventpoll]")
}

/// Is it an epoll instance? `other` is an open descriptor that it does not have.
pub fn is_epoll(fd: c_int, other: c_int) -> bool {
    epoll_ctl(fd, libc::EPOLL_CTL_MOD, other, 0, 0) == Err(Errno::ENOENT)
}

/// kcmp(2), of two things of this process; `None`: refused, by a sandbox or an old kernel.
fn compare(kind: c_int, one: c_int, other: usize) -> Option<Result<bool>> {
    let pid = getpid();
    // SAFETY: `other` is a number, or the address of what the kind wants, which lives through the call.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, pid, pid, kind, one, other) };
    match last_errno() {
        _ if order >= 0 => Some(Ok(order == 0)),
        errno @ (Errno::ENOENT | Errno::EBADF) => Some(Err(errno)),
        _ => None,
    }
}

/// Are two numbers one open file? `None`: it cannot be asked.
pub fn is_same_file(one: c_int, other: c_int) -> Option<bool> {
    const KCMP_FILE: c_int = 0;
    compare(KCMP_FILE, one, other as usize).map(|same| same == Ok(true))
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
