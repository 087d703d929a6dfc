//! What a descriptor can give and take right now: the facts under EVFILT_READ and EVFILT_WRITE.
//!
//! The common case costs one FIONREAD: data there, no hang-up, no error. Only when that does not settle it is
//! the kind of the descriptor learned (once) and the rest asked. Nothing here changes the descriptor: the
//! socket's error above all is worked out from the state of the connection, never taken (3.3).

use super::poller::Mask;
use super::sys;
use crate::errno::Errno;
use crate::platform::unix::file_state::{identity_of, state_of};
use crate::platform::unix::kernel;
use libc::{c_int, POLLIN, POLLOUT, POLLPRI};
use sys::POLLRDHUP;

pub use crate::platform::events::Status;
pub use crate::platform::unix::file_state::{identity, is_another};

/// What a descriptor is, as far as its filters care.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Not asked yet.
    Unknown,
    /// Connections: TCP, AF_UNIX stream.
    TcpStream,
    UnixStream,
    /// A connection that keeps records (SOCK_SEQPACKET), or of another family.
    OtherStream,
    /// Messages: UDP, raw, packet, netlink.
    Datagram,
    PipeReader,
    PipeWriter,
    /// A FIFO that is open for both.
    PipeBoth,
    Terminal,
    /// What has an offset and a size. epoll does not take it.
    File,
    /// Always ready by nature: /dev/null and its like, block devices. epoll does not take them.
    Device,
    Directory,
    /// Whatever else poll(2) serves: eventfd, timerfd, signalfd, epoll, inotify, devices.
    Other,
}

impl Kind {
    /// `pollable`: epoll took it. `EBADF`.
    pub fn of(fd: i32, pollable: bool) -> Result<Kind, Errno> {
        let mode = sys::stat(fd)?.st_mode & libc::S_IFMT;
        Ok(match mode {
            libc::S_IFSOCK => Kind::of_socket(fd),
            libc::S_IFIFO => match sys::status_flags(fd)? & libc::O_ACCMODE {
                libc::O_RDONLY => Kind::PipeReader,
                libc::O_WRONLY => Kind::PipeWriter,
                _ => Kind::PipeBoth,
            },
            libc::S_IFREG if !pollable => Kind::File,
            libc::S_IFDIR => Kind::Directory,
            libc::S_IFCHR if sys::is_terminal(fd) => Kind::Terminal,
            libc::S_IFCHR | libc::S_IFBLK if !pollable => Kind::Device,
            _ => Kind::Other,
        })
    }

    fn of_socket(fd: i32) -> Kind {
        let option = |name| sys::socket_option::<c_int>(fd, libc::SOL_SOCKET, name, 0).map(|(value, _)| value);
        match option(libc::SO_TYPE) {
            Ok(libc::SOCK_STREAM) => match (option(libc::SO_DOMAIN), option(kernel::SO_PROTOCOL)) {
                (Ok(libc::AF_UNIX), _) => Kind::UnixStream,
                (Ok(libc::AF_INET | libc::AF_INET6), Ok(libc::IPPROTO_TCP) | Err(_)) => Kind::TcpStream,
                _ => Kind::OtherStream,
            },
            Ok(libc::SOCK_SEQPACKET) => Kind::OtherStream,
            Ok(_) => Kind::Datagram,
            // A sandbox forbids the question. The hang-up bits tell an end where there is one.
            Err(_) => Kind::OtherStream,
        }
    }

    fn is_stream(self) -> bool {
        matches!(self, Kind::TcpStream | Kind::UnixStream | Kind::OtherStream)
    }

    /// Always served in user space: no epoll item.
    pub fn is_unpollable(self) -> bool {
        matches!(self, Kind::File | Kind::Device | Kind::Directory)
    }
}

fn learn(fd: i32, kind: &mut Kind) -> Kind {
    if *kind == Kind::Unknown {
        *kind = Kind::of(fd, true).unwrap_or(Kind::Unknown);
    }
    *kind
}

/// How much there is to read from `fd`, which epoll says can be read, and nothing else. `None`: it takes a closer look.
#[inline]
pub fn bytes_to_read(fd: i32) -> Option<i64> {
    sys::bytes_to_read(fd).ok().filter(|&bytes| bytes > 0)
}

/// How `fd` stands for reading. `seen`: the events that epoll has just reported, `None` to ask.
#[inline]
pub fn readable(fd: i32, kind: &mut Kind, seen: Option<Mask>) -> Status {
    let mask = seen.unwrap_or_else(|| Mask(sys::poll(fd, POLLIN | POLLRDHUP)));
    if !mask.concerns_reading() {
        return Status::NOT_READY;
    }
    let pending = sys::bytes_to_read(fd);
    match pending {
        Ok(bytes) if bytes > 0 && !mask.has(Mask::RDHUP | Mask::HUP | Mask::ERR) => Status::ready(bytes),
        // Closed round us, while somebody else holds the file open.
        Err(Errno::EBADF) => Status::NOT_READY,
        _ => readable_by_kind(fd, learn(fd, kind), mask, pending),
    }
}

