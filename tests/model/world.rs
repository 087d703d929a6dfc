//! The real thing: descriptors, signals, children, and the library through its C functions.
//!
//! The test is linked with the library, so that these close() and dup2() are the library's.

use super::files::Kind;
use super::things::Disposition;
use kqueue::event::kevent;
use libc::{c_int, c_void};
use std::ffi::{CString, OsStr};
use std::io::Error;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

mod library {
    use super::*;

    extern "C" {
        pub fn kqueue() -> c_int;
    }
    extern "C-unwind" {
        pub fn kevent(
            kq: c_int,
            changelist: *const super::kevent,
            nchanges: c_int,
            eventlist: *mut super::kevent,
            nevents: c_int,
            timeout: *const libc::timespec,
        ) -> c_int;
    }
}

pub fn errno() -> i32 {
    Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// What had to succeed.
fn must(result: c_int, what: &str) -> c_int {
    assert!(result >= 0, "{what}: {}", Error::last_os_error());
    result
}

pub const NOTHING: kevent = kevent { ident: 0, filter: 0, flags: 0, fflags: 0, data: 0, udata: null_mut() };
pub const AT_ONCE: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 0 };
/// Never reached where the library does what it shall; a hang would tell less.
pub const LONG: libc::timespec = libc::timespec { tv_sec: 2, tv_nsec: 0 };

pub fn kqueue() -> i32 {
    // SAFETY: it takes nothing.
    must(unsafe { library::kqueue() }, "kqueue")
}

/// `Err`: errno. `shared`: both lists are one array.
pub fn kevent(
    queue: i32,
    changes: &[kevent],
    room: usize,
    shared: bool,
    timeout: &libc::timespec,
) -> Result<Vec<kevent>, i32> {
    let mut events = if shared { changes.to_vec() } else { Vec::new() };
    events.resize(room.max(events.len()), NOTHING);
    let list = if shared { events.as_ptr() } else { changes.as_ptr() };
    let (first, room) = (events.as_mut_ptr(), room as c_int);
    // SAFETY: both lists have as many entries as is said.
    let count = unsafe { library::kevent(queue, list, changes.len() as c_int, first, room, timeout) };
    if count < 0 {
        return Err(errno());
    }
    events.truncate(count as usize);
    Ok(events)
}

fn poll(fd: i32, events: i16) -> i16 {
    let mut entry = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: one entry.
    unsafe { libc::poll(&mut entry, 1, 0) };
    entry.revents
}

pub fn is_readable(fd: i32) -> bool {
    poll(fd, libc::POLLIN) != 0
}

pub fn close(fd: i32) {
    // SAFETY: the number is the sequence's.
    must(unsafe { libc::close(fd) }, "close");
}

pub fn duplicate(fd: i32) -> i32 {
    // SAFETY: a system call on a number.
    must(unsafe { libc::dup(fd) }, "dup")
}

pub fn replace(fd: i32, over: i32) {
    // SAFETY: both numbers are the sequence's.
    must(unsafe { libc::dup2(fd, over) }, "dup2");
}

pub fn pipe() -> [i32; 2] {
    let mut ends = [0; 2];
    // SAFETY: room for two.
    must(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK) }, "pipe");
    ends
}

pub fn pair(kind: Kind) -> [i32; 2] {
    let kind = match kind {
        Kind::Stream => libc::SOCK_STREAM,
        Kind::Datagram => libc::SOCK_DGRAM,
        Kind::Packet => libc::SOCK_SEQPACKET,
        Kind::Tcp => return connection(),
    };
    let mut ends = [0; 2];
    // SAFETY: room for two.
    must(unsafe { libc::socketpair(libc::AF_UNIX, kind | libc::SOCK_NONBLOCK, 0, ends.as_mut_ptr()) }, "socketpair");
    ends
}

