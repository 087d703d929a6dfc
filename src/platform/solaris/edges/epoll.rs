//! Edges, as epoll(5) has them.
//!
//! An epoll can be in no port, so it takes a thread to wait for one. And what a thread has taken out of an epoll is
//! nobody's until it has said so: a kevent() that only looks would miss it. So there are two for each direction, with the
//! same items: whoever is in kevent() looks into one, under the lock, and the thread sleeps in the other, which tells it
//! that there is something to look for. Reading and writing are apart, for one epoll has one item for a file, and what
//! comes in is no news to who writes (2.15). All queues of the process share them.
//!
//! Only what is *silent* has news: it was told, and the port is not asked for it until something new has come.

use crate::errno::{Errno, Result};
use crate::index::Index;
use crate::platform::births;
use crate::platform::events::{Arm, Place};
use crate::platform::lock::{self, Guard, Mutex};
use crate::platform::sys;
use crate::registry;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering::SeqCst};
use libc::{c_int, epoll_event};

/// The beacon's: no descriptor has such a number.
const STOP: u64 = u64::MAX;
/// How long it is waited for the end of a thread, in milliseconds.
const PATIENCE: u32 = 200;

/// What is waited for, with its two epolls.
struct Direction {
    events: c_int,
    /// Looked into; waited in. -1: not made.
    looked: AtomicI32,
    waited: AtomicI32,
    runs: AtomicBool,
    stops: AtomicBool,
}

impl Direction {
    const fn new(events: c_int) -> Direction {
        Direction {
            events,
            looked: AtomicI32::new(-1),
            waited: AtomicI32::new(-1),
            runs: AtomicBool::new(false),
            stops: AtomicBool::new(false),
        }
    }

    fn epolls(&self) -> [&AtomicI32; 2] {
        [&self.looked, &self.waited]
    }
}

static DIRECTIONS: [Direction; 3] = [
    Direction::new(libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET),
    Direction::new(libc::EPOLLOUT | libc::EPOLLET),
    Direction::new(libc::EPOLLPRI | libc::EPOLLET),
];

fn direction_of(arm: Arm) -> usize {
    match arm {
        arm if arm.contains(Arm::IN) => 0,
        arm if arm.contains(Arm::OUT) => 1,
        _ => 2,
    }
}

/// A queue's in one direction of a descriptor.
#[derive(Clone, Copy)]
struct Interest {
    fd: i32,
    direction: usize,
    slot: u32,
    place: Place,
    silent: bool,
}

struct Contents {
    interests: Index<Interest>,
    /// Whose silence has ended. There is room for every interest.
    news: Vec<(u32, i32, Place)>,
}

/// Never freed. A child of a fork has another one: some thread of the parent's may have been in it.
static CONTENTS: AtomicPtr<Mutex<Contents>> = AtomicPtr::new(core::ptr::null_mut());

fn contents() -> Option<&'static Mutex<Contents>> {
    // SAFETY: null, or what `make_contents` has leaked.
    unsafe { CONTENTS.load(SeqCst).as_ref() }
}

/// `ENOMEM`.
fn make_contents() -> Result<&'static Mutex<Contents>> {
    if let Some(contents) = contents() {
        return Ok(contents);
    }
    let mut made = Vec::new();
    made.try_reserve_exact(1).map_err(|_| Errno::ENOMEM)?;
    made.push(Mutex::new(Contents { interests: Index::new(), news: Vec::new() }));
    if CONTENTS.compare_exchange(core::ptr::null_mut(), made.as_mut_ptr(), SeqCst, SeqCst).is_ok() {
        core::mem::forget(made);
    }
    contents().ok_or(Errno::ENOMEM)
}

fn enter() -> Option<Guard<'static, Contents>> {
    lock::lock(contents()?).ok()
}

fn key_of(interest: Interest) -> u64 {
    key(interest.fd, interest.direction)
}

fn key(fd: i32, direction: usize) -> u64 {
    u64::from(fd as u32) << 2 | direction as u64
}

fn epoll_ctl(epoll: i32, operation: c_int, fd: i32, events: c_int, key: u64) -> Result<()> {
    let mut event = epoll_event { events: events as u32, u64: key };
    // SAFETY: the event lives through the call.
    sys::check(unsafe { libc::epoll_ctl(epoll, operation, fd, &mut event) }).map(|_| ())
}

