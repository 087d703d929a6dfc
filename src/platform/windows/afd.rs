//! AFD's poll: how a socket tells of itself on a completion port, whatever else the program does with it.
//!
//! `\Device\Afd` is what is under every socket. A poll request names one socket and a set of events, and completes once
//! when one of them holds, at once if it does already; on the port of the AFD handle that it was made on. Nothing of the
//! socket changes by it: not its blocking mode, not its own port. The interface is not documented, but is what select()
//! is made of, and libuv, wepoll, mio stand on it as well.

use super::api::*;
use crate::errno::{Errno, Result};
use crate::platform::events::{Arm, Mask};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};

pub const RECEIVE: u32 = 1;
pub const RECEIVE_EXPEDITED: u32 = 2;
pub const SEND: u32 = 4;
pub const DISCONNECT: u32 = 8;
pub const ABORT: u32 = 0x10;
/// Comes asked for or not.
pub const LOCAL_CLOSE: u32 = 0x20;
pub const ACCEPT: u32 = 0x80;
pub const CONNECT_FAIL: u32 = 0x100;
const EVERYTHING: u32 = RECEIVE | RECEIVE_EXPEDITED | SEND | DISCONNECT | ABORT | ACCEPT | CONNECT_FAIL;

/// What the kernel writes to while a request is pending: it must stay where it is.
pub struct Request(UnsafeCell<(IoStatusBlock, PollInfo)>);

impl Request {
    pub const fn new() -> Request {
        let block = IoStatusBlock { status: 0, information: 0 };
        let info = PollInfo { timeout: 0, handles: 0, exclusive: 0, socket: 0, events: 0, status: 0 };
        Request(UnsafeCell::new((block, info)))
    }

    /// Asks `afd` about the base of a socket. The answer comes with `context` as the packet's lpOverlapped; none comes
    /// after an error: `EBADF`, the socket is closed, or what it is AFD does not know.
    pub fn submit(&self, afd: Handle, socket: Handle, events: u32, context: usize) -> Result<()> {
        match self.call(afd, 0, socket, events, i64::MAX, context) {
            0 | STATUS_PENDING => Ok(()),
            _ => Err(Errno::EBADF),
        }
    }

    fn call(&self, afd: Handle, event: Handle, socket: Handle, events: u32, timeout: i64, context: usize) -> Ntstatus {
        const LENGTH: u32 = size_of::<PollInfo>() as u32;
        let place = self.0.get();
        // SAFETY: the request is not pending, so the place is ours alone; from the call on it is the kernel's until the
        // request completes, and its owner keeps it until then.
        unsafe {
            (*place).0.status = STATUS_PENDING as usize;
            (*place).1 = PollInfo { timeout, handles: 1, exclusive: 0, socket, events, status: 0 };
            let (block, info) = (&raw mut (*place).0, &raw mut (*place).1);
            let none = core::ptr::null();
            NtDeviceIoControlFile(
                afd,
                event,
                none,
                context,
                block,
                AFD_POLL_CODE,
                info.cast(),
                LENGTH,
                info.cast(),
                LENGTH,
            )
        }
    }

    /// Has it ended early; its packet still comes.
    pub fn cancel(&self, afd: Handle) {
        let mut block = IoStatusBlock { status: 0, information: 0 };
        // SAFETY: the request's status block is only named; the other is a local.
        unsafe { NtCancelIoFileEx(afd, self.0.get().cast(), &mut block) };
    }

    /// What a request that has completed says: AFD's events, and the status of a connection that failed.
    pub fn answer(&self) -> (u32, Ntstatus) {
        // SAFETY: it has completed, so nobody writes any more.
        let (block, info) = unsafe { *self.0.get() };
        if block.status as Ntstatus != 0 || info.handles == 0 {
            return (0, 0);
        }
        (info.events, info.status)
    }
}

/// A new handle to ask by.
pub fn open() -> Result<Handle> {
    const NAME: &[u8] = b"\\Device\\Afd\\Kqueue";
    let wide: [u16; NAME.len()] = core::array::from_fn(|at| u16::from(NAME[at]));
    let length = (NAME.len() * 2) as u16;
    let name = UnicodeString { length, maximum_length: length, buffer: wide.as_ptr() };
    let attributes = ObjectAttributes {
        length: size_of::<ObjectAttributes>() as u32,
        root: 0,
        name: &name,
        attributes: 0,
        security: core::ptr::null(),
        quality: core::ptr::null(),
    };
    let mut block = IoStatusBlock { status: 0, information: 0 };
    let mut handle = INVALID;
    let share = FILE_SHARE_READ | FILE_SHARE_WRITE;
    // SAFETY: all structures are locals that live through the call.
    let status = unsafe {
        NtCreateFile(
            &mut handle,
            SYNCHRONIZE,
            &attributes,
            &mut block,
            core::ptr::null(),
            0,
            share,
            FILE_OPEN,
            0,
            core::ptr::null(),
            0,
        )
    };
    match status {
        0 => Ok(handle),
        _ => Err(Errno::ENOTSUP),
    }
}

