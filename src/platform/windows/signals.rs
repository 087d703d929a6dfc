//! Signals, where the system has none: kq_kill(), kq_raise(), the console's events, and raise() of the C runtime.
//!
//! A process that watches a signal has an event of the name that the C library gives it, so that programs on either
//! library reach one another; the thread pool waits for it. What comes is counted for the whole process, and each queue
//! that wants it is woken.

use super::api::*;
use super::crt::{self, Crt};
use super::poller::{Buffer, Event, Poller};
use super::sys;
use crate::errno::{Errno, Result};
use crate::platform::lock::Mutex;
use crate::registry;
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering::SeqCst};

/// No child sends it.
pub const SIGCHLD: c_int = 17;
const SIGINT: c_int = 2;
const SIGKILL: c_int = 9;
const SIGTERM: c_int = 15;
const SIGBREAK: c_int = 21;
const SIGABRT: c_int = 22;
const MOST: usize = 64;

/// Those that raise() may be called with, and that are not about what the calling thread just did.
const RAISED: [c_int; 4] = [SIGINT, SIGTERM, SIGBREAK, SIGABRT];

static COUNTS: [AtomicU64; MOST + 1] = [const { AtomicU64::new(0) }; MOST + 1];
/// The event of each watched signal, and the pool's wait for it.
static EVENTS: Mutex<[Option<(Handle, Handle)>; MOST + 1]> = Mutex::new([None; MOST + 1]);
/// The program's handler of each signal that raise() may bring, and the index of its runtime and 1.
static BEFORE: [(AtomicUsize, AtomicI32); MOST + 1] = [const { (AtomicUsize::new(0), AtomicI32::new(0)) }; MOST + 1];

pub fn bit(signo: c_int) -> u64 {
    1 << (signo - 1)
}

