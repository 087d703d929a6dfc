//! How many knotes share each watch on a file: the kernel has one watch an inode, however many descriptors.

use crate::errno::{Errno, Result};
use hashbrown::HashTable;

pub struct Watches(HashTable<(u32, u32)>);

fn hash(watch: u32) -> u64 {
    u64::from(watch).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Watches {
    pub const fn new() -> Watches {
        Watches(HashTable::new())
    }

    /// Room for one more, so that `add` cannot fail. `ENOMEM`.
    pub fn reserve(&mut self) -> Result<()> {
        self.0.try_reserve(1, |entry| hash(entry.0)).map_err(|_| Errno::ENOMEM)
    }

    pub fn add(&mut self, watch: u32) {
        match self.0.find_mut(hash(watch), |entry| entry.0 == watch) {
            Some(entry) => entry.1 += 1,
            None => {
                self.0.insert_unique(hash(watch), (watch, 1), |entry| hash(entry.0));
            }
        }
    }

    /// One knote less; true where it was the last.
    pub fn remove(&mut self, watch: u32) -> bool {
        let Ok(mut entry) = self.0.find_entry(hash(watch), |entry| entry.0 == watch) else { return false };
        entry.get_mut().1 -= 1;
        if entry.get().1 > 0 {
            return false;
        }
        entry.remove();
        true
    }
}
