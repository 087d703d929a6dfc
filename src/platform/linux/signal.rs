//! The process's signals: one chained handler, and what the program wanted instead of it.
//!
//! EVFILT_SIGNAL hears of a signal in two ways. What the calling thread blocks stays in the kernel's queue and
//! is taken from there, through the signalfd of the kqueue. What is not blocked runs a handler: this file. No
//! thread's mask is changed; blocking the signal instead would be inherited by every program that is started.
//!
//! **Where the program's disposition is kept.** While any kqueue wants a signal, the kernel has one of our
//! *entries* as its handler. There are `ENTRIES` of them, all the same but for their address, and each stands
//! for one (handler, SA_ flags) of the program, written once and never changed: `DISPOSITIONS`. So the address
//! that the kernel holds says what the program wants, and one rt_sigaction changes both in one step: there is
//! nothing that could get out of step, and sigaction() needs neither a lock nor a malloc, as POSIX wants of a
//! function that handlers call. An entry that was saved by somebody and comes back years later (a library's
//! "restore what was", system()) still knows what it stands for. Equal dispositions share an entry, so a
//! program that sets two handlers in turn for ever uses two. With all entries used up, a new disposition is
//! installed as it is, unwatched, and EV_ADD says ENOMEM (BUGS.md).
//!
//! **What the kernel is told**: SA_SIGINFO and our entry, and of the program's a handler's sa_mask, SA_RESTART,
//! SA_NODEFER, SA_ONSTACK, SA_NOCLDSTOP, SA_NOCLDWAIT as they are. Not SA_RESETHAND: that would remove our entry
//! with the first signal; instead the entry is `armed` once for the signal and stands for SIG_DFL afterwards.
//! For SIG_IGN and SIG_DFL, where nothing of the program's runs: SA_RESTART, so that its reads go on, SA_ONSTACK,
//! because the stack may be a small one, and SA_NOCLDWAIT where SIGCHLD was ignored, so that children go on
//! being reaped.
//!
//! **What the handler does**: counts, tells the kqueues, then calls the program's handler with the siginfo and
//! context that it got. A signal that the program ignores or leaves to the default is swallowed, but
//! - SIGTSTP, SIGTTIN, SIGTTOU by default stop the process after they were recorded, really by default, so that
//!   the shell is told the right number and an orphaned process group is not stopped;
//! - a fault (SIGSEGV and the like, raised by the kernel for what this thread did) kills by default, and also
//!   when it is ignored: that is the kernel's rule, and the instruction would fault for ever.
//!
//! In a process that is not the one that asked - a vfork child, which shares our memory, or a child of a raw
//! clone - and after the last EV_DELETE, it records nothing and does what the program's disposition says.
//!
//! **Entered by hand.** Where our sigaction() is not the one that the program calls, it gets one of our entries
//! as "the old handler" and calls it from its own. Entries therefore distinguish being entered by the kernel
//! (the context lies right above the stack pointer) from being called: a signal is recorded once, and an entry
//! which is met again inside the handler that it called returns, else the two would call one another for ever.
//!
//! **Together with the signalfd** (the queue's): it is level-triggered and in the kqueue's epoll, with a mask of
//! what the kqueue wants. Readable, it means that some wanted signal is pending for this thread or the process.
//! `read_signalfd` takes what the calling thread blocks, and records it exactly as the handler does, so that
//! other kqueues get it too and `recorded` is the one count there is. What the thread does not block it leaves
//! alone: the handler is about to run, here or in another thread, and would be cheated of it.
//!
//! **Together with kevent()'s wait**: a swallowed signal would end epoll_pwait with EINTR, which belongs to the
//! program's own handlers. `swallowed_mask` are the signals to be blocked while asleep; the signalfd still wakes
//! the sleeper, and the handler runs when the mask goes back.

use crate::errno::{Errno, Result};
use crate::platform::{lock::Mutex, sys};
use crate::registry;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicU8, AtomicUsize, Ordering::SeqCst};
use libc::{c_int, siginfo_t, sigset_t};

/// Signals are 1 to 64, bit `signo - 1` of a mask.
const SIGNALS: usize = 65;

const fn bit(signo: c_int) -> u64 {
    1 << (signo.wrapping_sub(1) & 63)
}

/// The place of a signal in our tables; the last place for what cannot come.
const fn place(signo: c_int) -> usize {
    if signo > 0 && (signo as usize) < SIGNALS {
        signo as usize
    } else {
        0
    }
}

// ---------------------------------------------------------------------------------------------------------
// Actions: struct sigaction as a value.

