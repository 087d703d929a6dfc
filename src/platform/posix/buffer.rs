//! What a wait has found.

use crate::platform::events::Source;
use core::mem::MaybeUninit;

#[derive(Clone, Copy)]
pub struct Event(Source);

impl Event {
    #[allow(dead_code)] // not Windows'
    pub const SIGNALS: Event = Event(Source::Signals);

    #[inline]
    pub fn source(&self) -> Source {
        self.0
    }
}

/// Room for events; lives on the caller's stack, uninitialised.
pub struct Buffer<const N: usize>([MaybeUninit<Event>; N], usize);

impl<const N: usize> Buffer<N> {
    #[inline]
    pub fn new() -> Self {
        Buffer([const { MaybeUninit::uninit() }; N], 0)
    }

    pub(super) fn clear(&mut self) {
        self.1 = 0;
    }

    pub(super) fn push(&mut self, source: Source) {
        if let Some(place) = self.0.get_mut(self.1) {
            place.write(Event(source));
            self.1 += 1;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.1
    }

    pub(super) fn all(&self) -> &[Event] {
        // SAFETY: `push` wrote the first `self.1` places, of N at most.
        unsafe { core::slice::from_raw_parts(self.0.as_ptr().cast(), self.1) }
    }
}
