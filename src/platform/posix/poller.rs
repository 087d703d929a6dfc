//! One kqueue's side of the system: a `pipe`, and a `table` of what is to be polled.
//!
//! The kqueue descriptor is the read end of the pipe. Waiters poll what the table says without its lock; who changes
//! it calls them out (`sleepers`). close() does so too, before the number is free: poll holds the open file. `timers`
//! bound the wait. A queue that nobody is in: `idle`.
//!
//! The table has a lock of its own, taken under the queue's or alone. All else is atomic, for handlers and fork.

use super::idle::{is_queue, is_ready_inside};
use super::item::Item;
use super::pipe::{Pipe, CALLED, DEAD, NOTICED, WOKEN};
use super::sleepers::Sleepers;
use super::table::{Set, Table};
use super::{sys, watchman};
use crate::errno::{Errno, Result};
use crate::platform::deadlines::Deadlines;
use crate::platform::front;
use crate::platform::lock::{self, Guard, Mutex};
use crate::platform::unix::file_state::{identity, identity_of};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use libc::POLLIN;

pub use super::buffer::{Buffer, Event};
pub use crate::platform::unix::events::{Arm, Clock, Mask, Place, Source, CLOCKS, PLACES};

/// While others are to come out for the byte, in nanoseconds.
const PAUSE: u64 = 50_000;

pub struct Poller {
    pub(super) pipe: Pipe,
    sleepers: Sleepers,
    pub(super) timers: Deadlines,
    /// The watchman polls what the table said a moment ago.
    pub(super) watched: AtomicBool,
    /// He is to.
    pub(super) idle: AtomicBool,
    /// The signals that an enabled knote is for.
    pub(super) signals: AtomicU64,
    pub(super) table: Mutex<Table>,
    pub(super) post: watchman::Post,
}

impl Poller {
    pub const fn new() -> Poller {
        Poller {
            pipe: Pipe::new(),
            sleepers: Sleepers::new(),
            timers: Deadlines::new(),
            watched: AtomicBool::new(false),
            idle: AtomicBool::new(false),
            signals: AtomicU64::new(0),
            table: Mutex::new(Table::new()),
            post: watchman::Post::new(),
        }
    }

