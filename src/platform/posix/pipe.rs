//! A queue's pipe: its read end is the kqueue descriptor, and a byte lies in it while there is a *reason*.
//!
//! Who takes the byte out looks at the reasons afterwards and puts one back where some are left; who adds a reason
//! writes after that. So none is ever without a byte, and a byte without a reason is taken out by the next kevent().
//! All of it is atomic, for handlers and fork.

use super::{births, sys};
use crate::errno::Result;
use crate::platform::descriptors;
use crate::platform::front;
use crate::platform::unix::file_state::identity;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicU8, Ordering::*};

/// Something became ready in user space.
pub const WOKEN: u8 = 1;
/// A descriptor or timer did while nobody was in kevent(): found by the last call on its way out, or by the watchman.
pub const NOTICED: u8 = 2;
/// Waiters have to look at the table anew.
pub const CALLED: u8 = 4;
/// The queue is closed.
pub const DEAD: u8 = 8;

/// The device that pipes are on; 0: not seen yet. (On no system it is 0.)
static PIPES: AtomicU64 = AtomicU64::new(0);

pub fn device_of_pipes() -> Option<libc::dev_t> {
    Some(PIPES.load(Relaxed)).filter(|&device| device != 0).map(|device| device as libc::dev_t)
}

pub struct Pipe {
    reader: AtomicI32,
    writer: AtomicI32,
    /// Who the pipe is.
    identity: AtomicU32,
    reasons: AtomicU8,
}

impl Pipe {
    pub const fn new() -> Pipe {
        Pipe {
            reader: AtomicI32::new(-1),
            writer: AtomicI32::new(-1),
            identity: AtomicU32::new(0),
            reasons: AtomicU8::new(0),
        }
    }

    /// A new one, without a reason. Returns the read end. `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn open(&self, slot: u32) -> Result<i32> {
        self.reasons.store(0, SeqCst);
        let reader = self.make()?;
        descriptors::note_helper(self.writer.load(SeqCst), slot);
        Ok(reader)
    }

    fn make(&self) -> Result<i32> {
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

    #[inline]
    pub fn reader(&self) -> i32 {
        self.reader.load(Relaxed)
    }

    pub fn identity(&self) -> u32 {
        self.identity.load(SeqCst)
    }

    /// Is the number still an end of the pipe? Who is in front is told of everything.
    fn is_end(&self, fd: i32) -> bool {
        fd >= 0 && (front::is_in_front() || identity(fd) == Some(self.identity()))
    }

    pub fn is_still_open(&self) -> bool {
        identity(self.reader()) == Some(self.identity())
    }

    pub fn reasons(&self) -> u8 {
        self.reasons.load(SeqCst)
    }

    /// Puts the byte in. False: it cannot be.
    fn write(&self) -> bool {
        let writer = self.writer.load(SeqCst);
        let ours = self.is_end(writer);
        if ours {
            sys::write_byte(writer);
        }
        ours
    }

    /// Makes the descriptor readable, for one reason more.
    pub fn give(&self, reason: u8) {
        if self.reasons.fetch_or(reason, SeqCst) == 0 {
            self.write();
        }
    }

    /// For ever, by a byte of its own. False: it cannot be.
    pub fn give_for_ever(&self, reason: u8) -> bool {
        self.reasons.fetch_or(reason, SeqCst);
        self.write()
    }

    /// Takes reasons back, and the byte with the last one. Returns those that there were.
    pub fn take(&self, reasons: u8) -> u8 {
        let before = self.reasons.fetch_and(!reasons, SeqCst);
        let reader = self.reader();
        if self.is_end(reader) {
            sys::drain(reader);
        }
        if self.reasons() != 0 {
            self.write();
        }
        before & reasons
    }

    /// Gives the write end back to the system.
    pub fn close_writer(&self) {
        let _hold = births::hold();
        let writer = self.writer.swap(-1, SeqCst);
        if writer >= 0 {
            if self.is_end(writer) {
                sys::close_raw(writer);
            }
            descriptors::disown(writer);
        }
    }

    /// The read end's number is the program's, and has been closed.
    pub fn forget_reader(&self) {
        self.reader.store(-1, SeqCst);
    }

    pub fn close_reader(&self) {
        let reader = self.reader.swap(-1, SeqCst);
        if self.is_end(reader) {
            sys::close_raw(reader);
        }
    }

    /// The program is about to put another file on the number of the write end, which it does not know.
    pub fn let_go(&self, fd: i32) {
        let _ = self.writer.compare_exchange(fd, -1, SeqCst, SeqCst);
        descriptors::disown(fd);
    }

    /// The same, where the write end is to be kept: it moves.
    pub fn move_writer(&self, slot: u32, fd: i32) -> Result<()> {
        if self.writer.load(SeqCst) == fd {
            let moved = births::birth(&self.writer, || sys::duplicate_up(fd, sys::least_helper()))?;
            descriptors::note_helper(moved, slot);
            descriptors::disown(fd);
        }
        Ok(())
    }

    /// In the child of a fork that goes on with the queue: the pipe is the parent's, too, so there is another one under
    /// the same number from now on.
    pub fn part_from_parent(&self) {
        let (number, writer) = (self.reader(), self.writer.load(SeqCst));
        if self.make().is_err() {
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
        self.give(reasons);
    }
}
