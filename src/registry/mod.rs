//! The queues of the process: by descriptor, without a lock.
//!
//! A queue lives in a slot. Slots are made in chunks that never move and are never freed, so a number that is
//! looked up while another thread closes it finds a dead queue, never freed memory. `inside` counts who is
//! between look-up and return, and close() waits for them; what memory the queue held is given back by the next
//! kqueue(), because close() may be called by a signal handler and free() may not.

#[allow(dead_code)] // not every backend stands in front of close()
pub mod close;
#[allow(dead_code)] // not every system forks
pub mod fork;
mod inside;
mod triggers;

use crate::errno::{Errno, Result};
use crate::event::{kevent, EVFILT_USER, EV_SYSFLAGS, NOTE_TRIGGER};
use crate::kqueue::{Contents, Queue};
use crate::platform::descriptors::{self, Owner};
use crate::platform::lock::{self, Guard, Mutex};
use crate::platform::table::Stable;
use crate::platform::{births, front, signals, sys, Marker, Poller};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};
use inside::Visit;
use triggers::Triggers;

/// What a slot holds.
const FREE: u32 = 0;
/// Being made or taken down.
const TAKEN: u32 = 1;
const LIVE: u32 = 2;
/// Closed; its memory waits for the next kqueue().
const DEAD: u32 = 3;
/// Of the parent process: nobody knows who held its lock when this process was forked.
const LOST: u32 = 4;
/// Of the parent process, whole, with its descriptors: this one may take it over (NOTE_FORK_CLEANUP).
const INHERITED: u32 = 5;

pub struct Slot {
    index: u32,
    state: AtomicU32,
    /// Counts the queues that lived here.
    birth: AtomicU32,
    kernel: Poller,
    /// Signals caught and not yet looked at, a bit each; and those of enabled knotes.
    signals: AtomicU64,
    awaited_signals: AtomicU64,
    /// Left by handlers that could not wait for the lock.
    triggers: Triggers,
    /// Something is to be looked at that the kernel does not tell of.
    attention: AtomicBool,
    contents: Mutex<Contents>,
}

/// Chunks of 32, 64, 128 ... slots.
const CHUNKS: usize = 16;
const FIRST_CHUNK: usize = 32;
static SLOTS: [Stable<Slot>; CHUNKS] = {
    let mut chunks = [const { Stable::new(0) }; CHUNKS];
    let mut chunk = 0;
    while chunk < CHUNKS {
        chunks[chunk] = Stable::new(FIRST_CHUNK << chunk);
        chunk += 1;
    }
    chunks
};
/// How many slots were ever used.
static USED: AtomicU32 = AtomicU32::new(0);
/// Where to begin to look for a free one.
static HINT: AtomicU32 = AtomicU32::new(0);
/// Was a duplicate of a queue's number ever recognised?
static DUPLICATES: AtomicBool = AtomicBool::new(false);
/// How many slots wait to be given back.
static DEAD_SLOTS: AtomicU32 = AtomicU32::new(0);
/// Births until the next look for queues that were closed without our notice.
static UNTIL_SWEEP: AtomicU32 = AtomicU32::new(0);

fn slot(index: u32) -> Option<&'static Slot> {
    let number = index as usize / FIRST_CHUNK + 1;
    let chunk = number.ilog2() as usize;
    let before = ((1 << chunk) - 1) * FIRST_CHUNK;
    SLOTS.get(chunk)?.get(index as usize - before)
}

fn used_slots() -> impl Iterator<Item = &'static Slot> {
    (0..USED.load(SeqCst)).filter_map(slot)
}

impl Slot {
    fn new(index: u32) -> Slot {
        Slot {
            index,
            state: AtomicU32::new(FREE),
            birth: AtomicU32::new(0),
            kernel: Poller::new(),
            signals: AtomicU64::new(0),
            awaited_signals: AtomicU64::new(0),
            triggers: Triggers::new(),
            attention: AtomicBool::new(false),
            contents: Mutex::new(Contents::new()),
        }
    }

