//! Makes what is installed follow what is wanted.

use super::action::{is_function, stops, Action};
use super::disposition::{disposition_of, program_form, watched_form};
use super::exchange::{exchange, exchange_raw};
use super::mask::{bit, bits, is_pending, set_of};
use super::{sys, wants};
use crate::errno::{Errno, Result};
use crate::platform::copies;
use crate::platform::front;
use crate::platform::lock::Mutex;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use libc::{c_int, sigset_t};

/// The signals that any kqueue wants.
static WATCHED: AtomicU64 = AtomicU64::new(0);
/// Those that any ever wanted.
static EVER_WATCHED: AtomicU64 = AtomicU64::new(0);
/// Signals, watched or not, whose latest known disposition is a handler of the program's. A hint that saves system
/// calls.
static HANDLED: AtomicU64 = AtomicU64::new(0);
/// Raised by the kernel for what a thread did: while they are blocked they kill.
const FAULTS: u64 = bit(libc::SIGSEGV)
    | bit(libc::SIGBUS)
    | bit(libc::SIGFPE)
    | bit(libc::SIGILL)
    | bit(libc::SIGTRAP)
    | bit(libc::SIGSYS);
/// Held while wants change and the disposition follows them. Whoever holds it has all signals blocked, so no
/// handler ever waits for the thread that it interrupted. sigaction() and the handler do without.
static CHANGES: Mutex<()> = Mutex::new(());
/// The process that all of this belongs to.
static PROCESS: AtomicI32 = AtomicI32::new(0);

/// Whose process this is.
pub(super) fn own() {
    PROCESS.store(sys::getpid(), SeqCst);
}

/// No system call in a program without kqueue.
pub(super) fn is_own_process() -> bool {
    let process = PROCESS.load(SeqCst);
    process != 0 && sys::getpid() == process && !copies::is_copy()
}

pub(super) fn is_watched(signo: c_int) -> bool {
    wants::of(signo).any() && is_own_process()
}

/// Remembers whether the program handles the signal itself, from before the first kqueue on; not what a vfork child does
/// before it execs.
pub(super) fn note_handled(signo: c_int, handled: bool) {
    let ours = || PROCESS.load(SeqCst) == 0 || is_own_process();
    if (HANDLED.load(SeqCst) & bit(signo) != 0) != handled && ours() {
        if handled {
            HANDLED.fetch_or(bit(signo), SeqCst);
        } else {
            HANDLED.fetch_and(!bit(signo), SeqCst);
        }
    }
}

/// Runs `change` with all signals blocked and the lock held.
fn changing<T>(change: impl FnOnce() -> T) -> T {
    let mut program = MaybeUninit::<sigset_t>::zeroed();
    // SAFETY: both sets are locals; a zeroed one is valid if it is not filled.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &set_of(!0), program.as_mut_ptr()) };
    let result = {
        let _guard = CHANGES.lock();
        change()
    };
    // SAFETY: pthread_sigmask filled the set with the thread's own mask.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, program.as_ptr(), core::ptr::null_mut()) };
    result
}

/// Replaces the installed action by what `form` makes of it, until what was replaced is what `form` was given:
/// another thread's sigaction() may come in between, and its word is the later one. `form` gives `None` for
/// what is to stay.
fn replace(signo: c_int, form: impl Fn(&Action) -> Result<Option<Action>>) -> Result<()> {
    let mut current = exchange(signo, None)?;
    let Some(mut new) = form(&current)? else { return Ok(()) };
    loop {
        let replaced = exchange(signo, Some(&new))?;
        if replaced.same(&current) {
            return Ok(());
        }
        current = new;
        new = form(&replaced)?.unwrap_or(replaced);
    }
}

/// Makes the installed disposition what the wants say. Under `CHANGES`.
fn settle(signo: c_int) -> Result<()> {
    if wants::of(signo).any() {
        WATCHED.fetch_or(bit(signo), SeqCst);
        replace(signo, |installed| {
            let form = match disposition_of(installed.handler) {
                Some(_) => None,
                None => Some(watched_form(signo, installed).ok_or(Errno::ENOMEM)?),
            };
            let program = program_form(signo, form.as_ref().unwrap_or(installed));
            note_handled(signo, is_function(program.handler));
            Ok(form)
        })
    } else {
        replace(signo, |installed| {
            let program = disposition_of(installed.handler).map(|disposition| disposition.shown(signo, installed));
            // To ignore a signal discards what is pending of it, which the program may still want to sigwait() for.
            // The entry stays for that; it puts the disposition back when the signal comes.
            Ok(program.filter(|program| !program.ignores(signo) || !is_pending(signo)))
        })?;
        WATCHED.fetch_and(!bit(signo), SeqCst);
        Ok(())
    }
}

/// The wants have changed while an action was being installed: it is made what they say.
pub(super) fn settle_again(signo: c_int) {
    let errno = sys::last_errno();
    // The program's action is installed; if it cannot be watched, the next EV_ADD says so.
    let _ = changing(|| settle(signo));
    sys::set_errno(errno);
}

