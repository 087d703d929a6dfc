//! One kqueue's side of the system: a port.
//!
//! **Who waits sleeps in poll() on the port**, and takes what is queued afterwards, under the lock of the `table`, without
//! waiting. port_getn() could sleep as well; but it has no signal mask, its time-outs are ticks of the clock, it is no
//! cancellation point, and what it has taken is nobody's until the caller gets the lock: a call with a time-out of 0 would
//! miss it (1.12). Everything that is queued tells poll(), but for what an association finds ready: so who has associated
//! something, and leaves it queued, sends a word.
//!
//! **An event is a hint.** It may be stale when it is taken, so the descriptor is asked again; and it ends the
//! association. What is level is associated again when the call ends (`rest`), so that the port is readable while kevent()
//! would report.
//!
//! **Words** that are sent carry nothing: why they were is in `reasons`, which is looked at whenever anything is taken.
//! There is one of a kind queued, or none.

use super::item::Item;
use super::ports::{self, About};
use super::table::{Table, Whose};
use super::timers::Timers;
use super::{births, edges, sys};
use crate::errno::{Errno, Result};
use crate::platform::descriptors::{self, Owner};
use crate::platform::front;
use crate::platform::lock::{self, Guard, Mutex};
use crate::platform::unix::file_state::{identity, identity_of};
use crate::registry;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicU8, Ordering::*};

pub use super::buffer::{Buffer, Event};
pub use crate::platform::unix::events::{Arm, Clock, Mask, Place, Source, CLOCKS, PLACES};

/// Something became ready in user space.
const WOKEN: u8 = 1;
/// An association found something ready, and who sleeps has not been told.
const NUDGED: u8 = 2;
/// The queue is closed.
const DEAD: u8 = 4;

/// How long is waited where poll() refuses to, in nanoseconds.
const PAUSE: u64 = 1_000_000;

/// How many events are taken at once.
const BATCH: usize = 64;

pub struct Poller {
    /// Its own number, for `edges`.
    slot: AtomicU32,
    port: AtomicI32,
    reasons: AtomicU8,
    /// Everything that was associated is gone.
    lost: AtomicBool,
    timers: Timers,
    /// The signals that an enabled knote is for.
    signals: AtomicU64,
    table: Mutex<Table>,
}

impl Poller {
    pub const fn new() -> Poller {
        Poller {
            slot: AtomicU32::new(0),
            port: AtomicI32::new(-1),
            reasons: AtomicU8::new(0),
            lost: AtomicBool::new(false),
            timers: Timers::new(),
            signals: AtomicU64::new(0),
            table: Mutex::new(Table::new()),
        }
    }

