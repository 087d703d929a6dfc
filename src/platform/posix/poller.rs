//! One kqueue's side of the system: a pipe, and a table of what is to be polled.
//!
//! The kqueue descriptor is the read end of the pipe. A byte lies in it while there is a *reason*: something became
//! ready in user space (`WOKEN`), a descriptor or timer did while nobody was in kevent() (`NOTICED`, found by the
//! last call on its way out or by the `watchman`), waiters have to look at the table anew (`CALLED`), the queue is
//! closed (`DEAD`). Who takes the byte out looks at the reasons afterwards and puts one back where some are left;
//! who adds a reason writes after that. So none is ever without a byte, and a byte without a reason is taken out by
//! the next kevent().
//!
//! Waiters poll what the table says without its lock. Who arms something while they sleep counts the version up and
//! calls them. All must come out for that, so the byte stays until nobody sleeps with an older version, which is
//! counted (`asleep`); a waiter that left by siglongjmp() stays counted, and is not waited for longer than a second.
//! close() calls them too, before the number is free: poll holds the open file.
//!
//! The table has a lock of its own, taken under the queue's or alone. All else is atomic, for handlers and fork.

use super::sys;
use super::table::{Item, Set, Table};
use super::{births, watchman};
use crate::errno::{Errno, Result};
use crate::platform::descriptors::{self, Owner};
use crate::platform::front;
use crate::platform::lock::{self, Guard, Mutex};
use crate::platform::unix::file_state::identity;
use crate::registry;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicU8, Ordering::*};
use libc::{POLLIN, POLLOUT, POLLPRI, POLLRDHUP};

pub use crate::platform::unix::events::{Arm, Clock, Mask, Place, Source, CLOCKS, PLACES};

impl Arm {
    pub(super) fn events(self) -> i16 {
        let ask = |arm, events| if self.contains(arm) { events } else { 0 };
        ask(Arm::IN, POLLIN | POLLRDHUP) | ask(Arm::OUT, POLLOUT) | ask(Arm::PRI, POLLPRI)
    }
}

#[derive(Clone, Copy)]
pub struct Event(Source);

impl Event {
    pub const SIGNALS: Event = Event(Source::Signals);

    #[inline]
    pub fn source(&self) -> Source {
        self.0
    }
}

/// Room for events; lives on the caller's stack, uninitialised.
pub struct Buffer<const N: usize>([MaybeUninit<Event>; N], usize);

impl<const N: usize> Buffer<N> {
    #[inline]
    pub fn new() -> Self {
        Buffer([const { MaybeUninit::uninit() }; N], 0)
    }

    fn clear(&mut self) {
        self.1 = 0;
    }

    fn push(&mut self, source: Source) {
        if let Some(place) = self.0.get_mut(self.1) {
            place.write(Event(source));
            self.1 += 1;
        }
    }

    fn all(&self) -> &[Event] {
        // SAFETY: `push` wrote the first `self.1` places, of N at most.
        unsafe { core::slice::from_raw_parts(self.0.as_ptr().cast(), self.1) }
    }
}

const WOKEN: u8 = 1;
const NOTICED: u8 = 2;
const CALLED: u8 = 4;
const DEAD: u8 = 8;

/// How many versions are told apart in counting who sleeps with which.
const VERSIONS: usize = 16;
/// How long sleepers of an older version are waited for, in nanoseconds.
const PATIENCE: u64 = 1_000_000_000;
const PAUSE: u64 = 50_000;
/// A timer of the wall clock may be due early, when that is set.
const STEP: u64 = 500_000_000;

/// The device that pipes are on; 0: not seen yet. (On no system it is 0.)
static PIPES: AtomicU64 = AtomicU64::new(0);

pub fn device_of_pipes() -> Option<libc::dev_t> {
    Some(PIPES.load(Relaxed)).filter(|&device| device != 0).map(|device| device as libc::dev_t)
}