/// The kqueue in `slot` wants the signal from now on. Said again, it is made sure that our handler is still the
/// installed one: a program whose sigaction() is not ours may have replaced it; it is then chained anew.
/// `ENOMEM`.
pub(super) fn begin(slot: u32, signo: c_int) -> Result<()> {
    let wants = wants::of(signo);
    if wants.has(slot) && disposition_of(exchange(signo, None)?.handler).is_some() {
        return Ok(());
    }
    changing(|| {
        // Before anything else: a fork looks at no other signals.
        EVER_WATCHED.fetch_or(bit(signo), SeqCst);
        let new = wants.add(slot)?;
        settle(signo).inspect_err(|_| {
            if new {
                wants.remove(slot);
                // With nobody left this can only put back what the program had.
                let _ = settle(signo);
            }
        })
    })
}

/// The kqueue in `slot` wants the signal no more; with the last one the program's disposition goes back.
/// A handler that runs in another thread at this moment may still call `signal_arrived` for the slot.
pub(super) fn end(slot: u32, signo: c_int) {
    let wants = wants::of(signo);
    if wants.has(slot) {
        changing(|| {
            if wants.remove(slot) && !wants.any() {
                // What sigaction() has accepted before for this signal it does not refuse now.
                let _ = settle(signo);
            }
        });
    }
}

/// The kqueue in `slot` wants none any more.
pub(super) fn end_every(slot: u32) {
    for at in bits(WATCHED.load(SeqCst)) {
        end(slot, at as c_int + 1);
    }
}

/// The signals that any kqueue ever wanted.
pub(super) fn ever_watched() -> impl Iterator<Item = c_int> {
    bits(EVER_WATCHED.load(SeqCst)).map(|at| at as c_int + 1)
}

/// Was any signal ever watched? If not, no handler of ours has run.
#[inline]
pub(super) fn ever() -> bool {
    EVER_WATCHED.load(Relaxed) != 0
}

/// Can it be that a watched signal is swallowed? No system call; `swallowed` asks.
#[allow(dead_code)] // not every backend's
pub(super) fn may_swallow() -> bool {
    WATCHED.load(SeqCst) & !HANDLED.load(SeqCst) != 0
}

/// Where the program's sigaction() goes round ours: a handler that has replaced ours for a signal that the kqueue
/// in `slot` wants is chained.
pub(super) fn chain_again(slot: u32) {
    for signo in bits(WATCHED.load(SeqCst)).map(|at| at as c_int + 1).filter(|&signo| wants::of(signo).has(slot)) {
        if exchange(signo, None).is_ok_and(|installed| disposition_of(installed.handler).is_none()) {
            settle_again(signo);
        }
    }
}

/// The signals that the program may have a handler for, but for faults. Others are better not blocked: one that is
/// ignored would stay pending then, and interrupt as if it had a handler when it is unblocked in a wait.
pub(super) fn interrupting() -> u64 {
    if front::is_in_front() {
        return HANDLED.load(SeqCst) & !FAULTS;
    }
    // What the program has installed is not known; at least of those that mostly are ignored, ask.
    let ignored = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH].into_iter().filter(|&signo| {
        exchange(signo, None).is_ok_and(|installed| !is_function(program_form(signo, &installed).handler))
    });
    ignored.fold(!FAULTS, |mask, signo| mask & !bit(signo))
}

/// The watched signals that are swallowed: our handler is installed, and none of the program's is behind it. No
/// system call where nothing is watched or all is handled by the program, else one for each candidate: a handler
/// that the program installed round us must not be taken for none. Without those that stop the process, but for the
/// `awaited`, which wake who blocks them.
#[allow(dead_code)] // not every backend's
pub(super) fn swallowed(awaited: u64) -> u64 {
    let candidates = WATCHED.load(SeqCst) & !HANDLED.load(SeqCst);
    bits(candidates)
        .map(|at| at as c_int + 1)
        .filter(|&signo| {
            let disposition = exchange(signo, None).ok().and_then(|installed| disposition_of(installed.handler));
            disposition.is_some_and(|disposition| {
                disposition.swallows(signo) && (awaited & bit(signo) != 0 || !stops(disposition.handler(signo), signo))
            })
        })
        .fold(0, |mask, signo| mask | bit(signo))
}

/// In the child of a fork: nothing is watched any more, and every disposition is the program's own. Only bare
/// system calls and atomics. `CHANGES` may be held by a thread that does not exist here, and is set free.
pub(super) fn end_all() {
    // Not WATCHED: another thread may have been between its change of the one and of the other.
    for signo in ever_watched() {
        wants::of(signo).clear();
        if let Ok(installed) = exchange_raw(signo, None) {
            if let Some(disposition) = disposition_of(installed.handler) {
                // The kernel took the same action from us before, so it takes it again.
                let _ = exchange_raw(signo, Some(&disposition.shown(signo, &installed)));
            }
        }
    }
    WATCHED.store(0, SeqCst);
    // SAFETY: this thread does not hold it: whoever does has all signals blocked and does not fork. There is no
    // other thread, so nobody is inside.
    unsafe {
        if CHANGES.is_locked() {
            CHANGES.force_unlock();
        }
    }
}
