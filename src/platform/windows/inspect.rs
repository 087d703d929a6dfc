//! What a number can give and take right now: the facts under EVFILT_READ and EVFILT_WRITE.
//!
//! Sockets are asked by AFD and FIONREAD, pipes by PeekNamedPipe and the state of their instance, files by their size
//! and offset. Nothing is taken from any of them.

use super::afd;
use super::api::*;
use super::target::{self, Target};
use crate::errno::Errno;
use crate::platform::events::Mask;
use crate::registry;

pub use super::files::{identity, is_another};
pub use crate::platform::events::Status;

/// What a number is, as far as its filters care.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Not asked yet.
    Unknown,
    Stream,
    Datagram,
    Pipe,
    Console,
    Queue,
    /// What has an offset and a size.
    File,
    /// Always ready by nature: NUL.
    Device,
    Directory,
}

impl Kind {
    /// `EBADF`.
    pub fn of(number: i32, _: bool) -> Result<Kind, Errno> {
        Ok(Kind::of_target(target::resolve(number).ok_or(Errno::EBADF)?))
    }

    pub fn of_target(target: Target) -> Kind {
        match target {
            Target::Stream(_) => Kind::Stream,
            Target::Datagram(_) => Kind::Datagram,
            Target::Pipe(_) => Kind::Pipe,
            Target::Console(_) => Kind::Console,
            Target::Queue(_) => Kind::Queue,
            Target::File(_) => Kind::File,
            Target::Directory(_) => Kind::Directory,
            Target::Device(_) => Kind::Device,
        }
    }

    /// Always served in user space: nothing tells of it.
    pub fn is_unpollable(self) -> bool {
        matches!(self, Kind::File | Kind::Device | Kind::Directory)
    }
}

/// What AFD tells of a socket always takes the closer look.
#[inline]
pub fn bytes_to_read(_: i32) -> Option<i64> {
    None
}

/// How a number stands for reading. `seen`: the events that have just been told, `None` to ask.
pub fn readable(number: i32, kind: &mut Kind, seen: Option<Mask>) -> Status {
    if *kind == Kind::Unknown {
        *kind = Kind::of(number, true).unwrap_or(Kind::Unknown);
    }
    let socket = number as Handle;
    match *kind {
        Kind::Stream => stream_readable(socket, seen.unwrap_or_else(|| afd::look_at_all(socket))),
        Kind::Datagram => datagram_readable(socket, seen.unwrap_or_else(|| afd::look_at_all(socket))),
        _ => target::resolve(number).map_or(Status::NOT_READY, readable_target),
    }
}

/// The same of what is no socket.
pub fn readable_target(target: Target) -> Status {
    match target {
        Target::Pipe(pipe) => pipe_readable(pipe),
        Target::Console(console) => {
            let mut events = 0;
            // SAFETY: the count is a local.
            let known = unsafe { GetNumberOfConsoleInputEvents(console, &mut events) } != 0;
            match events {
                0 => Status::NOT_READY,
                // How many bytes they will be is not known (3.9).
                _ if known => Status::ready(1),
                _ => Status::NOT_READY,
            }
        }
        Target::Queue(slot) if registry::kernel(slot).is_some_and(|kernel| kernel.is_ready_now()) => Status::ready(1),
        _ => Status::NOT_READY,
    }
}

fn bytes_in(socket: Handle) -> i64 {
    let mut bytes = 0;
    // SAFETY: FIONREAD writes one word.
    let result = unsafe { ioctlsocket(socket, FIONREAD, &mut bytes) };
    if result == 0 {
        i64::from(bytes)
    } else {
        0
    }
}

fn stream_readable(socket: Handle, mask: Mask) -> Status {
    if !mask.concerns_reading() {
        return Status::NOT_READY;
    }
    let error = afd::error_in(mask);
    if error != 0 {
        return Status::end(bytes_in(socket), error);
    }
    match bytes_in(socket) {
        bytes if mask.has(Mask::RDHUP) => Status::end(bytes, 0),
        0 => nothing_to_count(socket),
        bytes => Status::ready(bytes),
    }
}