/// A `struct sigaction`, of the kernel's size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Action {
    /// `SIG_DFL`, `SIG_IGN`, or the address of a handler.
    pub handler: usize,
    pub flags: c_int,
    pub mask: u64,
    pub restorer: usize,
}

/// The kernel's, from asm/signal.h; libc does not show it.
const SA_RESTORER: c_int = 0x0400_0000;
const SA_EXPOSE_TAGBITS: c_int = 0x800;
/// The flags that mean something: others are dropped, as Linux 5.11 and later do.
const KNOWN_FLAGS: c_int = libc::SA_NOCLDSTOP
    | libc::SA_NOCLDWAIT
    | libc::SA_SIGINFO
    | libc::SA_ONSTACK
    | libc::SA_RESTART
    | libc::SA_NODEFER
    | libc::SA_RESETHAND
    | SA_EXPOSE_TAGBITS;
const UNMASKABLE: u64 = bit(libc::SIGKILL) | bit(libc::SIGSTOP);

impl Action {
    pub const fn new(handler: usize, flags: c_int, mask: u64) -> Action {
        Action { handler, flags, mask, restorer: 0 }
    }

    pub fn from_libc(action: &libc::sigaction) -> Action {
        Action {
            handler: action.sa_sigaction,
            flags: action.sa_flags,
            mask: mask_of(&action.sa_mask),
            restorer: action.sa_restorer.map_or(0, |f| f as usize),
        }
    }

    /// Writes the members one by one: what lies between and behind them is the program's.
    pub fn store(&self, action: &mut libc::sigaction) {
        action.sa_sigaction = self.handler;
        action.sa_flags = self.flags;
        action.sa_mask = set_of(self.mask);
        // SAFETY: 0 is None, anything else is the address of a function that the kernel or libc told us.
        action.sa_restorer = unsafe { core::mem::transmute::<usize, Option<extern "C" fn()>>(self.restorer) };
    }

    fn to_libc(self) -> libc::sigaction {
        // SAFETY: a C struct of integers and an optional function; all zeroes are valid.
        let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        self.store(&mut action);
        action
    }

    /// Are the two the same to the kernel?
    fn same(&self, other: &Action) -> bool {
        self.handler == other.handler
            && (self.flags ^ other.flags) & KNOWN_FLAGS == 0
            && (self.mask ^ other.mask) & !UNMASKABLE == 0
    }
}

/// A sigset_t as one word. Signals 1 to 64 are its first 64 bits on every Linux libc that is little-endian or
/// has 64-bit words.
fn mask_of(set: &sigset_t) -> u64 {
    const { assert!(size_of::<sigset_t>() >= 8) };
    // SAFETY: the set has at least 8 bytes, all initialised.
    unsafe { core::ptr::from_ref(set).cast::<u64>().read_unaligned() }
}

pub fn set_of(mask: u64) -> sigset_t {
    // SAFETY: a sigset_t is an array of integers, for which all zeroes are valid; it has at least 8 bytes.
    unsafe {
        let mut set: sigset_t = MaybeUninit::zeroed().assume_init();
        (&raw mut set).cast::<u64>().write_unaligned(mask);
        set
    }
}

type Sigaction = unsafe extern "C" fn(c_int, *const libc::sigaction, *mut libc::sigaction) -> c_int;

/// The sigaction() behind ours: libc's, or another interposer's. Null before `init` and in a static program.
static NEXT: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

/// What the system is told and says, with nothing of ours in between: sets `new` if there is one, and returns
/// what was before.
fn exchange(signo: c_int, new: Option<&Action>) -> Result<Action> {
    let next = NEXT.load(SeqCst);
    if next.is_null() {
        return exchange_raw(signo, new);
    }
    // SAFETY: `init` stored the address of a function of this type.
    let next = unsafe { core::mem::transmute::<*mut c_void, Sigaction>(next) };
    let new = new.map(|action| action.to_libc());
    let mut old = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: both structs are locals that live through the call; a zeroed one is valid if it is not filled.
    unsafe {
        if next(signo, new.as_ref().map_or(core::ptr::null(), core::ptr::from_ref), old.as_mut_ptr()) != 0 {
            return Err(sys::last_errno());
        }
        Ok(Action::from_libc(&old.assume_init()))
    }
}

/// `struct sigaction` as the kernel has it (asm-generic; x86, arm, powerpc, s390 have the same members).
#[repr(C)]
struct KernelAction {
    handler: usize,
    flags: libc::c_ulong,
    #[cfg(not(any(target_arch = "riscv64", target_arch = "loongarch64")))]
    restorer: usize,
    mask: [u32; 2],
}

