//! What the floors above ask of a system beside its events: errno, time, locks' sleep, memory.
//!
//! No thread is cancelled here and no signal handler interrupts one, so what guards against both is empty.

use super::api::{self, *};
use super::crt::{self, Crt};
use super::target;
use crate::errno::Errno;
use crate::platform::descriptors::{self, Owner};
use crate::registry;
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};
use libc::timespec;

// Poll's and the clocks' names, for the floors above; the values are ours.
pub const POLLIN: i16 = 1;
pub const POLLPRI: i16 = 2;
pub const POLLOUT: i16 = 4;
pub const POLLERR: i16 = 8;
pub const POLLHUP: i16 = 0x10;
pub const POLLRDHUP: i16 = 0x2000;
pub const CLOCK_REALTIME: c_int = 0;
pub const CLOCK_MONOTONIC: c_int = 1;
/// `_O_NOINHERIT`, which every kqueue's descriptor is.
pub const O_CLOEXEC: c_int = 0x80;
/// Nothing here is called that, and no kqueue is read from.
pub const O_NONBLOCK: c_int = 0x4000;

/// There are no others.
pub const MORE_ERRNOS: &[(c_int, &str)] = &[];

/// What the caller's C runtime has in errno.
pub fn last_errno() -> Errno {
    Errno(crt::current().map_or(0, Crt::errno))
}

pub fn set_errno(errno: Errno) {
    if let Some(crt) = crt::current() {
        crt.set_errno(errno.0);
    }
}

/// What the system's last error is called in errno.
pub fn error() -> Errno {
    // SAFETY: no preconditions.
    match unsafe { GetLastError() } {
        2 | 3 => Errno::ENOENT,
        4 => Errno::EMFILE,
        5 => Errno::EPERM,
        6 => Errno::EBADF,
        8 | 14 | 1450 | 1455 => Errno::ENOMEM,
        _ => Errno::EINVAL,
    }
}

/// A word that no other living thread has; never 0, bits 0 to 3 are 0.
#[inline]
pub fn thread_self() -> usize {
    (thread_id() as usize) << 4
}

/// Nobody tells how many threads there are.
#[inline]
pub fn is_alone() -> bool {
    false
}

pub fn thread_id() -> i32 {
    // SAFETY: no preconditions.
    unsafe { GetCurrentThreadId() as i32 }
}

pub fn getpid() -> i32 {
    // SAFETY: no preconditions.
    unsafe { GetCurrentProcessId() as i32 }
}

/// Zeroed memory, for tables that are never given back.
pub fn map_zeroed(bytes: usize) -> Option<*mut u8> {
    const COMMIT_RESERVE: u32 = 0x3000;
    const READWRITE: u32 = 4;
    // SAFETY: fresh pages touch nothing that exists.
    let memory = unsafe { VirtualAlloc(core::ptr::null_mut(), bytes, COMMIT_RESERVE, READWRITE) };
    (!memory.is_null()).then_some(memory.cast())
}

pub fn unmap(memory: *mut u8, _: usize) {
    const RELEASE: u32 = 0x8000;
    // SAFETY: the caller made the mapping with `map_zeroed` and has shown it to nobody.
    unsafe { VirtualFree(memory.cast(), 0, RELEASE) };
}

