//! What every entry leads to: the signal is recorded, and the program's handler called.

use super::action::{is_function, stops, Action};
use super::arrivals::Arrivals;
use super::disposition::{disposition_at, disposition_of, Disposition};
use super::exchange::exchange;
use super::mask::{bit, place, set_of};
use super::records::{record, recorded_at};
use super::watching::{is_own_process, note_handled};
use super::{sys, wants};
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use libc::{c_int, siginfo_t, sigset_t};

pub(super) type Handler = unsafe extern "C-unwind" fn(c_int, *mut siginfo_t, *mut c_void);

/// Farther apart than this, a pointer and the stack pointer are not of one signal's making.
pub(super) const NEAR: usize = 1 << 20;

/// How an entry was entered.
pub(super) struct Arrival {
    pub signo: c_int,
    pub info: *mut siginfo_t,
    pub context: *mut c_void,
    pub sp: usize,
    /// By the kernel itself.
    pub direct: bool,
}

impl Arrival {
    /// Was `mark` left by an activation further up in the handling of this very signal?
    fn inside(&self, mark: usize) -> bool {
        // A caller with a one-argument handler passes no context on; then nearness must do.
        let context = self.context as usize;
        let end = if context.wrapping_sub(self.sp) < NEAR { context } else { self.sp.saturating_add(NEAR / 16) };
        !self.direct && mark > self.sp && mark <= end
    }

    /// Did this thread do something that the kernel answers with the signal, so that it cannot be ignored?
    fn is_fault(&self) -> bool {
        let kind = matches!(
            self.signo,
            libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL | libc::SIGTRAP | libc::SIGSYS
        );
        kind && self.code().is_some_and(|code| code > 0)
    }

    /// si_code, where there is a siginfo: it lies beside the context, at most a few kilobytes above the stack.
    fn code(&self) -> Option<c_int> {
        let (info, context) = (self.info as usize, self.context as usize);
        let sound =
            self.direct || (context.wrapping_sub(self.sp) < NEAR && info.wrapping_sub(self.sp) < NEAR && info % 8 == 0);
        // SAFETY: made by the kernel on this stack; not so direct, both pointers are on the stack above us, which
        // is mapped.
        sound.then(|| unsafe { (*self.info).si_code })
    }
}

/// A signal came, through the entry with this number. Nothing here has a destructor: the program's handler may leave by siglongjmp or by
/// unwinding.
pub(super) unsafe extern "C-unwind" fn entered(index: usize, arrival: &Arrival) {
    let signo = arrival.signo;
    let Some(disposition) = disposition_at(index) else { return };
    if place(signo) == 0 || arrival.inside(disposition.active.load(SeqCst)) {
        return;
    }
    let errno = sys::last_errno();
    let own = is_own_process();
    let watched = own && wants::of(signo).any();
    let recorded_at = recorded_at(signo);
    let first = watched && !arrival.inside(recorded_at.load(SeqCst));
    if first {
        recorded_at.store(arrival.sp, SeqCst);
        record(signo, None);
    }
    let handler = if watched && Arrivals::here().takes(signo) {
        libc::SIG_IGN
    } else if watched {
        let handler = disposition.take_handler(signo);
        if arrival.direct {
            note_handled(signo, !disposition.swallows(signo));
        }
        handler
    } else {
        unwatched_handler(signo, disposition, own)
    };
    match handler {
        libc::SIG_DFL | libc::SIG_IGN if arrival.is_fault() => die_of_fault(arrival),
        libc::SIG_IGN | libc::SIG_DFL if !watched => unwatched_action(signo, disposition, handler),
        handler if stops(handler, signo) => stop(signo),
        libc::SIG_IGN | libc::SIG_DFL => Arrivals::here().note_swallowed(signo),
        handler => {
            disposition.active.store(arrival.sp, SeqCst);
            sys::set_errno(errno);
            // SAFETY: the program gave this address to sigaction() as a handler for the signal. The kernel passes
            // three arguments to a one-argument handler, too.
            unsafe {
                let handler = core::mem::transmute::<usize, Handler>(handler);
                handler(signo, arrival.info, arrival.context);
            }
            left(&disposition.active, arrival.sp);
            if first {
                left(recorded_at, arrival.sp);
            }
            if watched {
                // Only now: a kevent() that the handler called has an eye on this for itself.
                Arrivals::here().note_handled();
            }
            // errno is what the program's handler made of it.
            return;
        }
    }
    if first {
        left(recorded_at, arrival.sp);
    }
    sys::set_errno(errno);
}

/// The activation has returned; if the mark is another's by now it stays.
fn left(mark: &AtomicUsize, sp: usize) {
    let _ = mark.compare_exchange(sp, 0, SeqCst, SeqCst);
}

/// The handler in a process or at a time that nothing is watched in. An SA_RESETHAND one is reset in the kernel,
/// as our memory may be the parent's, in a vfork child; in our `own` process, after the last EV_DELETE, it is
/// there again when somebody puts the entry back.
fn unwatched_handler(signo: c_int, disposition: &Disposition, own: bool) -> usize {
    let handler = if own { disposition.first_handler() } else { disposition.handler(signo) };
    if disposition.flags() & libc::SA_RESETHAND != 0 && is_function(handler) {
        // It was accepted for this signal before.
        let _ = exchange(signo, Some(&Action::new(libc::SIG_DFL, disposition.flags(), 0)));
    }
    handler
}

/// Nothing is watched: what the program wants is installed for good, and the signal sent again to the default.
fn unwatched_action(signo: c_int, disposition: &Disposition, handler: usize) {
    // Accepted for this signal before.
    let _ = exchange(signo, Some(&Action::new(handler, disposition.flags(), 0)));
    if handler == libc::SIG_DFL {
        send_again(signo, core::ptr::null_mut());
    }
}

/// Stops the process as the signal does by default, and watches on when it continues.
fn stop(signo: c_int) {
    let default = Action::new(libc::SIG_DFL, libc::SA_RESTART, 0);
    let Ok(entry) = exchange(signo, Some(&default)) else { return };
    if disposition_of(entry.handler).is_some_and(|disposition| disposition.swallows(signo)) {
        send_again(signo, core::ptr::null_mut());
    }
    // Only if it is still the default, and ours to watch: in the meantime all may have changed.
    let unchanged = exchange(signo, None).is_ok_and(|installed| installed.same(&default));
    if unchanged && (wants::of(signo).any() || disposition_of(entry.handler).is_none()) {
        let _ = exchange(signo, Some(&entry));
    }
}

/// A fault by default, or ignored, kills. The faulting instruction is run again where it faults again, so that
/// the core shows it; for the others the signal is sent again, with its siginfo.
fn die_of_fault(arrival: &Arrival) {
    const BUS_MCEERR_AO: c_int = 5;
    let signo = arrival.signo;
    // SIG_DFL is accepted for every one of these signals.
    let _ = exchange(signo, Some(&Action::new(libc::SIG_DFL, 0, 0)));
    let repeats = matches!(signo, libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL);
    if !repeats || (signo == libc::SIGBUS && arrival.code() == Some(BUS_MCEERR_AO)) {
        send_again(signo, arrival.info);
    }
}

/// Sends the signal to the calling thread and lets it in at once; the mask is then as before.
fn send_again(signo: c_int, info: *mut siginfo_t) {
    let (set, mut before) = (set_of(bit(signo)), MaybeUninit::<sigset_t>::zeroed());
    sys::send_to_thread(signo, info);
    // SAFETY: the sets are locals.
    unsafe {
        if libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, before.as_mut_ptr()) == 0 {
            libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), core::ptr::null_mut());
        }
    }
}
