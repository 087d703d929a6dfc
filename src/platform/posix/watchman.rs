//! The watchman: a thread that polls the queues which nobody is in, so that their descriptors become readable.
//!
//! epoll does that by itself; here a queue that has something armed, and that nobody waits in, needs somebody who polls
//! for it and puts the byte into its pipe. There is one thread for all queues, started by the first call of kevent()
//! that leaves such a queue behind, with all signals blocked; a second without work ends it.
//!
//! Nobody calls him: he looks around by the clock, every `ROUND`, so a queue that was just left, or changed, is watched
//! that much later. (What is ready when a call returns that call itself finds.) Only close() has him come out, by the
//! queue's pipe: poll holds the open file. So programs that wait in kevent() all the time do not notice him.

use super::poller::Poller;
use super::sys;
use super::table::Set;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering::*};

/// How long he sleeps at most, and while somebody is on his way out of a queue, in nanoseconds.
const ROUND: u64 = 20_000_000;
const PAUSE: u64 = 4_000_000;
/// How many rounds he stays without work.
const LEISURE: u32 = 50;
/// How often he looks whether a queue's last visitor has left, before he counts on that one's call.
const TURNS: u32 = 8;

static RUNS: AtomicBool = AtomicBool::new(false);
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
    let mine = core::ptr::from_ref(poller).cast_mut();
    if post.poller.compare_exchange(core::ptr::null_mut(), mine, SeqCst, SeqCst).is_ok() {
        post.slot.store(slot, SeqCst);
        let _ = FIRST.fetch_update(SeqCst, SeqCst, |first| {
            post.next.store(first, SeqCst);
            Some(core::ptr::from_ref(post).cast_mut())
        });
    }
    // Where there is no thread to be had a descriptor becomes readable late: when its queue is next called.
    if !RUNS.swap(true, SeqCst) && sys::start_thread(run, core::ptr::null_mut()).is_err() {
        RUNS.store(false, SeqCst);
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
    /// Whose entries begin where.
    watched: Vec<(&'static Post, usize)>,
    leisure: u32,
}

impl Round {
    /// One look at everything, and a sleep. False: he is not needed.
    fn turn(&mut self) -> bool {
        self.set.clear();
        self.watched.clear();
        let mut patience = ROUND;
        let mut no_longer = |time: u64| patience = patience.min(time);
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
                Ok(Some(time)) => {
                    self.watched.push((post, begin));
                    time.into_iter().for_each(&mut no_longer);
                }
                Ok(None) if poller.is_readable() => poller.idle.store(false, SeqCst),
                _ => {
                    poller.watched.store(false, SeqCst);
                    no_longer(PAUSE);
                }
            }
        }
        if self.watched.is_empty() {
            self.leisure = if alone { self.leisure + 1 } else { 0 };
            sys::nap(patience);
            return self.leisure < LEISURE || !leave();
        }
        self.leisure = 0;
        let _ = sys::wait(&mut self.set.entries, &Some(sys::timespec_of(patience)), None);
        for &(post, _) in &self.watched {
            post.poller().into_iter().for_each(|poller| poller.watched.store(false, SeqCst));
        }
        let mut end = self.set.entries.len();
        for &(post, begin) in self.watched.iter().rev() {
            let Some(poller) = post.poller() else { continue };
            let own = self.set.entries.get(begin..end).unwrap_or(&[]);
            if poller.late_timer().is_some() {
                crate::registry::tend(post.slot.load(SeqCst));
            }
            let ready = own.iter().skip(1).any(|entry| entry.revents != 0) || poller.has_signals();
            // What he polled may have been changed meanwhile.
            if ready && poller.idle.load(SeqCst) && !post.is_visited() && poller.is_ready_now() {
                poller.notice();
            }
            end = begin;
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

/// In the child of a fork there is no such thread.
pub fn child() {
    RUNS.store(false, SeqCst);
    for poller in posts().filter_map(Post::poller) {
        poller.watched.store(false, SeqCst);
        poller.idle.store(false, SeqCst);
    }
}
