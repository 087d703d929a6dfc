//! When the earliest timer of each clock is due: a bound of the wait, and a timer of the port's, so that it becomes
//! readable. A process has few of those (timer_max): where there is none, who waits is none the worse.

use super::ports::Timer;
use crate::errno::Result;
use crate::platform::deadlines::Deadlines;
use crate::platform::events::Clock;
use core::sync::atomic::{AtomicI32, Ordering::SeqCst};

const NONE: i32 = -1;

pub struct Timers {
    due: Deadlines,
    timers: [AtomicI32; 2],
}

impl Timers {
    pub const fn new() -> Timers {
        Timers { due: Deadlines::new(), timers: [const { AtomicI32::new(NONE) }; 2] }
    }

    /// Sees to it that the port is told at `deadline` or before.
    pub fn set(&self, port: i32, clock: Clock, deadline: u64) {
        if let Some(deadline) = self.due.set(clock, deadline) {
            // Where that fails who waits is told by the time-out of the wait.
            let _ = self.arm(port, clock, deadline);
        }
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
        for (clock, due) in self.due.all().filter(|&(clock, due)| due > clock.now()) {
            let _ = self.arm(port, clock, due);
        }
    }

    /// What is due has been taken out, and the clock can be set anew.
    pub fn fired(&self, clock: Clock) {
        self.due.fired(clock);
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
        self.due.forget();
    }

    /// One that is due.
    #[inline]
    pub fn late(&self) -> Option<Clock> {
        self.due.late()
    }

    /// How long nobody has to look, in nanoseconds.
    pub fn patience(&self) -> Option<u64> {
        self.due.patience()
    }
}