    /// Makes the kqueue descriptor. `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn open(&self, slot: u32) -> Result<i32> {
        *self.table()? = Table::new();
        self.signals.store(0, SeqCst);
        self.idle.store(false, SeqCst);
        self.pipe.open(slot)
    }

    /// The number that the queue was born with.
    #[inline]
    pub fn descriptor(&self) -> i32 {
        self.pipe.reader()
    }

    /// `EDEADLK`: the caller is a signal handler that interrupted this thread in here.
    pub(super) fn table(&self) -> Result<Guard<'_, Table>> {
        lock::lock(&self.table)
    }

    /// The pipe is there from birth.
    pub fn prepare_wake(&self, _: u32) -> Result<()> {
        Ok(())
    }

    /// In the child of a fork, before the queues are seen to.
    pub fn child() {
        watchman::child();
    }

    /// Makes the descriptor readable until a waiter takes it, and wakes one.
    pub fn wake(&self, _: u32) {
        self.pipe.give(WOKEN);
    }

    pub fn wake_from_handler(&self) {
        self.pipe.give(WOKEN);
    }

    /// Takes back a wake-up that no waiter has taken.
    pub fn unwake(&self) {
        self.pipe.take(WOKEN);
    }

    /// Makes the descriptor readable for ever: every waiter comes out. False: it cannot be.
    pub fn release_waiters(&self) -> bool {
        self.pipe.give_for_ever(DEAD)
    }

    /// Something is armed that sleepers do not know of, or about to be closed. Takes no lock.
    fn call(&self) {
        if self.sleepers.renew() {
            self.pipe.give(CALLED);
        }
    }

    /// Makes the table's item for `fd` what it should be. `EPERM`: poll says nothing of such a file; `EINVAL`: it is
    /// the queue itself; `ENOENT`: the number is another file by now; `EBADF`, `ENOMEM`.
    pub fn arm(&self, _: u32, place: Place, fd: i32, epoch: u32, armed: Arm, wanted: Arm) -> Result<()> {
        let mut table = self.table()?;
        if !wanted.contains(Arm::PRESENT) {
            table.take_out(fd, place);
            return Ok(());
        }
        let stat = sys::stat(fd)?;
        let identity = identity_of(&stat);
        if armed.contains(Arm::PRESENT) {
            let same = table.get(fd, place).is_some_and(|item| item.identity == identity);
            if !same {
                table.take_out(fd, place);
                return Err(Errno::ENOENT);
            }
        } else {
            match stat.st_mode & libc::S_IFMT {
                libc::S_IFREG | libc::S_IFDIR | libc::S_IFBLK => return Err(Errno::EPERM),
                libc::S_IFIFO if identity == self.pipe.identity() => return Err(Errno::EINVAL),
                _ if sys::is_bad(fd) => return Err(Errno::EBADF),
                _ => {}
            }
        }
        table.set(Item::new(fd, place, epoch, wanted, identity))?;
        drop(table);
        if wanted.events() != 0 {
            self.call();
        }
        Ok(())
    }

    /// A close of the number looks at its generation: nothing is to be waited for.
    pub fn adding<T>(&self, _: i32, add: impl FnOnce() -> T) -> T {
        add()
    }

    /// `fd` is about to be closed: who polls it comes out, and does not poll it again. Takes no lock.
    pub fn forget(&self, _: i32, interrupted: bool) {
        self.call();
        let watched = self.watched.load(SeqCst);
        if watched {
            self.pipe.give(CALLED);
        }
        if !interrupted {
            sys::wait_a_moment(2, || !self.sleepers.are_old() && !self.watched.load(SeqCst));
        }
        if watched && !self.sleepers.are_awaited() {
            self.pipe.take(CALLED);
        }
    }

    /// Polls; with `cancellation` it is a cancellation point. May come back with nothing before its time.
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
        let version = self.sleepers.version();
        let mut table = self.table()?;
        let mut set = table.take_spare();
        set.reserve(1)?;
        set.push(self.descriptor(), POLLIN, (Place::MAIN, 0));
        let spent = table.fill(&mut set)?;
        drop(table);
        let patience = if first.is_some() { Some(0) } else { self.patience(timeout, spent) };
        // Only poll() itself is a cancellation point.
        let wait = |set: &mut Set, time: Option<u64>| {
            sys::Cancellation::let_in(cancellation, || sys::wait(&mut set.entries, &time.map(sys::timespec_of), mask))
        };
        let polled = if patience == Some(0) {
            wait(&mut set, Some(0))
        } else {
            let Some(_asleep) = self.sleepers.fall_asleep(version) else { return Ok(&[]) };
            wait(&mut set, patience)
        };
        let polled = match polled {
            // A look is not interrupted by what has come before it.
            Err(Errno::EINTR) if patience == Some(0) => Ok(0),
            polled => polled,
        };
        if polled.is_ok() {
            self.tell(&set, buffer, room.clamp(1, N))?;
        }
        if let Ok(mut table) = self.table() {
            table.give_back(set);
        }
        polled.map(|_| buffer.all())
    }

    /// How long to poll: until the time is over, a timer is due, or spent edges are to be looked at.
    pub(super) fn patience(&self, timeout: &sys::Timeout, spent: Option<u64>) -> Option<u64> {
        let time = timeout.map(|time| time.tv_sec as u64 * sys::NANOSECONDS + time.tv_nsec as u64);
        if time == Some(0) {
            return time;
        }
        [time, spent, self.timers.patience()].into_iter().flatten().min()
    }

    /// What a poll found becomes events.
    fn tell<const N: usize>(&self, set: &Set, buffer: &mut Buffer<N>, room: usize) -> Result<()> {
        let called = set.entries.first().is_some_and(|entry| entry.revents != 0);
        if called && self.heed(buffer) {
            return Ok(());
        }
        if let Some(clock) = self.timers.late() {
            buffer.push(Source::Timer(clock));
        }
        // What is not about a descriptor does not take the room of one.
        let room = (room + buffer.len()).min(N);
        let mut table = self.table()?;
        for (entry, &item) in set.entries.iter().zip(&set.items).skip(1) {
            if entry.revents == 0 {
                continue;
            }
            if buffer.len() >= room {
                break;
            }
            let mask = Mask(u32::from(entry.revents as u16));
            if is_queue(entry.fd) {
                drop(table);
                let ready = is_ready_inside(entry.fd);
                table = self.table()?;
                if !ready {
                    continue;
                }
            }
            if table.take(entry.fd, item, mask) {
                let (place, epoch) = item;
                buffer.push(Source::Descriptor { place, fd: entry.fd, epoch, mask });
            }
        }
        drop(table);
        if called && buffer.len() == 0 && self.pipe.reasons() & CALLED != 0 {
            sys::nap(PAUSE);
        }
        Ok(())
    }

    /// There was a byte in the pipe. True: the queue is closed, nothing else matters.
    fn heed<const N: usize>(&self, buffer: &mut Buffer<N>) -> bool {
        if self.pipe.reasons() & DEAD != 0 {
            buffer.push(Source::Tombstone);
            return true;
        }
        let keep = if self.sleepers.are_awaited() { CALLED } else { 0 };
        if self.pipe.take((WOKEN | NOTICED | CALLED) & !keep) & WOKEN != 0 {
            buffer.push(Source::Wake);
        }
        false
    }

    pub(super) fn forget_place(&self, place: Place) -> Result<()> {
        self.table()?.forget_place(place);
        Ok(())
    }

    /// Sees to it that the queue wakes up at `deadline` or before.
    pub fn arm_timer(&self, _: u32, clock: Clock, deadline: u64) -> Result<()> {
        if self.timers.set(clock, deadline).is_some() {
            self.call();
        }
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
    /// them in (`signals::waiting`).
    pub fn set_signals(&self, _: u32, mask: u64) -> Result<()> {
        if self.signals.swap(mask, SeqCst) != mask {
            self.call();
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

    /// Is the number still this queue's pipe?
    pub fn is_still_open(&self, _: u32) -> bool {
        self.pipe.is_still_open()
    }

    /// Has the table an item for what the number is now?
    pub fn has_item(&self, place: Place, fd: i32) -> bool {
        self.table().is_ok_and(|mut table| {
            let same = |item: &mut Item| front::is_in_front() || identity(fd) == Some(item.identity);
            table.get(fd, place).is_some_and(same)
        })
    }

    /// Is the marker's number a duplicate of this queue's descriptor?
    pub fn is_duplicate(&self, marker: &Marker) -> bool {
        marker.0 == self.pipe.identity()
    }

    /// Gives the helper back to the system.
    pub fn close_helpers(&self, _: u32) {
        self.drop_writer();
    }

    fn drop_writer(&self) {
        self.pipe.close_writer();
        self.idle.store(false, SeqCst);
        self.timers.forget();
    }

    /// In the child of a fork: closes everything, the kqueue descriptor too.
    pub fn close_all(&self, slot: u32, _: bool) {
        self.close_helpers(slot);
        self.pipe.close_reader();
    }

    /// In a child that was left its parent's descriptors: the program is about to put another file on a helper's
    /// number.
    pub fn let_go(&self, fd: i32) {
        self.pipe.let_go(fd);
    }

    /// In such a child, when it takes the queue over.
    pub fn leave_signals(&self) {
        self.sleepers.forget();
        self.watched.store(false, SeqCst);
        self.pipe.part_from_parent();
    }

    /// The number has been closed.
    pub fn abandon(&self) {
        self.pipe.forget_reader();
        self.drop_writer();
    }

    /// The program is about to put another file on the helper's number: it moves.
    pub fn move_helper(&self, slot: u32, fd: i32) -> Result<()> {
        self.pipe.move_writer(slot, fd)
    }
}

/// What tells whether a number is a duplicate of a queue's: who it is.
pub struct Marker(u32);

impl Marker {
    /// `EBADF`: it is no kqueue at all.
    pub fn of(fd: i32) -> Result<Marker> {
        let to_read = sys::status_flags(fd).map_or(true, |flags| flags & libc::O_ACCMODE == libc::O_RDONLY);
        let marker = identity(fd).filter(|_| to_read && sys::is_queue(fd));
        marker.map(Marker).ok_or(Errno::EBADF)
    }
}
