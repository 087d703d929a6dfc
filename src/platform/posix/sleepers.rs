//! Who sleeps in a poll of what the table said, and calls them out when that is no longer what it says.
//!
//! Who arms something while others sleep counts the version up and calls them. All must come out for that, so the call
//! stands until nobody sleeps with an older version, which is counted for each; a waiter that left by siglongjmp()
//! stays counted, and is not waited for longer than a second.

use crate::platform::unix::events::Clock;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

/// How many versions are told apart in counting who sleeps with which.
const VERSIONS: usize = 16;
/// How long sleepers of an older version are waited for, in nanoseconds.
const PATIENCE: u64 = 1_000_000_000;

pub struct Sleepers {
    version: AtomicU32,
    asleep: [AtomicU32; VERSIONS],
    /// When sleepers were called.
    called: AtomicU64,
}

/// Counts a thread that sleeps, however it leaves.
pub struct Asleep<'a>(&'a AtomicU32);

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        // It may have been given up.
        let _ = self.0.fetch_update(SeqCst, SeqCst, |count| count.checked_sub(1));
    }
}

impl Sleepers {
    pub const fn new() -> Sleepers {
        Sleepers {
            version: AtomicU32::new(0),
            asleep: [const { AtomicU32::new(0) }; VERSIONS],
            called: AtomicU64::new(0),
        }
    }

    /// The version of what the table says now.
    pub fn version(&self) -> u32 {
        self.version.load(SeqCst)
    }

    /// From now on the caller counts as asleep with that version. `None`: it is an old one already.
    pub fn fall_asleep(&self, version: u32) -> Option<Asleep<'_>> {
        let count = &self.asleep[version as usize % VERSIONS];
        count.fetch_add(1, SeqCst);
        let asleep = Asleep(count);
        (self.version() == version).then_some(asleep)
    }

    /// Something is armed that sleepers do not know of, or about to be closed. True: there are some, who have to be
    /// called. Takes no lock.
    pub fn renew(&self) -> bool {
        self.version.fetch_add(1, SeqCst);
        let old = self.are_old();
        if old {
            self.called.store(Clock::Monotonic.now(), SeqCst);
        }
        old
    }

    /// Does anybody sleep with an older version?
    pub fn are_old(&self) -> bool {
        self.of_older(self.version()).any(|count| count.load(SeqCst) > 0)
    }

    fn of_older(&self, version: u32) -> impl Iterator<Item = &AtomicU32> {
        let of_now = version as usize % VERSIONS;
        self.asleep.iter().enumerate().filter(move |&(of, _)| of != of_now).map(|(_, count)| count)
    }

    /// The call was heard by a waiter that knows the newest version. Are others still to come out for it?
    pub fn are_awaited(&self) -> bool {
        if !self.are_old() {
            return false;
        }
        let patient = Clock::Monotonic.now().saturating_sub(self.called.load(SeqCst)) < PATIENCE;
        if !patient {
            self.of_older(self.version()).for_each(|count| count.store(0, SeqCst));
        }
        patient
    }

    /// In the child of a fork there are none.
    pub fn forget(&self) {
        self.asleep.iter().for_each(|count| count.store(0, SeqCst));
    }
}
