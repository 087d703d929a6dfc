//! A binary heap of deadlines that knows where each timer stands, so that one in the middle can be taken out.

use super::knote::{KnoteId, NIL};
use crate::errno::{Errno, Result};

/// The index of a timer.
pub type TimerId = u32;
const FREE: u32 = u32::MAX;

#[derive(Clone, Copy)]
pub struct Timer {
    /// The expiry that was reported last, or the start: the period is counted from here.
    pub base: u64,
    pub knote: KnoteId,
    /// Its place in the heap; `FREE`: not in it.
    place: u32,
}

/// The timers of one clock of one queue.
pub struct Timers {
    slots: Vec<Timer>,
    free: Vec<TimerId>,
    heap: Vec<(u64, TimerId)>,
}

impl Timers {
    pub const fn new() -> Timers {
        Timers { slots: Vec::new(), free: Vec::new(), heap: Vec::new() }
    }

    /// How many timers there are, armed or not.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// A timer for `knote`, not armed. Room in the heap comes with it: arming cannot fail. `ENOMEM`.
    pub fn insert(&mut self, knote: KnoteId) -> Result<TimerId> {
        let timer = Timer { base: 0, knote, place: FREE };
        if let Some(id) = self.free.pop() {
            self.slots[id as usize] = timer;
            return Ok(id);
        }
        self.slots.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.free.try_reserve(self.slots.len() + 1).map_err(|_| Errno::ENOMEM)?;
        self.heap.try_reserve(self.slots.len() + 1 - self.heap.len()).map_err(|_| Errno::ENOMEM)?;
        self.slots.push(timer);
        Ok((self.slots.len() - 1) as TimerId)
    }

    pub fn remove(&mut self, id: TimerId) {
        self.disarm(id);
        self.slots[id as usize].knote = NIL;
        self.free.push(id);
    }

    pub fn get(&mut self, id: TimerId) -> &mut Timer {
        &mut self.slots[id as usize]
    }

    pub fn arm(&mut self, id: TimerId, deadline: u64) {
        self.disarm(id);
        self.heap.push((deadline, id));
        self.up(self.heap.len() - 1);
    }

    pub fn disarm(&mut self, id: TimerId) {
        let place = self.slots[id as usize].place;
        if place == FREE {
            return;
        }
        self.slots[id as usize].place = FREE;
        let place = place as usize;
        if let Some(last) = self.heap.pop() {
            if place < self.heap.len() {
                self.heap[place] = last;
                self.down(place);
                self.up(place);
            }
        }
    }

    pub fn earliest(&self) -> Option<u64> {
        self.heap.first().map(|&(deadline, _)| deadline)
    }

    /// Takes out a timer that is due at `now`.
    pub fn pop_due(&mut self, now: u64) -> Option<(u64, TimerId)> {
        let &(deadline, id) = self.heap.first().filter(|&&(deadline, _)| deadline <= now)?;
        self.disarm(id);
        Some((deadline, id))
    }

    fn settle(&mut self, place: usize, entry: (u64, TimerId)) {
        self.heap[place] = entry;
        self.slots[entry.1 as usize].place = place as u32;
    }

    fn up(&mut self, mut place: usize) {
        let entry = self.heap[place];
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.heap[parent].0 <= entry.0 {
                break;
            }
            self.settle(place, self.heap[parent]);
            place = parent;
        }
        self.settle(place, entry);
    }

    fn down(&mut self, mut place: usize) {
        let entry = self.heap[place];
        loop {
            let mut child = 2 * place + 1;
            if child >= self.heap.len() {
                break;
            }
            if child + 1 < self.heap.len() && self.heap[child + 1].0 < self.heap[child].0 {
                child += 1;
            }
            if self.heap[child].0 >= entry.0 {
                break;
            }
            self.settle(place, self.heap[child]);
            place = child;
        }
        self.settle(place, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_out_in_order_whatever_was_taken_out_between() {
        let mut timers = Timers::new();
        let mut seed = 1u64;
        let mut expected = Vec::new();
        for n in 0..500u32 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let id = timers.insert(n).unwrap();
            timers.arm(id, seed >> 40);
            if n % 3 == 0 {
                timers.arm(id, seed >> 41);
                expected.push(seed >> 41);
            } else if n % 5 == 0 {
                timers.remove(id);
            } else {
                expected.push(seed >> 40);
            }
        }
        expected.sort_unstable();
        let mut seen = Vec::new();
        while let Some((deadline, _)) = timers.pop_due(u64::MAX) {
            seen.push(deadline);
        }
        assert_eq!(seen, expected);
    }
}