/// The bare system call. The restorer that came with an action goes back with it; an action that never had one
/// gets ours, where the kernel needs one.
fn exchange_raw(signo: c_int, new: Option<&Action>) -> Result<Action> {
    let new = new.map(|action| {
        let restorer = if action.flags & SA_RESTORER != 0 { action.restorer } else { entries::restorer() };
        let flags = action.flags & !SA_RESTORER | if restorer != 0 { SA_RESTORER } else { 0 };
        KernelAction {
            handler: action.handler,
            flags: flags as u32 as libc::c_ulong,
            #[cfg(not(any(target_arch = "riscv64", target_arch = "loongarch64")))]
            restorer,
            // SAFETY: two integers for one of the same size.
            mask: unsafe { core::mem::transmute::<u64, [u32; 2]>(action.mask) },
        }
    });
    let mut old = MaybeUninit::<KernelAction>::zeroed();
    // SAFETY: both structs are the kernel's layout and live through the call; 8 is the size of its set.
    let old = unsafe {
        let new = new.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
        if libc::syscall(libc::SYS_rt_sigaction, signo, new, old.as_mut_ptr(), 8usize) != 0 {
            return Err(sys::last_errno());
        }
        old.assume_init()
    };
    Ok(Action {
        handler: old.handler,
        flags: old.flags as u32 as c_int,
        // SAFETY: as above.
        mask: unsafe { core::mem::transmute::<[u32; 2], u64>(old.mask) },
        #[cfg(not(any(target_arch = "riscv64", target_arch = "loongarch64")))]
        restorer: old.restorer,
        #[cfg(any(target_arch = "riscv64", target_arch = "loongarch64"))]
        restorer: 0,
    })
}

// ---------------------------------------------------------------------------------------------------------
// Entries, and the dispositions that they stand for.

use entries::ENTRIES;

/// How many copies of one SA_RESETHAND disposition: successive installations take turns, so that the late
/// delivery of one does not spend the next.
const TURNS: u8 = 4;

const FREE: u32 = 0;
const CLAIMED: u32 = 1;
const WRITTEN: u32 = 2;

/// What an entry stands for. `handler`, `flags` and `turn` never change once `state` is WRITTEN.
struct Disposition {
    state: AtomicU32,
    flags: AtomicI32,
    handler: AtomicUsize,
    turn: AtomicU8,
    /// SA_RESETHAND: a bit for each signal whose handler has not run yet.
    armed: AtomicU64,
    /// The stack pointer of the latest activation that has not returned; 0: none. A hint, shared by all threads.
    active: AtomicUsize,
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
    fn flags(&self) -> c_int {
        self.flags.load(SeqCst)
    }

    /// The program's handler for this signal, as sigaction() would tell it now.
    fn handler(&self, signo: c_int) -> usize {
        if self.flags() & libc::SA_RESETHAND != 0 && self.armed.load(SeqCst) & bit(signo) == 0 {
            return libc::SIG_DFL;
        }
        self.handler.load(SeqCst)
    }

    fn swallows(&self, signo: c_int) -> bool {
        matches!(self.handler(signo), libc::SIG_DFL | libc::SIG_IGN)
    }

    /// The handler for a signal that came, which spends an SA_RESETHAND one: of two that come at once only one
    /// gets it, as in the kernel.
    fn take_handler(&self, signo: c_int) -> usize {
        if self.flags() & libc::SA_RESETHAND != 0 && self.armed.fetch_and(!bit(signo), SeqCst) & bit(signo) == 0 {
            return libc::SIG_DFL;
        }
        self.handler.load(SeqCst)
    }

    /// What the program believes to be installed, where the kernel has `installed`.
    fn shown(&self, signo: c_int, installed: &Action) -> Action {
        Action { handler: self.handler(signo), flags: self.flags() | installed.flags & SA_RESTORER, ..*installed }
    }
}