/// A TCP connection over loopback.
fn connection() -> [i32; 2] {
    // SAFETY: the addresses are what the calls are told they are.
    unsafe {
        let mut address: libc::sockaddr_in = std::mem::zeroed();
        address.sin_family = libc::AF_INET as u16;
        address.sin_addr.s_addr = u32::from_be_bytes([127, 0, 0, 1]).to_be();
        let mut size = size_of_val(&address) as u32;
        let at = (&raw mut address).cast::<libc::sockaddr>();
        let listener = must(libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0), "socket");
        must(libc::bind(listener, at, size), "bind");
        must(libc::listen(listener, 1), "listen");
        must(libc::getsockname(listener, at, &mut size), "getsockname");
        let one = must(libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0), "socket");
        must(libc::connect(one, at, size), "connect");
        let other = must(libc::accept(listener, null_mut(), null_mut()), "accept");
        close(listener);
        for end in [one, other] {
            let on: c_int = 1;
            must(libc::fcntl(end, libc::F_SETFL, libc::O_NONBLOCK), "F_SETFL");
            must(libc::setsockopt(end, libc::IPPROTO_TCP, libc::TCP_NODELAY, (&raw const on).cast(), 4), "NODELAY");
        }
        [one, other]
    }
}

/// Waits until what was sent over TCP has arrived: `bytes`, and the end.
pub fn settle(fd: i32, bytes: i64, end: bool) {
    for _ in 0..2000 {
        let seen = poll(fd, libc::POLLIN | libc::POLLRDHUP);
        let mut unread: c_int = 0;
        // SAFETY: FIONREAD stores an int.
        unsafe { libc::ioctl(fd, libc::FIONREAD, &raw mut unread) };
        if i64::from(unread) == bytes && (seen & libc::POLLRDHUP != 0) == end {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("TCP: what was sent does not arrive");
}

/// Bytes written, or `Err(errno)`.
pub fn write(fd: i32, bytes: usize, socket: bool) -> Result<i64, i32> {
    static ZEROS: [u8; 65536] = [0; 65536];
    let at = ZEROS.as_ptr().cast::<c_void>();
    // SAFETY: `bytes` is no more than there is.
    let count = unsafe {
        if socket {
            libc::send(fd, at, bytes.min(ZEROS.len()), libc::MSG_NOSIGNAL)
        } else {
            libc::write(fd, at, bytes.min(ZEROS.len()))
        }
    };
    if count < 0 {
        Err(errno())
    } else {
        Ok(count as i64)
    }
}

pub fn read(fd: i32, bytes: usize) -> Result<i64, i32> {
    let mut buffer = [0u8; 65536];
    // SAFETY: no more than there is room for.
    let count = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), bytes.min(buffer.len())) };
    if count < 0 {
        Err(errno())
    } else {
        Ok(count as i64)
    }
}

pub fn shutdown(fd: i32) -> i32 {
    // SAFETY: a system call on a number.
    unsafe { libc::shutdown(fd, libc::SHUT_WR) }
}

fn path(path: &Path) -> CString {
    CString::new(<OsStr as OsStrExt>::as_bytes(path.as_os_str())).unwrap()
}

pub fn open(name: &Path, flags: c_int) -> i32 {
    // SAFETY: the name is NUL-terminated.
    must(unsafe { libc::open(path(name).as_ptr(), flags | libc::O_NONBLOCK, 0o600) }, "open")
}

pub fn make_fifo(name: &Path) {
    // SAFETY: the name is NUL-terminated.
    must(unsafe { libc::mkfifo(path(name).as_ptr(), 0o600) }, "mkfifo");
}

pub fn eventfd() -> i32 {
    // SAFETY: it takes two numbers.
    must(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK) }, "eventfd")
}

pub fn add_one(fd: i32) {
    let one = 1u64;
    // SAFETY: eight bytes.
    must(unsafe { libc::write(fd, (&raw const one).cast(), 8) } as c_int, "write to an eventfd");
}

/// Appends without moving the offset.
pub fn grow(fd: i32, at: i64, bytes: usize) {
    let zeros = [0u8; 8192];
    // SAFETY: `bytes` is no more than there is.
    must(unsafe { libc::pwrite(fd, zeros.as_ptr().cast(), bytes.min(8192), at) } as c_int, "pwrite");
}

pub fn seek(fd: i32, to: i64) {
    // SAFETY: a system call on a number.
    must(unsafe { libc::lseek(fd, to, libc::SEEK_SET) } as c_int, "lseek");
}

pub fn truncate(fd: i32) {
    // SAFETY: a system call on a number.
    must(unsafe { libc::ftruncate(fd, 0) }, "ftruncate");
}

// ---- signals

/// How often our handler ran.
pub static HANDLED: AtomicU64 = AtomicU64::new(0);

extern "C" fn handler(_signal: c_int) {
    HANDLED.fetch_add(1, SeqCst);
}

