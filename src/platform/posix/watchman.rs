//! The watchman: a thread that polls the queues which nobody is in, so that their descriptors become readable.
//!
//! epoll does that by itself; here a queue that has something armed, and that nobody waits in, needs somebody who polls
//! for it and puts the byte into its pipe. There is one thread for all queues, started by the first call of kevent()
//! that leaves such a queue behind, with all signals blocked; a second without work ends it.
//!
//! A program that calls kevent() in a loop would have to call him off and on every time. So when he is called he
//! looks again after `PAUSE`, and sleeps on what he polls only once things have calmed down: a queue just left is
//! watched that much later.
//!
//! Who calls: the last call of a queue on its way out (`attend`), and whoever changes what he polls (`call`).

use super::poller::{Place, Poller};
use super::table::Set;
use super::{births, sys};
use crate::errno::Errno;
use crate::platform::descriptors;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, Ordering::*};
use libc::POLLIN;

/// How long he lets things calm down, in nanoseconds.
const PAUSE: u64 = 4_000_000;
/// How long he stays without work.
const LEISURE: u64 = 1_000_000_000;
/// How often he looks whether a queue's last visitor has left, before he counts on that one's call.
const TURNS: u32 = 8;
/// The slot of descriptors that are no queue's.
const NO_SLOT: u32 = (1 << 30) - 1;

static RUNS: AtomicBool = AtomicBool::new(false);
/// He sleeps, and does not look by himself.
static ASLEEP: AtomicBool = AtomicBool::new(false);
static READER: AtomicI32 = AtomicI32::new(-1);
static WRITER: AtomicI32 = AtomicI32::new(-1);
/// All queues that he ever had to watch: they are never freed.
static FIRST: AtomicPtr<Post> = AtomicPtr::new(core::ptr::null_mut());

/// A queue's place in his list.
pub struct Post {
    next: AtomicPtr<Post>,
    poller: AtomicPtr<Poller>,
    slot: AtomicU32,
    turns: AtomicU32,
}

impl Post {
    pub const fn new() -> Post {
        Post {
            next: AtomicPtr::new(core::ptr::null_mut()),
            poller: AtomicPtr::new(core::ptr::null_mut()),
            slot: AtomicU32::new(0),
            turns: AtomicU32::new(0),
        }
    }

    fn poller(&self) -> Option<&'static Poller> {
        // SAFETY: null, or a queue's, which live in slots that are never freed.
        unsafe { self.poller.load(SeqCst).as_ref() }
    }

    fn is_visited(&self) -> bool {
        crate::registry::is_visited(self.slot.load(SeqCst))
    }
}

fn posts() -> impl Iterator<Item = &'static Post> {
    // SAFETY: null, or the post of a queue, which lives in a slot that is never freed.
    let get = |place: &AtomicPtr<Post>| unsafe { place.load(SeqCst).as_ref() };
    core::iter::successors(get(&FIRST), move |post| get(&post.next))
}

/// From now on he is to watch this queue, which has just been left.
pub fn attend(poller: &'static Poller, post: &'static Post, slot: u32) {
    post.turns.store(0, SeqCst);
    if poller.watched.load(SeqCst) {
        return;
    }
    let mine = core::ptr::from_ref(poller).cast_mut();
    if post.poller.compare_exchange(core::ptr::null_mut(), mine, SeqCst, SeqCst).is_ok() {
        post.slot.store(slot, SeqCst);
        let _ = FIRST.fetch_update(SeqCst, SeqCst, |first| {
            post.next.store(first, SeqCst);
            Some(core::ptr::from_ref(post).cast_mut())
        });
    }
    if !RUNS.swap(true, SeqCst) {
        start();
    } else if ASLEEP.load(SeqCst) {
        call();
    }
}

/// Wakes him. Takes no lock.
pub fn call() {
    let writer = WRITER.load(SeqCst);
    if writer >= 0 {
        sys::write_byte(writer);
    }
}