fn epoll_wait<const N: usize>(
    epoll: i32,
    list: &mut [MaybeUninit<epoll_event>; N],
    timeout: c_int,
) -> Result<&[epoll_event]> {
    // SAFETY: the list has N places.
    let found = sys::check(unsafe { libc::epoll_wait(epoll, list.as_mut_ptr().cast(), N as c_int, timeout) })?;
    // SAFETY: the system filled `found` entries.
    Ok(unsafe { core::slice::from_raw_parts(list.as_ptr().cast(), found as usize) })
}

impl Direction {
    /// Makes the epolls and the thread, where they are not there. `EMFILE`, `ENFILE`, `ENOMEM`, `EAGAIN`.
    fn prepare(&'static self) -> Result<()> {
        for place in self.epolls() {
            if place.load(SeqCst) < 0 {
                // SAFETY: no pointers.
                let make = || sys::check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) });
                births::birth(place, || sys::move_up(make()?, sys::least_helper()))?;
            }
        }
        if !self.runs.swap(true, SeqCst) {
            self.stops.store(false, SeqCst);
            let argument = core::ptr::from_ref(self).cast_mut().cast();
            sys::start_thread(run, argument).inspect_err(|_| self.runs.store(false, SeqCst))?;
        }
        Ok(())
    }

    /// Ends the thread, and gives the epolls back.
    fn stop(&self) {
        self.stops.store(true, SeqCst);
        let waited = self.waited.load(SeqCst);
        // SAFETY: no pointers.
        let beacon = unsafe { libc::eventfd(1, libc::EFD_CLOEXEC) };
        let called = beacon >= 0 && epoll_ctl(waited, libc::EPOLL_CTL_ADD, beacon, libc::EPOLLIN, STOP).is_ok();
        if called {
            sys::wait_a_moment(PATIENCE, || !self.runs.load(SeqCst));
        }
        if beacon >= 0 {
            sys::close_raw(beacon);
        }
        if !self.runs.load(SeqCst) {
            let _hold = births::hold();
            for place in self.epolls() {
                let epoll = place.swap(-1, SeqCst);
                if epoll >= 0 {
                    sys::close_raw(epoll);
                }
            }
        }
    }
}

extern "C" fn run(argument: *mut libc::c_void) -> *mut libc::c_void {
    // SAFETY: one of `DIRECTIONS`, from `prepare`.
    let direction: &'static Direction = unsafe { &*argument.cast() };
    let _ = crate::errno::guarded(|| {
        let mut list = [const { MaybeUninit::uninit() }; 64];
        loop {
            match epoll_wait(direction.waited.load(SeqCst), &mut list, -1) {
                Ok(_) | Err(Errno::EINTR) => {}
                // The program has closed the number.
                Err(errno) => return Err(errno),
            }
            // Who stops this thread holds the lock.
            let entered = loop {
                if direction.stops.load(SeqCst) {
                    return Ok(());
                }
                match contents().map(|contents| contents.try_lock()) {
                    Some(Some(guard)) => break guard,
                    Some(None) => sys::give_way(true),
                    None => return Ok(()),
                }
            };
            look(entered);
        }
    });
    direction.runs.store(false, SeqCst);
    core::ptr::null_mut()
}

/// The queue wants to hear of what is new there. `EPERM`: epoll cannot tell of it; `ENOMEM`, `EMFILE`, `EDEADLK`.
pub fn begin(slot: u32, place: Place, fd: i32, arm: Arm) -> Result<()> {
    let direction = direction_of(arm);
    let mut guard = lock::lock(make_contents()?)?;
    let contents = &mut *guard;
    let same = |one: Interest| one.fd == fd && one.direction == direction && one.slot == slot && one.place == place;
    if contents.interests.find(key(fd, direction), same).is_none() {
        let count = contents.interests.len() + 1;
        contents.news.try_reserve(count).map_err(|_| Errno::ENOMEM)?;
        contents.interests.reserve(1, key_of)?;
        DIRECTIONS[direction].prepare()?;
        let interest = Interest { fd, direction, slot, place, silent: false };
        contents.interests.insert(key(fd, direction), interest);
    }
    // Always: the number may have been another file's, whose interest is not ended yet.
    let mut result = Ok(());
    for epoll in DIRECTIONS[direction].epolls() {
        let (epoll, events) = (epoll.load(SeqCst), DIRECTIONS[direction].events);
        match epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, events, fd as u64) {
            Err(errno) if errno.0 != libc::EEXIST => result = Err(errno),
            _ => {}
        }
    }
    drop(guard);
    result.inspect_err(|_| end(slot, place, fd, arm))
}