pub fn dispose(signal: i32, disposition: Disposition) {
    // SAFETY: the handler only adds to an atomic.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = match disposition {
            Disposition::Ignored => libc::SIG_IGN,
            Disposition::Handled => handler as extern "C" fn(c_int) as usize,
        };
        action.sa_flags = libc::SA_RESTART;
        must(libc::sigaction(signal, &action, null_mut()), "sigaction");
    }
}

pub fn block(signal: i32, block: bool) {
    // SAFETY: the set is a local.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, signal);
        let how = if block { libc::SIG_BLOCK } else { libc::SIG_UNBLOCK };
        must(libc::sigprocmask(how, &set, null_mut()), "sigprocmask");
    }
}

pub fn raise(signal: i32) {
    // SAFETY: the disposition is ours.
    must(unsafe { libc::kill(libc::getpid(), signal) }, "kill");
}

// ---- children

/// A child that exits when SIGTERM brings it the status. It has no descriptors, for that would keep files open.
pub fn spawn() -> i32 {
    // SAFETY: this process has one thread; the child makes system calls only, and shares one page.
    unsafe {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        let page = libc::mmap(null_mut(), 4096, access, kind, -1, 0);
        assert!(page != libc::MAP_FAILED, "mmap: {}", Error::last_os_error());
        let closed = &*page.cast::<AtomicU64>();
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &all, &mut before);
        let pid = libc::fork();
        if pid == 0 {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0);
            closed.store(1, SeqCst);
            let mut information: libc::siginfo_t = std::mem::zeroed();
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigaddset(&mut set, libc::SIGTERM);
            while libc::sigwaitinfo(&set, &mut information) != libc::SIGTERM {}
            libc::_exit(information.si_value().sival_ptr as c_int);
        }
        libc::sigprocmask(libc::SIG_SETMASK, &before, null_mut());
        must(pid, "fork");
        while closed.load(SeqCst) == 0 {
            libc::sched_yield();
        }
        libc::munmap(page, 4096);
        pid
    }
}

/// Ends a child, and waits until it has; it is not reaped. Returns its status.
pub fn end(pid: i32, status: u8) -> i32 {
    // SAFETY: the child is ours.
    unsafe {
        let value = libc::sigval { sival_ptr: usize::from(status) as *mut c_void };
        must(libc::sigqueue(pid, libc::SIGTERM, value), "sigqueue");
        let mut information: libc::siginfo_t = std::mem::zeroed();
        let how = libc::WEXITED | libc::WNOWAIT;
        must(libc::waitid(libc::P_PID, pid as u32, &mut information, how), "waitid");
    }
    i32::from(status) << 8
}

pub fn reap(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: the status is a local.
    must(unsafe { libc::waitpid(pid, &mut status, 0) }, "waitpid");
    status
}

pub fn kill(pid: i32) {
    // SAFETY: the child is ours.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    reap(pid);
}

/// 10.3 Forks; the child must find `queues` closed, and be able to make its own.
pub fn fork_and_look(queues: &[i32]) -> Result<(), String> {
    // SAFETY: this process has one thread.
    let pid = must(unsafe { libc::fork() }, "fork");
    if pid == 0 {
        let status = child(queues);
        // SAFETY: nothing of the parent's is to be run.
        unsafe { libc::_exit(status) };
    }
    match reap(pid) >> 8 {
        0 => Ok(()),
        1 => Err("fork: the kqueue is there in the child".into()),
        _ => Err("fork: the child cannot use a kqueue of its own".into()),
    }
}

fn child(queues: &[i32]) -> c_int {
    for &queue in queues {
        if kevent(queue, &[], 1, false, &AT_ONCE).err() != Some(libc::EBADF) {
            return 1;
        }
    }
    // SAFETY: it takes nothing.
    let own = unsafe { library::kqueue() };
    let add = kevent { ident: 1, filter: super::constants::USER, flags: 1, fflags: 0x100_0000, ..NOTHING };
    match kevent(own, &[add], 1, false, &AT_ONCE) {
        Ok(events) if events.len() == 1 && events[0].ident == 1 => 0,
        _ => 2,
    }
}

#[cfg(not(feature = "seeded-bugs"))]
/// Does the close() of this program come to the library?
pub fn is_in_front() -> bool {
    std::env::var_os("KQUEUE_VERIFY").is_none() && {
        // SAFETY: the names are NUL-terminated.
        unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"close".as_ptr()) == libc::close as *mut c_void }
    }
}

/// How many descriptors are open.
pub fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
