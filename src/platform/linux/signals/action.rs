//! `struct sigaction` as a value.

use super::mask::{bit, mask_of, set_of};
use crate::platform::unix::kernel;
use core::mem::MaybeUninit;
use libc::c_int;

/// A `struct sigaction`, of the kernel's size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Action {
    /// `SIG_DFL`, `SIG_IGN`, or the address of a handler.
    pub handler: usize,
    pub flags: c_int,
    pub mask: u64,
    pub restorer: usize,
}

/// The flags that mean something: others are dropped, as Linux 5.11 and later do.
pub(super) const KNOWN_FLAGS: c_int = libc::SA_NOCLDSTOP
    | libc::SA_NOCLDWAIT
    | libc::SA_SIGINFO
    | libc::SA_ONSTACK
    | libc::SA_RESTART
    | libc::SA_NODEFER
    | libc::SA_RESETHAND
    | kernel::EXTRA_FLAGS;
pub(super) use kernel::SA_RESTORER;
const UNMASKABLE: u64 = bit(libc::SIGKILL) | bit(libc::SIGSTOP);

/// Is it a function, not `SIG_DFL` or `SIG_IGN`?
pub(super) fn is_function(handler: usize) -> bool {
    !matches!(handler, libc::SIG_DFL | libc::SIG_IGN)
}

/// Does the signal stop the process, under this handler?
pub(super) fn stops(handler: usize, signo: c_int) -> bool {
    handler == libc::SIG_DFL && matches!(signo, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU)
}

impl Action {
    pub const fn new(handler: usize, flags: c_int, mask: u64) -> Action {
        Action { handler, flags, mask, restorer: 0 }
    }

    pub fn from_libc(action: &libc::sigaction) -> Action {
        Action {
            handler: action.sa_sigaction,
            flags: action.sa_flags,
            mask: mask_of(&action.sa_mask),
            restorer: kernel::restorer(action),
        }
    }

    /// Writes the members one by one: what lies between and behind them is the program's.
    pub fn store(&self, action: &mut libc::sigaction) {
        action.sa_sigaction = self.handler;
        action.sa_flags = self.flags;
        action.sa_mask = set_of(self.mask);
        kernel::set_restorer(action, self.restorer);
    }

    pub(super) fn to_libc(self) -> libc::sigaction {
        // SAFETY: a C struct of integers and an optional function; all zeroes are valid.
        let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        self.store(&mut action);
        action
    }

    /// Does the kernel discard the signal?
    pub(super) fn ignores(&self, signo: c_int) -> bool {
        self.handler == libc::SIG_IGN
            || self.handler == libc::SIG_DFL
                && matches!(signo, libc::SIGCHLD | libc::SIGCONT | libc::SIGURG | libc::SIGWINCH)
    }

    /// Are the two the same to the kernel?
    pub(super) fn same(&self, other: &Action) -> bool {
        self.handler == other.handler
            && (self.flags ^ other.flags) & KNOWN_FLAGS == 0
            && (self.mask ^ other.mask) & !UNMASKABLE == 0
    }
}
