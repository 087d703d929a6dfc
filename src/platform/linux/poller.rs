//! One kqueue's side of the kernel: an epoll instance and the descriptors that help it.
//!
//! The kqueue descriptor *is* the epoll descriptor, so it can be polled, selected and nested. What becomes
//! ready in user space makes it readable through `wake`, an eventfd that is always readable and
//! edge-triggered: an EPOLL_CTL_MOD of it reports once more. Unlike a write, that can never end up in a file of
//! the program's that took the number over; the kernel answers ENOENT instead and a new one is made.
//!
//! An epoll item has one mode for all its events. Where the knotes of a descriptor want different ones, the
//! second lives in `side`, an epoll nested in the first.
//!
//! All fields are atomics: the fork handler and close() read them without the queue's lock. Writing them, but
//! for the birth of the queue, is done under it.

use super::files::{self, FileEvent, Watched, Whose};
use super::{births, sys};
use crate::errno::{Errno, Result};
use crate::platform::descriptors::{self, Owner};
use crate::platform::front;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering::*};
use libc::{
    epoll_event, EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT, EPOLLPRI, EPOLLRDHUP, EPOLL_CTL_ADD, EPOLL_CTL_DEL,
    EPOLL_CTL_MOD,
};

pub use crate::platform::unix::events::{Arm, Clock, Mask, Place, Source, CLOCKS, PLACES};

impl Arm {
    pub(super) fn events(self) -> u32 {
        let mut events = 0;
        if self.contains(Arm::IN) {
            events |= (EPOLLIN | EPOLLRDHUP) as u32;
        }
        if self.contains(Arm::OUT) {
            events |= EPOLLOUT as u32;
        }
        if self.contains(Arm::PRI) {
            events |= EPOLLPRI as u32;
        }
        if self.contains(Arm::EDGE) {
            events |= EPOLLET as u32;
        }
        // An empty mask still reports ERR and HUP, for ever; ONESHOT holds it to once.
        if self.contains(Arm::ONCE) || events & (EPOLLIN | EPOLLOUT | EPOLLPRI) as u32 == 0 {
            events |= EPOLLONESHOT as u32;
        }
        events
    }
}

impl Place {
    /// Which of the nested epolls; none: the queue's own.
    pub(super) fn side(self) -> Option<usize> {
        usize::from(self.0).checked_sub(1)
    }
}

/// Keys of the helpers' items: no descriptor has such a number.
const TAG: u32 = 1 << 31;
const WAKE: u64 = (TAG | 1) as u64;
const SIDE: u64 = (TAG | 16) as u64;
const TIMERS: u64 = (TAG | 4) as u64;
const FILES: u64 = (TAG | 8) as u64;
const SIGNALS: u64 = (TAG | 9) as u64;
pub(super) const TOMBSTONE: u64 = (TAG | 10) as u64;
pub(super) const CONNECTOR: u64 = (TAG | 11) as u64;
/// The low half of a pidfd's key; the high one is the index of its process.
pub(super) const PROCESS: u32 = TAG | 12;

/// In the epoll, and reports nothing.
pub(super) const SILENT: i32 = EPOLLET;

#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Event(epoll_event);

impl Event {
    #[inline]
    pub fn source(&self) -> Source {
        let (key, mask) = (self.0.u64, Mask(self.0.events));
        match key {
            WAKE => Source::Wake,
            FILES => Source::Files,
            SIGNALS => Source::Signals,
            TOMBSTONE => Source::Tombstone,
            CONNECTOR => Source::Connector,
            key if key as u32 == PROCESS => Source::Process((key >> 32) as u32),
            key if key & !3 == SIDE => Source::Side(Place((key & 3) as u8)),
            key if key & !1 == TIMERS => Source::Timer(CLOCKS[(key & 1) as usize]),
            key => {
                let (fd, epoch) = (key as u32 as i32, (key >> 32) as u32);
                // Of a nested one its reader knows which.
                Source::Descriptor { place: Place::MAIN, fd, epoch, mask }
            }
        }
    }
}

/// Room for events; lives on the caller's stack, uninitialised.
pub struct Buffer<const N: usize>([MaybeUninit<epoll_event>; N]);

