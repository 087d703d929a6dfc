//! One kqueue's side of the system: an I/O completion port, and the table of what it watches.
//!
//! The kqueue descriptor is the write end of a pipe, adopted by the caller's C runtime, so that close() works: the
//! library holds the read end, and a read that is pending on the port fails when the other end goes. Everything that
//! happens is a packet on the port: answers of AFD (`table`), ends of processes, wake-ups, the close.
//!
//! A packet is taken out under the table's lock or by a waiter, who sleeps without it. What is taken out and has no room
//! in an eventlist is kept in the table, and a waiter is called to it.

use super::afd;
use super::api::*;
use super::crt::{self, Crt};
use super::sys;
use super::table::{News, Table};
use super::target::{self, Target};
use crate::errno::{Errno, Result};
use crate::platform::deadlines::Deadlines;
use crate::platform::lock::{self, Guard, Mutex};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering::*};

pub use super::buffer::{Buffer, Event};
pub use crate::platform::events::{Arm, Clock, Mask, Place, Source, CLOCKS, PLACES};

/// What a packet is: the completion key.
const KEY_AFD: usize = 1;
const KEY_CLOSE: usize = 2;
const KEY_WAKE: usize = 3;
/// There is something to look at: in the table, or a timer.
const KEY_LOOK: usize = 4;
pub const KEY_PROCESS: usize = 5;
const KEY_DEAD: usize = 6;

/// How many packets are taken out at once.
const BATCH: usize = 64;

/// The read that is pending on the pipe: the kernel writes here.
struct PendingRead(UnsafeCell<(Overlapped, [u8; 8])>);

// SAFETY: only its address is used, by who starts the read; the kernel alone writes.
unsafe impl Sync for PendingRead {}

pub struct Poller {
    /// The kqueue: its descriptor's number, with its C runtime's index (`sys::number`).
    number: AtomicI32,
    /// The handle under the descriptor, which is the runtime's.
    handle: AtomicUsize,
    /// The pipe's other end.
    reader: AtomicUsize,
    port: AtomicUsize,
    /// Made by the first socket.
    afd: AtomicUsize,
    read: PendingRead,
    /// The read has not come back.
    is_reading: AtomicBool,
    /// The descriptor was closed.
    closed: AtomicBool,
    /// Something is ready in user space; and how many packets say so.
    woken: AtomicBool,
    wakes: AtomicU32,
    /// How many threads sleep.
    asleep: AtomicU32,
    /// The expiry of the earliest timer of each clock; `u64::MAX`: none.
    due: Deadlines,
    /// The signals that a knote is for.
    pub signals: AtomicU64,
    table: Mutex<Table>,
}

impl Poller {
    pub const fn new() -> Poller {
        Poller {
            number: AtomicI32::new(-1),
            handle: AtomicUsize::new(0),
            reader: AtomicUsize::new(0),
            port: AtomicUsize::new(0),
            afd: AtomicUsize::new(0),
            read: PendingRead(UnsafeCell::new((Overlapped::NONE, [0; 8]))),
            is_reading: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            woken: AtomicBool::new(false),
            wakes: AtomicU32::new(0),
            asleep: AtomicU32::new(0),
            due: Deadlines::new(),
            signals: AtomicU64::new(0),
            table: Mutex::new(Table::new()),
        }
    }

    /// Makes the kqueue descriptor. `EMFILE`, `ENOMEM`; `ENOSYS`: the program's C runtime cannot be found.
    pub fn open(&self, _: u32) -> Result<i32> {
        let crt = crt::of_caller().ok_or(Errno(libc::ENOSYS))?;
        *self.table()? = Table::new();
        self.closed.store(false, SeqCst);
        self.woken.store(false, SeqCst);
        self.wakes.store(0, SeqCst);
        self.signals.store(0, SeqCst);
        self.make(crt).inspect_err(|_| self.let_everything_go())
    }

    fn make(&self, crt: Crt) -> Result<i32> {
        // SAFETY: no file: a new port.
        let port = unsafe { CreateIoCompletionPort(INVALID, 0, 0, 0) };
        if port == 0 {
            return Err(sys::error());
        }
        self.port.store(port, SeqCst);
        let (reader, writer) = pipe()?;
        self.reader.store(reader, SeqCst);
        // SAFETY: both are ours.
        let bound = unsafe { CreateIoCompletionPort(reader, port, KEY_CLOSE, 0) } != 0 && self.start_reading();
        let fd = if bound { crt.adopt(writer) } else { None };
        let Some(fd) = fd else {
            sys::close_handle(writer);
            return Err(Errno::EMFILE);
        };
        let number = sys::number(crt, fd);
        self.handle.store(writer, SeqCst);
        self.number.store(number, SeqCst);
        Ok(number)
    }

