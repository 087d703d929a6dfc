//! What illumos and Oracle Solaris have and the crate libc does not say of them, each with where it is from.

/// illumos, sys/stat.h: the kind of file that a port is.
pub const S_IFPORT: u32 = 0xe000;

/// illumos, sys/poll.h, since 2021: the peer has ended its side. (Oracle Solaris ignores what it does not know.)
pub const POLLRDHUP: i16 = 0x4000;

#[cfg(any(target_os = "illumos", target_os = "solaris"))]
extern "C" {
    // signal.h; sigtimedwait(2).
    pub fn sigtimedwait(
        set: *const libc::sigset_t,
        info: *mut libc::siginfo_t,
        timeout: *const libc::timespec,
    ) -> libc::c_int;
}
