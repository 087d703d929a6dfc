//! EVFILT_VNODE: what happens to a file (rules 5).
//!
//! The system tells that a file was written or that its attributes changed; whether it grew, shrank, or gained a
//! name is seen by comparing how it stands with how it stood. What happened of what is wanted is pending until it
//! is reported; the knote is `State::ACTIVE` as long as something is.
//!
//! Watches and their sharing are `kqueue::watching`'s; here is what an event means to a knote.

use super::{io, Report};
use crate::errno::{Errno, Result};
use crate::event::*;
use crate::kqueue::knote::{KnoteId, State};
use crate::kqueue::Queue;
use crate::platform::descriptors;
use crate::platform::{self, sys, FileState, Watched};

const NOTES: u32 = COMPARED | NOTE_REVOKE | OBSERVED;
/// What comparing a file with how it stood tells.
const COMPARED: u32 = CONTENTS | NOTE_DELETE | NOTE_ATTRIB | NOTE_LINK | NOTE_RENAME;
/// What only somebody who was there can tell.
const OBSERVED: u32 = NOTE_OPEN | NOTE_CLOSE | NOTE_CLOSE_WRITE | NOTE_READ;
pub const OBSERVATIONS: [(Watched, u32); 4] = [
    (Watched::OPENED, NOTE_OPEN),
    (Watched::CLOSED, NOTE_CLOSE),
    (Watched::CLOSED_WRITTEN, NOTE_CLOSE_WRITE),
    (Watched::ACCESSED, NOTE_READ),
];
/// Something changed of which no look can tell what it is: the name, where the system does not tell that, or an
/// extended attribute. A name it is for who wants to know of that. No note has this bit.
const UNEXPLAINED: u32 = 1 << 31;
const CONTENTS: u32 = NOTE_WRITE | NOTE_EXTEND | NOTE_TRUNCATE;
const GREW: u32 = NOTE_WRITE | NOTE_EXTEND;
const SHRANK: u32 = NOTE_WRITE | NOTE_TRUNCATE;
/// The end of a directory; a file's last name is a link, too.
pub const GONE: u32 = NOTE_DELETE | NOTE_LINK;

pub fn check(change: &kevent) -> Result<()> {
    io::check_descriptor(change)?;
    let open = || descriptors::number(change.ident).is_ok_and(sys::is_open);
    check_notes(change.fflags).map_err(|errno| if open() { errno } else { Errno::EBADF })
}

pub fn check_touch(change: &kevent, flags: u16) -> Result<()> {
    if changes_wish(change, flags) {
        check_notes(change.fflags)
    } else {
        Ok(())
    }
}

/// 5.3
fn check_notes(fflags: u32) -> Result<()> {
    if fflags & !NOTES != 0 || fflags == NOTE_REVOKE {
        Err(Errno::EINVAL)
    } else {
        Ok(())
    }
}

/// 2.3
fn changes_wish(change: &kevent, flags: u16) -> bool {
    flags & EV_ADD != 0 || change.fflags != 0
}

pub fn attach(queue: &mut Queue, id: KnoteId) -> Result<()> {
    // What does not fit an eventlist makes the kqueue readable; that must not need a descriptor then.
    queue.kernel.prepare_wake(queue.slot)?;
    queue.enter_without_item(id)?;
    queue.watch_vnode(id).inspect_err(|_| detach(queue, id))
}

pub fn touch(queue: &mut Queue, id: KnoteId, change: &kevent, flags: u16) -> Result<()> {
    if changes_wish(change, flags) && change.fflags != queue.knote(id).fflags {
        queue.change_wish(id, change.fflags)?;
    }
    if !queue.knote(id).is(State::DISABLED) {
        queue.look_at_vnode(id);
        if queue.knote(id).is(State::ACTIVE) {
            queue.activate(id);
        } else if queue.knote(id).is(State::TICK) {
            queue.look_out(id);
        }
    }
    Ok(())
}