/// It was said that there is something to read, and there are no bytes: a connection to accept (3.2), an end that has
/// come meanwhile, or somebody was faster.
fn nothing_to_count(socket: Handle) -> Status {
    let (events, status) = afd::look(afd::base_of(socket), afd::ACCEPT | afd::DISCONNECT | afd::ABORT | afd::RECEIVE);
    if events & afd::ACCEPT != 0 {
        return Status { unconditional: true, ..Status::ready(1) };
    }
    let mask = afd::mask_of(events, status);
    if mask.has(Mask::RDHUP | Mask::ERR) {
        return Status::end(bytes_in(socket), afd::error_in(mask));
    }
    match bytes_in(socket) {
        // Urgent data at the mark is not counted.
        bytes if mask.has(Mask::IN) => Status::ready(bytes.max(1)),
        _ => Status::NOT_READY,
    }
}

/// Has the program shut it for writing? AFD does not tell; a send is refused then. Of no bytes, a stream sends nothing.
/// The send is overlapped, because it waits where the buffer is full, blocking socket or not. The socket's last error
/// stays.
fn write_side_is_shut(socket: Handle) -> bool {
    /// In the event of an overlapped operation: no packet comes of it, to whatever port the program's socket is bound.
    const NO_PACKET: Handle = 1;
    // SAFETY: no name, no security.
    let event = unsafe { CreateEventW(core::ptr::null(), 1, 0, core::ptr::null()) };
    if event == 0 {
        return false;
    }
    let mut overlapped = Overlapped { event: event | NO_PACKET, ..Overlapped::NONE };
    let (nothing, mut sent) = (SocketBuffer { length: 0, bytes: c"".as_ptr().cast() }, 0);
    // SAFETY: all are locals; where the send is pending it is cancelled, and waited for.
    let shut = unsafe {
        let before = WSAGetLastError();
        let failed = WSASend(socket, &nothing, 1, &mut sent, 0, &mut overlapped, core::ptr::null()) != 0;
        let error = if failed { WSAGetLastError() } else { 0 };
        if error == WSA_IO_PENDING {
            CancelIoEx(socket, &mut overlapped);
            WaitForSingleObject(event, INFINITE);
        }
        WSASetLastError(before);
        error == WSAESHUTDOWN
    };
    super::sys::close_handle(event);
    shut
}

/// An empty datagram counts (3.1); so does an error that the next recv() will tell.
fn datagram_readable(socket: Handle, mask: Mask) -> Status {
    if !mask.concerns_reading() {
        return Status::NOT_READY;
    }
    let unconditional = mask.has(Mask::ERR);
    match bytes_in(socket) {
        0 if !unconditional && afd::look(afd::base_of(socket), afd::RECEIVE).0 & afd::RECEIVE == 0 => Status::NOT_READY,
        bytes => Status { unconditional, ..Status::ready(bytes) },
    }
}

/// What an open instance of a pipe is, and whether it is for reading.
fn pipe_state(pipe: Handle) -> (PipeInformation, bool) {
    const PIPE_LOCAL: u32 = 24;
    const ACCESS: u32 = 8;
    const READ_DATA: u32 = 1;
    let mut information = PipeInformation::default();
    let mut access = 0u32;
    let mut block = IoStatusBlock { status: 0, information: 0 };
    // SAFETY: the structures are locals, and their sizes are given.
    let known = unsafe {
        let place = (&raw mut information).cast();
        NtQueryInformationFile(pipe, &mut block, place, size_of::<PipeInformation>() as u32, PIPE_LOCAL);
        NtQueryInformationFile(pipe, &mut block, (&raw mut access).cast(), 4, ACCESS) == 0
    };
    (information, !known || access & READ_DATA != 0)
}

/// `FILE_PIPE_CLOSING_STATE`: the other end is gone.
const CLOSING: u32 = 4;

fn pipe_readable(pipe: Handle) -> Status {
    let mut available = 0;
    let none = core::ptr::null_mut();
    // SAFETY: only the count is asked for, into a local.
    let known = unsafe { PeekNamedPipe(pipe, none, 0, none.cast(), &mut available, none.cast()) } != 0;
    if !known {
        // SAFETY: no preconditions.
        return match unsafe { GetLastError() } {
            ERROR_BROKEN_PIPE => Status::end(0, 0),
            ERROR_ACCESS_DENIED => Status::NEVER,
            _ => Status::NOT_READY,
        };
    }
    let (state, reads) = pipe_state(pipe);
    if !reads {
        return Status::NEVER;
    }
    if state.state == CLOSING {
        return Status::end(i64::from(available), 0);
    }
    match available {
        0 => Status::NOT_READY,
        available => Status::ready(i64::from(available)),
    }
}

