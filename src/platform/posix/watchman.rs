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
//! He is one who sleeps on each of the queues that he polls, and on their pipes: who changes what one of them polls
//! calls him with the others. The last call of a queue on its way out (`attend`) calls him by any of them.

use super::poller::Poller;
use super::sys;
use super::table::Set;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering::*};

/// How long he lets things calm down, in nanoseconds.
const PAUSE: u64 = 4_000_000;
/// How many such turns he stays without work.
const LEISURE: u32 = 16;
/// How often he looks whether a queue's last visitor has left, before he counts on that one's call.
const TURNS: u32 = 8;

static RUNS: AtomicBool = AtomicBool::new(false);
/// A queue that he sleeps on; null: he looks by himself.
static ASLEEP: AtomicPtr<Poller> = AtomicPtr::new(core::ptr::null_mut());
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
        // Where there is no thread to be had a descriptor becomes readable late: when its queue is next called.
        if sys::start_thread(run).is_err() {
            RUNS.store(false, SeqCst);
        }
        return;
    }
    // SAFETY: null, or a queue's, which live in slots that are never freed.
    if let Some(other) = unsafe { ASLEEP.load(SeqCst).as_ref() } {
        other.call_watchman();
    }
}

extern "C" fn run(_: *mut libc::c_void) -> *mut libc::c_void {
    let _ = crate::errno::guarded(|| {
        let mut round = Round { set: Set::new(), watched: Vec::new(), leisure: 0 };
        while round.turn() {}
        Ok(())
    });
    core::ptr::null_mut()
}

struct Round {
    set: Set,
    /// Whose entries begin where, and the version that they are of.
    watched: Vec<(&'static Post, usize, u32)>,
    leisure: u32,
}

impl Round {
    /// One look at everything, and a sleep. False: he is not needed.
    fn turn(&mut self) -> bool {
        self.set.clear();
        self.watched.clear();
        let mut patience = None;
        let mut no_longer = |time: u64| patience = Some(patience.map_or(time, |before: u64| before.min(time)));
        let mut alone = true;
        for post in posts() {
            let Some(poller) = post.poller().filter(|poller| poller.idle.load(SeqCst)) else { continue };
            alone = false;
            if post.is_visited() {
                no_longer(PAUSE);
                if post.turns.fetch_add(1, SeqCst) >= TURNS {
                    poller.idle.store(false, SeqCst);
                }
                continue;
            }
            let begin = self.set.entries.len();
            if self.watched.try_reserve(1).is_err() {
                no_longer(PAUSE);
                continue;
            }
            match poller.show(&mut self.set) {
                Ok(Some((version, time))) => {
                    self.watched.push((post, begin, version));
                    time.into_iter().for_each(&mut no_longer);
                    ASLEEP.store(core::ptr::from_ref(poller).cast_mut(), SeqCst);
                }
                Ok(None) if poller.is_readable() => poller.idle.store(false, SeqCst),
                _ => no_longer(PAUSE),
            }
        }
        if self.watched.is_empty() {
            self.leisure = if alone { self.leisure + 1 } else { 0 };
            sys::nap(PAUSE);
            return self.leisure < LEISURE || !leave();
        }
        self.leisure = 0;
        if posts().any(|post| self.is_missed(post)) {
            // Left after he had looked at it, before it could know whom to call.
            no_longer(0);
        }
        let _ = sys::wait(&mut self.set.entries, &patience.map(sys::timespec_of), None, None);
        ASLEEP.store(core::ptr::null_mut(), SeqCst);
        let mut any_called = false;
        let mut end = self.set.entries.len();
        for &(post, begin, version) in self.watched.iter().rev() {
            let Some(poller) = post.poller() else { continue };
            let own = self.set.entries.get(begin..end).unwrap_or(&[]);
            let called = own.first().is_some_and(|entry| entry.revents != 0);
            let ready = own.iter().skip(1).any(|entry| entry.revents != 0);
            poller.came_out(version, called);
            any_called |= called;
            if (ready || poller.late_timer().is_some()) && poller.idle.load(SeqCst) && !post.is_visited() {
                poller.notice();
            }
            end = begin;
        }
        if any_called {
            sys::nap(PAUSE);
        }
        true
    }

    fn is_missed(&self, post: &Post) -> bool {
        post.poller().is_some_and(|poller| poller.idle.load(SeqCst) && !poller.watched.load(SeqCst))
            && !post.is_visited()
    }
}

/// Ends, unless somebody has just called. True: he goes.
fn leave() -> bool {
    RUNS.store(false, SeqCst);
    let needed = posts().filter_map(Post::poller).any(|poller| poller.idle.load(SeqCst));
    !needed || RUNS.swap(true, SeqCst)
}

/// In the child of a fork there is no such thread.
pub fn child() {
    RUNS.store(false, SeqCst);
    ASLEEP.store(core::ptr::null_mut(), SeqCst);
    for poller in posts().filter_map(Post::poller) {
        poller.watched.store(false, SeqCst);
        poller.idle.store(false, SeqCst);
    }
}