    fn start_reading(&self) -> bool {
        const ERROR_IO_PENDING: u32 = 997;
        self.is_reading.store(true, SeqCst);
        let place = self.read.0.get();
        // SAFETY: no read is pending, so the place is ours; it lives in a slot that is never freed.
        let pending = unsafe {
            (*place).0 = Overlapped::NONE;
            let (overlapped, buffer) = (&raw mut (*place).0, (&raw mut (*place).1).cast());
            let none = core::ptr::null_mut();
            ReadFile(self.reader.load(SeqCst), buffer, 1, none, overlapped) != 0 || GetLastError() == ERROR_IO_PENDING
        };
        self.is_reading.store(pending, SeqCst);
        pending
    }

    /// The number that the queue was born with.
    #[inline]
    pub fn descriptor(&self) -> i32 {
        self.number.load(Relaxed)
    }

    /// Is that the handle under its descriptor?
    pub fn is_descriptor(&self, handle: Handle) -> bool {
        self.handle.load(SeqCst) == handle
    }

    pub(super) fn table(&self) -> Result<Guard<'_, Table>> {
        lock::lock(&self.table)
    }

    pub(super) fn post(&self, key: usize, overlapped: usize) {
        let port = self.port.load(SeqCst);
        if port != 0 {
            // SAFETY: a port, or nothing that takes packets; the rest are numbers.
            unsafe { PostQueuedCompletionStatus(port, 0, key, overlapped) };
        }
    }

    /// A packet is all that it takes.
    pub fn prepare_wake(&self, _: u32) -> Result<()> {
        Ok(())
    }

    /// There is no fork.
    pub fn child() {}

    /// Something became ready in user space: one waiter comes out, or the next does not sleep.
    pub fn wake(&self, _: u32) {
        self.wake_from_handler();
    }

    pub fn wake_from_handler(&self) {
        self.woken.store(true, SeqCst);
        // One packet is enough; who takes it looks at `woken` afterwards.
        if self.wakes.compare_exchange(0, 1, SeqCst, SeqCst).is_ok() {
            self.post(KEY_WAKE, 0);
        }
    }

    /// Takes back a wake-up that no waiter has taken. Its packet will say nothing.
    pub fn unwake(&self) {
        self.woken.store(false, SeqCst);
    }

    /// Has a waiter look at the table, and at the timers.
    fn call(&self) {
        if self.asleep.load(SeqCst) > 0 {
            self.post(KEY_LOOK, 0);
        }
    }

    /// The queue has ended: a waiter comes out. Said again for each.
    pub fn release_waiters(&self) -> bool {
        self.closed.store(true, SeqCst);
        self.post(KEY_DEAD, 0);
        true
    }

    /// Has a waiter found that the descriptor is closed?
    pub fn was_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    /// Makes the table's item for a number what it should be. `EPERM`: the clock and the floor above serve it; `EINVAL`:
    /// it is the queue itself; `ENOENT`: the number is something else by now; `EBADF`, `ENOMEM`.
    pub fn arm(&self, slot: u32, place: Place, number: i32, epoch: u32, armed: Arm, wanted: Arm) -> Result<()> {
        let afd = self.afd.load(SeqCst);
        let mut table = self.table()?;
        if !wanted.contains(Arm::PRESENT) {
            table.take_out(afd, number, place);
            return Ok(());
        }
        if armed.contains(Arm::PRESENT) {
            if !table.has(number, place) {
                table.take_out(afd, number, place);
                return Err(Errno::ENOENT);
            }
        } else {
            let target = target::resolve(number).ok_or(Errno::EBADF)?;
            let afd = match target {
                Target::File(_) | Target::Directory(_) | Target::Device(_) => return Err(Errno::EPERM),
                Target::Queue(other) if other == slot || wanted.intersects(Arm::OUT | Arm::PRI) => {
                    return Err(Errno::EINVAL);
                }
                Target::Stream(_) | Target::Datagram(_) => self.afd()?,
                _ => afd,
            };
            table.insert(afd, number, place, epoch, target)?;
        }
        let armed = table.arm(self.afd.load(SeqCst), number, place, epoch, wanted);
        if armed.is_err() {
            table.take_out(self.afd.load(SeqCst), number, place);
        }
        drop(table);
        // What tells nobody is looked at by who is awake.
        self.call();
        armed
    }

    /// The handle by which sockets are asked about. `ENOTSUP`.
    fn afd(&self) -> Result<Handle> {
        const SKIP_SET_EVENT_ON_HANDLE: u8 = 2;
        let known = self.afd.load(SeqCst);
        if known != 0 {
            return Ok(known);
        }
        let afd = afd::open()?;
        // SAFETY: both handles are ours.
        let bound = unsafe {
            SetFileCompletionNotificationModes(afd, SKIP_SET_EVENT_ON_HANDLE);
            CreateIoCompletionPort(afd, self.port.load(SeqCst), KEY_AFD, 0)
        };
        if bound == 0 {
            sys::close_handle(afd);
            return Err(sys::error());
        }
        self.afd.store(afd, SeqCst);
        Ok(afd)
    }

    pub fn adding<T>(&self, _: i32, add: impl FnOnce() -> T) -> T {
        add()
    }

    /// Nobody tells of a close before it happens.
    pub fn forget(&self, _: i32, _: bool) {}

    pub(super) fn forget_place(&self, place: Place) -> Result<()> {
        self.table()?.forget_place(self.afd.load(SeqCst), place);
        Ok(())
    }

    /// Waits for events. May come back with nothing before its time.
    pub fn wait<'a, const N: usize>(
        &self,
        buffer: &'a mut Buffer<N>,
        room: usize,
        timeout: &sys::Timeout,
        _: Option<()>,
        _: Option<&sys::Cancellation>,
    ) -> Result<&'a [Event]> {
        buffer.clear();
        if self.was_closed() {
            buffer.push(Source::Tombstone);
            return Ok(buffer.all());
        }
        let room = room.clamp(1, N);
        let mut packets = [OverlappedEntry::NONE; BATCH];
        let mut table = self.table()?;
        let afd = self.afd.load(SeqCst);
        table.ask_again(afd);
        table.look(afd);
        // Under the lock: what another thread takes out and has not told yet would be missed (1.12).
        loop {
            let most = (N - buffer.len()).min(BATCH);
            let count = self.dequeue(&mut packets[..most], 0);
            self.take_in(&mut table, &packets[..count], buffer, false);
            if count < BATCH || table.ready.len() >= room {
                break;
            }
        }
        self.hand_out(&mut table, buffer, room);
        let tick = table.patience();
        drop(table);
        let patience = self.patience(timeout, tick);
        if buffer.len() == 0 && patience > 0 {
            self.asleep.fetch_add(1, SeqCst);
            let count = self.dequeue(&mut packets[..room.min(BATCH)], patience);
            self.asleep.fetch_sub(1, SeqCst);
            if count > 0 {
                let mut table = self.table()?;
                self.take_in(&mut table, &packets[..count], buffer, true);
                self.hand_out(&mut table, buffer, room);
            }
        }
        if let Some(clock) = self.late_timer() {
            buffer.push(Source::Timer(clock));
        }
        Ok(buffer.all())
    }

    /// What the table has to tell becomes events. What is not about a number of the program's does not take the room of
    /// one.
    fn hand_out<const N: usize>(&self, table: &mut Table, buffer: &mut Buffer<N>, room: usize) {
        let room = (room + buffer.len()).min(N);
        while buffer.len() < room {
            let Some(News { number, place, epoch, mask, .. }) = table.take_news(self.afd.load(SeqCst)) else { return };
            buffer.push(Source::Descriptor { place, fd: number, epoch, mask });
        }
    }

    /// How long to sleep, in milliseconds: until the time is over, a timer is due, or the clock is to look.
    fn patience(&self, timeout: &sys::Timeout, tick: Option<u64>) -> u32 {
        let mut patience = timeout
            .map(|time| (time.tv_sec as u64).saturating_mul(sys::NANOSECONDS).saturating_add(time.tv_nsec as u64));
        if patience == Some(0) {
            return 0;
        }
        let no_longer = |time: u64| patience = Some(patience.map_or(time, |before| before.min(time)));
        tick.into_iter().chain(self.due.patience()).for_each(no_longer);
        patience.map_or(INFINITE, sys::milliseconds)
    }

    /// Packets become events, or news in the table; there is room for as many events. `slept`: the wait slept for them.
    fn take_in<const N: usize>(
        &self,
        table: &mut Table,
        packets: &[OverlappedEntry],
        buffer: &mut Buffer<N>,
        slept: bool,
    ) {
        for packet in packets {
            match packet.key {
                KEY_AFD => table.completed(self.afd.load(SeqCst), packet.overlapped, slept),
                KEY_PROCESS => buffer.push(Source::Process(packet.overlapped as u32)),
                KEY_WAKE => {
                    self.wakes.store(0, SeqCst);
                    if self.woken.swap(false, SeqCst) {
                        buffer.push(Source::Wake);
                    }
                }
                KEY_CLOSE => self.pipe_has_news(),
                KEY_DEAD => buffer.push(Source::Tombstone),
                _ => {}
            }
        }
    }

    fn dequeue(&self, packets: &mut [OverlappedEntry], milliseconds: u32) -> usize {
        let mut count = 0;
        // SAFETY: room for that many; the count is a local.
        let found = unsafe {
            let port = self.port.load(SeqCst);
            GetQueuedCompletionStatusEx(port, packets.as_mut_ptr(), packets.len() as u32, &mut count, milliseconds, 0)
        };
        if found == 0 {
            0
        } else {
            count as usize
        }
    }

    /// The read of the pipe has come back: somebody wrote to the descriptor, which means nothing, or it is closed.
    fn pipe_has_news(&self) {
        self.is_reading.store(false, SeqCst);
        if self.is_broken() || !self.start_reading() {
            self.closed.store(true, SeqCst);
        }
    }

    /// Takes in what the port has, for who looks at the table next: a socket that was closed loses its items before
    /// its number is looked at.
    fn drain(&self) {
        let mut packets = [OverlappedEntry::NONE; BATCH];
        let Ok(mut table) = self.table() else { return };
        loop {
            let count = self.dequeue(&mut packets, 0);
            for packet in &packets[..count] {
                match packet.key {
                    KEY_AFD => table.completed(self.afd.load(SeqCst), packet.overlapped, false),
                    KEY_CLOSE => self.pipe_has_news(),
                    KEY_LOOK => {}
                    key => self.post(key, packet.overlapped),
                }
            }
            if count < BATCH {
                break;
            }
        }
        let called = !table.ready.is_empty() || self.was_closed();
        drop(table);
        if called {
            self.call();
        }
    }

    /// The call is over. Those who sleep go on with what it was about to do.
    pub fn rest(&self, _: u32, _: impl Fn() -> bool) {
        crt::set_current(None);
        if self.asleep.load(SeqCst) == 0 {
            return;
        }
        let Ok(mut table) = self.table() else { return };
        table.ask_again(self.afd.load(SeqCst));
        let work = table.has_work() || self.due.all().next().is_some();
        drop(table);
        if work {
            self.call();
        }
    }

    /// Would a call with time-out 0 find something? What is looked at here is kept for it.
    pub fn is_ready_now(&self) -> bool {
        if self.woken.load(SeqCst) || self.late_timer().is_some() {
            return true;
        }
        let Some(mut table) = self.table.try_lock() else { return false };
        let afd = self.afd.load(SeqCst);
        table.ask_again(afd);
        table.look(afd);
        drop(table);
        self.drain();
        self.table.try_lock().is_some_and(|table| !table.ready.is_empty())
    }

    /// Sees to it that a waiter wakes up at `deadline` or before.
    pub fn arm_timer(&self, _: u32, clock: Clock, deadline: u64) -> Result<()> {
        if self.due.set(clock, deadline).is_some() {
            self.call();
        }
        Ok(())
    }

    /// Is a timer due that nobody has seen to?
    #[inline]
    pub fn late_timer(&self) -> Option<Clock> {
        self.due.late()
    }

    /// What is due has been taken out and the clock can be set anew.
    pub fn timer_fired(&self, clock: Clock) {
        self.due.fired(clock);
    }

    pub fn is_whole(&self) -> bool {
        true
    }

    /// No handler ever interrupts a thread here, so none meets its own lock.
    #[inline]
    pub fn is_locked(&self) -> bool {
        false
    }

    #[inline]
    pub fn lock_is_mine(&self) -> bool {
        false
    }

    /// Is the number still this queue's pipe?
    pub fn is_still_open(&self, _: u32) -> bool {
        let handle = sys::queue_handle(self.descriptor());
        handle.is_some_and(|handle| self.is_descriptor(handle)) && !self.is_broken()
    }

    /// Has the other end of the pipe gone?
    fn is_broken(&self) -> bool {
        let none = core::ptr::null_mut();
        sys::keeping_last_error(|| {
            // SAFETY: nothing is asked for but whether it can be.
            unsafe {
                PeekNamedPipe(self.reader.load(SeqCst), none, 0, none.cast(), none.cast(), none.cast()) == 0
                    && GetLastError() == ERROR_BROKEN_PIPE
            }
        })
    }

    /// Has the table an item for what the number is now?
    pub fn has_item(&self, place: Place, number: i32) -> bool {
        self.drain();
        self.table().is_ok_and(|mut table| table.has(number, place))
    }

    /// Is the marker's number a duplicate of this queue's descriptor?
    pub fn is_duplicate(&self, marker: &Marker) -> bool {
        sys::queue_handle(self.descriptor()).is_some_and(|handle| sys::same_object(handle, marker.0))
    }

    pub fn close_helpers(&self, _: u32) {
        self.close_processes(0);
        self.let_everything_go();
    }

    /// There is no fork, and what a queue works with are handles, which the program puts no file over.
    pub fn close_all(&self, _: u32, _: bool) {}

    pub fn let_go(&self, _: i32) {}

    pub fn leave_signals(&self) {}

    pub fn move_helper(&self, _: u32, _: i32) -> Result<()> {
        Ok(())
    }

    pub fn move_process(&self, _: u32, _: u32, _: i32) -> Result<()> {
        Ok(())
    }

    /// The number has been closed.
    pub fn abandon(&self) {
        self.let_everything_go();
        self.number.store(-1, SeqCst);
        self.handle.store(0, SeqCst);
    }

    /// Closes what the queue works with. What the kernel still writes to is waited for: closing a handle ends its
    /// requests, and their packets come.
    fn let_everything_go(&self) {
        const ROUNDS: u32 = 200;
        let Ok(mut table) = self.table() else { return };
        for handle in [&self.afd, &self.reader] {
            let handle = handle.swap(0, SeqCst);
            if handle != 0 {
                sys::close_handle(handle);
            }
        }
        let port = self.port.load(SeqCst);
        let mut packets = [OverlappedEntry::NONE; BATCH];
        let mut rounds = 0;
        while port != 0 && (table.requests.pending() > 0 || self.is_reading.load(SeqCst)) && rounds < ROUNDS {
            let count = self.dequeue(&mut packets, 10);
            rounds += u32::from(count == 0);
            for packet in &packets[..count] {
                match packet.key {
                    KEY_AFD => _ = table.requests.completed(packet.overlapped),
                    KEY_CLOSE => self.is_reading.store(false, SeqCst),
                    _ => {}
                }
            }
        }
        let old = core::mem::replace(&mut *table, Table::new());
        if old.requests.pending() > 0 {
            // The kernel may yet write there.
            core::mem::forget(old);
        }
        drop(table);
        let port = self.port.swap(0, SeqCst);
        if port != 0 {
            sys::close_handle(port);
        }
        self.due.forget();
    }
}

