//! sigaction() and its kin, in front of libc's.
//!
//! While a kqueue watches a signal, a handler that the program installs is chained behind ours, and what the
//! program is told of the old one is what it had installed. All of them end in `change`, which passes the action
//! on to libc's sigaction(): libc's own signal(), sigset() and so on would call that one directly, round us.
//! Each does what glibc's does, also in a program that has no kqueue, and may be called in a signal handler as
//! far as libc's may. sigvec() is only there for binaries of the last century; sigpause(), sighold() and
//! sigrelse() touch no disposition.

use crate::errno::{Errno, Result};
use crate::platform::signals::{self, Action};
use crate::platform::sys;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use libc::{c_int, sighandler_t};

/// Removed from POSIX with sigset(), and not in the libc crate.
const SIG_HOLD: sighandler_t = 2;
const SA_INTERRUPT: c_int = 0x2000_0000;

/// The signals that siginterrupt() took SA_RESTART from.
static INTERRUPTING: AtomicU64 = AtomicU64::new(0);

fn bit(signo: c_int) -> Result<u64> {
    // libc's own signals, 32 and 33, are refused further down, by libc's sigaction().
    u32::try_from(signo.wrapping_sub(1)).ok().and_then(|shift| 1u64.checked_shl(shift)).ok_or(Errno::EINVAL)
}

/// 0, or -1 with errno set.
fn status(result: Result<()>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(errno) => {
            sys::set_errno(errno);
            -1
        }
    }
}

/// The old handler, or SIG_ERR with errno set.
fn handler(result: Result<sighandler_t>) -> sighandler_t {
    result.unwrap_or_else(|errno| {
        sys::set_errno(errno);
        libc::SIG_ERR
    })
}

fn install(signo: c_int, handler: sighandler_t, flags: c_int, mask: u64) -> Result<sighandler_t> {
    if handler == libc::SIG_ERR {
        return Err(Errno::EINVAL);
    }
    Ok(signals::change(signo, Some(&Action::new(handler, flags, mask)))?.handler)
}

/// `sigaction(2)`.
///
/// # Errors
/// As libc's: `EINVAL`.
///
/// # Safety
/// `new` and `old` are null or a `struct sigaction`; they may be the same one.
#[no_mangle]
pub unsafe extern "C" fn sigaction(signo: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int {
    // SAFETY: the caller's promise.
    let new = unsafe { new.as_ref() }.map(Action::from_libc);
    status(signals::change(signo, new.as_ref()).map(|was| {
        // SAFETY: the caller's promise; `new` is a copy by now.
        if let Some(old) = unsafe { old.as_mut() } {
            was.store(old);
        }
    }))
}

/// `signal(2)`, the BSD one: the handler stays, its signal is blocked while it runs, system calls are restarted.
///
/// # Errors
/// `EINVAL`, and `SIG_ERR` is returned.
#[no_mangle]
pub extern "C" fn signal(signo: c_int, new: sighandler_t) -> sighandler_t {
    handler(bit(signo).and_then(|bit| {
        let restart = if INTERRUPTING.load(SeqCst) & bit != 0 { 0 } else { libc::SA_RESTART };
        install(signo, new, restart, bit)
    }))
}

/// `bsd_signal(3)`: `signal`.
#[no_mangle]
pub extern "C" fn bsd_signal(signo: c_int, new: sighandler_t) -> sighandler_t {
    signal(signo, new)
}

/// `ssignal(3)`: `signal`.
#[no_mangle]
pub extern "C" fn ssignal(signo: c_int, new: sighandler_t) -> sighandler_t {
    signal(signo, new)
}

/// `sysv_signal(3)`: the handler runs once, with nothing blocked.
///
/// # Errors
/// `EINVAL`, and `SIG_ERR` is returned.
#[no_mangle]
pub extern "C" fn sysv_signal(signo: c_int, new: sighandler_t) -> sighandler_t {
    handler(install(signo, new, libc::SA_RESETHAND | libc::SA_NODEFER | SA_INTERRUPT, 0))
}

/// What `signal` is called in programs compiled for strict X/Open.
#[no_mangle]
pub extern "C" fn __sysv_signal(signo: c_int, new: sighandler_t) -> sighandler_t {
    sysv_signal(signo, new)
}

/// `sigset(3)`: installs a handler and unblocks the signal, or blocks it (`SIG_HOLD`). Returns the old handler,
/// or `SIG_HOLD` if the signal was blocked.
///
/// # Errors
/// `EINVAL`, and `SIG_ERR` is returned.
#[no_mangle]
pub extern "C" fn sigset(signo: c_int, new: sighandler_t) -> sighandler_t {
    let change = || {
        let bit = bit(signo)?;
        let (how, old) = if new == SIG_HOLD {
            (libc::SIG_BLOCK, signals::change(signo, None)?.handler)
        } else {
            (libc::SIG_UNBLOCK, install(signo, new, 0, 0)?)
        };
        let was_blocked = signals::thread_blocks() & bit != 0;
        // SAFETY: a local set; the thread's mask is what the caller asks to change.
        let errno = unsafe { libc::pthread_sigmask(how, &signals::set_of(bit), core::ptr::null_mut()) };
        match errno {
            0 => Ok(if was_blocked { SIG_HOLD } else { old }),
            errno => Err(Errno(errno)),
        }
    };
    handler(change())
}

/// `sigignore(3)`.
///
/// # Errors
/// `EINVAL`.
#[no_mangle]
pub extern "C" fn sigignore(signo: c_int) -> c_int {
    status(install(signo, libc::SIG_IGN, 0, 0).map(|_| ()))
}

/// `siginterrupt(3)`: whether the signal's handler interrupts system calls, now and for later `signal` calls.
///
/// # Errors
/// `EINVAL`.
#[no_mangle]
pub extern "C" fn siginterrupt(signo: c_int, interrupt: c_int) -> c_int {
    let change = || {
        let bit = bit(signo)?;
        let mut action = signals::change(signo, None)?;
        if interrupt != 0 {
            INTERRUPTING.fetch_or(bit, SeqCst);
            action.flags &= !libc::SA_RESTART;
        } else {
            INTERRUPTING.fetch_and(!bit, SeqCst);
            action.flags |= libc::SA_RESTART;
        }
        signals::change(signo, Some(&action)).map(|_| ())
    };
    status(change())
}