pub struct Poller {
    /// The kqueue.
    reader: AtomicI32,
    writer: AtomicI32,
    /// Who the pipe is.
    identity: AtomicU32,
    reasons: AtomicU8,
    version: AtomicU32,
    asleep: [AtomicU32; VERSIONS],
    /// When sleepers were called.
    called: AtomicU64,
    /// The watchman polls what the table said a moment ago.
    pub(super) watched: AtomicBool,
    /// He is to.
    pub(super) idle: AtomicBool,
    /// The expiry of the earliest timer of each clock; `u64::MAX`: none.
    due: [AtomicU64; 2],
    /// The signals that an enabled knote is for.
    signals: AtomicU64,
    table: Mutex<Table>,
    post: watchman::Post,
}

/// Counts a thread that sleeps, however it leaves.
struct Asleep<'a>(&'a AtomicU32);

impl<'a> Asleep<'a> {
    fn begin(count: &'a AtomicU32) -> Asleep<'a> {
        count.fetch_add(1, SeqCst);
        Asleep(count)
    }
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        // It may have been given up.
        let _ = self.0.fetch_update(SeqCst, SeqCst, |count| count.checked_sub(1));
    }
}

impl Poller {
    pub const fn new() -> Poller {
        Poller {
            reader: AtomicI32::new(-1),
            writer: AtomicI32::new(-1),
            identity: AtomicU32::new(0),
            reasons: AtomicU8::new(0),
            version: AtomicU32::new(0),
            asleep: [const { AtomicU32::new(0) }; VERSIONS],
            called: AtomicU64::new(0),
            watched: AtomicBool::new(false),
            idle: AtomicBool::new(false),
            due: [const { AtomicU64::new(u64::MAX) }; 2],
            signals: AtomicU64::new(0),
            table: Mutex::new(Table::new()),
            post: watchman::Post::new(),
        }
    }

