//! What a backend has to say whose queues hold no others of the system's, and whose timers need nothing made.

use super::{Buffer, Clock, Event, Place, Poller};
use crate::errno::Result;

impl Poller {
    #[inline]
    pub fn has_sides(&self) -> bool {
        false
    }

    pub fn has_lost(&self, _: Place) -> bool {
        false
    }

    pub fn side_events<'a, const N: usize>(&self, _: Place, _: &'a mut Buffer<N>, _: usize) -> &'a [Event] {
        &[]
    }

    pub fn prepare_timer(&self, _: u32, _: Clock) -> Result<()> {
        Ok(())
    }
}
