//! Which kqueues want which signal.

use super::mask::{bits, place, SIGNALS};
use super::sys;
use crate::errno::{Errno, Result};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::SeqCst};
use libc::c_int;

/// The kqueues that want one signal: a bitmap in three steps, so that few queues cost little and a million are
/// possible. The upper steps are never cleared, so no reader can miss a queue while another one is removed.
pub(super) struct Wants {
    count: AtomicU32,
    /// A bit for each leaf that exists.
    leaves: AtomicU32,
    /// A bit for each word of a leaf that was ever used.
    used: [[AtomicU64; WORDS / 64]; LEAVES],
    leaf: [AtomicPtr<[AtomicU64; WORDS]>; LEAVES],
}

/// Words in a leaf: one page, 32,768 queues.
const WORDS: usize = 512;
const LEAVES: usize = 32;

static WANTS: [Wants; SIGNALS] = [const {
    Wants {
        count: AtomicU32::new(0),
        leaves: AtomicU32::new(0),
        used: [const { [const { AtomicU64::new(0) }; WORDS / 64] }; LEAVES],
        leaf: [const { AtomicPtr::new(core::ptr::null_mut()) }; LEAVES],
    }
}; SIGNALS];

/// Who wants this signal.
pub(super) fn of(signo: c_int) -> &'static Wants {
    &WANTS[place(signo)]
}

impl Wants {
    fn leaf(&self, leaf: usize) -> Option<&'static [AtomicU64; WORDS]> {
        // SAFETY: null or a page that `add` mapped, zeroed, and that is never unmapped; atomics may be shared.
        unsafe { self.leaf.get(leaf)?.load(SeqCst).as_ref() }
    }

    fn word(&self, slot: u32) -> Option<&'static AtomicU64> {
        self.leaf(slot as usize / 64 / WORDS)?.get(slot as usize / 64 % WORDS)
    }

    pub(super) fn has(&self, slot: u32) -> bool {
        self.word(slot).is_some_and(|word| word.load(SeqCst) & 1 << (slot % 64) != 0)
    }

    /// Under the lock of changes. False: it was in already. `ENOMEM`.
    pub(super) fn add(&self, slot: u32) -> Result<bool> {
        let (leaf, word) = (slot as usize / 64 / WORDS, slot as usize / 64 % WORDS);
        let place = self.leaf.get(leaf).ok_or(Errno::ENOMEM)?;
        if place.load(SeqCst).is_null() {
            let page = sys::map_zeroed(size_of::<[AtomicU64; WORDS]>()).ok_or(Errno::ENOMEM)?;
            place.store(page.cast(), SeqCst);
            self.leaves.fetch_or(1 << leaf, SeqCst);
        }
        let before = self.word(slot).ok_or(Errno::ENOMEM)?.fetch_or(1 << (slot % 64), SeqCst);
        if let Some(used) = self.used.get(leaf).and_then(|used| used.get(word / 64)) {
            used.fetch_or(1 << (word % 64), SeqCst);
        }
        let new = before & 1 << (slot % 64) == 0;
        self.count.fetch_add(u32::from(new), SeqCst);
        Ok(new)
    }

    /// Under the lock of changes. False: it was not in.
    pub(super) fn remove(&self, slot: u32) -> bool {
        let Some(word) = self.word(slot) else { return false };
        let was = word.fetch_and(!(1 << (slot % 64)), SeqCst) & 1 << (slot % 64) != 0;
        self.count.fetch_sub(u32::from(was), SeqCst);
        was
    }

    fn words(&self) -> impl Iterator<Item = (u32, &'static AtomicU64)> + '_ {
        bits(u64::from(self.leaves.load(SeqCst))).flat_map(move |leaf| {
            let used = self.used.get(leaf as usize).into_iter().flatten().enumerate();
            used.flat_map(move |(step, used)| bits(used.load(SeqCst)).map(move |at| step as u32 * 64 + at)).filter_map(
                move |word| {
                    let first = (leaf * WORDS as u32 + word) * 64;
                    Some((first, self.leaf(leaf as usize)?.get(word as usize)?))
                },
            )
        })
    }

    pub(super) fn each(&self, mut tell: impl FnMut(u32)) {
        for (first, word) in self.words() {
            for at in bits(word.load(SeqCst)) {
                tell(first + at);
            }
        }
    }

    pub(super) fn clear(&self) {
        for (_, word) in self.words() {
            word.store(0, SeqCst);
        }
        self.count.store(0, SeqCst);
    }

    pub(super) fn any(&self) -> bool {
        self.count.load(SeqCst) != 0
    }
}
