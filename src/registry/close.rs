//! close() and its kin: what the library does before and after the system closes a number.
//!
//! No lock is taken and nothing is allocated: POSIX lets a signal handler call close().

use super::{bury, fork, slot, used_slots, Burial, LIVE};
use crate::errno::Result;
use crate::platform::births;
use crate::platform::descriptors::{self, Classes, Closing, Owner};
use crate::platform::sys::{self, Uncancelled};
use crate::trace;
use core::sync::atomic::Ordering::SeqCst;

/// A close under way; `end` says how it went. Dropped without a word, by a thread that is cancelled in close(), it
/// counts as closed: the kernel's items are gone by then.
pub struct Watched {
    closing: Option<Closing>,
    burial: Option<Burial>,
}

/// The number is about to be closed, or something else put there: the queues that watch it drop it, and the
/// queue that it is ends.
#[inline]
pub fn begin(fd: i32) -> Watched {
    #[cfg(feature = "seeded-bugs")]
    if crate::seeded::is("kept-after-close") && descriptors::owner(fd) == Owner::None {
        return Watched::NONE;
    }
    // A vfork child shares our memory, but closes its own descriptors, not ours. Asked before the close is on record:
    // a thread of the parent's that saw it there could take the file for closed.
    let known = descriptors::is_known(fd);
    if known && !fork::is_our_process() {
        return Watched::NONE;
    }
    let Some((closing, classes)) = Closing::begin(fd) else { return Watched::NONE };
    let owner = descriptors::owner(fd);
    if owner == Owner::None && classes.is_empty() {
        return Watched { closing: Some(closing), burial: None };
    }
    if !known && !fork::is_our_process() {
        closing.failed();
        return Watched::NONE;
    }
    Watched { closing: Some(closing), burial: tell(fd, owner, classes) }
}

#[cold]
fn tell(fd: i32, owner: Owner, classes: Classes) -> Option<Burial> {
    // The connector is left by a send(), a cancellation point: what is half buried would stay so, and dup2() is none.
    let _uncancelled = Uncancelled::begin();
    // What went wrong before is still to be read after a close() that succeeds.
    let errno = sys::last_errno();
    if let Owner::Duplicate { .. } = owner {
        descriptors::disown(fd);
    }
    if !classes.is_empty() {
        for slot in used_slots() {
            if classes.contains(slot.index) && slot.state.load(SeqCst) == LIVE {
                slot.kernel.forget(fd, slot.lock_is_mine());
            }
        }
    }
    let burial = match owner {
        Owner::Queue { slot: index, .. } if is_taken_out(fd, owner) => slot(index).and_then(|slot| bury(slot, true)),
        _ => None,
    };
    sys::set_errno(errno);
    burial
}

/// Only one of two closers finds the queue under its number.
fn is_taken_out(fd: i32, owner: Owner) -> bool {
    descriptors::cell(fd).is_some_and(|cell| Owner::of(cell.queue.swap(0, SeqCst)) == owner)
}

impl Watched {
    pub const NONE: Watched = Watched { closing: None, burial: None };

    /// `closed`: the system did it. A descriptor whose close() failed with EINTR or EIO is gone on Linux all the
    /// same.
    #[inline]
    pub fn end(mut self, closed: bool) {
        if !closed {
            if let Some(closing) = self.closing.take() {
                closing.failed();
            }
        }
    }
}

impl Drop for Watched {
    #[inline]
    fn drop(&mut self) {
        if let Some(closing) = self.closing.take() {
            closing.closed();
        }
        if let Some(burial) = self.burial.take() {
            burial.end();
        }
    }
}

/// Is the number one of the library's own, which the program knows nothing of?
pub fn is_helper(fd: i32) -> bool {
    let is_one = || descriptors::owner(fd).is_helper();
    // One that is just being closed is free the next moment.
    is_one() && fork::is_our_process() && {
        let _settled = births::hold();
        is_one()
    }
}

/// While what this returns lives, no helper is born on a number up to `last`, and none dies: the program is about to
/// put something else there, or to close it. Nothing of ours stays on lower numbers.
pub fn hold_helpers(last: i32) -> Option<births::Hold> {
    (descriptors::may_be_helper(last) && fork::is_our_process()).then(births::hold)
}

/// The program is about to put another file on a helper's number. `EMFILE`: there is no other number for it.
pub fn make_way(fd: i32) -> Result<()> {
    let owner = descriptors::owner(fd);
    let (Owner::Helper { slot: index } | Owner::Process { slot: index, .. }) = owner else { return Ok(()) };
    if !fork::is_our_process() {
        return Ok(());
    }
    let errno = sys::last_errno();
    match (slot(index), owner) {
        (None, _) => trace::make_way(fd),
        (Some(slot), _) if slot.is_inherited() => slot.kernel.let_go(fd),
        (Some(slot), Owner::Process { index: process, .. }) => slot.kernel.move_process(index, process, fd)?,
        (Some(slot), _) => slot.kernel.move_helper(index, fd)?,
    }
    sys::set_errno(errno);
    Ok(())
}