/// A pipe: the end to read, which is ours, and the one to write.
fn pipe() -> Result<(Handle, Handle)> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = pipe_name(COUNT.fetch_add(1, SeqCst));
    let access = PIPE_ACCESS_INBOUND | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE;
    let none = core::ptr::null();
    // SAFETY: the name ends in a zero; both handles are ours.
    unsafe {
        let reader = CreateNamedPipeW(name.as_ptr(), access, PIPE_REJECT_REMOTE_CLIENTS, 1, 0, 0, 0, none);
        if reader == INVALID {
            return Err(sys::error());
        }
        let writer = CreateFileW(name.as_ptr(), GENERIC_WRITE, 0, none, OPEN_EXISTING, 0, 0);
        if writer == INVALID {
            let error = sys::error();
            sys::close_handle(reader);
            return Err(error);
        }
        Ok((reader, writer))
    }
}

/// As the C library calls it, and beside it where both are in one process.
fn pipe_name(count: u32) -> [u16; 64] {
    let mut name = [0; 64];
    let digits = |mut number: u32| {
        let mut digits = [0u8; 8];
        for digit in digits.iter_mut().rev() {
            *digit = b"0123456789abcdef"[(number & 15) as usize];
            number >>= 4;
        }
        digits
    };
    let (pid, count) = (digits(sys::getpid() as u32), digits(count));
    let parts: [&[u8]; 4] = [b"\\\\.\\pipe\\libkqueue-close-r", &pid, b"-", &count];
    for (unit, &byte) in name.iter_mut().zip(parts.into_iter().flatten()) {
        *unit = u16::from(byte);
    }
    name
}

/// What tells whether a number is a duplicate of a queue's: its handle.
pub struct Marker(Handle);

impl Marker {
    /// `EBADF`: it is no kqueue at all.
    pub fn of(number: i32) -> Result<Marker> {
        sys::queue_handle(number).map(Marker).ok_or(Errno::EBADF)
    }
}
