//! The process connector: the kernel tells over netlink which process forks, executes and exits (linux/cn_proc.h).
//!
//! It tells of every process of the machine, by the numbers of the first PID namespace; so where the program is in
//! another it is refused, as in another network namespace, where nobody answers. A socket filter lets through only
//! what somebody waits for. What the socket cannot hold is lost, and the next read says so.

use super::poller::{Poller, CONNECTOR};
use super::sys::{self, check};
use super::{births, procfs};
use crate::errno::{Errno, Result};
use crate::platform::{descriptors, front};
use core::sync::atomic::Ordering::*;
use libc::{c_int, sock_filter};

pub use crate::platform::events::{Hearing, News};

/// How many processes a filter names; with more it lets all through.
pub const MOST_NAMED: usize = 32;

const FORK: u32 = 1;
const EXEC: u32 = 2;
const EXIT: u32 = 0x8000_0000;
/// Offsets in a message: behind a nlmsghdr (16 bytes) and a cn_msg (20 bytes).
const WHAT: usize = 36;
const DATA: usize = 52;
/// fork: the parent's thread and process, the child's; exec, exit: the thread and process, then the status.
const FIRST: usize = DATA;
const SECOND: usize = DATA + 4;
const THIRD: usize = DATA + 8;
const FOURTH: usize = DATA + 12;

const LISTEN: u32 = 1;
const IGNORE: u32 = 2;
const GROUP: u32 = 1;

impl Poller {
    /// From here on the queue hears of forks, executions and exits, of those that `hear` names. `EOPNOTSUPP`.
    pub fn prepare_connector(&self, slot: u32) -> Result<()> {
        if self.connector.load(Relaxed) < 0 {
            self.helper(&self.connector, slot, libc::EPOLLIN, CONNECTOR, open)?;
        }
        Ok(())
    }

    /// Of whom; with nobody left the socket is closed, because the kernel does work for it.
    pub fn hear(&self, hearing: &Hearing) {
        let _hold = births::hold();
        let socket = self.connector.load(Relaxed);
        if socket < 0 {
            return;
        }
        if !matches!(hearing, Hearing::Nobody) {
            // The filter is a small one: without memory for it there is none, which only wakes for more.
            if hear(socket, hearing).is_err() {
                let _ = sys::set_socket_option(socket, libc::SO_DETACH_FILTER, 0);
            }
            return;
        }
        self.leave_connector();
        self.connector.store(-1, SeqCst);
        if is_still_ours(socket) {
            sys::close_raw(socket);
        }
        descriptors::disown(socket);
    }

    /// Before the socket is closed: old kernels do not notice by themselves.
    pub fn leave_connector(&self) {
        let socket = self.connector.load(SeqCst);
        if socket >= 0 && is_still_ours(socket) {
            leave(socket);
        }
    }

    /// Calls `each` with what has come. It may leave nobody to hear for: the number is then somebody else's.
    pub fn read_connector(&self, mut each: impl FnMut(News)) {
        loop {
            let socket = self.connector.load(Relaxed);
            if socket < 0 {
                return;
            }
            match next_news(socket) {
                Ok(Some(news)) => each(news),
                Ok(None) => {}
                Err(_) => return,
            }
        }
    }
}

/// In verify mode the number may be the program's by now.
fn is_still_ours(socket: i32) -> bool {
    front::is_in_front() || (sys::is_own(socket) && sys::is_connector(socket))
}

/// Makes a socket that hears nothing yet. `EOPNOTSUPP` the system does not tell us.
fn open() -> Result<c_int> {
    const BUFFER: c_int = 1 << 20;
    if !procfs::is_in_first_pid_namespace() {
        return Err(Errno(libc::EOPNOTSUPP));
    }
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers.
    let socket = check(unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_CONNECTOR) }).map_err(|errno| {
        if is_shortage(errno) {
            errno
        } else {
            Errno(libc::EOPNOTSUPP)
        }
    })?;
    // As much as the system allows.
    let _ = sys::set_socket_option(socket, libc::SO_RCVBUF, BUFFER);
    let opened = hear(socket, &Hearing::Nobody)
        .and_then(|()| bind(socket))
        .and_then(|()| say(socket, LISTEN))
        .and_then(|()| acknowledged(socket));
    match opened {
        Ok(()) => Ok(socket),
        Err(errno) => {
            sys::close_raw(socket);
            Err(if is_shortage(errno) { errno } else { Errno(libc::EOPNOTSUPP) })
        }
    }
}

fn is_shortage(errno: Errno) -> bool {
    matches!(errno.0, libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS)
}

