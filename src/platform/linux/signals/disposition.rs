//! What the program wants: a row of dispositions, and an entry of ours for each that stands for it in the kernel.

use super::action::{is_function, Action, KNOWN_FLAGS, SA_RESTORER};
use super::entries::{self, ENTRIES};
use super::mask::{bit, place, SIGNALS};
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicU8, AtomicUsize, Ordering::SeqCst};
use libc::c_int;

/// How many copies of one SA_RESETHAND disposition: successive installations take turns, so that the late
/// delivery of one does not spend the next.
const TURNS: u8 = 4;

const FREE: u32 = 0;
const CLAIMED: u32 = 1;
const WRITTEN: u32 = 2;

/// What an entry stands for. `handler`, `flags` and `turn` never change once `state` is WRITTEN.
pub(super) struct Disposition {
    state: AtomicU32,
    flags: AtomicI32,
    handler: AtomicUsize,
    turn: AtomicU8,
    /// SA_RESETHAND: a bit for each signal whose handler has not run yet.
    armed: AtomicU64,
    /// The stack pointer of the latest activation that has not returned; 0: none. A hint, shared by all threads.
    pub(super) active: AtomicUsize,
}

static DISPOSITIONS: [Disposition; ENTRIES] = [const {
    Disposition {
        state: AtomicU32::new(FREE),
        flags: AtomicI32::new(0),
        handler: AtomicUsize::new(libc::SIG_DFL),
        turn: AtomicU8::new(0),
        armed: AtomicU64::new(0),
        active: AtomicUsize::new(0),
    }
}; ENTRIES];

static TURN: [AtomicU8; SIGNALS] = [const { AtomicU8::new(0) }; SIGNALS];

impl Disposition {
    pub(super) fn flags(&self) -> c_int {
        self.flags.load(SeqCst)
    }

    /// What was installed first, spent or not.
    pub(super) fn first_handler(&self) -> usize {
        self.handler.load(SeqCst)
    }

    /// The program's handler for this signal, as sigaction() would tell it now.
    pub(super) fn handler(&self, signo: c_int) -> usize {
        if self.flags() & libc::SA_RESETHAND != 0 && self.armed.load(SeqCst) & bit(signo) == 0 {
            return libc::SIG_DFL;
        }
        self.handler.load(SeqCst)
    }

    pub(super) fn swallows(&self, signo: c_int) -> bool {
        !is_function(self.handler(signo))
    }

    /// The handler for a signal that came, which spends an SA_RESETHAND one: of two that come at once only one
    /// gets it, as in the kernel.
    pub(super) fn take_handler(&self, signo: c_int) -> usize {
        if self.flags() & libc::SA_RESETHAND != 0 && self.armed.fetch_and(!bit(signo), SeqCst) & bit(signo) == 0 {
            return libc::SIG_DFL;
        }
        self.handler.load(SeqCst)
    }

    /// What the program believes to be installed, where the kernel has `installed`.
    pub(super) fn shown(&self, signo: c_int, installed: &Action) -> Action {
        Action { handler: self.handler(signo), flags: self.flags() | installed.flags & SA_RESTORER, ..*installed }
    }
}

/// The disposition that an installed handler stands for; `None`: it is not an entry of ours.
pub(super) fn disposition_of(handler: usize) -> Option<&'static Disposition> {
    disposition_at(entries::index(handler)?)
}

/// What the entry with this number stands for.
pub(super) fn disposition_at(index: usize) -> Option<&'static Disposition> {
    DISPOSITIONS.get(index).filter(|disposition| disposition.state.load(SeqCst) == WRITTEN)
}

/// The entry that stands for the program's `handler` and `flags`, claiming a new one if there is none yet.
fn entry_for(signo: c_int, handler: usize, flags: c_int) -> Option<usize> {
    let flags = flags & KNOWN_FLAGS;
    let once = flags & libc::SA_RESETHAND != 0;
    let turn = if once { TURN[place(signo)].fetch_add(1, SeqCst) % TURNS } else { 0 };
    for (index, disposition) in DISPOSITIONS.iter().enumerate() {
        match disposition.state.compare_exchange(FREE, CLAIMED, SeqCst, SeqCst) {
            Ok(_) => {
                disposition.handler.store(handler, SeqCst);
                disposition.flags.store(flags, SeqCst);
                disposition.turn.store(turn, SeqCst);
                disposition.state.store(WRITTEN, SeqCst);
            }
            // Being written by another thread, or by the one that this handler interrupted: not waited for, a
            // second entry of the same meaning does no harm.
            Err(CLAIMED) => continue,
            Err(_) => {
                let equal = disposition.handler.load(SeqCst) == handler
                    && disposition.flags() == flags
                    && disposition.turn.load(SeqCst) == turn;
                if !equal {
                    continue;
                }
            }
        }
        if once {
            disposition.armed.fetch_or(bit(signo), SeqCst);
        }
        return Some(entries::address(index));
    }
    None
}

/// What the kernel is to be told so that the program's `action` is watched. `None`: no entry is left.
pub(super) fn watched_form(signo: c_int, action: &Action) -> Option<Action> {
    let entry = entry_for(signo, action.handler, action.flags)?;
    let kept = action.flags & (KNOWN_FLAGS | SA_RESTORER);
    let flags = match action.handler {
        libc::SIG_DFL | libc::SIG_IGN => {
            let reap = signo == libc::SIGCHLD && action.handler == libc::SIG_IGN;
            kept & (libc::SA_NOCLDSTOP | libc::SA_NOCLDWAIT | SA_RESTORER)
                | libc::SA_RESTART
                | libc::SA_ONSTACK
                | if reap { libc::SA_NOCLDWAIT } else { 0 }
        }
        _ => kept & !libc::SA_RESETHAND,
    };
    Some(Action { handler: entry, flags: flags | libc::SA_SIGINFO, ..*action })
}

/// The program's form of an installed action, whosever it is.
pub(super) fn program_form(signo: c_int, installed: &Action) -> Action {
    match disposition_of(installed.handler) {
        Some(disposition) => disposition.shown(signo, installed),
        None => *installed,
    }
}