impl<const N: usize> Buffer<N> {
    #[inline]
    pub fn new() -> Self {
        Buffer([const { MaybeUninit::uninit() }; N])
    }

    /// The events of the latest wait, which had `ready` of them.
    ///
    /// # Safety
    /// It had that many.
    pub unsafe fn events(&self, ready: usize) -> &[Event] {
        // SAFETY: the kernel wrote the first `ready` entries; Event is a transparent wrapper of epoll_event.
        unsafe { core::slice::from_raw_parts(self.0.as_ptr().cast(), ready.min(N)) }
    }
}

pub struct Poller {
    epoll: AtomicI32,
    pub(super) wake: AtomicI32,
    pub(super) sides: [AtomicI32; PLACES - 1],
    inotify: AtomicI32,
    signals: AtomicI32,
    pub(super) connector: AtomicI32,
    timers: [AtomicI32; 2],
    /// The highest descriptor that a pidfd of the queue ever had; -1: there was none.
    pub(super) last_process: AtomicI32,
    /// The descriptor whose item is just being added; -1: none.
    adding: AtomicI32,
    /// The expiry that each timerfd is set to; `u64::MAX`: none.
    due: [AtomicU64; 2],
}

impl Poller {
    pub const fn new() -> Poller {
        Poller {
            epoll: AtomicI32::new(-1),
            wake: AtomicI32::new(-1),
            sides: [const { AtomicI32::new(-1) }; PLACES - 1],
            inotify: AtomicI32::new(-1),
            signals: AtomicI32::new(-1),
            connector: AtomicI32::new(-1),
            last_process: AtomicI32::new(-1),
            timers: [const { AtomicI32::new(-1) }; 2],
            adding: AtomicI32::new(-1),
            due: [const { AtomicU64::new(u64::MAX) }; 2],
        }
    }