    /// Makes the kqueue descriptor. `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn open(&self, slot: u32) -> Result<i32> {
        *self.table()? = Table::new();
        self.reasons.store(0, SeqCst);
        self.signals.store(0, SeqCst);
        self.idle.store(false, SeqCst);
        let reader = self.make_pipe()?;
        descriptors::note_helper(self.writer.load(SeqCst), slot);
        Ok(reader)
    }

    fn make_pipe(&self) -> Result<i32> {
        let made = births::birth(&self.reader, || {
            let (reader, writer) = sys::pipe()?;
            let writer = sys::move_up(writer, sys::least_helper()).inspect_err(|_| sys::close_raw(reader))?;
            self.writer.store(writer, SeqCst);
            Ok(reader)
        });
        let reader = made.inspect_err(|_| {
            let writer = self.writer.swap(-1, SeqCst);
            if writer >= 0 {
                sys::close_raw(writer);
            }
        })?;
        if let Ok(stat) = sys::stat(reader) {
            #[allow(clippy::unnecessary_cast)]
            PIPES.store(stat.st_dev as u64, Relaxed);
        }
        self.identity.store(identity(reader).unwrap_or(0), SeqCst);
        Ok(reader)
    }

    /// The number that the queue was born with.
    #[inline]
    pub fn descriptor(&self) -> i32 {
        self.reader.load(Relaxed)
    }

    /// `EDEADLK`: the caller is a signal handler that interrupted this thread in here.
    pub(super) fn table(&self) -> Result<Guard<'_, Table>> {
        lock::lock(&self.table)
    }

    /// Is the number still an end of the pipe? Who is in front is told of everything.
    fn is_pipe(&self, fd: i32) -> bool {
        fd >= 0 && (front::is_in_front() || identity(fd) == Some(self.identity.load(SeqCst)))
    }

    /// The pipe is there from birth.
    pub fn prepare_wake(&self, _: u32) -> Result<()> {
        Ok(())
    }

    /// In the child of a fork, before the queues are seen to.
    pub fn child() {
        watchman::child();
    }

    /// Makes the descriptor readable, for one reason more.
    fn give_reason(&self, reason: u8) {
        let before = self.reasons.fetch_or(reason, SeqCst);
        let writer = self.writer.load(SeqCst);
        if before == 0 && self.is_pipe(writer) {
            sys::write_byte(writer);
        }
    }

    /// Takes reasons back, and the byte with the last one. Returns those that there were.
    fn take_reasons(&self, reasons: u8) -> u8 {
        let before = self.reasons.fetch_and(!reasons, SeqCst);
        let (reader, writer) = (self.descriptor(), self.writer.load(SeqCst));
        if self.is_pipe(reader) {
            sys::drain(reader);
        }
        if self.reasons.load(SeqCst) != 0 && self.is_pipe(writer) {
            sys::write_byte(writer);
        }
        before & reasons
    }

    /// Makes the descriptor readable until a waiter takes it, and wakes one.
    pub fn wake(&self, _: u32) {
        self.give_reason(WOKEN);
    }

    pub fn wake_from_handler(&self) {
        self.give_reason(WOKEN);
    }

    /// Takes back a wake-up that no waiter has taken.
    pub fn unwake(&self) {
        self.take_reasons(WOKEN);
    }

    /// Makes the descriptor readable for ever: every waiter comes out. False: it cannot be.
    pub fn release_waiters(&self) -> bool {
        self.reasons.fetch_or(DEAD, SeqCst);
        let writer = self.writer.load(SeqCst);
        let ours = self.is_pipe(writer);
        if ours {
            sys::write_byte(writer);
        }
        ours
    }

    /// Something is armed that sleepers do not know of, or about to be closed. Takes no lock.
    fn call(&self) {
        let version = self.version.fetch_add(1, SeqCst);
        if self.old_sleepers(version.wrapping_add(1)) > 0 {
            self.called.store(Clock::Monotonic.now(), SeqCst);
            self.give_reason(CALLED);
        }
    }

    fn old_sleepers(&self, version: u32) -> u32 {
        let of_now = version as usize % VERSIONS;
        let old = self.asleep.iter().enumerate().filter(|&(of, _)| of != of_now);
        old.map(|(_, count)| count.load(SeqCst)).sum()
    }

    /// The byte was found by a waiter that knows the newest version. Are others still to come out for it?
    fn is_still_called(&self) -> bool {
        let version = self.version.load(SeqCst);
        if self.old_sleepers(version) == 0 {
            return false;
        }
        let patient = Clock::Monotonic.now().saturating_sub(self.called.load(SeqCst)) < PATIENCE;
        if !patient {
            for (of, count) in self.asleep.iter().enumerate() {
                if of != version as usize % VERSIONS {
                    count.store(0, SeqCst);
                }
            }
        }
        patient
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
        let identity = crate::platform::unix::file_state::identity_of(&stat);
        if armed.contains(Arm::PRESENT) {
            let same = table.get(fd, place).is_some_and(|item| item.identity == identity);
            if !same {
                table.take_out(fd, place);
                return Err(Errno::ENOENT);
            }
        } else {
            match stat.st_mode & libc::S_IFMT {
                libc::S_IFREG | libc::S_IFDIR | libc::S_IFBLK => return Err(Errno::EPERM),
                libc::S_IFIFO if identity == self.identity.load(SeqCst) => return Err(Errno::EINVAL),
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
            self.give_reason(CALLED);
        }
        if !interrupted {
            sys::wait_a_moment(2, || self.old_sleepers(self.version.load(SeqCst)) == 0 && !self.watched.load(SeqCst));
        }
        if watched && !self.is_still_called() {
            self.take_reasons(CALLED);
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
        let version = self.version.load(SeqCst);
        let mut table = self.table()?;
        let mut set = table.take_spare();
        set.reserve(1)?;
        set.push(self.descriptor(), POLLIN, (Place::MAIN, 0));
        let spent = table.fill(&mut set)?;
        drop(table);
        let patience = if first.is_some() { Some(0) } else { self.patience(timeout, spent) };
        // Only poll() itself is a cancellation point.
        let wait = |set: &mut Set, time: Option<u64>| {
            if let Some(cancellation) = cancellation {
                cancellation.release();
            }
            let polled = sys::wait(&mut set.entries, &time.map(sys::timespec_of), mask);
            if let Some(cancellation) = cancellation {
                cancellation.hold();
            }
            polled
        };
        let polled = if patience == Some(0) {
            wait(&mut set, Some(0))
        } else {
            let _asleep = Asleep::begin(&self.asleep[version as usize % VERSIONS]);
            if self.version.load(SeqCst) != version {
                return Ok(&[]);
            }
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
    fn patience(&self, timeout: &sys::Timeout, spent: Option<u64>) -> Option<u64> {
        let mut patience = timeout.map(|time| time.tv_sec as u64 * sys::NANOSECONDS + time.tv_nsec as u64);
        if patience == Some(0) {
            return patience;
        }
        let mut no_longer = |time: u64| patience = Some(patience.map_or(time, |before| before.min(time)));
        if let Some(tick) = spent {
            no_longer(tick);
        }
        for clock in CLOCKS {
            let due = self.due[clock as usize].load(SeqCst);
            if due != u64::MAX {
                let time = due.saturating_sub(clock.now());
                no_longer(if clock == Clock::Wall { time.min(STEP) } else { time });
            }
        }
        patience
    }

    /// What a poll found becomes events.
    fn tell<const N: usize>(&self, set: &Set, buffer: &mut Buffer<N>, room: usize) -> Result<()> {
        let called = set.entries.first().is_some_and(|entry| entry.revents != 0);
        if called && self.heed(buffer) {
            return Ok(());
        }
        if let Some(clock) = self.late_timer() {
            buffer.push(Source::Timer(clock));
        }
        // What is not about a descriptor does not take the room of one.
        let room = (room + buffer.1).min(N);
        let mut table = self.table()?;
        for (entry, &item) in set.entries.iter().zip(&set.items).skip(1) {
            if entry.revents == 0 {
                continue;
            }
            if buffer.1 >= room {
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
        if called && buffer.1 == 0 && self.reasons.load(SeqCst) & CALLED != 0 {
            sys::nap(PAUSE);
        }
        Ok(())
    }

    /// There was a byte in the pipe. True: the queue is closed, nothing else matters.
    fn heed<const N: usize>(&self, buffer: &mut Buffer<N>) -> bool {
        if self.reasons.load(SeqCst) & DEAD != 0 {
            buffer.push(Source::Tombstone);
            return true;
        }
        let keep = if self.is_still_called() { CALLED } else { 0 };
        if self.take_reasons((WOKEN | NOTICED | CALLED) & !keep) & WOKEN != 0 {
            buffer.push(Source::Wake);
        }
        false
    }

    /// The call is over. While nobody is in the next one, what becomes ready has to make the descriptor readable.
    pub fn rest(&'static self, slot: u32, visited: impl Fn() -> bool) {
        let Ok(mut table) = self.table() else { return };
        let due = self.due.iter().any(|due| due.load(SeqCst) != u64::MAX) || self.signals.load(SeqCst) != 0;
        if (table.is_empty() && !due) || self.reasons.load(SeqCst) & (WOKEN | DEAD) != 0 {
            return;
        }
        let mut set = table.take_spare();
        let mut ready = false;
        if table.fill(&mut set).is_ok() && !set.entries.is_empty() {
            ready = sys::wait(&mut set.entries, &Some(sys::timespec_of(0)), None).is_ok_and(|n| n > 0);
        }
        table.give_back(set);
        drop(table);
        if !visited() {
            if ready || self.late_timer().is_some() || self.has_signals() {
                return self.give_reason(NOTICED);
            }
            if self.reasons.load(SeqCst) & NOTICED != 0 {
                self.take_reasons(NOTICED);
            }
        }
        self.idle.store(true, SeqCst);
        watchman::attend(self, &self.post, slot);
    }

    /// The watchman has found something ready.
    pub(super) fn notice(&self) {
        self.idle.store(false, SeqCst);
        self.give_reason(NOTICED);
    }

    /// What the watchman is to poll, the pipe among it, and when he is to look by the clock, in nanoseconds from now.
    /// `None`: there is nothing to watch for.
    pub(super) fn show(&self, set: &mut Set) -> Result<Option<Option<u64>>> {
        if self.reasons.load(SeqCst) != 0 {
            return Ok(None);
        }
        // Before the table is looked at: a close that begins later waits until he comes out.
        self.watched.store(true, SeqCst);
        let mut table = self.table()?;
        set.reserve(1)?;
        set.push(self.descriptor(), POLLIN, (Place::MAIN, 0));
        let spent = table.fill(set)?;
        drop(table);
        Ok(Some(self.patience(&None, spent)))
    }

    /// Is a signal pending that a knote is for, and that the program blocks? Where the watchman asks, one that was
    /// sent to the process.
    pub(super) fn has_signals(&self) -> bool {
        let signals = self.signals.load(SeqCst);
        signals != 0 && signals & super::signals::pending() != 0
    }

    /// Has something been found, perhaps by another?
    pub(super) fn is_readable(&self) -> bool {
        self.reasons.load(SeqCst) & !CALLED != 0
    }

    /// The queue's descriptor polls readable. Is it so, or was what made it so seen to meanwhile, with nobody to take
    /// it back?
    pub(super) fn is_really_ready(&self) -> bool {
        if self.reasons.load(SeqCst) & !NOTICED != 0 || self.is_ready_now() {
            return true;
        }
        self.take_reasons(NOTICED);
        self.idle.store(true, SeqCst);
        self.reasons.load(SeqCst) != 0
    }

    /// Has a descriptor, a timer or a blocked signal something to tell?
    pub(super) fn is_ready_now(&self) -> bool {
        if self.late_timer().is_some() || self.has_signals() {
            return true;
        }
        let Some(mut table) = self.table.try_lock() else { return true };
        let mut set = Set::new();
        if table.fill(&mut set).is_err() {
            return true;
        }
        drop(table);
        let polled = sys::wait(&mut set.entries, &Some(sys::timespec_of(0)), None);
        let ready = |entry: &libc::pollfd| entry.revents != 0 && is_ready_inside(entry.fd);
        polled.is_err() || set.entries.iter().any(ready)
    }

    #[inline]
    pub fn has_sides(&self) -> bool {
        false
    }

    pub fn has_lost(&self, _: Place) -> bool {
        false
    }

    pub fn side_events<'a, const N: usize>(&self, _: Place, _: &'a mut Buffer<N>, _: usize) -> &'a [Event] {
        &[]
    }

    pub fn prepare_timer(&self, _: u32, _: Clock) -> Result<()> {
        Ok(())
    }

    /// Sees to it that the queue wakes up at `deadline` or before.
    pub fn arm_timer(&self, _: u32, clock: Clock, deadline: u64) -> Result<()> {
        let deadline = deadline.min(u64::MAX - 1);
        if self.due[clock as usize].fetch_min(deadline, SeqCst) > deadline {
            self.call();
        }
        Ok(())
    }

    /// Is a timer due that nobody has seen to?
    #[inline]
    pub fn late_timer(&self) -> Option<Clock> {
        CLOCKS.into_iter().find(|&clock| {
            let due = self.due[clock as usize].load(SeqCst);
            due != u64::MAX && due <= clock.now()
        })
    }

    /// What is due has been taken out and the clock can be set anew.
    pub fn timer_fired(&self, clock: Clock) {
        self.due[clock as usize].store(u64::MAX, SeqCst);
    }

    /// The signals that an enabled knote is for. One that is pending is found by the next call; who sleeps lets
    /// them in (`signals::waiting`).
    pub fn set_signals(&self, _: u32, mask: u64) -> Result<()> {
        if self.signals.swap(mask, SeqCst) != mask {
            self.call();
        }
        Ok(())
    }

    /// Is nobody in the middle of a change, as far as that can be told in the child of a fork?
    pub fn is_whole(&self) -> bool {
        !self.table.is_locked()
    }

    /// Is the number still this queue's pipe?
    pub fn is_still_open(&self, _: u32) -> bool {
        identity(self.descriptor()) == Some(self.identity.load(SeqCst))
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
        marker.0 == self.identity.load(SeqCst)
    }

    /// Gives the helper back to the system.
    pub fn close_helpers(&self, _: u32) {
        self.drop_writer();
    }

    fn drop_writer(&self) {
        let _hold = births::hold();
        let writer = self.writer.swap(-1, SeqCst);
        if writer >= 0 {
            if self.is_pipe(writer) {
                sys::close_raw(writer);
            }
            descriptors::disown(writer);
        }
        self.idle.store(false, SeqCst);
        for due in &self.due {
            due.store(u64::MAX, Relaxed);
        }
    }

    /// In the child of a fork: closes everything, the kqueue descriptor too.
    pub fn close_all(&self, slot: u32, _: bool) {
        self.close_helpers(slot);
        let reader = self.reader.swap(-1, SeqCst);
        if self.is_pipe(reader) {
            sys::close_raw(reader);
        }
    }

    /// In a child that was left its parent's descriptors: the program is about to put another file on a helper's
    /// number.
    pub fn let_go(&self, fd: i32) {
        let _ = self.writer.compare_exchange(fd, -1, SeqCst, SeqCst);
        descriptors::disown(fd);
    }

    /// In such a child, when it takes the queue over: the pipe is the parent's, too, so it gets one of its own.
    pub fn leave_signals(&self) {
        let (number, writer) = (self.descriptor(), self.writer.load(SeqCst));
        for asleep in &self.asleep {
            asleep.store(0, SeqCst);
        }
        self.watched.store(false, SeqCst);
        if self.make_pipe().is_err() {
            self.reader.store(number, SeqCst);
            self.writer.store(writer, SeqCst);
            return;
        }
        let made = self.reader.swap(number, SeqCst);
        let _ = sys::put_on_number(made, number);
        sys::close_raw(made);
        if writer >= 0 {
            descriptors::disown(writer);
            sys::close_raw(writer);
        }
        let reasons = self.reasons.swap(0, SeqCst);
        self.give_reason(reasons);
    }

    /// The number has been closed.
    pub fn abandon(&self) {
        self.reader.store(-1, SeqCst);
        self.drop_writer();
    }

    /// The program is about to put another file on the helper's number: it moves.
    pub fn move_helper(&self, slot: u32, fd: i32) -> Result<()> {
        if self.writer.load(SeqCst) == fd {
            let moved = births::birth(&self.writer, || sys::duplicate_up(fd, sys::least_helper()))?;
            descriptors::note_helper(moved, slot);
            descriptors::disown(fd);
        }
        Ok(())
    }
}

fn is_queue(fd: i32) -> bool {
    matches!(descriptors::owner(fd), Owner::Queue { .. } | Owner::Duplicate { .. })
}

/// Where it is a queue: has it something to report?
fn is_ready_inside(fd: i32) -> bool {
    match descriptors::owner(fd) {
        Owner::Queue { slot, .. } | Owner::Duplicate { slot, .. } => {
            registry::kernel(slot).is_none_or(Poller::is_really_ready)
        }
        _ => true,
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