/// The socket that AFD knows, under those of layered providers.
pub fn base_of(socket: Handle) -> Handle {
    let ask = |socket: Handle, code: u32| {
        let (mut base, mut returned) = (INVALID, 0);
        // SAFETY: the answer is one handle, into a local.
        let result = unsafe {
            let answer = (&raw mut base).cast();
            let length = size_of::<Handle>() as u32;
            WSAIoctl(
                socket,
                code,
                core::ptr::null(),
                0,
                answer,
                length,
                &mut returned,
                core::ptr::null_mut(),
                core::ptr::null(),
            )
        };
        (result == 0 && base != INVALID).then_some(base)
    };
    ask(socket, SIO_BASE_HANDLE)
        .or_else(|| ask(socket, SIO_BSP_HANDLE_POLL).and_then(|below| ask(below, SIO_BASE_HANDLE)))
        .unwrap_or(socket)
}

/// How a socket stands now, in AFD's events.
pub fn look(socket: Handle, events: u32) -> (u32, Ntstatus) {
    /// Bound to no port.
    static AFD: AtomicUsize = AtomicUsize::new(0);
    if AFD.load(SeqCst) == 0 {
        let Ok(made) = open() else { return (0, 0) };
        if AFD.compare_exchange(0, made, SeqCst, SeqCst).is_err() {
            super::sys::close_handle(made);
        }
    }
    // SAFETY: no name, no security.
    let event = unsafe { CreateEventW(core::ptr::null(), 1, 0, core::ptr::null()) };
    if event == 0 {
        return (0, 0);
    }
    let (afd, request) = (AFD.load(SeqCst), Request::new());
    let status = request.call(afd, event, socket, events, 0, 0);
    if status == STATUS_PENDING {
        // SAFETY: the event is ours. Its time-out is 0, so the request completes at once.
        unsafe { WaitForSingleObject(event, INFINITE) };
    }
    super::sys::close_handle(event);
    if matches!(status, 0 | STATUS_PENDING) {
        request.answer()
    } else {
        (LOCAL_CLOSE, 0)
    }
}

pub fn look_at_all(socket: Handle) -> Mask {
    let (events, status) = look(base_of(socket), EVERYTHING);
    mask_of(events, status)
}

/// What is asked for an item that is armed for that.
pub fn events_of(arm: Arm) -> u32 {
    let ask = |interest, events| if arm.contains(interest) { events } else { 0 };
    ask(Arm::IN, RECEIVE | DISCONNECT | ABORT | ACCEPT | CONNECT_FAIL)
        | ask(Arm::OUT, SEND | ABORT | CONNECT_FAIL)
        | ask(Arm::PRI, RECEIVE_EXPEDITED | ABORT)
}

/// The same in the words of the floors above. The error of a connection comes along.
pub fn mask_of(events: u32, status: Ntstatus) -> Mask {
    let tell = |event, bits| if events & event != 0 { bits } else { 0 };
    let mask = tell(RECEIVE, Mask::IN)
        | tell(ACCEPT, Mask::IN)
        | tell(RECEIVE_EXPEDITED, Mask::PRI)
        | tell(SEND, Mask::OUT)
        | tell(DISCONNECT, Mask::RDHUP)
        | tell(ABORT | CONNECT_FAIL, Mask::ERR);
    if events & ABORT != 0 {
        Mask(mask | with_error(libc::ECONNRESET))
    } else if events & CONNECT_FAIL != 0 {
        Mask(mask | with_error(errno_of(status)))
    } else {
        Mask(mask)
    }
}

const ERROR_SHIFT: u32 = 16;

fn with_error(errno: i32) -> u32 {
    (errno as u32) << ERROR_SHIFT
}

/// The error that a mask brings along, or 0. (Poll's own bits are below, but for one.)
pub fn error_in(mask: Mask) -> u32 {
    mask.0 >> ERROR_SHIFT
}

fn errno_of(status: Ntstatus) -> i32 {
    match status as u32 {
        0xc000_00b5 => libc::ETIMEDOUT,
        0xc000_023c => libc::ENETUNREACH,
        0xc000_023d => libc::EHOSTUNREACH,
        _ => libc::ECONNREFUSED,
    }
}