pub fn detach(queue: &mut Queue, id: KnoteId) {
    queue.unwatch_vnode(id);
    queue.detach_from_descriptor(id);
}

/// The descriptor is gone.
pub fn release(queue: &mut Queue, id: KnoteId) {
    queue.unwatch_vnode(id);
}

pub fn event(queue: &mut Queue, id: KnoteId) -> Option<Report> {
    queue.look_at_vnode(id);
    let fflags = queue.pending_notes(id);
    (fflags != 0).then_some(Report { fflags, ..Report::default() })
}

/// EV_CLEAR.
pub fn reported(queue: &mut Queue, id: KnoteId) {
    queue.clear_notes(id);
    if queue.knote(id).is(State::TICK) {
        queue.look_out(id);
    }
}

/// A memfd may be opened anew, by way of /proc; of the rest the system does not tell.
pub fn check_memory(wish: u32) -> Result<()> {
    if wish & OBSERVED & !NOTE_OPEN != 0 {
        Err(Errno::EINVAL)
    } else {
        Ok(())
    }
}

/// Does it take the file's name to know, where nothing is told or too much was?
pub fn needs_name(wish: u32, unwatched: bool) -> bool {
    wish & NOTE_RENAME != 0 || (unwatched && wish & NOTE_ATTRIB != 0)
}

/// Can these notes be had by looking at the file now and then, for want of a watch? `errno` is why there is
/// none; `named`: the system tells what the file is called.
pub fn check_unwatched(wish: u32, named: bool, errno: Errno) -> Result<()> {
    if wish & OBSERVED == 0 && (wish & NOTE_RENAME == 0 || named || !platform::TELLS_NAMES) {
        return Ok(());
    }
    // A path of our own making was not there: no /proc. To the program that would say "no such event".
    Err(if errno == Errno::ENOENT { Errno::ENOTSUP } else { errno })
}

/// What has to be watched on the file itself for what is wanted and not pending yet.
pub fn watched(wish: u32, pending: u32, directory: bool) -> Watched {
    let lacking = wish & !pending;
    let mut what = Watched::empty();
    let mut add = |notes: u32, more: Watched| {
        if lacking & notes != 0 {
            what |= more;
        }
    };
    add(NOTE_ATTRIB, Watched::ATTRIBUTES);
    add(NOTE_RENAME, Watched::RENAMED);
    for (event, note) in OBSERVATIONS {
        add(note, event);
    }
    if directory {
        let moves = Watched::ENTRY_LEFT | Watched::ENTRY_CAME;
        add(NOTE_WRITE | NOTE_LINK, moves | Watched::ENTRY_MADE | Watched::ENTRY_REMOVED);
        add(NOTE_EXTEND, moves);
        // Its removal is its parent's news, so that has to be known; being replaced by a rename is its own.
        add(GONE, Watched::RENAMED | Watched::ATTRIBUTES);
        return what;
    }
    // That only the modification time was set is told as a write.
    add(NOTE_ATTRIB, Watched::MODIFIED);
    add(NOTE_WRITE, Watched::MODIFIED);
    // Once it is known that something changed, the rest is seen when that is reported.
    if pending & CONTENTS == 0 {
        add(CONTENTS, Watched::MODIFIED);
    }
    if pending & NOTE_ATTRIB == 0 {
        add(GONE, Watched::ATTRIBUTES);
    }
    what
}

/// What a disabled knote can do without when it comes to nothing: a look at the file makes up for it.
pub fn mutable(lacking: u32, directory: bool) -> Watched {
    let mut what = Watched::empty();
    if !directory && lacking & NOTE_WRITE == 0 {
        what |= Watched::MODIFIED;
    }
    if lacking & NOTE_ATTRIB == 0 {
        what |= Watched::ATTRIBUTES;
    }
    what
}

