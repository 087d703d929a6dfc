//! When the earliest timer of each clock is due: what bounds a wait where no kernel object does.

use super::events::{Clock, CLOCKS};
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// A timer of the wall clock may be due early, when that is set: how often it is looked at, in nanoseconds.
const STEP: u64 = 500_000_000;
const NEVER: u64 = u64::MAX;

pub struct Deadlines([AtomicU64; 2]);

impl Deadlines {
    pub const fn new() -> Deadlines {
        Deadlines([const { AtomicU64::new(NEVER) }; 2])
    }

    /// `None`: there is an earlier one. Else the deadline as it is remembered.
    pub fn set(&self, clock: Clock, deadline: u64) -> Option<u64> {
        let deadline = deadline.min(NEVER - 1);
        (self.0[clock as usize].fetch_min(deadline, SeqCst) > deadline).then_some(deadline)
    }

    /// What is due has been taken out, and the clock can be set anew.
    pub fn fired(&self, clock: Clock) {
        self.0[clock as usize].store(NEVER, SeqCst);
    }

    pub fn forget(&self) {
        CLOCKS.into_iter().for_each(|clock| self.fired(clock));
    }

    pub fn all(&self) -> impl Iterator<Item = (Clock, u64)> + '_ {
        CLOCKS.into_iter().map(|clock| (clock, self.0[clock as usize].load(SeqCst))).filter(|&(_, due)| due != NEVER)
    }

    /// One that is due.
    #[inline]
    pub fn late(&self) -> Option<Clock> {
        self.all().find(|&(clock, due)| due <= clock.now()).map(|(clock, _)| clock)
    }

    /// How long nobody has to look, in nanoseconds.
    pub fn patience(&self) -> Option<u64> {
        let time = |(clock, due): (Clock, u64)| {
            let time = due.saturating_sub(clock.now());
            if clock == Clock::Wall {
                time.min(STEP)
            } else {
                time
            }
        };
        self.all().map(time).min()
    }
}