    pub fn index(&'static self) -> u32 {
        self.index
    }

    pub fn kernel(&'static self) -> &'static Poller {
        &self.kernel
    }

    /// `EDEADLK`: the caller is a signal handler that interrupted this thread under the same lock.
    #[inline]
    pub fn lock(&'static self) -> Result<Guard<'static, Contents>> {
        lock::lock(&self.contents)
    }

    #[inline]
    pub fn queue<'a>(&'static self, contents: &'a mut Contents) -> Queue<'a> {
        Queue { slot: self.index, kernel: &self.kernel, contents }
    }

    /// Does the calling thread hold the lock? Then it is in a signal handler that interrupted the library.
    #[inline]
    pub fn lock_is_mine(&'static self) -> bool {
        lock::is_mine(&self.contents) || self.kernel.lock_is_mine()
    }

    /// Does anybody hold it, or that of the system's side, which is taken under it or alone?
    fn is_locked(&'static self) -> bool {
        self.contents.is_locked() || self.kernel.is_locked()
    }

    /// Must the caller not wait for the lock? It is a handler then, and what it interrupted holds another queue's: the
    /// holder of this one may be a thread whose handler waits for that. Of the threads of such a circle the last one
    /// to ask here finds its lock held by one that does not let go.
    #[inline]
    pub fn lock_is_crossed(&'static self) -> bool {
        self.is_locked() && self.stays_locked_across()
    }

    #[cold]
    fn stays_locked_across(&'static self) -> bool {
        const TURNS: u32 = 20;
        let holds = |index| slot(index).is_some_and(Slot::lock_is_mine);
        if !inside::holds_another(self.index, holds) {
            return false;
        }
        for _ in 0..TURNS {
            if !self.is_locked() {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    /// What a handler can do that interrupted this thread under the lock: trigger user events. `EDEADLK` before
    /// the first change, where there is anything else to do.
    #[cold]
    pub fn leave_triggers(&'static self, changes: impl Iterator<Item = kevent> + Clone) -> Result<()> {
        let is_trigger = |change: kevent| {
            change.filter == EVFILT_USER && change.flags & !EV_SYSFLAGS == 0 && change.fflags & NOTE_TRIGGER != 0
        };
        if !changes.clone().all(is_trigger) {
            return Err(Errno::EDEADLK);
        }
        for change in changes {
            if !self.triggers.leave(self.index, &change) {
                return Err(Errno::EDEADLK);
            }
        }
        self.kernel.wake_from_handler();
        Ok(())
    }

    /// Applies what handlers have left.
    pub fn take_triggers(&'static self, queue: &mut Queue) {
        while let Some(change) = self.triggers.take(self.index) {
            // Of a knote that is not there: nobody to tell.
            let _ = queue.change(&change);
        }
    }

    /// Is it the parent's, and not taken over?
    fn is_inherited(&self) -> bool {
        self.state.load(SeqCst) == INHERITED
    }

    #[inline]
    pub fn is_closed(&'static self) -> bool {
        self.state.load(SeqCst) != LIVE
    }

    #[inline]
    pub fn has_attention(&'static self) -> bool {
        self.attention.load(SeqCst) || self.signals.load(SeqCst) != 0 || self.triggers.any()
    }

    /// Says whether the next kevent() has to look under the lock before it waits.
    pub fn set_attention(&'static self, contents: &Contents) {
        let attention =
            contents.has_ready() || !contents.lookouts.is_empty() || contents.woken || contents.processes.numbered > 0;
        // It is only written under the lock.
        if self.attention.load(Relaxed) != attention {
            self.attention.store(attention, SeqCst);
        }
    }

    pub fn take_signals(&'static self) -> u64 {
        if self.signals.load(SeqCst) == 0 {
            return 0;
        }
        self.signals.swap(0, SeqCst)
    }

    pub fn awaits_signals(&'static self) -> bool {
        self.awaited_signals.load(Relaxed) != 0
    }

    /// At the end of a call: the descriptor must poll readable if something is ready, and not if nothing is.
    pub fn announce(&'static self) {
        let Ok(mut contents) = self.lock() else { return };
        self.take_triggers(&mut self.queue(&mut contents));
        let ready = contents.has_ready();
        let mut wakes = ready && !contents.woken;
        if !ready && contents.woken {
            // Under the lock: after it, another thread's wake-up might be the one that is taken back.
            self.kernel.unwake();
            // A signal handler's is taken back with ours; it takes no lock, but leaves its word before it wakes.
            wakes = self.signals.load(SeqCst) != 0 || self.triggers.any();
        }
        contents.woken = ready || wakes;
        self.set_attention(&contents);
        drop(contents);
        if wakes {
            self.kernel.wake(self.index);
        }
    }

    /// At the end of a call, on every way out: the descriptor must go on telling what becomes ready.
    #[inline]
    pub fn rest(&'static self) {
        self.kernel.rest(self.index, || inside::others(self.index));
    }

    /// The queue has a new epoll under its number: kqueues of ours that watch it put it into theirs again. The
    /// caller holds no lock.
    #[cold]
    pub fn renewed(&'static self) {
        let again = |fd: i32| {
            let watchers = descriptors::watchers(fd);
            let live = used_slots().filter(|slot| slot.state.load(SeqCst) == LIVE && watchers.contains(slot.index));
            for slot in live {
                if let Ok(mut contents) = slot.lock() {
                    slot.queue(&mut contents).add_again(fd);
                }
            }
        };
        again(self.kernel.descriptor());
        descriptors::each_duplicate(self.index, again);
    }

    /// The calling thread was cancelled while it waited and may have taken events along: a wake-up, an expiry, an
    /// edge. Whatever it may have been is looked at again.
    pub fn after_cancellation(&'static self) {
        if let Ok(mut contents) = self.lock() {
            contents.woken = true;
            let mut queue = self.queue(&mut contents);
            queue.expire_all();
            queue.activate_edges();
            self.attention.store(true, SeqCst);
        }
        self.kernel.wake(self.index);
    }
}

/// Makes a queue; its descriptor is close-on-exec (10.4). `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn create(nonblocking: bool) -> Result<i32> {
    fork::begin();
    reclaim();
    let slot = claim()?;
    let made = open(slot, nonblocking);
    if made.is_err() {
        slot.kernel.abandon();
        slot.state.store(FREE, SeqCst);
    }
    made.map(sys::queue_descriptor)
}

fn open(slot: &'static Slot, nonblocking: bool) -> Result<i32> {
    if !front::is_in_front() && UNTIL_SWEEP.fetch_sub(1, Relaxed) == 0 {
        sweep();
    }
    let fd = match slot.kernel.open(slot.index) {
        Err(Errno::EMFILE) if !front::is_in_front() && sweep() => slot.kernel.open(slot.index)?,
        other => other?,
    };
    let refuse = |errno| {
        sys::close_raw(fd);
        Err(errno)
    };
    let cell = match descriptors::cell_or_make(fd) {
        Ok(cell) => cell,
        Err(errno) => return refuse(errno),
    };
    // Somebody of ours had the number and was closed without our notice.
    if let Owner::Queue { slot, birth } = Owner::of(cell.queue.swap(0, SeqCst)) {
        if let Some(slot) = self::slot(slot) {
            bury_unnoticed(slot, birth);
        }
    }
    if !front::is_in_front() {
        if let Err(errno) = slot.kernel.prepare_wake(slot.index) {
            return refuse(errno);
        }
    }
    if nonblocking {
        sys::set_nonblocking(fd);
    }
    let birth = slot.birth.fetch_add(1, SeqCst).wrapping_add(1);
    slot.state.store(LIVE, SeqCst);
    cell.queue.store(Owner::Queue { slot: slot.index, birth }.word(), SeqCst);
    Ok(fd)
}

/// A free slot, taken. `ENOMEM`.
fn claim() -> Result<&'static Slot> {
    let taken = |slot: &Slot| slot.state.compare_exchange(FREE, TAKEN, SeqCst, Relaxed).is_ok();
    loop {
        let used = USED.load(SeqCst);
        let hint = HINT.load(Relaxed).min(used);
        for index in (hint..used).chain(0..hint) {
            if let Some(slot) = slot(index).filter(|slot| taken(slot)) {
                HINT.store(index + 1, Relaxed);
                return Ok(slot);
            }
        }
        if slot(used).is_none() {
            let chunk = SLOTS.iter().position(|chunk| chunk.is_empty()).ok_or(Errno::ENOMEM)?;
            let mut index = (((1 << chunk) - 1) * FIRST_CHUNK) as u32;
            SLOTS[chunk].publish(|| {
                index += 1;
                Slot::new(index - 1)
            })?;
        }
        let _ = USED.compare_exchange(used, used + 1, SeqCst, Relaxed);
    }
}

/// Gives back what closed queues held.
pub fn reclaim() {
    if DEAD_SLOTS.load(SeqCst) == 0 {
        return;
    }
    for slot in used_slots() {
        if slot.state.compare_exchange(DEAD, TAKEN, SeqCst, Relaxed).is_err() {
            continue;
        }
        // Somebody who never came out may still hold a reference: then the slot stays as it is.
        let contents = if inside::others(slot.index) { None } else { slot.contents.try_lock() };
        let Some(mut contents) = contents else {
            slot.state.store(DEAD, SeqCst);
            continue;
        };
        *contents = Contents::new();
        drop(contents);
        slot.attention.store(false, SeqCst);
        slot.signals.store(0, SeqCst);
        while slot.triggers.take(slot.index).is_some() {}
        DEAD_SLOTS.fetch_sub(1, SeqCst);
        HINT.fetch_min(slot.index, Relaxed);
        slot.state.store(FREE, SeqCst);
    }
}

/// Waits until every closed queue is given back; no longer than a second, because a thread that left one by
/// siglongjmp() never comes out.
pub fn drain() {
    for _ in 0..1_000 {
        reclaim();
        if DEAD_SLOTS.load(SeqCst) == 0 {
            return;
        }
        sys::nap(1_000_000);
    }
}

/// Ends queues whose number was closed without our notice. True: there were some.
fn sweep() -> bool {
    let mut found = false;
    let mut live = 0;
    for slot in used_slots().filter(|slot| slot.state.load(SeqCst) == LIVE) {
        let birth = slot.birth.load(SeqCst);
        if slot.kernel.is_still_open(slot.index) {
            live += 1;
        } else {
            bury_unnoticed(slot, birth);
            found = true;
        }
    }
    UNTIL_SWEEP.store(live, Relaxed);
    found
}

/// How long close() waits for threads that are inside the queue.
const PATIENCE: u32 = 2_000;
const NAP: u64 = 50_000;

/// A queue that is ended and whose number has not been closed yet. No other thread forks meanwhile, else the
/// child would keep the number, or close what the program opened under it.
pub struct Burial {
    slot: &'static Slot,
    _hold: births::Hold,
}

impl Burial {
    /// The number is not the queue's any more.
    pub fn end(self) {
        self.slot.kernel.abandon();
        DEAD_SLOTS.fetch_add(1, SeqCst);
        self.slot.state.store(DEAD, SeqCst);
    }
}

/// Ends a queue: its waiters come out with EBADF, its helpers are closed. Async-signal-safe. `open`: its number
/// still is its own, so that waiters can be woken through it.
fn bury(slot: &'static Slot, open: bool) -> Option<Burial> {
    let taken = |from| slot.state.compare_exchange(from, TAKEN, SeqCst, Relaxed).is_ok();
    if !taken(LIVE) && !taken(INHERITED) {
        return None;
    }
    if open {
        for _ in 0..PATIENCE {
            // Said again every time: somebody on his way out may have armed the same item for something else.
            if !inside::others(slot.index) || !slot.kernel.release_waiters() {
                break;
            }
            sys::nap(NAP);
        }
    }
    signals::forget(slot.index);
    slot.awaited_signals.store(0, SeqCst);
    let burial = Burial { slot, _hold: births::hold() };
    slot.kernel.leave_connector();
    slot.kernel.close_helpers(slot.index);
    slot.kernel.close_processes(slot.index);
    Some(burial)
}

/// Ends the queue of that birth, whose number was closed without our notice and may be another one's by now.
fn bury_unnoticed(slot: &'static Slot, birth: u32) {
    // Of those who have noticed, one ends it; a queue that is born in its place is none of their business.
    let _hold = births::hold();
    if slot.birth.load(SeqCst) != birth {
        return;
    }
    descriptors::disown_of(slot.kernel.descriptor(), Owner::Queue { slot: slot.index, birth });
    if let Some(burial) = bury(slot, false) {
        burial.end();
    }
}

/// Where nobody tells us of a close: was the queue's number closed, and is it something else perhaps? Who is a handler
/// and interrupted what would have to be changed does not ask.
#[inline]
fn was_closed_unnoticed(slot: &'static Slot) -> bool {
    !front::is_in_front() && !births::are_interrupted() && !slot.lock_is_mine() && !is_still_open(slot)
}

fn is_still_open(slot: &'static Slot) -> bool {
    let errno = sys::last_errno();
    let open = slot.kernel.is_still_open(slot.index);
    sys::set_errno(errno);
    open
}

/// The number of the queue in `slot` has been closed, as somebody in it has just seen: ends it.
#[allow(dead_code)] // not every backend's
pub fn was_closed(slot: u32) {
    let Some(slot) = self::slot(slot) else { return };
    if let Some(burial) = bury(slot, true) {
        descriptors::disown(slot.kernel.descriptor());
        burial.end();
    }
}

/// A queue that was looked up, until the call returns: close() waits for it.
pub struct Entered {
    pub slot: &'static Slot,
    _visit: Visit,
}

/// The queue of a descriptor. `EBADF`: it is none.
#[inline]
pub fn enter(fd: i32, cancellation: &sys::Cancellation) -> Result<Entered> {
    let fd = sys::queue_number(fd);
    loop {
        let cell = descriptors::cell(fd).ok_or(Errno::EBADF);
        let word = cell.map_or(0, |cell| cell.queue.load(SeqCst));
        let (index, birth) = match Owner::of(word) {
            Owner::Queue { slot, birth } | Owner::Duplicate { slot, birth } => (slot, birth),
            Owner::Helper { .. } | Owner::Process { .. } => return Err(Errno::EBADF),
            Owner::None => {
                cancellation.hold();
                recognise_duplicate(fd)?;
                continue;
            }
        };
        let slot = slot(index).ok_or(Errno::EBADF)?;
        let same =
            || slot.birth.load(SeqCst) == birth && sys::is_same_file(fd, slot.kernel.descriptor()) != Some(false);
        if !front::is_in_front() && matches!(Owner::of(word), Owner::Duplicate { .. }) && !same() {
            // It was closed without our notice, or the queue was, and may be a duplicate of the next one.
            descriptors::disown(fd);
            continue;
        }
        let visit = Visit::begin(index);
        // The visit is announced; if the number still is the queue's, close() will see it.
        if cell?.queue.load(SeqCst) != word {
            continue;
        }
        if slot.birth.load(SeqCst) != birth {
            return Err(Errno::EBADF);
        }
        if slot.is_closed() {
            cancellation.hold();
            if !fork::take_over(slot) {
                return Err(Errno::EBADF);
            }
        }
        if was_closed_unnoticed(slot) {
            cancellation.hold();
            bury_unnoticed(slot, birth);
            descriptors::disown_of(fd, Owner::of(word));
            continue;
        }
        return Ok(Entered { slot, _visit: visit });
    }
}

/// 10.7: the number may be a duplicate of a queue's. Asked once, then known.
#[cold]
fn recognise_duplicate(fd: i32) -> Result<()> {
    let live = || used_slots().filter(|slot| slot.state.load(SeqCst) == LIVE);
    if fd < 0 || live().next().is_none() || !sys::is_open(fd) {
        return Err(Errno::EBADF);
    }
    if !front::is_in_front() {
        // A number that was closed may be a duplicate of this very queue's by now.
        sweep();
    }
    let _no_fork = births::hold();
    let marker = Marker::of(fd)?;
    let slot = live().find(|slot| slot.kernel.is_duplicate(&marker)).ok_or(Errno::EBADF)?;
    let owner = Owner::Duplicate { slot: slot.index, birth: slot.birth.load(SeqCst) };
    DUPLICATES.store(true, Relaxed);
    descriptors::cell_or_make(fd)?.queue.store(owner.word(), SeqCst);
    Ok(())
}

/// Calls `each` with every queue's number and the queue, or `None` where its lock is held.
pub fn each_queue(mut each: impl FnMut(i32, Option<&mut Queue>)) {
    for slot in used_slots().filter(|slot| slot.state.load(SeqCst) == LIVE) {
        let number = sys::queue_descriptor(slot.kernel.descriptor());
        match slot.contents.try_lock() {
            Some(mut contents) => each(number, Some(&mut slot.queue(&mut contents))),
            None => each(number, None),
        }
    }
}

/// Is any thread but the calling one inside the queue in `slot`?
#[allow(dead_code)] // not every backend's
pub fn is_visited(slot: u32) -> bool {
    inside::others(slot)
}

/// A timer of the queue in `slot` is due, and nobody is in it: what is ready then makes the descriptor readable.
#[allow(dead_code)] // not every backend's
pub fn tend(slot: u32) {
    let Some(slot) = self::slot(slot) else { return };
    let _visit = Visit::begin(slot.index);
    if slot.is_closed() {
        return;
    }
    if let Ok(mut contents) = slot.lock() {
        if let Some(clock) = slot.kernel.late_timer() {
            slot.queue(&mut contents).expire(clock);
        }
    }
    slot.announce();
}

/// The system's side of the queue in `slot`.
#[allow(dead_code)] // not every backend's
pub fn kernel(slot: u32) -> Option<&'static Poller> {
    self::slot(slot).map(|slot| &slot.kernel)
}

/// Is there, or was there, any queue?
#[allow(dead_code)] // not every backend's
pub fn any() -> bool {
    USED.load(SeqCst) > 0
}

/// Calls `each` with the side of the system of every queue that lives. Takes no lock.
#[allow(dead_code)] // not every backend's
pub fn each_kernel(each: impl FnMut(&'static Poller)) {
    used_slots().filter(|slot| slot.state.load(SeqCst) == LIVE).map(|slot| &slot.kernel).for_each(each);
}

/// A signal was caught that the queue in `slot` watches. Called by signal handlers.
pub fn signal_arrived(slot: u32, signo: i32) {
    let Some(slot) = self::slot(slot) else { return };
    let bit = signals::bit(signo);
    if slot.signals.fetch_or(bit, SeqCst) & bit == 0 {
        slot.kernel.wake_from_handler();
    }
}

/// Which signals an enabled knote of the queue in `slot` is for, as bits: the set of its signalfd.
#[allow(dead_code)] // not every backend's
pub fn awaited_signals(slot: u32) -> Option<&'static AtomicU64> {
    self::slot(slot).map(|slot| &slot.awaited_signals)
}