/// It does not want to any more.
pub fn end(slot: u32, place: Place, fd: i32, arm: Arm) {
    let direction = direction_of(arm);
    let Some(mut contents) = enter() else { return };
    let same = |one: Interest| one.fd == fd && one.direction == direction && one.slot == slot && one.place == place;
    contents.interests.remove(key(fd, direction), same, key_of);
    contents.news.retain(|&news| news != (slot, fd, place));
    if contents.interests.find(key(fd, direction), |one| one.fd == fd && one.direction == direction).is_none() {
        for epoll in DIRECTIONS[direction].epolls() {
            // Where the number is another file by now there is no such item.
            let _ = epoll_ctl(epoll.load(SeqCst), libc::EPOLL_CTL_DEL, fd, 0, 0);
        }
    }
}

/// It is about to be told, so that from now on only what comes is news; or it was not told after all.
pub fn silence(slot: u32, place: Place, fd: i32, arm: Arm, silent: bool) {
    if silent {
        harvest();
    }
    let direction = direction_of(arm);
    let Some(mut contents) = enter() else { return };
    let same = |one: Interest| one.fd == fd && one.direction == direction && one.slot == slot && one.place == place;
    if let Some(interest) = contents.interests.find_mut(key(fd, direction), same) {
        interest.silent = silent;
    }
}

/// Looks for what is new, whoever is to hear of it.
pub fn harvest() {
    if let Some(contents) = enter() {
        look(contents);
    }
}

fn look(mut guard: Guard<'static, Contents>) {
    let contents = &mut *guard;
    let mut list = [const { MaybeUninit::uninit() }; 64];
    for (number, direction) in DIRECTIONS.iter().enumerate() {
        let epoll = direction.looked.load(SeqCst);
        if epoll < 0 {
            continue;
        }
        while let Ok(found) = epoll_wait(epoll, &mut list, 0) {
            for event in found {
                let fd = event.u64 as i32;
                let own = |one: &&mut Interest| one.fd == fd && one.direction == number && one.silent;
                for interest in contents.interests.all_mut(key(fd, number)).filter(own) {
                    interest.silent = false;
                    if contents.news.len() < contents.news.capacity() {
                        contents.news.push((interest.slot, fd, interest.place));
                    }
                    if let Some(kernel) = registry::kernel(interest.slot) {
                        kernel.has_news();
                    }
                }
            }
            if found.len() < list.len() {
                break;
            }
        }
    }
}

/// Calls `each` with what is new to the queue since that was last asked.
pub fn take_news(slot: u32, mut each: impl FnMut(i32, Place)) {
    let Some(mut contents) = enter() else { return };
    contents.news.retain(|&(of, fd, place)| {
        if of == slot {
            each(fd, place);
        }
        of != slot
    });
}

/// The number is about to be closed, while others perhaps keep the file open. Takes no lock.
pub fn forget(fd: i32) {
    for epoll in DIRECTIONS.iter().flat_map(Direction::epolls) {
        let epoll = epoll.load(SeqCst);
        if epoll >= 0 {
            let _ = epoll_ctl(epoll, libc::EPOLL_CTL_DEL, fd, 0, 0);
        }
    }
}

/// The queue is closed. With the last that had an interest the threads end.
pub fn leave(slot: u32) {
    let Some(mut guard) = enter() else { return };
    let contents = &mut *guard;
    contents.news.retain(|&(of, ..)| of != slot);
    let mut left = [false; DIRECTIONS.len()];
    let keep = |one: Interest| {
        left[one.direction] |= one.slot != slot;
        one.slot != slot
    };
    contents.interests.retain(keep, key_of);
    for (direction, left) in DIRECTIONS.iter().zip(left) {
        if !left && direction.runs.load(SeqCst) {
            direction.stop();
        }
    }
}

/// In the child of a fork there are no threads, and the epolls are the parent's.
pub fn child() {
    CONTENTS.store(core::ptr::null_mut(), SeqCst);
    for direction in &DIRECTIONS {
        direction.runs.store(false, SeqCst);
        for place in direction.epolls() {
            let epoll = place.swap(-1, SeqCst);
            if epoll >= 0 {
                sys::close_raw(epoll);
            }
        }
    }
}