    /// Makes the kqueue descriptor. `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn open(&self, _: u32) -> Result<i32> {
        births::birth(&self.epoll, || sys::epoll_create().map(sys::own))
    }

    /// A call is over: the epoll makes itself readable.
    #[inline]
    pub fn rest(&'static self, _: u32, _: impl Fn() -> bool) {}

    /// There is no lock beside the queue's.
    #[inline]
    pub fn is_locked(&self) -> bool {
        false
    }

    #[inline]
    pub fn lock_is_mine(&self) -> bool {
        false
    }

    /// Is nobody in the middle of a change? The kernel's side always is whole.
    pub fn is_whole(&self) -> bool {
        true
    }

    /// In the child of a fork there is nothing to see to but the queues.
    pub fn child() {}

    /// The number that the queue was born with.
    #[inline]
    pub fn descriptor(&self) -> i32 {
        self.epoll.load(Relaxed)
    }

    /// The helpers, with what their items are armed for and their keys.
    pub(super) fn helpers(&self) -> [(&AtomicI32, i32, u64); 9] {
        [
            (&self.wake, EPOLLIN | EPOLLET, WAKE),
            (&self.sides[0], EPOLLIN, SIDE | 1),
            (&self.sides[1], EPOLLIN, SIDE | 2),
            (&self.sides[2], EPOLLIN, SIDE | 3),
            (&self.inotify, EPOLLIN, FILES),
            (&self.signals, EPOLLIN, SIGNALS),
            (&self.connector, EPOLLIN, CONNECTOR),
            (&self.timers[0], EPOLLIN | EPOLLET, TIMERS),
            (&self.timers[1], EPOLLIN | EPOLLET, TIMERS | 1),
        ]
    }

    /// Makes a helper where there is none and puts it into the epoll.
    pub(super) fn helper(
        &self,
        place: &AtomicI32,
        slot: u32,
        events: i32,
        key: u64,
        make: impl FnOnce() -> Result<i32>,
    ) -> Result<i32> {
        // Until the item is there, too: who finds the one without the other takes the number for closed.
        let _hold = births::hold();
        let fd = births::birth(place, || sys::move_up(sys::own(make()?), sys::least_helper()))?;
        self.is_new(fd, Some(place));
        match sys::epoll_ctl(self.descriptor(), EPOLL_CTL_ADD, fd, events as u32, key) {
            Ok(()) => {
                descriptors::note_helper(fd, slot);
                Ok(fd)
            }
            Err(errno) => {
                place.store(-1, SeqCst);
                close_helper(fd, slot, key);
                Err(errno)
            }
        }
    }

    /// The number has just been given to us: a helper that seems to have it was closed without our notice.
    pub(super) fn is_new(&self, fd: i32, owner: Option<&AtomicI32>) {
        if !front::is_in_front() {
            for (place, ..) in self.helpers() {
                if owner.is_none_or(|owner| !core::ptr::eq(owner, place)) {
                    let _ = place.compare_exchange(fd, -1, SeqCst, SeqCst);
                }
            }
        }
    }

    /// A helper that exists and still is what it was: else the program closed the number, or put something
    /// else there, and a new one has to be made. The check is an EPOLL_CTL_MOD.
    fn still_ours(&self, place: &AtomicI32, events: i32, key: u64) -> bool {
        let fd = place.load(Relaxed);
        if fd < 0 {
            return false;
        }
        let ours = set_item(self.descriptor(), fd, events as u32, key) != Ok(false);
        if !ours {
            place.store(-1, SeqCst);
            descriptors::disown(fd);
        }
        ours
    }

    /// In verify mode: has the program taken that helper away? Then a new one is made where it is needed.
    fn is_lost(&self, place: &AtomicI32, events: i32, key: u64) -> bool {
        !front::is_in_front() && place.load(Relaxed) >= 0 && !self.still_ours(place, events, key)
    }

    /// Has it taken the nested epoll away, and its items with it?
    pub fn has_lost(&self, place: Place) -> bool {
        place.side().is_some_and(|side| self.is_lost(&self.sides[side], EPOLLIN, Poller::side_key(place)))
    }

    /// The eventfd exists from here on, so that `wake` needs no descriptor.
    pub fn prepare_wake(&self, slot: u32) -> Result<()> {
        if self.wake.load(Relaxed) < 0 {
            self.helper(&self.wake, slot, SILENT, WAKE, sys::eventfd_ready)?;
        }
        Ok(())
    }

    /// Makes the descriptor readable until a waiter takes it, and wakes one.
    pub fn wake(&self, slot: u32) {
        if !self.report_wake(EPOLLIN | EPOLLET, WAKE) {
            let _hold = births::hold();
            let refused = self.wake.swap(-1, SeqCst);
            if refused >= 0 {
                close_helper(refused, slot, WAKE);
            }
            // Out of descriptors: what is ready is found by the next kevent().
            let _ = self.helper(&self.wake, slot, EPOLLIN | EPOLLET, WAKE, sys::eventfd_ready);
        }
    }

    /// As `wake`, for a signal handler: only with the helper that there is.
    pub fn wake_from_handler(&self) {
        let errno = sys::last_errno();
        self.report_wake(EPOLLIN | EPOLLET, WAKE);
        sys::set_errno(errno);
    }

    /// Takes back a wake-up that no waiter has taken. Where nobody touches the helper's number behind our back
    /// its item is taken out, so that the next wake-up is an edge for who watches the kqueue, too.
    pub fn unwake(&self) {
        let (epoll, wake) = (self.descriptor(), self.wake.load(Relaxed));
        let _ = if front::is_in_front() {
            sys::epoll_ctl(epoll, EPOLL_CTL_DEL, wake, 0, 0)
        } else {
            sys::epoll_ctl(epoll, EPOLL_CTL_MOD, wake, SILENT as u32, WAKE)
        };
    }

    /// Makes the item of the eventfd report, wherever `unwake` in another thread has left it. False: there is no
    /// such helper, or, in verify mode, the number is something else by now.
    fn report_wake(&self, events: i32, key: u64) -> bool {
        let epoll = self.epoll.load(SeqCst);
        for _ in 0..4 {
            // It may be moving out of the way of a dup2().
            let wake = self.wake.load(SeqCst);
            if wake < 0 {
                return false;
            }
            match sys::epoll_ctl(epoll, EPOLL_CTL_MOD, wake, events as u32, key) {
                Ok(()) => return true,
                Err(Errno::ENOENT) if front::is_in_front() => {}
                Err(_) => return false,
            }
            if sys::epoll_ctl(epoll, EPOLL_CTL_ADD, wake, events as u32, key).is_ok() {
                return true;
            }
        }
        true
    }

    /// Makes the descriptor readable for ever: every waiter comes out. False: no descriptor left to do it with.
    pub fn release_waiters(&self) -> bool {
        if self.report_wake(EPOLLIN, TOMBSTONE) {
            return true;
        }
        let made = births::birth(&self.wake, || sys::eventfd_ready().map(sys::own));
        made.is_ok_and(|fd| sys::epoll_ctl(self.descriptor(), EPOLL_CTL_ADD, fd, EPOLLIN as u32, TOMBSTONE).is_ok())
    }

    #[inline]
    pub(super) fn epoll_of(&self, place: Place) -> i32 {
        match place.side() {
            None => self.epoll.load(Relaxed),
            Some(side) => self.sides[side].load(Relaxed),
        }
    }

    /// What the item of a nested epoll carries.
    pub(super) fn side_key(place: Place) -> u64 {
        SIDE | u64::from(place.0)
    }

    /// What an item of a descriptor's carries.
    pub(super) fn key(fd: i32, epoch: u32) -> u64 {
        (u64::from(epoch) << 32) | u64::from(fd as u32)
    }

    /// Makes the kernel's item for `fd` what it should be: adds, changes or removes it.
    pub fn arm(&self, slot: u32, place: Place, fd: i32, epoch: u32, armed: Arm, wanted: Arm) -> Result<()> {
        if let Some(side) = place.side().filter(|&side| self.sides[side].load(Relaxed) < 0) {
            if !wanted.contains(Arm::PRESENT) {
                return Ok(());
            }
            self.helper(&self.sides[side], slot, EPOLLIN, Poller::side_key(place), sys::epoll_create)?;
        }
        let epoll = self.epoll_of(place);
        let key = Poller::key(fd, epoch);
        match (armed.contains(Arm::PRESENT), wanted.contains(Arm::PRESENT)) {
            (false, false) => Ok(()),
            (false, true) => match sys::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, wanted.events(), key) {
                // Left behind by a knote whose descriptor was closed behind our back and came back.
                Err(Errno(libc::EEXIST)) => sys::epoll_ctl(epoll, EPOLL_CTL_MOD, fd, wanted.events(), key),
                other => other,
            },
            (true, true) => sys::epoll_ctl(epoll, EPOLL_CTL_MOD, fd, wanted.events(), key),
            (true, false) => sys::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, 0, key),
        }
    }

    /// The item of `fd` is being added, by `add`: a close of the number that begins meanwhile waits for it.
    pub fn adding<T>(&self, fd: i32, add: impl FnOnce() -> T) -> T {
        self.adding.store(fd, SeqCst);
        let added = add();
        self.adding.store(-1, SeqCst);
        added
    }

    /// `fd` is about to be closed: its items go, whoever else holds the file open. Takes no lock; waits a moment for
    /// a thread that just adds one, unless it is the calling one, which this handler has `interrupted`.
    pub fn forget(&self, fd: i32, interrupted: bool) {
        if !interrupted {
            sys::wait_a_moment(100, || self.adding.load(SeqCst) != fd);
        }
        for epoll in core::iter::once(&self.epoll).chain(&self.sides) {
            let epoll = epoll.load(SeqCst);
            if epoll >= 0 {
                let _ = sys::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, 0, 0);
            }
        }
    }

    /// Waits for events. With `cancellation` it is a cancellation point, and cancellation is not held back afterwards.
    #[inline]
    pub fn wait<'a, const N: usize>(
        &self,
        buffer: &'a mut Buffer<N>,
        room: usize,
        timeout: &sys::Timeout,
        mask: Option<&libc::sigset_t>,
        cancellation: Option<&sys::Cancellation>,
    ) -> Result<&'a [Event]> {
        let room = room.clamp(1, N);
        if let Some(cancellation) = cancellation {
            cancellation.release();
        }
        sys::epoll_wait(self.descriptor(), &mut buffer.0[..room], timeout, mask).map(events)
    }

    /// Are there nested epolls?
    #[inline]
    pub fn has_sides(&self) -> bool {
        // They are made in order.
        self.sides[0].load(Relaxed) >= 0
    }

    /// What a nested epoll has.
    pub fn side_events<'a, const N: usize>(&self, place: Place, buffer: &'a mut Buffer<N>, room: usize) -> &'a [Event] {
        let side = self.epoll_of(place);
        if side < 0 {
            return &[];
        }
        let now = Some(libc::timespec { tv_sec: 0, tv_nsec: 0 });
        let room = room.clamp(1, N);
        sys::epoll_wait(side, &mut buffer.0[..room], &now, None).map_or(&[], events)
    }

    /// The clock of a timer exists from here on.
    pub fn prepare_timer(&self, slot: u32, clock: Clock) -> Result<()> {
        let place = &self.timers[clock as usize];
        if place.load(Relaxed) < 0 {
            self.due[clock as usize].store(u64::MAX, Relaxed);
            let key = TIMERS | clock as u64;
            self.helper(place, slot, EPOLLIN | EPOLLET, key, || sys::timerfd(clock.id()))?;
        }
        Ok(())
    }

    /// Sees to it that the queue wakes up at `deadline` or before; the timerfd is only ever moved earlier.
    /// In verify mode the program may have put something else on its number, so the kernel is asked first.
    pub fn arm_timer(&self, slot: u32, clock: Clock, deadline: u64) -> Result<()> {
        let due = &self.due[clock as usize];
        let place = &self.timers[clock as usize];
        let key = TIMERS | clock as u64;
        // Before what is due is believed: on a number that was taken away nothing ever is.
        if self.is_lost(place, EPOLLIN | EPOLLET, key) {
            self.prepare_timer(slot, clock)?;
        }
        if deadline >= due.load(Relaxed) {
            return Ok(());
        }
        // A longer timer is set to the end of what the kernel takes: nobody lives to see it.
        let deadline = deadline.min(i64::MAX as u64);
        loop {
            let timer = place.load(SeqCst);
            match sys::timerfd_set(timer, deadline) {
                Ok(()) => break,
                // It has just moved out of the way of a dup2().
                Err(_) if place.load(SeqCst) != timer => {}
                Err(errno) => return Err(errno),
            }
        }
        due.store(deadline, Relaxed);
        Ok(())
    }

    /// Has a timerfd fired that nobody has seen to? Who took its event may never come back: it left a wait by
    /// siglongjmp(), or stands below the handler that asks.
    #[inline]
    pub fn late_timer(&self) -> Option<Clock> {
        CLOCKS.into_iter().find(|&clock| {
            let due = self.due[clock as usize].load(Relaxed);
            due != u64::MAX && due <= clock.now()
        })
    }

    /// The timerfd has fired; what is due has been taken out and it can be set anew.
    pub fn timer_fired(&self, clock: Clock) {
        self.due[clock as usize].store(u64::MAX, Relaxed);
    }

    /// Watches the file under `fd`; `exactly`: for no more than `what`. Returns the watch.
    pub fn watch_file(&self, slot: u32, fd: i32, whose: Whose, what: Watched, exactly: bool) -> Result<i32> {
        if self.inotify.load(Relaxed) < 0 {
            self.helper(&self.inotify, slot, EPOLLIN, FILES, files::inotify)?;
        }
        files::watch(self.inotify.load(Relaxed), fd, whose, what, exactly)
    }

    pub fn unwatch_file(&self, watch: i32) {
        if self.has_its_files() {
            files::unwatch(self.inotify.load(Relaxed), watch);
        }
    }

    /// In verify mode the program may have closed the instance that the watches are in, and opened something else.
    fn has_its_files(&self) -> bool {
        let (epoll, inotify) = (self.descriptor(), self.inotify.load(Relaxed));
        front::is_in_front() || set_item(epoll, inotify, EPOLLIN as u32, FILES) != Ok(false)
    }

    /// Has the instance been lost? Said once: the next watch makes another.
    pub fn has_lost_files(&self) -> bool {
        let inotify = self.inotify.load(Relaxed);
        let lost = inotify >= 0 && !self.has_its_files();
        if lost {
            self.inotify.store(-1, SeqCst);
            descriptors::disown(inotify);
        }
        lost
    }

    /// Calls `each` with what happened to watched files. False: nothing.
    pub fn file_events(&self, each: impl FnMut(FileEvent)) -> bool {
        let inotify = self.inotify.load(Relaxed);
        inotify >= 0 && files::read_events(inotify, each)
    }

    /// Which signals the queue's signalfd is about; made on demand.
    pub fn set_signals(&self, slot: u32, mask: u64) -> Result<()> {
        self.is_lost(&self.signals, EPOLLIN, SIGNALS);
        let fd = self.signals.load(Relaxed);
        if fd < 0 {
            if mask != 0 {
                self.helper(&self.signals, slot, EPOLLIN, SIGNALS, || sys::signalfd(-1, mask))?;
            }
            return Ok(());
        }
        sys::signalfd(fd, mask).map(|_| ())
    }

    /// The signalfd, -1: none.
    pub fn signalfd(&self) -> i32 {
        self.signals.load(Relaxed)
    }

    /// Is the number still this queue's epoll? The item of its eventfd tells: in verify mode, where nobody tells
    /// us of a close, every queue has one from birth.
    #[inline]
    pub fn is_still_open(&self, slot: u32) -> bool {
        has_item(self.epoll.load(SeqCst), self.wake.load(SeqCst)) || self.seems_open(slot)
    }

    /// The same where that item is not found: the program may have taken the eventfd away, and any epoll of ours that has
    /// the number is taken for the queue's then.
    #[cold]
    fn seems_open(&self, slot: u32) -> bool {
        // Another thread may just be making a new one.
        let _hold = births::hold();
        let (epoll, wake) = (self.epoll.load(SeqCst), self.wake.load(SeqCst));
        has_item(epoll, wake) || (!is_what_it_was(wake, slot, WAKE) && sys::is_queue(epoll))
    }

    /// Has the epoll an item for `fd`, that is for what the number is now? Nothing is changed.
    pub fn has_item(&self, place: Place, fd: i32) -> bool {
        has_item(self.epoll_of(place), fd)
    }

    /// Is the marker's number a duplicate of this queue's descriptor? A marker that is added here is found there.
    pub fn is_duplicate(&self, marker: &Marker) -> bool {
        let silent = Arm::PRESENT.events();
        let epoll = self.descriptor();
        sys::epoll_ctl(epoll, EPOLL_CTL_ADD, marker.helper, silent, TOMBSTONE).is_ok() && {
            let found = sys::epoll_ctl(marker.fd, EPOLL_CTL_MOD, marker.helper, silent, TOMBSTONE).is_ok();
            let _ = sys::epoll_ctl(epoll, EPOLL_CTL_DEL, marker.helper, 0, 0);
            found
        }
    }

    /// Gives the helpers back to the system. In verify mode some may have been closed without our notice, and
    /// their numbers be the program's by now; a helper is what has our mark.
    pub fn close_helpers(&self, slot: u32) {
        for (place, _, key) in self.helpers() {
            let fd = place.swap(-1, SeqCst);
            if fd >= 0 {
                close_helper(fd, slot, key);
            }
        }
        for due in &self.due {
            due.store(u64::MAX, Relaxed);
        }
    }

    /// In the child of a fork: closes everything, the kqueue descriptor too. `newborn`: the queue may not have come
    /// to its eventfd.
    pub fn close_all(&self, slot: u32, newborn: bool) {
        let by_name = || newborn && sys::is_queue(self.epoll.load(SeqCst));
        let ours = front::is_in_front() || by_name() || self.is_still_open(slot);
        self.close_helpers(slot);
        self.last_process.store(-1, SeqCst);
        let epoll = self.epoll.swap(-1, SeqCst);
        if ours && epoll >= 0 {
            sys::close_raw(epoll);
        }
    }

    /// In a child that was left its parent's descriptors: the program is about to put another file on a helper's
    /// number. The items are the parent's, and stay.
    pub fn let_go(&self, fd: i32) {
        for (place, ..) in self.helpers() {
            let _ = place.compare_exchange(fd, -1, SeqCst, SeqCst);
        }
        descriptors::disown(fd);
    }

    /// In such a child, when it takes the queue over: a signalfd in an epoll tells of the signals of the process
    /// that put it there.
    pub fn leave_signals(&self) {
        let fd = self.signals.load(SeqCst);
        if fd >= 0 && self.still_ours(&self.signals, EPOLLIN, SIGNALS) {
            let _ = sys::epoll_ctl(self.descriptor(), EPOLL_CTL_DEL, fd, 0, 0);
            self.let_go(fd);
            sys::close_raw(fd);
        }
    }

    /// The number has been closed, and with it the kernel's side.
    pub fn abandon(&self) {
        self.epoll.store(-1, SeqCst);
    }

    /// The program is about to put another file on a helper's number: the helper moves.
    pub fn move_helper(&self, slot: u32, fd: i32) -> Result<()> {
        for (place, events, key) in self.helpers() {
            if place.load(SeqCst) == fd {
                let moved = births::birth(place, || sys::duplicate_up(fd, sys::least_helper()))?;
                if let Err(errno) = sys::epoll_ctl(self.descriptor(), EPOLL_CTL_ADD, moved, events as u32, key) {
                    place.store(fd, SeqCst);
                    sys::close_raw(moved);
                    return Err(errno);
                }
                descriptors::note_helper(moved, slot);
                descriptors::disown(fd);
                let _ = sys::epoll_ctl(self.descriptor(), EPOLL_CTL_DEL, fd, 0, 0);
            }
        }
        Ok(())
    }
}

