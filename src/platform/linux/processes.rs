//! Processes: a pidfd for each, in the queue's epoll, and how a process ended.
//!
//! A pidfd polls readable once its process has exited, and hangs up once that was reaped; its item is
//! edge-triggered, so that each is told once. The record of a pidfd is its cell in the table of descriptors: that
//! is where fork and close() find it.
//!
//! **The status** comes from whoever may tell it: waitid() to the parent, without reaping; since Linux 6.15 the
//! pidfd to everybody, but only after the process was reaped; /proc while it is a zombie, where we might trace it
//! (else the status there is a made-up 0). Where nobody tells, it is not known, never guessed.
//!
//! **Without pidfd_open** (an old kernel, valgrind, a sandbox) a process is looked at by its number: by the clock,
//! and when SIGCHLD comes. The time at which it started tells it from a later one of that number.

use super::poller::{Poller, PROCESS};
use super::{births, pidfd, procfs, sys};
use crate::errno::{Errno, Result};
use crate::platform::descriptors::{self, Owner};
use crate::platform::front;
use core::sync::atomic::{AtomicU8, Ordering::*};
use libc::{EPOLLET, EPOLLIN, EPOLL_CTL_ADD, EPOLL_CTL_DEL};

pub use crate::platform::events::Fate;

const ITEM: u32 = (EPOLLIN | EPOLLET) as u32;

fn key(index: u32) -> u64 {
    u64::from(index) << 32 | u64::from(PROCESS)
}

/// Can there be such a process at all? A thread's number is none.
pub fn exists(pid: i32) -> bool {
    pidfd::signal_process(pid) != Err(Errno(libc::ESRCH))
}

/// The number of the process behind a pidfd; 0: the kernel does not say. `EINVAL`: it is no pidfd.
pub fn number_of(pidfd: i32) -> Result<i32> {
    match pidfd::pidfd_info(pidfd) {
        Some(info) => Ok(info.pid),
        None if pidfd::is_pidfd(pidfd) => Ok(0),
        None => Err(Errno::EINVAL),
    }
}

/// Does it take the clock to learn of its end, without a pidfd?
pub fn needs_clock(_: i32) -> bool {
    true
}

/// So nobody has to hear a signal.
pub fn is_deaf() -> bool {
    false
}

/// Calls `each` with the children of a process, as far as /proc tells.
pub fn children_of(pid: i32, each: &mut impl FnMut(i32)) {
    let _no_fork = births::hold();
    procfs::children_of(pid, each);
}

/// When the process started, in the clock ticks of /proc; `None`: no such process, or no /proc.
pub fn started(pid: i32) -> Option<u64> {
    let _no_fork = births::hold();
    procfs::process_stat(pid).map(|stat| stat.started)
}

impl Poller {
    /// Watches a process: the queue's epoll tells when it exits, under `index`. Returns its pidfd.
    ///
    /// `ESRCH` no such process; `ENOSYS` no pidfds here; `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn watch_process(&self, slot: u32, index: u32, pid: i32) -> Result<i32> {
        let open = || match pidfd::pidfd_open(pid) {
            // A thread's number, by the words of older and newer kernels; a sandbox.
            Err(Errno(libc::EINVAL | libc::ENOENT)) => Err(Errno(libc::ESRCH)),
            Err(Errno(libc::EPERM)) => Err(Errno(libc::ENOSYS)),
            other => other,
        };
        self.add_process(slot, index, || sys::move_up(open()?, sys::least_helper()))
    }

    /// The same for the process behind a pidfd of the program's.
    pub fn watch_process_of(&self, slot: u32, index: u32, pidfd: i32) -> Result<i32> {
        self.add_process(slot, index, || sys::duplicate_up(pidfd, sys::least_helper()))
    }

    fn add_process(&self, slot: u32, index: u32, make: impl FnOnce() -> Result<i32>) -> Result<i32> {
        // Until the item is there, too: no dup2() of the program's comes in between.
        let _hold = births::hold();
        let pidfd = births::birth_and_record(
            || make().map(sys::own),
            |fd| {
                descriptors::note_process(fd, slot, index)?;
                self.last_process.fetch_max(fd, SeqCst);
                Ok(())
            },
        )?;
        self.is_new(pidfd, None);
        match sys::epoll_ctl(self.descriptor(), EPOLL_CTL_ADD, pidfd, ITEM, key(index)) {
            Ok(()) => Ok(pidfd),
            Err(errno) => {
                close_pidfd(pidfd);
                Err(errno)
            }
        }
    }

    fn drop_process(&self, pidfd: i32) {
        let _hold = births::hold();
        sys::close_raw(pidfd);
        descriptors::disown(pidfd);
    }

    /// The pidfd of the process with this index; `None`: the program closed it behind our back. (One that it put
    /// something else on was moved.)
    pub fn pidfd_of(&self, slot: u32, index: u32, pidfd: i32) -> Option<i32> {
        let owner = Owner::Process { slot, index };
        let mut found = Some(pidfd);
        if descriptors::owner(pidfd) != owner {
            found = None;
            descriptors::each_process(self.last_process.load(SeqCst), |fd, of_slot, of_index| {
                if (of_slot, of_index) == (slot, index) {
                    found = Some(fd);
                }
            });
        }
        found.filter(|&fd| front::is_in_front() || is_own_pidfd(fd))
    }

    /// `shared`: the program has the same open file, which keeps its item until that is taken out.
    pub fn unwatch_process(&self, slot: u32, index: u32, pidfd: i32, shared: bool) {
        // Where it is now it stays meanwhile.
        let _hold = births::hold();
        if let Some(pidfd) = self.pidfd_of(slot, index, pidfd) {
            if shared {
                let _ = sys::epoll_ctl(self.descriptor(), EPOLL_CTL_DEL, pidfd, 0, 0);
            }
            self.drop_process(pidfd);
        } else if descriptors::owner(pidfd) == (Owner::Process { slot, index }) {
            descriptors::disown(pidfd);
        }
    }

    /// The program is about to put another file on a pidfd's number.
    pub fn move_process(&self, slot: u32, index: u32, pidfd: i32) -> Result<()> {
        let epoll = self.descriptor();
        let moved = births::birth_and_record(
            || sys::duplicate_up(pidfd, sys::least_helper()),
            |fd| {
                descriptors::note_process(fd, slot, index)?;
                self.last_process.fetch_max(fd, SeqCst);
                Ok(())
            },
        )?;
        if let Err(errno) = sys::epoll_ctl(epoll, EPOLL_CTL_ADD, moved, ITEM, key(index)) {
            self.drop_process(moved);
            return Err(errno);
        }
        descriptors::disown(pidfd);
        let _ = sys::epoll_ctl(epoll, EPOLL_CTL_DEL, pidfd, 0, 0);
        Ok(())
    }

    /// Gives all pidfds of the queue in `slot` back to the system.
    pub fn close_processes(&self, slot: u32) {
        let last = self.last_process.swap(-1, SeqCst);
        if last >= 0 {
            descriptors::each_process(last, |fd, of, _| {
                if of == slot {
                    close_pidfd(fd);
                }
            });
        }
    }

    /// Has the queue ever watched a process?
    pub fn has_processes(&self) -> bool {
        self.last_process.load(SeqCst) >= 0
    }
}