/// How a number stands for writing. `seen` as for `readable`.
pub fn writable(number: i32, kind: &mut Kind, seen: Option<Mask>) -> Status {
    if *kind == Kind::Unknown {
        *kind = Kind::of(number, true).unwrap_or(Kind::Unknown);
    }
    let socket = number as Handle;
    match *kind {
        Kind::Stream | Kind::Datagram => {
            let mask = seen.unwrap_or_else(|| afd::look_at_all(socket));
            socket_writable(socket, mask, *kind == Kind::Stream)
        }
        _ => target::resolve(number).map_or(Status::NOT_READY, writable_target),
    }
}

fn socket_writable(socket: Handle, mask: Mask, stream: bool) -> Status {
    if !mask.concerns_writing() {
        return Status::NOT_READY;
    }
    // How much of the buffer is free the system does not tell.
    let space = i64::from(target::option(socket, SO_SNDBUF).unwrap_or(1)).max(1);
    let error = afd::error_in(mask);
    if !stream {
        return Status { unconditional: error != 0, ..Status::ready(space) };
    }
    if error != 0 || write_side_is_shut(socket) {
        return Status::end(space, error);
    }
    Status::ready(space)
}

/// The same of what is no socket.
pub fn writable_target(target: Target) -> Status {
    match target {
        Target::Pipe(pipe) => {
            const WRITE_DATA: u32 = 2;
            const ACCESS: u32 = 8;
            let (state, _) = pipe_state(pipe);
            let (mut access, mut block) = (0u32, IoStatusBlock { status: 0, information: 0 });
            // SAFETY: the structures are locals, and their sizes are given.
            let known = unsafe { NtQueryInformationFile(pipe, &mut block, (&raw mut access).cast(), 4, ACCESS) == 0 };
            if known && access & WRITE_DATA == 0 {
                return Status::NEVER;
            }
            if state.state == CLOSING {
                return Status::end(0, 0);
            }
            // Wine knows no quota.
            Status::ready(i64::from(state.write_quota).max(1))
        }
        Target::Console(_) => Status::ready(1),
        _ => Status::NOT_READY,
    }
}

/// Everything that can be said of the number now.
pub fn ask(number: i32) -> Mask {
    let bits =
        |status: Status, ready: u32| (if status.ready { ready } else { 0 }) | (if status.eof { Mask::HUP } else { 0 });
    match target::resolve(number) {
        Some(Target::Stream(socket) | Target::Datagram(socket)) => afd::look_at_all(socket),
        Some(target) => Mask(bits(readable_target(target), Mask::IN) | bits(writable_target(target), Mask::OUT)),
        None => Mask(0),
    }
}

/// Is urgent data pending?
pub fn exceptional(number: i32, seen: Option<Mask>) -> Status {
    let mask = seen.unwrap_or_else(|| ask(number));
    if mask.has(Mask::PRI) {
        Status::ready(0)
    } else {
        Status::NOT_READY
    }
}

/// Whether the system tells what `emptied` asks: it does not.
pub const TELLS_EMPTY: bool = false;

pub fn emptied(_: i32, _: &mut Kind, _: Option<Mask>) -> Status {
    Status::NOT_READY
}

/// How a file stands: how far the next read is from its end, and who it is.
pub struct FileStatus {
    pub unread: i64,
    pub identity: u32,
    /// Another one, whenever it was written.
    pub stamp: i64,
    /// Nobody tells of its writes.
    pub nameless: bool,
}

/// `None`: the number is no regular file any more.
pub fn file(number: i32) -> Option<FileStatus> {
    let Some(Target::File(handle)) = target::resolve(number) else { return None };
    const CURRENT: u32 = 1;
    let (mut size, mut offset) = (0, 0);
    // SAFETY: both are locals.
    unsafe {
        GetFileSizeEx(handle, &mut size);
        SetFilePointerEx(handle, 0, &mut offset, CURRENT);
    }
    let state = super::files::file_state(number).ok()?;
    Some(FileStatus {
        unread: size - offset,
        identity: state.identity,
        stamp: state.modified.wrapping_mul(31).wrapping_add(size),
        nameless: true,
    })
}