/// The disposition that an installed handler stands for; `None`: it is not an entry of ours.
fn disposition_of(handler: usize) -> Option<&'static Disposition> {
    let disposition = DISPOSITIONS.get(entries::index(handler)?)?;
    (disposition.state.load(SeqCst) == WRITTEN).then_some(disposition)
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
fn watched_form(signo: c_int, action: &Action) -> Option<Action> {
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
fn program_form(signo: c_int, installed: &Action) -> Action {
    match disposition_of(installed.handler) {
        Some(disposition) => disposition.shown(signo, installed),
        None => *installed,
    }
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

// ---------------------------------------------------------------------------------------------------------
// Who wants which signal.

/// The kqueues that want one signal: a bitmap in three steps, so that few queues cost little and a million are
/// possible. The upper steps are never cleared, so no reader can miss a queue while another one is removed.
struct Wants {
    count: AtomicU32,
    /// A bit for each leaf that exists.
    leaves: AtomicU32,
    /// A bit for each word of a leaf that was ever used.
    used: [[AtomicU64; WORDS / 64]; LEAVES],
    leaf: [AtomicPtr<[AtomicU64; WORDS]>; LEAVES],
}

/// Words in a leaf: one page, 32,768 queues.
const WORDS: usize = 512;
const LEAVES: usize = 32;
const SLOTS: u32 = (LEAVES * WORDS * 64) as u32;

static WANTS: [Wants; SIGNALS] = [const {
    Wants {
        count: AtomicU32::new(0),
        leaves: AtomicU32::new(0),
        used: [const { [const { AtomicU64::new(0) }; WORDS / 64] }; LEAVES],
        leaf: [const { AtomicPtr::new(core::ptr::null_mut()) }; LEAVES],
    }
}; SIGNALS];

/// The signals that any kqueue wants.
static WATCHED: AtomicU64 = AtomicU64::new(0);
/// Held while wants change and the disposition follows them. Whoever holds it has all signals blocked, so no
/// handler ever waits for the thread that it interrupted. sigaction() and the handler do without.
static CHANGES: Mutex<()> = Mutex::new(());
/// How often each signal was recorded.
static RECORDED: [AtomicU64; SIGNALS] = [const { AtomicU64::new(0) }; SIGNALS];
/// The stack pointer of the latest activation that recorded the signal and has not returned. A hint.
static RECORDED_AT: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];
/// Signals whose latest known disposition is a handler of the program's. A hint that saves system calls.
static HANDLED: AtomicU64 = AtomicU64::new(0);
/// The process that all of this belongs to.
static PROCESS: AtomicI32 = AtomicI32::new(0);

/// Bits set in a word, lowest first.
fn bits(mut word: u64) -> impl Iterator<Item = u32> {
    core::iter::from_fn(move || {
        let lowest = word.trailing_zeros();
        word &= word.wrapping_sub(1);
        (lowest < 64).then_some(lowest)
    })
}

impl Wants {
    fn leaf(&self, leaf: usize) -> Option<&'static [AtomicU64; WORDS]> {
        // SAFETY: null or a page that `add` mapped, zeroed, and that is never unmapped; atomics may be shared.
        unsafe { self.leaf.get(leaf)?.load(SeqCst).as_ref() }
    }

    fn word(&self, slot: u32) -> Option<&'static AtomicU64> {
        self.leaf(slot as usize / 64 / WORDS)?.get(slot as usize / 64 % WORDS)
    }

    fn has(&self, slot: u32) -> bool {
        self.word(slot).is_some_and(|word| word.load(SeqCst) & 1 << (slot % 64) != 0)
    }

    /// Under `CHANGES`. False: it was in already.
    fn add(&self, slot: u32) -> Result<bool> {
        let (leaf, word) = (slot as usize / 64 / WORDS, slot as usize / 64 % WORDS);
        if self.leaf(leaf).is_none() {
            let page = sys::map_zeroed(size_of::<[AtomicU64; WORDS]>()).ok_or(Errno::ENOMEM)?;
            self.leaf.get(leaf).ok_or(Errno::EINVAL)?.store(page.cast(), SeqCst);
            self.leaves.fetch_or(1 << leaf, SeqCst);
        }
        let before = self.word(slot).ok_or(Errno::EINVAL)?.fetch_or(1 << (slot % 64), SeqCst);
        if let Some(used) = self.used.get(leaf).and_then(|used| used.get(word / 64)) {
            used.fetch_or(1 << (word % 64), SeqCst);
        }
        let new = before & 1 << (slot % 64) == 0;
        self.count.fetch_add(u32::from(new), SeqCst);
        Ok(new)
    }

    /// Under `CHANGES`. False: it was not in.
    fn remove(&self, slot: u32) -> bool {
        let Some(word) = self.word(slot) else { return false };
        let was = word.fetch_and(!(1 << (slot % 64)), SeqCst) & 1 << (slot % 64) != 0;
        self.count.fetch_sub(u32::from(was), SeqCst);
        was
    }

    fn words(&self) -> impl Iterator<Item = (u32, &'static AtomicU64)> + '_ {
        bits(u64::from(self.leaves.load(SeqCst))).flat_map(move |leaf| {
            let used = self.used.get(leaf as usize).into_iter().flatten().enumerate();
            used.flat_map(move |(step, used)| bits(used.load(SeqCst)).map(move |at| step as u32 * 64 + at)).filter_map(
                move |word| {
                    let first = (leaf * WORDS as u32 + word) * 64;
                    Some((first, self.leaf(leaf as usize)?.get(word as usize)?))
                },
            )
        })
    }

    fn each(&self, mut tell: impl FnMut(u32)) {
        for (first, word) in self.words() {
            for at in bits(word.load(SeqCst)) {
                tell(first + at);
            }
        }
    }

    fn clear(&self) {
        for (_, word) in self.words() {
            word.store(0, SeqCst);
        }
        self.count.store(0, SeqCst);
    }

    fn was_used(&self) -> bool {
        self.leaves.load(SeqCst) != 0
    }

    fn any(&self) -> bool {
        self.count.load(SeqCst) != 0
    }
}