/// In verify mode the number may be the program's by now. (A duplicate of a pidfd of the program's is marked as it is.)
fn is_own_pidfd(fd: i32) -> bool {
    sys::is_own(fd) && pidfd::is_pidfd(fd)
}

/// Closes a recorded pidfd.
fn close_pidfd(fd: i32) {
    if front::is_in_front() || is_own_pidfd(fd) {
        sys::close_raw(fd);
    }
    descriptors::disown(fd);
}

/// In the child of a fork: closes the pidfds of the queues that `are_gone`, wherever they are.
pub fn close_pidfds(are_gone: impl Fn(u32) -> bool) {
    descriptors::each_process(i32::MAX, |fd, slot, _| {
        if are_gone(slot) {
            close_pidfd(fd);
        }
    });
}

/// How the process behind a pidfd stands; `pid` is its number, 0 if that is not known.
pub fn fate(pidfd: i32, pid: i32) -> Fate {
    let own_child = match pidfd::exit_status_of_pidfd(pidfd) {
        // Linux 5.3 knows pidfds, but does not wait by them.
        Err(Errno::EINVAL) if pid > 0 => pidfd::exit_status_of_child(pid),
        other => other,
    };
    if let Ok(Some(status)) = own_child {
        return Fate::Exited(Some(status));
    }
    let mask = match sys::poll_or_errno(pidfd, libc::POLLIN) {
        Ok(mask) => mask,
        // Its item is an edge, which does not come again.
        Err(_) if pid > 0 => return fate_by_number(pid, None),
        Err(_) => 0,
    };
    if mask & libc::POLLIN as u32 == 0 {
        return Fate::Alive;
    }
    let told_when_reaped = || pidfd::pidfd_info(pidfd).and_then(|info| info.exit_status);
    // Before Linux 6.13 a pidfd does not hang up.
    let is_reaped = || pidfd::signal_by_pidfd(pidfd) == Err(Errno(libc::ESRCH));
    if let Some(status) = told_when_reaped() {
        return Fate::Exited(Some(status));
    }
    let status = zombie_status(pid);
    if mask & libc::POLLHUP as u32 != 0 || is_reaped() {
        // Just now, perhaps.
        return Fate::Exited(told_when_reaped());
    }
    match status {
        Some(status) => Fate::Exited(Some(status)),
        // Not for the parent to see yet: it is being traced.
        None if own_child.is_ok() || tells_when_reaped() => Fate::Undisclosed,
        None => Fate::Exited(None),
    }
}

/// The status of a zombie in /proc. It is hidden from whom the process's namespaces are hidden from.
fn zombie_status(pid: i32) -> Option<i32> {
    let _no_fork = births::hold();
    let stat = procfs::process_stat(pid).filter(|stat| stat.is_zombie())?;
    procfs::may_look_into(pid).then_some(stat.exit_status)
}

/// How the process with that number stands, which began at `started`. No pidfd is needed.
pub fn fate_by_number(pid: i32, started: Option<u64>) -> Fate {
    match pidfd::exit_status_of_child(pid) {
        Ok(Some(status)) => return Fate::Exited(Some(status)),
        Ok(None) => return Fate::Alive,
        Err(_) => {}
    }
    let stat = {
        let _no_fork = births::hold();
        procfs::process_stat(pid)
    };
    match stat {
        Some(stat) if started.is_some_and(|started| started != stat.started) => Fate::Exited(None),
        Some(stat) if stat.is_zombie() => Fate::Exited(zombie_status(pid)),
        Some(_) => Fate::Alive,
        None if exists(pid) => Fate::Alive,
        None => Fate::Exited(None),
    }
}

/// Does this kernel keep the status of a reaped process for its pidfds? Linux 6.15 and later; there is no bit that
/// says so of a process that has not been reaped.
fn tells_when_reaped() -> bool {
    const UNKNOWN: u8 = 0;
    const YES: u8 = 1;
    const NO: u8 = 2;
    static TELLS: AtomicU8 = AtomicU8::new(UNKNOWN);
    if TELLS.load(Relaxed) == UNKNOWN {
        TELLS.store(if sys::kernel_version() >= (6, 15) { YES } else { NO }, Relaxed);
    }
    TELLS.load(Relaxed) == YES
}