/// What tells whether a number is a duplicate of a queue's.
pub struct Marker {
    fd: i32,
    helper: i32,
}

impl Marker {
    /// `EBADF`: it is no kqueue at all.
    pub fn of(fd: i32) -> Result<Marker> {
        let helper = sys::eventfd_ready().map_err(|_| Errno::EBADF)?;
        let marker = Marker { fd, helper };
        if sys::is_epoll(fd, helper) {
            Ok(marker)
        } else {
            Err(Errno::EBADF)
        }
    }
}

impl Drop for Marker {
    fn drop(&mut self) {
        sys::close_raw(self.helper);
    }
}

/// Sets what the epoll's item for `fd` reports. False: it has none for the file that the number is now. `ENOMEM`: the
/// system refused, and says nothing of that.
pub(super) fn set_item(epoll: i32, fd: i32, events: u32, key: u64) -> Result<bool> {
    match sys::epoll_ctl(epoll, EPOLL_CTL_MOD, fd, events, key) {
        Ok(()) => Ok(true),
        Err(Errno::ENOMEM) => Err(Errno::ENOMEM),
        Err(_) => Ok(false),
    }
}

/// What cannot be added is there.
fn has_item(epoll: i32, fd: i32) -> bool {
    match sys::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, SILENT as u32, TOMBSTONE) {
        Err(errno) => errno.0 == libc::EEXIST,
        Ok(()) => {
            let _ = sys::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, 0, 0);
            false
        }
    }
}