/// ThreadSanitizer is not here.
#[inline]
pub fn hand_over<T>(_: &'static T) {}

#[inline]
pub fn take_over<T>(_: &'static T) {}

/// How long to wait: `None` for ever.
pub type Timeout = Option<timespec>;

#[inline]
pub fn test_cancel() {}

pub struct Uncancelled;

impl Uncancelled {
    #[inline]
    pub fn begin() -> Uncancelled {
        Uncancelled
    }
}

impl Drop for Uncancelled {
    #[inline]
    fn drop(&mut self) {}
}

pub struct Cancellation;

impl Cancellation {
    pub const fn new() -> Cancellation {
        Cancellation
    }

    #[inline]
    pub fn hold(&self) {}
}

impl Drop for Cancellation {
    #[inline]
    fn drop(&mut self) {}
}

pub const NANOSECONDS: u64 = 1_000_000_000;

pub fn timespec_of(nanoseconds: u64) -> timespec {
    timespec {
        tv_sec: (nanoseconds / NANOSECONDS) as libc::time_t,
        tv_nsec: (nanoseconds % NANOSECONDS) as libc::c_long,
    }
}

/// The time of a clock in nanoseconds.
pub fn now(clock: c_int) -> u64 {
    /// From 1601 to 1970, in 100 ns.
    const EPOCH: u64 = 116_444_736_000_000_000;
    static FREQUENCY: AtomicI64 = AtomicI64::new(0);
    if clock == CLOCK_REALTIME {
        let mut time = 0;
        // SAFETY: `time` is a local of the size of a FILETIME.
        unsafe { GetSystemTimePreciseAsFileTime(&mut time) };
        return time.saturating_sub(EPOCH).saturating_mul(100);
    }
    let (mut count, mut frequency) = (0, FREQUENCY.load(Relaxed));
    // SAFETY: both are locals.
    unsafe {
        if frequency == 0 {
            QueryPerformanceFrequency(&mut frequency);
            FREQUENCY.store(frequency, Relaxed);
        }
        QueryPerformanceCounter(&mut count);
    }
    let (count, frequency) = (count as u64, frequency.max(1) as u64);
    count / frequency * NANOSECONDS + count % frequency * NANOSECONDS / frequency
}

/// Whole milliseconds, never less than asked for, and never the number that means "for ever".
pub fn milliseconds(nanoseconds: u64) -> u32 {
    nanoseconds.div_ceil(1_000_000).min(u64::from(INFINITE - 1)) as u32
}

pub fn nap(nanoseconds: u64) {
    // SAFETY: no preconditions.
    unsafe { Sleep(milliseconds(nanoseconds)) };
}

/// Waits for what another thread is about to finish, but not longer than some `milliseconds`.
pub fn wait_a_moment(milliseconds: u32, done: impl Fn() -> bool) {
    const TURNS: u32 = 100;
    for turn in 0..TURNS + milliseconds {
        if done() {
            return;
        }
        give_way(turn >= TURNS);
    }
}

/// Lets other threads run; `long`: those that wait for a processor, too.
pub fn give_way(long: bool) {
    // SAFETY: no preconditions.
    unsafe {
        if long {
            Sleep(1);
        } else {
            SwitchToThread();
        }
    }
}

/// Sleeps while the word is what is expected, but not longer than 10 ms.
pub fn park(word: &AtomicUsize, expected: usize) {
    let timeout = -100_000i64;
    // SAFETY: the word and the local live through the call.
    unsafe {
        let expected = core::ptr::from_ref(&expected).cast();
        RtlWaitOnAddress(word.as_ptr().cast_const().cast(), expected, size_of::<usize>(), &timeout);
    }
}

pub fn unpark_one(word: &AtomicUsize) {
    // SAFETY: the address is but a name.
    unsafe { RtlWakeAddressSingle(word.as_ptr().cast_const().cast::<c_void>()) };
}

/// The number that the library knows a kqueue by: its descriptor, beside the index of the C runtime that this is one
/// of. That runtime is the thread's current one from here until `Poller::rest`. A queue whose descriptor is found
/// closed is ended.
pub fn queue_number(fd: c_int) -> c_int {
    let known =
        |crt: &Crt| matches!(descriptors::owner(number(*crt, fd)), Owner::Queue { .. } | Owner::Duplicate { .. });
    let mut candidates = Crt::all().filter(known);
    let crt = match (candidates.next(), candidates.next()) {
        (Some(crt), None) => Some(crt),
        _ => crt::of_caller(),
    };
    crt::set_current(crt);
    let number = crt.map_or(-1, |crt| number(crt, fd));
    if let Owner::Queue { slot, .. } = descriptors::owner(number) {
        if registry::kernel(slot).is_some_and(|kernel| !kernel.is_still_open(slot)) {
            registry::was_closed(slot);
        }
    }
    number
}

const CRT_SHIFT: u32 = 16;

/// A descriptor of that runtime, as a number of ours. -1: it is none.
pub fn number(crt: Crt, fd: c_int) -> c_int {
    if (0..1 << CRT_SHIFT).contains(&fd) {
        crt.index() << CRT_SHIFT | fd
    } else {
        -1
    }
}

pub fn queue_descriptor(number: c_int) -> c_int {
    number & ((1 << CRT_SHIFT) - 1)
}

/// The handle under the number of a kqueue.
pub fn queue_handle(number: c_int) -> Option<Handle> {
    Crt::of_index(number >> CRT_SHIFT)?.handle_of(queue_descriptor(number))
}

/// Closes the number of a kqueue.
pub fn close_raw(number: c_int) {
    if let Some(crt) = Crt::of_index(number >> CRT_SHIFT) {
        crt.close(queue_descriptor(number));
    }
}

pub fn close_handle(handle: Handle) {
    // SAFETY: the caller owns it.
    unsafe { CloseHandle(handle) };
}

/// Is it an open socket, descriptor or handle?
pub fn is_open(number: c_int) -> bool {
    target::resolve(number).is_some() || super::processes::is_process(number)
}

pub fn set_nonblocking(_: c_int) {}

/// Are two numbers of kqueues one?
pub fn is_same_file(one: c_int, other: c_int) -> Option<bool> {
    Some(same_object(queue_handle(one)?, queue_handle(other)?))
}

/// Are two handles one object's?
pub fn same_object(one: Handle, other: Handle) -> bool {
    type Compare = unsafe extern "system" fn(Handle, Handle) -> Bool;
    if one == other {
        return true;
    }
    // Windows 10 has it.
    let name: [u16; 15] = core::array::from_fn(|at| u16::from(b"kernelbase.dll\0"[at]));
    // SAFETY: both names end in a zero; the function of that name has this type.
    unsafe {
        let address = GetProcAddress(GetModuleHandleW(name.as_ptr()), c"CompareObjectHandles".as_ptr().cast());
        !address.is_null() && core::mem::transmute::<*const c_void, Compare>(address)(one, other) != 0
    }
}

/// Is the number a kqueue, as an ident?
pub fn is_queue(number: c_int) -> bool {
    matches!(target::resolve(number), Some(target::Target::Queue(_)))
}

/// What poll(2) would say: of the descriptor of a kqueue.
pub fn poll(fd: c_int, _: i16) -> u32 {
    let ready = Crt::all().any(|crt| match descriptors::owner(number(crt, fd)) {
        Owner::Queue { slot, .. } => registry::kernel(slot).is_some_and(|kernel| kernel.is_ready_now()),
        _ => false,
    });
    u32::from(ready)
}

/// Runs `body`, and leaves the program's last errors as they are.
pub fn keeping_last_error<T>(body: impl FnOnce() -> T) -> T {
    // SAFETY: no preconditions.
    let error = unsafe { GetLastError() };
    let result = body();
    // SAFETY: no preconditions.
    unsafe { api::SetLastError(error) };
    result
}
