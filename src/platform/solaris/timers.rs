//! When the earliest timer of each clock is due: a bound of the wait, and a timer of the port's, so that it becomes
//! readable. A process has few of those (timer_max): where there is none, who waits is none the worse.

use super::ports::Timer;
use crate::errno::Result;
use crate::platform::unix::events::{Clock, CLOCKS};
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering::SeqCst};

/// A timer of the wall clock may be due early, when that is set: how often it is looked at, in nanoseconds.
const STEP: u64 = 500_000_000;
const NEVER: u64 = u64::MAX;
const NONE: i32 = -1;

pub struct Timers {
    due: [AtomicU64; 2],
    timers: [AtomicI32; 2],
}

impl Timers {
    pub const fn new() -> Timers {
        Timers { due: [const { AtomicU64::new(NEVER) }; 2], timers: [const { AtomicI32::new(NONE) }; 2] }
    }

    /// Sees to it that the port is told at `deadline` or before. True: that is earlier than it would have been.
    pub fn set(&self, port: i32, clock: Clock, deadline: u64) -> bool {
        let deadline = deadline.min(NEVER - 1);
        let earlier = self.due[clock as usize].fetch_min(deadline, SeqCst) > deadline;
        if earlier {
            // Where that fails who waits is told by the time-out of the wait.
            let _ = self.arm(port, clock, deadline);
        }
        earlier
    }

    fn arm(&self, port: i32, clock: Clock, deadline: u64) -> Result<()> {
        let place = &self.timers[clock as usize];
        let timer = match place.load(SeqCst) {
            NONE => Timer::create(clock.id(), port)
                // The finer clock may be for those only who have a privilege.
                .or_else(|_| Timer::create(libc::CLOCK_REALTIME, port))?,
            timer => Timer(timer),
        };
        place.store(timer.0, SeqCst);
        match clock {
            Clock::Monotonic => timer.set(deadline.saturating_sub(clock.now()), false),
            Clock::Wall => timer.set(deadline, true),
        }
    }

    /// The port's timer has told, and may have been early; or it is gone. Sets it anew.
    pub fn renew(&self, port: i32) {
        for (clock, due) in self.due().filter(|&(clock, due)| due > clock.now()) {
            let _ = self.arm(port, clock, due);
        }
    }

    /// What is due has been taken out, and the clock can be set anew.
    pub fn fired(&self, clock: Clock) {
        self.due[clock as usize].store(NEVER, SeqCst);
    }

    /// The port's timers are gone with something that was closed.
    pub fn lose(&self) {
        self.timers.iter().for_each(|timer| timer.store(NONE, SeqCst));
    }

    /// Gives them back to the system.
    pub fn delete(&self) {
        for place in &self.timers {
            let timer = place.swap(NONE, SeqCst);
            if timer != NONE {
                Timer(timer).delete();
            }
        }
        CLOCKS.into_iter().for_each(|clock| self.fired(clock));
    }

    fn due(&self) -> impl Iterator<Item = (Clock, u64)> + '_ {
        CLOCKS.into_iter().map(|clock| (clock, self.due[clock as usize].load(SeqCst))).filter(|&(_, due)| due != NEVER)
    }

    /// One that is due.
    #[inline]
    pub fn late(&self) -> Option<Clock> {
        self.due().find(|&(clock, due)| due <= clock.now()).map(|(clock, _)| clock)
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
        self.due().map(time).min()
    }
}