/// `EINVAL`: no such signal.
pub fn check(ident: usize) -> Result<()> {
    if (1..=MOST).contains(&ident) {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

pub fn recorded(signo: c_int) -> u64 {
    COUNTS[signo as usize].load(SeqCst)
}

/// The process needs no telling apart from a child.
pub fn own() {}

pub fn child() {}

fn kernels() -> impl Iterator<Item = (u32, &'static Poller)> {
    (0..).map_while(|slot| registry::kernel(slot).map(|kernel| (slot, kernel)))
}

fn is_wanted(signo: c_int) -> bool {
    kernels().any(|(_, kernel)| kernel.signals.load(SeqCst) & bit(signo) != 0)
}

/// A signal has come.
fn record(signo: c_int) {
    COUNTS[signo as usize].fetch_add(1, SeqCst);
    for (slot, _) in kernels().filter(|(_, kernel)| kernel.signals.load(SeqCst) & bit(signo) != 0) {
        registry::signal_arrived(slot, signo);
    }
}

/// The name of a process's event for a signal, ended by a zero.
fn name_of(pid: u32, signo: c_int) -> [u16; 64] {
    use core::fmt::Write;
    struct Name([u16; 64], usize);
    impl Write for Name {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            for byte in text.bytes() {
                *self.0.get_mut(self.1).ok_or(core::fmt::Error)? = u16::from(byte);
                self.1 += 1;
            }
            Ok(())
        }
    }
    let mut name = Name([0; 64], 0);
    // Two numbers of 10 digits at most: there is room.
    let _ = write!(name, "Local\\libkqueue-sig-{pid}-{signo}");
    name.0
}

unsafe extern "system" fn event_was_set(signo: *mut c_void, _: u8) {
    record(signo as usize as c_int);
}

unsafe extern "system" fn console_event(event: u32) -> Bool {
    let signo = match event {
        0 => SIGINT,
        1 => SIGBREAK,
        _ => SIGTERM,
    };
    let wanted = is_wanted(signo);
    if wanted {
        record(signo);
    }
    Bool::from(wanted)
}

/// In front of the program's handler in its C runtime, which has just put the default back.
unsafe extern "C" fn raised(signo: c_int) {
    let (before, runtime) = &BEFORE[signo as usize];
    if let Some(crt) = Crt::of_index(runtime.load(SeqCst) - 1) {
        crt.signal(signo, raised as unsafe extern "C" fn(c_int) as usize);
    }
    record(signo);
    const IGNORE: usize = 1;
    match before.load(SeqCst) {
        0 | IGNORE => {}
        handler => crt::call_handler(handler, signo),
    }
}

fn chain(signo: c_int) {
    let Some(crt) = crt::current().filter(|_| RAISED.contains(&signo)) else { return };
    let (before, runtime) = &BEFORE[signo as usize];
    let ours = raised as unsafe extern "C" fn(c_int) as usize;
    runtime.store(crt.index() + 1, SeqCst);
    if let Some(program) = crt.signal(signo, ours).filter(|&program| program != ours) {
        before.store(program, SeqCst);
    }
}

fn unchain(signo: c_int) {
    let (before, runtime) = &BEFORE[signo as usize];
    let Some(crt) = Crt::of_index(runtime.swap(0, SeqCst) - 1) else { return };
    let program = before.swap(0, SeqCst);
    let ours = raised as unsafe extern "C" fn(c_int) as usize;
    if let Some(later) = crt.signal(signo, program).filter(|&later| later != ours) {
        // The program has installed another one since.
        crt.signal(signo, later);
    }
}

/// A queue wants a signal. `ENOMEM`, and what the system says.
pub fn watch(_: u32, kernel: &Poller, signo: c_int, _: bool) -> Result<()> {
    static LISTENS: AtomicBool = AtomicBool::new(false);
    let mut events = EVENTS.lock();
    if events[signo as usize].is_none() {
        events[signo as usize] = Some(open_event(signo)?);
        chain(signo);
    }
    kernel.signals.fetch_or(bit(signo), SeqCst);
    if !LISTENS.swap(true, SeqCst) {
        // SAFETY: the handler is a function of this module, which stays loaded.
        unsafe { SetConsoleCtrlHandler(console_event, 1) };
    }
    Ok(())
}

fn open_event(signo: c_int) -> Result<(Handle, Handle)> {
    let name = name_of(sys::getpid() as u32, signo);
    let mut wait = 0;
    // SAFETY: the name ends in a zero; the callback's context is a number.
    unsafe {
        let event = CreateEventW(core::ptr::null(), 0, 0, name.as_ptr());
        if event == 0 {
            return Err(sys::error());
        }
        let context = signo as usize as *mut c_void;
        if RegisterWaitForSingleObject(&mut wait, event, event_was_set, context, INFINITE, WT_EXECUTEINWAITTHREAD) == 0
        {
            let error = sys::error();
            sys::close_handle(event);
            return Err(error);
        }
        Ok((event, wait))
    }
}

/// The knote of the signal is disabled: it goes on being counted.
pub fn rest(_: u32, _: &Poller, _: c_int) {}

/// A queue does not want it any more.
pub fn unhear(slot: u32, signo: c_int) {
    let mut events = EVENTS.lock();
    if let Some(kernel) = registry::kernel(slot) {
        kernel.signals.fetch_and(!bit(signo), SeqCst);
    }
    if is_wanted(signo) {
        return;
    }
    if let Some((event, wait)) = events[signo as usize].take() {
        unchain(signo);
        drop(events);
        // SAFETY: both were made by `open_event`, and nobody has them any more. The callback takes no lock.
        unsafe { UnregisterWaitEx(wait, INVALID) };
        sys::close_handle(event);
    }
}

/// Nobody sends SIGCHLD.
pub fn hear(_: u32, _: c_int) -> Result<()> {
    Ok(())
}

/// The queue is closed.
pub fn forget(slot: u32) {
    let Some(kernel) = registry::kernel(slot) else { return };
    let mut rest = kernel.signals.load(SeqCst);
    while rest != 0 {
        let signo = rest.trailing_zeros() as c_int + 1;
        rest &= rest - 1;
        unhear(slot, signo);
    }
}

/// Sends a signal. `EINVAL` no such signal; `ESRCH` no such process, or it does not watch the signal; `EPERM`.
pub fn kill(pid: c_int, signo: c_int) -> Result<()> {
    check(usize::try_from(signo).map_err(|_| Errno::EINVAL)?)?;
    if pid == sys::getpid() {
        if is_wanted(signo) {
            record(signo);
            return Ok(());
        }
        return if signo == SIGKILL { terminate(pid, signo) } else { Err(Errno(libc::ESRCH)) };
    }
    const MODIFY_STATE: u32 = 2;
    let name = name_of(pid as u32, signo);
    // SAFETY: the name ends in a zero.
    let event = unsafe { OpenEventW(MODIFY_STATE, 0, name.as_ptr()) };
    if event != 0 {
        // SAFETY: just opened.
        unsafe { SetEvent(event) };
        sys::close_handle(event);
    }
    match signo {
        SIGKILL | SIGTERM => terminate(pid, signo),
        _ if event != 0 => Ok(()),
        _ => Err(Errno(libc::ESRCH)),
    }
}

fn terminate(pid: c_int, signo: c_int) -> Result<()> {
    const TERMINATE: u32 = 1;
    // SAFETY: no pointers; the handle is closed again.
    unsafe {
        let process = OpenProcess(TERMINATE, 0, pid as u32);
        if process == 0 {
            return Err(if GetLastError() == ERROR_ACCESS_DENIED { Errno::EPERM } else { Errno(libc::ESRCH) });
        }
        let ended = TerminateProcess(process, 128 + signo as u32) != 0;
        sys::close_handle(process);
        ended.then_some(()).ok_or(Errno::EPERM)
    }
}

/// No signal interrupts a wait.
pub struct Sleep;

impl Sleep {
    pub fn new() -> Sleep {
        Sleep
    }
}

impl Drop for Sleep {
    #[inline]
    fn drop(&mut self) {}
}

/// Nobody blocks signals.
pub fn take_blocked(_: u32, _: &Poller, _: &Sleep) -> u64 {
    0
}

#[inline]
pub fn wait<'a, const N: usize>(
    _: &mut Sleep,
    slot: u32,
    kernel: &Poller,
    buffer: &'a mut Buffer<N>,
    room: usize,
    timeout: &sys::Timeout,
    _: Option<&sys::Cancellation>,
) -> Result<&'a [Event]> {
    let events = kernel.wait(buffer, room, timeout, None, None);
    if kernel.was_closed() {
        registry::was_closed(slot);
    }
    events
}