fn start() {
    let open = || {
        if WRITER.load(SeqCst) >= 0 {
            return Ok(());
        }
        births::birth(&READER, || {
            let (reader, writer) = sys::pipe()?;
            WRITER.store(sys::move_up(writer, Poller::least_helper())?, SeqCst);
            sys::move_up(reader, Poller::least_helper())
        })?;
        for fd in [&READER, &WRITER] {
            descriptors::note_helper(fd.load(SeqCst), NO_SLOT);
        }
        Ok::<(), Errno>(())
    };
    if open().and_then(|()| sys::start_thread(run)).is_err() {
        // Then a descriptor becomes readable late: when its queue is next called.
        RUNS.store(false, SeqCst);
    }
}

extern "C" fn run(_: *mut libc::c_void) -> *mut libc::c_void {
    let _ = crate::errno::guarded(|| {
        let mut round = Round { set: Set::new(), watched: Vec::new() };
        while round.turn() {}
        Ok(())
    });
    core::ptr::null_mut()
}

struct Round {
    set: Set,
    /// Whose entries begin where.
    watched: Vec<(&'static Post, usize)>,
}

impl Round {
    /// One look at everything, and a sleep. False: he is not needed.
    fn turn(&mut self) -> bool {
        self.set.clear();
        self.watched.clear();
        ASLEEP.store(true, SeqCst);
        let mut patience = LEISURE;
        let mut alone = true;
        if self.set.reserve(1).is_ok() {
            self.set.push(READER.load(SeqCst), POLLIN, (Place::MAIN, 0));
        }
        for post in posts() {
            let Some(poller) = post.poller().filter(|poller| poller.idle.load(SeqCst)) else { continue };
            alone = false;
            if post.is_visited() {
                if post.turns.fetch_add(1, SeqCst) < TURNS {
                    patience = patience.min(PAUSE);
                } else {
                    poller.idle.store(false, SeqCst);
                }
                continue;
            }
            poller.watched.store(true, SeqCst);
            let begin = self.set.entries.len();
            match poller.show(&mut self.set) {
                Ok(time) if self.watched.try_reserve(1).is_ok() => {
                    self.watched.push((post, begin));
                    patience = patience.min(time.unwrap_or(u64::MAX));
                }
                _ => patience = patience.min(PAUSE),
            }
        }
        let forever = patience == LEISURE && !alone;
        let timeout = if forever { None } else { Some(sys::timespec_of(patience)) };
        let polled = sys::wait(&mut self.set.entries, &timeout, None, None);
        ASLEEP.store(false, SeqCst);
        let called = self.set.entries.first().is_some_and(|entry| entry.revents != 0);
        if called {
            sys::drain(READER.load(SeqCst));
        }
        let mut end = self.set.entries.len();
        for &(post, begin) in self.watched.iter().rev() {
            let Some(poller) = post.poller() else { continue };
            poller.watched.store(false, SeqCst);
            let ready = self.set.entries.get(begin..end).is_some_and(|own| own.iter().any(|entry| entry.revents != 0));
            if (ready || poller.late_timer().is_some()) && poller.idle.load(SeqCst) && !post.is_visited() {
                poller.notice();
            }
            end = begin;
        }
        if called {
            sys::nap(PAUSE);
        } else if alone && polled == Ok(0) {
            return !leave();
        }
        true
    }
}

/// Ends, unless somebody has just called. True: he goes.
fn leave() -> bool {
    RUNS.store(false, SeqCst);
    let needed = posts().filter_map(Post::poller).any(|poller| poller.idle.load(SeqCst));
    !needed || RUNS.swap(true, SeqCst)
}

/// In the child of a fork there is no such thread, and the pipe is the parent's.
pub fn child() {
    RUNS.store(false, SeqCst);
    ASLEEP.store(false, SeqCst);
    for fd in [&READER, &WRITER] {
        let fd = fd.swap(-1, SeqCst);
        if fd >= 0 {
            descriptors::disown(fd);
            sys::close_raw(fd);
        }
    }
    for poller in posts().filter_map(Post::poller) {
        poller.watched.store(false, SeqCst);
        poller.idle.store(false, SeqCst);
    }
}