    /// Makes the kqueue descriptor. `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn open(&self, slot: u32) -> Result<i32> {
        *self.table()? = Table::new();
        self.slot.store(slot, SeqCst);
        self.signals.store(0, SeqCst);
        self.reasons.store(0, SeqCst);
        self.lost.store(false, SeqCst);
        births::birth(&self.port, ports::create)
    }

    /// The number that the queue was born with.
    #[inline]
    pub fn descriptor(&self) -> i32 {
        self.port.load(Relaxed)
    }

    fn whose(&self) -> Whose {
        Whose { slot: self.slot.load(Relaxed), port: self.descriptor() }
    }

    /// `EDEADLK`: the caller is a signal handler that interrupted this thread in here.
    fn table(&self) -> Result<Guard<'_, Table>> {
        lock::lock(&self.table)
    }

    /// The port needs no helper.
    pub fn prepare_wake(&self, _: u32) -> Result<()> {
        Ok(())
    }

    /// In the child of a fork, before the queues are seen to.
    pub fn child() {
        edges::child();
    }

    /// Sends a word, unless one for that reason is queued already.
    fn send(&self, reason: u8) {
        // Where no slot is left so much is queued that the port is readable anyway.
        if self.reasons.fetch_or(reason, SeqCst) & reason == 0 {
            let _ = ports::send(self.descriptor());
        }
    }

    /// Makes the descriptor readable until a waiter takes it, and wakes one.
    pub fn wake(&self, _: u32) {
        self.send(WOKEN);
    }

    pub fn wake_from_handler(&self) {
        self.send(WOKEN);
    }

    /// Takes back a wake-up that no waiter has taken. The word that is queued is found without a reason.
    pub fn unwake(&self) {
        self.reasons.fetch_and(!WOKEN, SeqCst);
    }

    /// Makes the descriptor readable for ever: every waiter comes out, and none takes the word. False: it cannot be.
    pub fn release_waiters(&self) -> bool {
        self.reasons.fetch_or(DEAD, SeqCst);
        ports::send(self.descriptor()).is_ok()
    }

    /// A descriptor of some port of this process's has been closed, and if it was this one's, all that was associated
    /// with it is gone. Takes no lock.
    pub fn lose(&self, fd: i32) {
        // With its own number the queue ends.
        if fd != self.descriptor() {
            self.lost.store(true, SeqCst);
            self.send(NUDGED);
        }
    }

    /// Makes the table's item for `fd` what it should be. `EPERM`: poll says nothing of such a file; `EINVAL`: it is
    /// the queue itself; `ENOENT`: the number is another file by now; `EBADF`, `ENOMEM`.
    pub fn arm(&self, _: u32, place: Place, fd: i32, epoch: u32, armed: Arm, wanted: Arm) -> Result<()> {
        let port = self.descriptor();
        let mut table = self.table()?;
        if !wanted.contains(Arm::PRESENT) {
            table.take_out(self.whose(), fd, place);
            return Ok(());
        }
        let stat = sys::stat(fd)?;
        let identity = identity_of(&stat);
        if armed.contains(Arm::PRESENT) {
            if table.get(self.whose(), fd, place).is_none_or(|item| item.identity != identity) {
                table.take_out(self.whose(), fd, place);
                return Err(Errno::ENOENT);
            }
        } else {
            match stat.st_mode & libc::S_IFMT {
                libc::S_IFREG | libc::S_IFDIR | libc::S_IFBLK => return Err(Errno::EPERM),
                _ if fd == port => return Err(Errno::EINVAL),
                _ if ports::is_port(fd) && ports::is_same(port, fd) => return Err(Errno::EINVAL),
                _ => {}
            }
        }
        table.set(self.whose(), Item::new(fd, place, epoch, wanted, identity))
    }

    /// A close of the number takes the association away by itself.
    pub fn adding<T>(&self, _: i32, add: impl FnOnce() -> T) -> T {
        add()
    }

    /// `fd` is about to be closed: the system forgets it then, also what is queued.
    pub fn forget(&self, fd: i32, _: bool) {
        edges::forget(fd);
    }

    /// Something is new to one of its edges.
    #[allow(dead_code)] // where there are edges (`edges`)
    pub(super) fn has_news(&self) {
        self.send(NUDGED);
    }

    /// Waits; with `cancellation` it is a cancellation point. May come back with nothing before its time.
    #[inline]
    pub fn wait<'a, const N: usize>(
        &self,
        buffer: &'a mut Buffer<N>,
        room: usize,
        timeout: &sys::Timeout,
        mask: Option<&libc::sigset_t>,
        cancellation: Option<&sys::Cancellation>,
    ) -> Result<&'a [Event]> {
        self.wait_behind(buffer, None, room, timeout, mask, cancellation)
    }

    /// The same, where there is an event already: then it only looks.
    pub fn wait_behind<'a, const N: usize>(
        &self,
        buffer: &'a mut Buffer<N>,
        first: Option<Event>,
        room: usize,
        timeout: &sys::Timeout,
        mask: Option<&libc::sigset_t>,
        cancellation: Option<&sys::Cancellation>,
    ) -> Result<&'a [Event]> {
        if let Some(cancellation) = cancellation {
            cancellation.hold();
        }
        buffer.clear();
        if let Some(event) = first {
            buffer.push(event.source());
        }
        let room = room.clamp(1, N);
        let spent = self.take(buffer, room)?;
        let time = timeout.map(|time| time.tv_sec as u64 * sys::NANOSECONDS + time.tv_nsec as u64);
        if buffer.len() > 0 || time == Some(0) {
            return Ok(buffer.all());
        }
        let patience = [time, spent, self.timers.patience()].into_iter().flatten().min();
        // Only poll() itself is a cancellation point.
        let wait = || sys::wait_for(self.descriptor(), &patience.map(sys::timespec_of), mask);
        let ready = sys::Cancellation::let_in(cancellation, wait);
        match ready {
            Ok(_) => {}
            // poll() takes no entry at all: RLIMIT_NOFILE is 0.
            Err(Errno::EINVAL) => sys::nap(PAUSE),
            Err(errno) => return Err(errno),
        }
        self.take(buffer, room)?;
        Ok(buffer.all())
    }

    /// Takes what is queued, and makes events of what is so still. When somebody has to look by the clock, in nanoseconds,
    /// if anything is to be looked at.
    fn take<const N: usize>(&self, buffer: &mut Buffer<N>, room: usize) -> Result<Option<u64>> {
        let port = self.descriptor();
        let mut table = self.table()?;
        if self.reasons.load(SeqCst) & DEAD != 0 {
            buffer.push(Source::Tombstone);
            return Ok(None);
        }
        if self.lost.swap(false, SeqCst) {
            table.list_all();
            self.timers.lose();
            self.timers.renew(port);
        }
        // What is not about a descriptor comes first, and does not take the room of one.
        if self.reasons.fetch_and(!(WOKEN | NUDGED), SeqCst) & WOKEN != 0 {
            buffer.push(Source::Wake);
        }
        if let Some(clock) = self.timers.late() {
            buffer.push(Source::Timer(clock));
        }
        let room = (room + buffer.len()).min(N);
        let (mut spent, mut words, mut early) = (None, false, false);
        let mut list = [const { MaybeUninit::uninit() }; BATCH];
        // As long as nothing came of what was taken: it is to be told of again, before anybody sleeps.
        let mut stale = true;
        while stale {
            spent = table.settle(self.whose());
            stale = false;
            // No more than fit: what was taken and is not told would have to go to the tail.
            while buffer.len() < room {
                let events = ports::take(port, &mut list, room - buffer.len());
                if events.is_empty() {
                    break;
                }
                for event in events {
                    match event.about() {
                        About::Descriptor { fd, serial, events } => {
                            stale = true;
                            self.tell(&mut table, (fd, serial, events), buffer, room);
                        }
                        About::Timer => early = true,
                        About::Word => words = true,
                    }
                }
            }
            stale &= buffer.len() == 0;
        }
        if early {
            self.timers.renew(port);
        }
        if words && self.reasons.load(SeqCst) & WOKEN != 0 {
            // It was sent meanwhile, and may have been taken here.
            let _ = ports::send(port);
        }
        Ok(spent)
    }

    /// The port has told of a descriptor.
    fn tell<const N: usize>(
        &self,
        table: &mut Table,
        (fd, serial, events): (i32, u32, i16),
        buffer: &mut Buffer<N>,
        room: usize,
    ) {
        if let Some(inner) = queue_of(fd) {
            inner.is_really_ready();
        }
        table.told(self.whose(), fd, serial, events, |place, epoch, mask| {
            let fits = buffer.len() < room;
            if fits {
                buffer.push(Source::Descriptor { place, fd, epoch, mask });
            }
            fits
        });
    }

    /// The call is over: what it took is associated again, and what is queued is told of.
    pub fn rest(&'static self, _: u32, _: impl Fn() -> bool) {
        let port = self.descriptor();
        let Ok(mut table) = self.table() else { return };
        if self.reasons.load(SeqCst) & DEAD != 0 {
            return;
        }
        table.settle(self.whose());
        if (table.has_associated() && ports::queued(port) > 0) || self.has_signals() {
            self.send(NUDGED);
        }
    }

    /// Another queue is about to report that this one is readable. Is it so? What is stale is taken out.
    fn is_really_ready(&self) -> bool {
        let port = self.descriptor();
        let words = self.reasons.load(SeqCst) & (WOKEN | DEAD) != 0;
        if words || self.timers.late().is_some() || self.has_signals() {
            return true;
        }
        let Some(mut table) = self.table.try_lock() else { return true };
        let mut list = [const { MaybeUninit::uninit() }; BATCH];
        for event in ports::take(port, &mut list, BATCH) {
            if let About::Descriptor { fd, serial, .. } = event.about() {
                if let Some(inner) = queue_of(fd) {
                    inner.is_really_ready();
                }
                table.taken(fd, serial);
            }
        }
        self.reasons.fetch_and(!NUDGED, SeqCst);
        table.settle(self.whose());
        let ready = ports::queued(port) > 0;
        if ready {
            self.send(NUDGED);
        }
        ready
    }

    /// Is a signal pending that a knote is for, and that the program blocks?
    fn has_signals(&self) -> bool {
        let signals = self.signals.load(SeqCst);
        signals != 0 && signals & super::signals::pending() != 0
    }

    pub(super) fn forget_place(&self, place: Place) -> Result<()> {
        self.table()?.forget_place(self.whose(), place);
        Ok(())
    }

    /// Sees to it that the queue wakes up at `deadline` or before.
    pub fn arm_timer(&self, _: u32, clock: Clock, deadline: u64) -> Result<()> {
        self.timers.set(self.descriptor(), clock, deadline);
        Ok(())
    }

    /// Is a timer due that nobody has seen to?
    #[inline]
    pub fn late_timer(&self) -> Option<Clock> {
        self.timers.late()
    }

    /// What is due has been taken out and the clock can be set anew.
    pub fn timer_fired(&self, clock: Clock) {
        self.timers.fired(clock);
    }

    /// The signals that an enabled knote is for. One that is pending is found by the next call; who sleeps lets
    /// them in (`signals::waiting`), once it knows.
    pub fn set_signals(&self, _: u32, mask: u64) -> Result<()> {
        if self.signals.swap(mask, SeqCst) != mask {
            self.send(NUDGED);
        }
        Ok(())
    }

    /// Does anybody hold the lock of the table?
    pub fn is_locked(&self) -> bool {
        self.table.is_locked()
    }

    /// Does the calling thread, in what a signal handler has interrupted?
    pub fn lock_is_mine(&self) -> bool {
        lock::is_mine(&self.table)
    }

    /// Is nobody in the middle of a change, as far as that can be told in the child of a fork?
    pub fn is_whole(&self) -> bool {
        !self.table.is_locked()
    }

    /// Is the number still a port?
    pub fn is_still_open(&self, _: u32) -> bool {
        ports::is_port(self.descriptor())
    }

    /// Has the table an item for what the number is now?
    pub fn has_item(&self, place: Place, fd: i32) -> bool {
        self.table().is_ok_and(|mut table| {
            let same = |item: &mut Item| front::is_in_front() || identity(fd) == Some(item.identity);
            table.get(self.whose(), fd, place).is_some_and(same)
        })
    }

    /// Is the marker's number a duplicate of this queue's descriptor?
    pub fn is_duplicate(&self, marker: &Marker) -> bool {
        ports::is_same(self.descriptor(), marker.0)
    }

    /// Gives the timers back to the system; there are no other helpers.
    pub fn close_helpers(&self, slot: u32) {
        edges::leave(slot);
        self.timers.delete();
    }

    /// In the child of a fork: closes the port; what was associated there, and its timers, are the parent's.
    pub fn close_all(&self, _: u32, _: bool) {
        self.timers.lose();
        self.timers.delete();
        let port = self.port.swap(-1, SeqCst);
        if port >= 0 && ports::is_port(port) {
            sys::close_raw(port);
        }
    }

    /// In a child that was left its parent's descriptors: none is a helper.
    pub fn let_go(&self, _: i32) {}

    /// In such a child, when it takes the queue over: the port is the parent's, too, so there is another one under the
    /// same number from now on.
    pub fn leave_signals(&self) {
        let number = self.descriptor();
        if let Ok(made) = births::birth(&self.port, ports::create) {
            self.port.store(number, SeqCst);
            let _ = sys::put_on_number(made, number);
            sys::close_raw(made);
        }
        self.reasons.fetch_and(!NUDGED, SeqCst);
        self.lose(-1);
    }

    /// The number has been closed.
    pub fn abandon(&self) {
        self.port.store(-1, SeqCst);
        self.timers.delete();
    }

    /// There is no helper to move.
    pub fn move_helper(&self, _: u32, _: i32) -> Result<()> {
        Ok(())
    }
}

/// The queue under that number, if it is one of ours.
fn queue_of(fd: i32) -> Option<&'static Poller> {
    match descriptors::owner(fd) {
        Owner::Queue { slot, .. } | Owner::Duplicate { slot, .. } => registry::kernel(slot),
        _ => None,
    }
}

/// What tells whether a number is a duplicate of a queue's: itself.
pub struct Marker(i32);

impl Marker {
    /// `EBADF`: it is no kqueue at all.
    pub fn of(fd: i32) -> Result<Marker> {
        if ports::is_port(fd) {
            Ok(Marker(fd))
        } else {
            Err(Errno::EBADF)
        }
    }
}