#[cold]
fn readable_by_kind(fd: i32, kind: Kind, mask: Mask, pending: Result<i64, Errno>) -> Status {
    let bytes = pending.unwrap_or(0);
    match kind {
        // 3.5: nothing can be read there, but the last reader's end is told, as programs expect that only write.
        Kind::PipeWriter if mask.has(Mask::ERR | Mask::HUP) => Status::end(0, 0),
        Kind::PipeWriter => Status::NOT_READY,
        Kind::PipeReader | Kind::PipeBoth => {
            if mask.has(Mask::HUP) {
                Status::end(bytes, 0)
            } else if bytes > 0 {
                Status::ready(bytes)
            } else {
                Status::NOT_READY
            }
        }
        Kind::Terminal if mask.has(Mask::HUP) => Status::end(bytes, 0),
        kind if kind.is_stream() => stream_readable(fd, kind, mask, pending),
        // 3.3: an end is only what makes read() return 0 for ever: our own shutdown.
        Kind::Datagram if mask.has(Mask::RDHUP) => Status::end(bytes, 0),
        Kind::Datagram => datagram_readable(fd, mask, pending),
        // 3.9: where the amount cannot be known it is 1.
        _ => Status::ready(bytes.max(1)),
    }
}

/// An empty datagram counts (3.1); so does an error that the next read() will tell. What another reader has taken
/// since does not.
fn datagram_readable(fd: i32, mask: Mask, pending: Result<i64, Errno>) -> Status {
    let unconditional = mask.has(Mask::ERR);
    if pending != Ok(0) || unconditional {
        return Status { unconditional, ..Status::ready(pending.unwrap_or(1)) };
    }
    if Mask(sys::poll(fd, POLLIN)).has(Mask::IN) {
        Status::ready(sys::bytes_to_read(fd).unwrap_or(1))
    } else {
        Status::NOT_READY
    }
}

fn stream_readable(fd: i32, kind: Kind, mask: Mask, pending: Result<i64, Errno>) -> Status {
    let mask = kernel::completed(fd, mask, pending == Ok(0));
    if mask.has(Mask::RDHUP) {
        let error = if mask.has(Mask::ERR) { connection_error(fd, kind) } else { 0 };
        return Status::end(pending.unwrap_or(0), error);
    }
    if let Some(waiting) = pending.is_err().then(|| connections_waiting(fd, kind)).flatten() {
        return if mask.has(Mask::IN) {
            Status { unconditional: true, ..Status::ready(waiting) }
        } else {
            Status::NOT_READY
        };
    }
    match pending {
        Ok(bytes) if bytes > 0 && mask.has(Mask::IN) => Status::ready(bytes),
        // Not connected, or another reader was faster: unless the system insists there is something to read
        // (urgent data at the mark, an empty record).
        _ if mask.has(Mask::IN) && Mask(sys::poll(fd, POLLIN)).has(Mask::IN) => {
            let bytes = sys::bytes_to_read(fd).unwrap_or(1);
            Status::ready(if kind == Kind::OtherStream { bytes } else { bytes.max(1) })
        }
        _ => Status::NOT_READY,
    }
}

/// How many connections wait to be accepted, if the socket listens (3.2).
fn connections_waiting(fd: i32, kind: Kind) -> Option<i64> {
    let (listens, _) = sys::socket_option::<c_int>(fd, libc::SOL_SOCKET, libc::SO_ACCEPTCONN, 0).ok()?;
    if listens == 0 {
        return None;
    }
    let waiting = match kind {
        Kind::TcpStream => kernel::tcp_info(fd).map_or(1, |info| info.waiting()),
        _ => 1,
    };
    Some(waiting.max(1))
}

/// How `fd` stands for writing. `seen` as for `readable`.
pub fn writable(fd: i32, kind: &mut Kind, seen: Option<Mask>) -> Status {
    match writable_by_kind(fd, kind, seen) {
        // Hardly any, or not known: it may have been closed round us, while somebody else holds the file open.
        Status { ready: true, data: 1, .. } if !sys::is_open(fd) => Status::NOT_READY,
        status => status,
    }
}

