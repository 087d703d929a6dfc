//! The system calls about processes.

use super::sys::{check, exit_status, is_anonymous};
use crate::errno::Result;
use libc::c_int;

pub fn pidfd_open(pid: c_int) -> Result<c_int> {
    // SAFETY: no pointers. The kernel sets close-on-exec by itself.
    check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as c_int)
}

/// Is there such a process? Sends nothing. `ESRCH`, or `EPERM`: there is one.
pub fn signal_process(pid: c_int) -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::kill(pid, 0) }).map(|_| ())
}

/// The same by pidfd: `ESRCH` once the process was reaped.
pub fn signal_by_pidfd(pidfd: c_int) -> Result<()> {
    let no_info = core::ptr::null::<libc::siginfo_t>();
    // SAFETY: without a siginfo the kernel makes one itself.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, 0, no_info, 0) } as c_int).map(|_| ())
}

/// The status of a child that has exited, as wait(2) gives it; it stays to be waited for. `Ok(None)`: not exited
/// yet. `ECHILD`: not a child of ours, or reaped.
pub fn exit_status_of_child(pid: c_int) -> Result<Option<c_int>> {
    exit_status(libc::P_PID, pid, libc::__WALL)
}

pub fn exit_status_of_pidfd(pidfd: c_int) -> Result<Option<c_int>> {
    exit_status(libc::P_PIDFD, pidfd, libc::__WALL)
}

/// What a pidfd tells of its process.
pub struct PidfdInfo {
    pub pid: i32,
    /// Known once the process was reaped.
    pub exit_status: Option<i32>,
}

/// `PIDFD_GET_INFO` (linux/pidfd.h, 6.13).
pub fn pidfd_info(pidfd: c_int) -> Option<PidfdInfo> {
    const INFO_PID: u64 = 1 << 0;
    const INFO_EXIT: u64 = 1 << 3;
    #[repr(C)]
    struct Info {
        mask: u64,
        cgroup: u64,
        pid: u32,
        others: [u32; 10],
        exit_status: i32,
    }
    const REQUEST: libc::Ioctl = (3 << 30 | (size_of::<Info>() as u32) << 16 | 0xff << 8 | 11) as libc::Ioctl;
    let mut info = Info { mask: INFO_PID | INFO_EXIT, cgroup: 0, pid: 0, others: [0; 10], exit_status: 0 };
    // SAFETY: the request carries the size of `info`, so the kernel writes no more.
    check(unsafe { libc::ioctl(pidfd, REQUEST, &mut info) }).ok()?;
    Some(PidfdInfo { pid: info.pid as i32, exit_status: (info.mask & INFO_EXIT != 0).then_some(info.exit_status) })
}

pub fn is_pidfd(fd: c_int) -> bool {
    is_anonymous(fd, b"anon_inode:[pidfd]")
}