/// Which of the notes a knote takes that wants `wish` (5.1).
pub fn noted(wish: u32, happened: u32) -> u32 {
    if happened & UNEXPLAINED != 0 {
        return wish & if wish & NOTE_RENAME != 0 { NOTE_RENAME } else { NOTE_ATTRIB };
    }
    if happened & GREW == GREW && wish & GREW != 0 {
        happened & (wish | GREW)
    } else {
        happened & wish
    }
}

/// Does the time lie outside of what the changes since `seen` can have left? Then somebody has set it. Some file
/// systems keep even seconds only.
fn is_time_set(seen: &FileState, now: &FileState) -> bool {
    const SLACK: i64 = 2_000_000_000;
    now.modified != seen.modified
        && (now.modified.saturating_add(SLACK) < seen.changed || now.modified > now.changed.saturating_add(SLACK))
}

fn is_other_attribute(seen: &FileState, now: &FileState) -> bool {
    (seen.mode, seen.owner, seen.group) != (now.mode, now.owner, now.group)
}

/// The file was written, or cut, or its modification time was set: the system does not tell which.
pub fn modified(seen: &FileState, now: &FileState) -> u32 {
    let notes = NOTE_WRITE | resized(seen, now);
    if is_time_set(seen, now) {
        notes | NOTE_ATTRIB
    } else {
        notes
    }
}

/// The attributes changed; the link count is one of them. `linked`: the stamp of the change of it that was told last.
pub fn attributes_changed(seen: &FileState, now: &FileState, linked: i64) -> u32 {
    let links = relinked(seen, now);
    if links != 0 {
        let others = is_other_attribute(seen, now) || is_time_set(seen, now);
        return links | if others { NOTE_ATTRIB } else { 0 };
    }
    // The file may have got two names, and both were seen at once. (A directory's count is no attribute of its own.)
    let named = now.links == 0 || !now.is_directory();
    if named && now.changed == linked && !is_other_attribute(seen, now) {
        return 0;
    }
    NOTE_ATTRIB
}

fn resized(seen: &FileState, now: &FileState) -> u32 {
    match now.size.cmp(&seen.size) {
        _ if now.is_directory() => 0,
        core::cmp::Ordering::Greater => GREW,
        core::cmp::Ordering::Less => SHRANK,
        core::cmp::Ordering::Equal => 0,
    }
}

/// A directory's count says more, and less, than its subdirectories: of it only the end counts.
fn relinked(seen: &FileState, now: &FileState) -> u32 {
    match (now.links, seen.links) {
        (now, seen) if now == seen => 0,
        (0, _) => GONE,
        _ if now.is_directory() => 0,
        _ => NOTE_LINK,
    }
}

/// What is sure from two looks at the file, whatever was told in between.
pub fn compared_surely(seen: &FileState, now: &FileState) -> u32 {
    resized(seen, now) | relinked(seen, now)
}

/// What happened between two looks, as far as looks can tell (5.6). `lost`: something did.
pub fn compared(seen: &FileState, now: &FileState, renamed: bool, lost: bool) -> u32 {
    let mut notes = compared_surely(seen, now);
    if now.modified != seen.modified {
        notes |= NOTE_WRITE;
        if is_time_set(seen, now) {
            notes |= NOTE_ATTRIB;
        }
        if now.is_directory() && now.links == 1 {
            // The file system does not count.
            notes |= NOTE_LINK;
        }
    }
    if now.links != seen.links {
        notes |= NOTE_LINK;
    }
    if renamed {
        notes |= NOTE_RENAME;
    }
    let unexplained = now.changed != seen.changed && notes == 0;
    if is_other_attribute(seen, now) || (unexplained && platform::TELLS_NAMES) {
        notes |= NOTE_ATTRIB;
    } else if unexplained {
        notes |= UNEXPLAINED;
    }
    if lost && seen.recent && now.changed == seen.changed {
        notes |= NOTE_WRITE | NOTE_ATTRIB;
    }
    notes
}