fn own_process() -> bool {
    sys::getpid() == PROCESS.load(SeqCst)
}

/// Counts a signal and tells every kqueue that wants it, but `except`, which knows.
fn record(signo: c_int, times: u64, except: Option<u32>) {
    RECORDED[place(signo)].fetch_add(times, SeqCst);
    WANTS[place(signo)].each(|slot| {
        if Some(slot) != except {
            registry::signal_arrived(slot, signo);
        }
    });
}

/// Remembers whether the program handles the signal itself.
fn note_handled(signo: c_int, handled: bool) {
    if (HANDLED.load(SeqCst) & bit(signo) != 0) != handled {
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

/// Makes the installed disposition what the wants say. Under `CHANGES`.
fn settle(signo: c_int) -> Result<()> {
    if WANTS[place(signo)].any() {
        WATCHED.fetch_or(bit(signo), SeqCst);
        replace(signo, |installed| {
            let form = match disposition_of(installed.handler) {
                Some(_) => None,
                None => Some(watched_form(signo, installed).ok_or(Errno::ENOMEM)?),
            };
            let program = program_form(signo, form.as_ref().unwrap_or(installed));
            note_handled(signo, !matches!(program.handler, libc::SIG_DFL | libc::SIG_IGN));
            Ok(form)
        })
    } else {
        replace(signo, |installed| {
            Ok(disposition_of(installed.handler).map(|disposition| disposition.shown(signo, installed)))
        })?;
        WATCHED.fetch_and(!bit(signo), SeqCst);
        Ok(())
    }
}

// ---------------------------------------------------------------------------------------------------------
// What the filter calls.

/// From the library's constructor: whose process this is, and where libc's sigaction() is.
pub fn init() {
    PROCESS.store(sys::getpid(), SeqCst);
    // SAFETY: a literal name; RTLD_NEXT is the object after ours in the search order.
    NEXT.store(unsafe { libc::dlsym(libc::RTLD_NEXT, c"sigaction".as_ptr()) }, SeqCst);
}

/// Does libc use the signal for itself (to cancel threads, to change their user)?
fn is_libcs(signo: c_int) -> bool {
    (32..libc::SIGRTMIN()).contains(&signo)
}

/// The kqueue in `slot` wants the signal from now on. Said again, it is made sure that our handler is still the
/// installed one: a program whose sigaction() is not ours may have replaced it; it is then chained anew.
///
/// # Errors
/// `EINVAL` no such signal, one that cannot be caught, or libc's own; `ENOMEM`.
pub fn watch(signo: c_int, slot: u32) -> Result<()> {
    let caught = (1..SIGNALS as c_int).contains(&signo) && bit(signo) & UNMASKABLE == 0;
    if !caught || is_libcs(signo) || slot >= SLOTS {
        return Err(Errno::EINVAL);
    }
    let wants = &WANTS[place(signo)];
    if wants.has(slot) && disposition_of(exchange(signo, None)?.handler).is_some() {
        return Ok(());
    }
    changing(|| {
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
pub fn unwatch(signo: c_int, slot: u32) {
    let wants = &WANTS[place(signo)];
    if slot < SLOTS && wants.has(slot) {
        changing(|| {
            if wants.remove(slot) && !wants.any() {
                // What sigaction() has accepted before for this signal it does not refuse now.
                let _ = settle(signo);
            }
        });
    }
}

/// How often the signal was recorded since the process began, by the handler or from a signalfd.
pub fn recorded(signo: c_int) -> u64 {
    RECORDED[place(signo)].load(SeqCst)
}

/// Is the signal swallowed: our handler installed, and none of the program's behind it? Asks the kernel.
pub fn program_ignores(signo: c_int) -> bool {
    let Ok(installed) = exchange(signo, None) else { return false };
    disposition_of(installed.handler).is_some_and(|disposition| disposition.swallows(signo))
}

/// The watched signals that are swallowed, to be blocked while kevent() sleeps. No system call where nothing is
/// watched or all is handled by the program, else one for each candidate: a handler that the program installed
/// round us must not be kept from running.
pub fn swallowed_mask() -> u64 {
    let candidates = WATCHED.load(SeqCst) & !HANDLED.load(SeqCst);
    bits(candidates)
        .map(|at| at as c_int + 1)
        .filter(|&signo| program_ignores(signo))
        .fold(0, |mask, signo| mask | bit(signo))
}

/// The calling thread's signal mask.
pub fn thread_blocks() -> u64 {
    let mut set = MaybeUninit::<sigset_t>::zeroed();
    // SAFETY: nothing is changed; the set is a local, valid also if it is not filled.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, core::ptr::null(), set.as_mut_ptr());
        mask_of(&set.assume_init())
    }
}

/// Takes the pending signals that the calling thread blocks, of those in `mask`, which is the mask of `signalfd`
/// (non-blocking), and records them for every kqueue; `slot` is the caller, which is not told by
/// `signal_arrived`. Returns which signals were taken. The caller holds cancellation back.
///
/// A signalfd gives the signals of its whole mask. Where the thread blocks only some of them, those alone are
/// fetched with sigtimedwait: the others belong to a handler.
pub fn read_signalfd(signalfd: c_int, mask: u64, slot: u32) -> Result<u64> {
    const BATCH: usize = 8;
    let blocked = thread_blocks() & mask;
    let mut taken = 0;
    let mut take = |signo: c_int| {
        taken |= bit(signo);
        record(signo, 1, Some(slot));
    };
    let end = if blocked == 0 {
        Errno(libc::EAGAIN)
    } else if blocked == mask {
        let mut buffer = [const { MaybeUninit::<libc::signalfd_siginfo>::uninit() }; BATCH];
        loop {
            // SAFETY: the buffer is ours and its length is given.
            let n = unsafe { libc::read(signalfd, buffer.as_mut_ptr().cast(), size_of_val(&buffer)) };
            if n <= 0 {
                match if n == 0 { Errno(libc::EAGAIN) } else { sys::last_errno() } {
                    Errno::EINTR => continue,
                    errno => break errno,
                }
            }
            let whole = n as usize / size_of::<libc::signalfd_siginfo>();
            for info in buffer.iter().take(whole) {
                // SAFETY: the kernel wrote `whole` entries.
                take(unsafe { info.assume_init_ref() }.ssi_signo as c_int);
            }
            if whole < BATCH {
                break Errno(libc::EAGAIN);
            }
        }
    } else {
        let (set, now) = (set_of(blocked), libc::timespec { tv_sec: 0, tv_nsec: 0 });
        loop {
            // SAFETY: set and time are locals; the siginfo is not wanted.
            match unsafe { libc::sigtimedwait(&set, core::ptr::null_mut(), &now) } {
                -1 => match sys::last_errno() {
                    Errno::EINTR => continue,
                    errno => break errno,
                },
                signo => take(signo),
            }
        }
    };
    if end == Errno(libc::EAGAIN) || taken != 0 {
        Ok(taken)
    } else {
        Err(end)
    }
}

/// In the child of a fork: nothing is watched any more, and every disposition is the program's own. Only bare
/// system calls and atomics. `CHANGES` may be held by a thread that does not exist here, and is set free.
pub fn child() {
    for signo in 1..SIGNALS as c_int {
        // Not WATCHED: another thread may have been between its change of the one and of the other.
        let wants = &WANTS[place(signo)];
        if !wants.was_used() {
            continue;
        }
        wants.clear();
        if let Ok(installed) = exchange_raw(signo, None) {
            if let Some(disposition) = disposition_of(installed.handler) {
                // The kernel took the same action from us before, so it takes it again.
                let _ = exchange_raw(signo, Some(&disposition.shown(signo, &installed)));
            }
        }
    }
    WATCHED.store(0, SeqCst);
    for recorded in &RECORDED {
        recorded.store(0, SeqCst);
    }
    // SAFETY: this thread does not hold it: whoever does has all signals blocked and does not fork. There is no
    // other thread, so nobody is inside.
    unsafe {
        if CHANGES.is_locked() {
            CHANGES.force_unlock();
        }
    }
    // Last: until here a signal finds a stranger's process and does what the program said.
    PROCESS.store(sys::getpid(), SeqCst);
}

/// What sigaction(2) is to the program: `new` goes where the kernel takes it, in its watched form if the signal
/// is watched, and what the program had set before comes back. Async-signal-safe.
pub fn change(signo: c_int, new: Option<&Action>) -> Result<Action> {
    if is_libcs(signo) {
        return Err(Errno::EINVAL);
    }
    let Some(new) = new else { return Ok(program_form(signo, &exchange(signo, None)?)) };
    // An entry of ours comes back, from somebody who saved it round us: what it stands for is meant.
    let new = program_form(signo, new);
    let watched = WANTS[place(signo)].any() && own_process();
    let form = if watched { watched_form(signo, &new) } else { None };
    let old = exchange(signo, Some(&form.unwrap_or(new)))?;
    if form.is_some() {
        note_handled(signo, !matches!(new.handler, libc::SIG_DFL | libc::SIG_IGN));
    }
    if watched != (WANTS[place(signo)].any() && own_process()) {
        // The first EV_ADD or the last EV_DELETE came in between.
        let errno = sys::last_errno();
        // The program's action is installed; if it cannot be watched, the next EV_ADD says so.
        let _ = changing(|| settle(signo));
        sys::set_errno(errno);
    }
    Ok(program_form(signo, &old))
}

// ---------------------------------------------------------------------------------------------------------
// The handler.

type Handler = unsafe extern "C-unwind" fn(c_int, *mut siginfo_t, *mut c_void);

/// Farther apart than this, a pointer and the stack pointer are not of one signal's making.
const NEAR: usize = 1 << 20;

/// How an entry was entered.
struct Arrival {
    signo: c_int,
    info: *mut siginfo_t,
    context: *mut c_void,
    sp: usize,
    /// By the kernel itself.
    direct: bool,
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

/// What every entry leads to. Nothing here has a destructor: the program's handler may leave by siglongjmp or by
/// unwinding.
unsafe extern "C-unwind" fn entered(index: usize, arrival: &Arrival) {
    let signo = arrival.signo;
    let Some(disposition) = DISPOSITIONS.get(index).filter(|d| d.state.load(SeqCst) == WRITTEN) else { return };
    if place(signo) == 0 || arrival.inside(disposition.active.load(SeqCst)) {
        return;
    }
    let errno = sys::last_errno();
    let own = own_process();
    let watched = own && WANTS[place(signo)].any();
    let recorded_at = &RECORDED_AT[place(signo)];
    let first = watched && !arrival.inside(recorded_at.load(SeqCst));
    if first {
        recorded_at.store(arrival.sp, SeqCst);
        record(signo, 1, None);
    }
    let handler = if watched {
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
        libc::SIG_IGN => {}
        libc::SIG_DFL if !watched => default_action(signo, disposition),
        libc::SIG_DFL if matches!(signo, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU) => stop(signo),
        libc::SIG_DFL => {}
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
    let handler = if own { disposition.handler.load(SeqCst) } else { disposition.handler(signo) };
    if disposition.flags() & libc::SA_RESETHAND != 0 && !matches!(handler, libc::SIG_DFL | libc::SIG_IGN) {
        // It was accepted for this signal before.
        let _ = exchange(signo, Some(&Action::new(libc::SIG_DFL, disposition.flags(), 0)));
    }
    handler
}

/// Nothing is watched: the default is installed for good and the signal sent again.
fn default_action(signo: c_int, disposition: &Disposition) {
    // Accepted for this signal before.
    let _ = exchange(signo, Some(&Action::new(libc::SIG_DFL, disposition.flags(), 0)));
    send_again(signo, core::ptr::null_mut());
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
    if unchanged && (WANTS[place(signo)].any() || disposition_of(entry.handler).is_none()) {
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
    // SAFETY: the sets are locals; a siginfo is null or the one that the kernel gave.
    unsafe {
        let (process, thread) = (sys::getpid(), libc::syscall(libc::SYS_gettid));
        if info.is_null() || libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, signo, info) != 0 {
            libc::syscall(libc::SYS_tgkill, process, thread, signo);
        }
        if libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, before.as_mut_ptr()) == 0 {
            libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), core::ptr::null_mut());
        }
    }
}

/// Entries in assembly: alike but for their addresses, in one row, so that an address is a number. They hand the
/// stack pointer on, which tells for certain whether the kernel entered, and leave no frame of their own.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod entries {
    use super::{entered, siginfo_t, Arrival};
    use core::ffi::{c_int, c_void};

    pub const ENTRIES: usize = 256;
    /// Bytes from one entry to the next.
    const STEP: usize = 32;
    /// From the stack pointer at entry to the context: the return address; a siginfo_t.
    const TO_CONTEXT: usize = if cfg!(target_arch = "x86_64") { 8 } else { size_of::<siginfo_t>() };

    #[cfg(target_arch = "x86_64")]
    core::arch::global_asm!(
        ".pushsection .text.kqueue_signal_entries, \"ax\", @progbits",
        ".balign 32",
        ".hidden kqueue_signal_entries",
        ".globl kqueue_signal_entries",
        ".type kqueue_signal_entries, @function",
        "kqueue_signal_entries:",
        ".rept 256",
        ".balign 32",
        "77: endbr64",
        "leaq 77b(%rip), %r8",
        "movq %rsp, %rcx",
        "jmp {from_entry}",
        ".endr",
        ".balign 32",
        ".size kqueue_signal_entries, . - kqueue_signal_entries",
        // Debuggers and unwinders know a signal frame by these very bytes; so there is no CFI.
        ".hidden kqueue_signal_restorer",
        ".globl kqueue_signal_restorer",
        ".type kqueue_signal_restorer, @function",
        // An unwinder looks at the byte before a return address.
        "nop",
        "kqueue_signal_restorer:",
        ".byte 0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05",
        ".size kqueue_signal_restorer, . - kqueue_signal_restorer",
        ".popsection",
        from_entry = sym from_entry,
        options(att_syntax)
    );

    #[cfg(target_arch = "aarch64")]
    core::arch::global_asm!(
        ".pushsection .text.kqueue_signal_entries, \"ax\", @progbits",
        ".balign 32",
        ".hidden kqueue_signal_entries",
        ".globl kqueue_signal_entries",
        ".type kqueue_signal_entries, @function",
        "kqueue_signal_entries:",
        ".rept 256",
        ".balign 32",
        "77: hint #34",
        "adr x4, 77b",
        "mov x3, sp",
        "b {from_entry}",
        ".endr",
        ".balign 32",
        ".size kqueue_signal_entries, . - kqueue_signal_entries",
        ".popsection",
        from_entry = sym from_entry,
    );

    extern "C" {
        #[link_name = "kqueue_signal_entries"]
        static FIRST: [[u8; STEP]; ENTRIES];
        #[cfg(target_arch = "x86_64")]
        #[link_name = "kqueue_signal_restorer"]
        static RESTORER: [u8; 9];
    }

    /// # Safety
    /// Called by the entries only.
    unsafe extern "C-unwind" fn from_entry(
        signo: c_int,
        info: *mut siginfo_t,
        context: *mut c_void,
        sp: usize,
        entry: usize,
    ) {
        let direct = context as usize == sp.wrapping_add(TO_CONTEXT);
        // SAFETY: the arguments are those of a signal handler.
        unsafe { entered(entry.wrapping_sub(address(0)) / STEP, &Arrival { signo, info, context, sp, direct }) }
    }

    pub fn address(index: usize) -> usize {
        // The address alone is taken.
        (&raw const FIRST) as usize + index * STEP
    }

    pub fn index(address: usize) -> Option<usize> {
        let distance = address.wrapping_sub(self::address(0));
        (distance < ENTRIES * STEP && distance % STEP == 0).then_some(distance / STEP)
    }

    pub fn restorer() -> usize {
        #[cfg(target_arch = "x86_64")]
        return (&raw const RESTORER) as usize;
        #[cfg(not(target_arch = "x86_64"))]
        return 0;
    }
}

/// Entries for any machine. The kernel lays its frame out the same way every time and enters right below it, so
/// the smallest distance between the context and our frame that was ever seen is the kernel's; an entry that is
/// called has frames in between.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod entries {
    use super::{entered, siginfo_t, Arrival, Handler, NEAR};
    use core::ffi::{c_int, c_void};
    use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    pub const ENTRIES: usize = 64;
    static SHORTEST: AtomicUsize = AtomicUsize::new(NEAR);

    #[inline(never)]
    unsafe extern "C-unwind" fn entry<const INDEX: usize>(signo: c_int, info: *mut siginfo_t, context: *mut c_void) {
        let arrival = Arrival { signo, info, context, sp: 0, direct: false };
        let sp = (&raw const arrival) as usize;
        let distance = (context as usize).wrapping_sub(sp);
        let direct = distance <= SHORTEST.fetch_min(distance, SeqCst);
        // SAFETY: the arguments are those of a signal handler.
        unsafe { entered(INDEX, &Arrival { sp, direct, ..arrival }) }
    }

    macro_rules! row {
        ($($high:literal)*) => { [$(
            entry::<{ $high }>, entry::<{ $high + 1 }>, entry::<{ $high + 2 }>, entry::<{ $high + 3 }>,
            entry::<{ $high + 4 }>, entry::<{ $high + 5 }>, entry::<{ $high + 6 }>, entry::<{ $high + 7 }>,
        )*] };
    }
    static ROW: [Handler; ENTRIES] = row!(0 8 16 24 32 40 48 56);

    pub fn address(index: usize) -> usize {
        ROW.get(index).map_or(0, |&entry| entry as usize)
    }

    pub fn index(address: usize) -> Option<usize> {
        ROW.iter().position(|&entry| entry as usize == address)
    }

    /// The kernel brings its own.
    pub fn restorer() -> usize {
        0
    }
}