fn writable_by_kind(fd: i32, kind: &mut Kind, seen: Option<Mask>) -> Status {
    let mask = seen.unwrap_or_else(|| Mask(sys::poll(fd, POLLOUT)));
    if !mask.concerns_writing() {
        return Status::NOT_READY;
    }
    match learn(fd, kind) {
        Kind::PipeReader => Status::NEVER,
        // Linux calls that an error, others a hang-up.
        Kind::PipeWriter if mask.has(Mask::HUP) => Status::end(0, 0),
        Kind::PipeWriter | Kind::PipeBoth => {
            if mask.has(Mask::ERR) {
                return Status::end(0, 0);
            }
            let room = kernel::pipe_size(fd).unwrap_or(0) - sys::bytes_to_read(fd).unwrap_or(0);
            Status::ready(room.max(1))
        }
        Kind::Terminal if mask.has(Mask::HUP) => Status::end(0, 0),
        kind if kind.is_stream() => stream_writable(fd, kind, mask),
        Kind::Datagram => Status { unconditional: mask.has(Mask::ERR), ..Status::ready(send_space(fd, false)) },
        _ if mask.has(Mask::OUT) => Status::ready(1),
        _ => Status::NOT_READY,
    }
}

fn stream_writable(fd: i32, kind: Kind, mask: Mask) -> Status {
    let mask = kernel::completed(fd, mask, true);
    if mask.has(Mask::HUP) && !Mask(sys::poll(fd, POLLRDHUP)).has(Mask::RDHUP) {
        // A hang-up without an end of reading: not connected yet.
        return Status::NOT_READY;
    }
    let shut = match kind {
        Kind::TcpStream => match kernel::tcp_info(fd) {
            Some(info) if info.listens() => return Status::NOT_READY,
            Some(info) => info.cannot_send(),
            None => mask.has(Mask::HUP),
        },
        Kind::UnixStream => mask.has(Mask::HUP) || sys::send_side_is_shut(fd),
        _ => mask.has(Mask::HUP),
    };
    let error = if mask.has(Mask::ERR) { connection_error(fd, kind) } else { 0 };
    if shut || error != 0 {
        return Status::end(send_space(fd, kind == Kind::TcpStream).max(0), error);
    }
    if mask.has(Mask::OUT) {
        Status::ready(send_space(fd, kind == Kind::TcpStream))
    } else {
        Status::NOT_READY
    }
}

/// Free space in the send buffer, at least 1 where the system says that it takes some.
fn send_space(fd: i32, queued: bool) -> i64 {
    kernel::send_space(fd, queued).unwrap_or(1).max(1)
}

/// How many bytes a connection has ever received, or, if it is asked about writing, got acknowledged. `None`: nobody
/// counts.
#[allow(dead_code)] // not every backend's
pub fn count(fd: i32, kind: Kind, writing: bool) -> Option<u64> {
    (kind == Kind::TcpStream).then(|| kernel::tcp_info(fd)).flatten()?.bytes(writing)
}

/// Which error lies on a connection that has one.
#[cold]
fn connection_error(fd: i32, kind: Kind) -> u32 {
    if let Some(error) = kernel::socket_error(fd) {
        return error as u32;
    }
    let info = (kind == Kind::TcpStream).then(|| kernel::tcp_info(fd)).flatten();
    info.map_or(libc::ECONNRESET, |info| info.error(fd)) as u32
}

/// Everything that the kernel says of the descriptor now.
pub fn ask(fd: i32) -> Mask {
    Mask(sys::poll(fd, POLLIN | POLLRDHUP | POLLOUT | POLLPRI))
}

/// Is urgent data pending, or whatever else the system calls exceptional?
pub fn exceptional(fd: i32, seen: Option<Mask>) -> Status {
    let mask = seen.unwrap_or_else(|| ask(fd));
    if mask.has(Mask::PRI) {
        Status::ready(0)
    } else {
        Status::NOT_READY
    }
}

/// Whether the system tells what `emptied` asks.
pub const TELLS_EMPTY: bool = true;

/// Has everything that was written been taken, by the peer's system or by the reader?
pub fn emptied(fd: i32, kind: &mut Kind, seen: Option<Mask>) -> Status {
    let status = writable(fd, kind, seen);
    if !status.ready || status.eof {
        return status;
    }
    let left = match *kind {
        Kind::PipeWriter | Kind::PipeBoth => sys::bytes_to_read(fd),
        _ => sys::bytes_queued(fd),
    };
    match left {
        Ok(bytes) if bytes > 0 => Status::NOT_READY,
        _ => Status::ready(0),
    }
}

/// How a file stands: how far the next read is from its end, and who it is.
pub struct FileStatus {
    pub unread: i64,
    pub identity: u32,
    /// Another one, whenever it was written.
    pub stamp: i64,
    /// It has no name: a memfd's writes are not told of.
    pub nameless: bool,
}

/// `None`: the number is no regular file any more.
pub fn file(fd: i32) -> Option<FileStatus> {
    let stat = sys::stat(fd).ok()?;
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
        return None;
    }
    let offset = sys::offset(fd).unwrap_or(0);
    Some(FileStatus {
        unread: stat.st_size - offset,
        identity: identity_of(&stat),
        stamp: state_of(&stat).modified.wrapping_mul(31).wrapping_add(stat.st_size),
        nameless: stat.st_nlink == 0,
    })
}