fn bind(socket: c_int) -> Result<()> {
    // SAFETY: a C struct of integers; all zeroes are valid.
    let mut address: libc::sockaddr_nl = unsafe { core::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    address.nl_groups = GROUP;
    let length = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
    // SAFETY: `address` is `length` bytes.
    check(unsafe { libc::bind(socket, (&raw const address).cast(), length) }).map(|_| ())
}

/// Says whether this socket listens.
fn say(socket: c_int, what: u32) -> Result<()> {
    const CONNECTOR: u32 = 1;
    const PROC: u32 = 1;
    const DONE: u16 = 3;
    let halves = |first: u16, second: u16| {
        let ([a, b], [c, d]) = (first.to_ne_bytes(), second.to_ne_bytes());
        u32::from_ne_bytes([a, b, c, d])
    };
    // A nlmsghdr (length, type and flags, sequence, port), a cn_msg (idx, val, seq, ack, length and flags), the word.
    let message: [u32; 10] = [40, halves(DONE, 0), 0, 0, CONNECTOR, PROC, 0, 0, halves(4, 0), what];
    let length = size_of_val(&message);
    // SAFETY: the message is `length` bytes.
    let sent = unsafe { libc::send(socket, message.as_ptr().cast(), length, libc::MSG_NOSIGNAL) };
    if sent == length as isize {
        Ok(())
    } else {
        Err(sys::last_errno())
    }
}

/// The answer is there before `send` returns: an errno, or 0. (Old kernels refuse at bind() instead.)
fn acknowledged(socket: c_int) -> Result<()> {
    match receive(socket)?.word(FIRST) {
        0 => Ok(()),
        errno => Err(Errno(errno as c_int)),
    }
}

/// Nobody listens on this socket any more.
fn leave(socket: c_int) {
    let _ = say(socket, IGNORE);
}

/// What came next; `Ok(None)`: something else, or nothing yet.
fn next_news(socket: c_int) -> Result<Option<News>> {
    let message = match receive(socket) {
        Ok(message) => message,
        Err(Errno(libc::ENOBUFS)) => return Ok(Some(News::Lost)),
        Err(Errno::EINTR) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    Ok(match message.word(WHAT) {
        FORK => Some(News::Fork { parent: message.pid(SECOND), child: message.pid(FOURTH) }),
        EXEC => Some(News::Exec { pid: message.pid(SECOND) }),
        EXIT => Some(News::Exit { pid: message.pid(SECOND), status: message.pid(THIRD) }),
        _ => None,
    })
}

struct Message {
    bytes: [u8; 128],
    length: usize,
}

impl Message {
    fn word(&self, offset: usize) -> u32 {
        let bytes = self.bytes.get(offset..offset + 4).filter(|_| offset + 4 <= self.length);
        bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes)
    }

    fn pid(&self, offset: usize) -> i32 {
        self.word(offset) as i32
    }
}

fn receive(socket: c_int) -> Result<Message> {
    let mut bytes = [0; 128];
    // SAFETY: the buffer's length is given.
    let n = unsafe { libc::recv(socket, bytes.as_mut_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT) };
    match usize::try_from(n) {
        Ok(length) => Ok(Message { bytes, length }),
        Err(_) => Err(sys::last_errno()),
    }
}

/// Lets through what is wanted, and the kernel's answers.
fn hear(socket: c_int, hearing: &Hearing) -> Result<()> {
    let mut program = Program::new();
    program.load(WHAT);
    program.accept_if(0);
    match hearing {
        Hearing::Nobody => {}
        Hearing::Of(pids) => {
            // A fork goes on behind the next 7 only if it made a process, not a thread.
            program.push(JUMP_IF_EQUAL, 7, 0, EXEC.to_be());
            program.push(JUMP_IF_EQUAL, 1, 0, FORK.to_be());
            program.push(RETURN, 0, 0, 0);
            program.compare(THIRD, FOURTH);
            program.push(RETURN, 0, 0, 0);
            program.load(SECOND);
            for &pid in pids.iter().take(MOST_NAMED) {
                program.accept_if(pid as u32);
            }
        }
        Hearing::Everybody => {
            program.accept_if(EXEC);
            // Of threads only the first of a process counts: its birth behind the next 8, its end behind the 6 after.
            program.push(JUMP_IF_EQUAL, 8, 0, EXIT.to_be());
            program.push(JUMP_IF_EQUAL, 1, 0, FORK.to_be());
            program.push(RETURN, 0, 0, 0);
            program.compare(THIRD, FOURTH);
            program.push(RETURN, 0, 0, 0);
            program.push(RETURN, 0, 0, ALL);
            program.compare(FIRST, SECOND);
            program.push(RETURN, 0, 0, 0);
            program.push(RETURN, 0, 0, ALL);
        }
    }
    program.push(RETURN, 0, 0, 0);
    program.attach(socket)
}

/// The instructions used (linux/filter.h). Words are loaded as if they were big-endian.
const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const KEEP: u32 = libc::BPF_MISC | libc::BPF_TAX;
const JUMP_IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const JUMP_IF_KEPT: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_X;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
const ALL: u32 = u32::MAX;

/// A socket filter. Jumps are counted in instructions.
struct Program {
    code: [sock_filter; Program::ROOM],
    len: usize,
}

impl Program {
    const ROOM: usize = 16 + 2 * MOST_NAMED;

    fn new() -> Program {
        Program { code: [sock_filter { code: 0, jt: 0, jf: 0, k: 0 }; Program::ROOM], len: 0 }
    }

    fn push(&mut self, code: u32, jt: u8, jf: u8, k: u32) {
        if let Some(place) = self.code.get_mut(self.len) {
            *place = sock_filter { code: code as u16, jt, jf, k };
            self.len += 1;
        }
    }

    fn load(&mut self, offset: usize) {
        self.push(LOAD, 0, 0, offset as u32);
    }

    fn accept_if(&mut self, value: u32) {
        self.push(JUMP_IF_EQUAL, 0, 1, value.to_be());
        self.push(RETURN, 0, 0, ALL);
    }

    /// Four instructions; the next one is for two words that differ, it is skipped where they are the same.
    fn compare(&mut self, one: usize, other: usize) {
        self.load(one);
        self.push(KEEP, 0, 0, 0);
        self.load(other);
        self.push(JUMP_IF_KEPT, 1, 0, 0);
    }

    fn attach(&mut self, socket: c_int) -> Result<()> {
        let program = libc::sock_fprog { len: self.len as libc::c_ushort, filter: self.code.as_mut_ptr() };
        let length = size_of::<libc::sock_fprog>() as libc::socklen_t;
        let option = libc::SO_ATTACH_FILTER;
        // SAFETY: the kernel copies the `len` instructions during the call.
        check(unsafe { libc::setsockopt(socket, libc::SOL_SOCKET, option, (&raw const program).cast(), length) })
            .map(|_| ())
    }
}