/// Closes a helper, unless it is the program's by now. The number is ours until it is closed.
fn close_helper(fd: i32, slot: u32, key: u64) {
    let _hold = births::hold();
    if !is_of_another(fd, slot) && (front::is_in_front() || is_what_it_was(fd, slot, key)) {
        sys::close_raw(fd);
    }
    descriptors::disown_of(fd, Owner::Helper { slot });
}

fn is_of_another(fd: i32, slot: u32) -> bool {
    let owner = descriptors::owner(fd);
    owner != Owner::None && owner != (Owner::Helper { slot })
}

/// Is the descriptor a helper of that kind, and not another queue's?
fn is_what_it_was(fd: i32, slot: u32, key: u64) -> bool {
    if is_of_another(fd, slot) || !sys::is_own(fd) {
        return false;
    }
    let name: &[u8] = match key {
        CONNECTOR => return sys::is_connector(fd),
        WAKE => b"anon_inode:[eventfd]",
        FILES => b"anon_inode:inotify",
        SIGNALS => b"anon_inode:[signalfd]",
        key if key & !3 == SIDE => return sys::is_eventpoll(fd),
        _ => b"anon_inode:[timerfd]",
    };
    sys::is_anonymous(fd, name)
}

fn events(raw: &[epoll_event]) -> &[Event] {
    // SAFETY: Event is a transparent wrapper of epoll_event.
    unsafe { core::slice::from_raw_parts(raw.as_ptr().cast(), raw.len()) }
}
