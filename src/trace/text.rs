//! A short string that any thread may read and change without a lock. Two that change it at one time may leave a
//! mixture of both, never more than fits.

use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// `N`: with the NUL.
pub struct Text<const N: usize>([AtomicU8; N]);

impl<const N: usize> Text<N> {
    pub const fn new(initial: &[u8]) -> Text<N> {
        let mut bytes = [const { AtomicU8::new(0) }; N];
        let mut at = 0;
        while at < initial.len() {
            bytes[at] = AtomicU8::new(initial[at]);
            at += 1;
        }
        Text(bytes)
    }

    /// Cut where it does not fit.
    pub fn store(&self, text: &[u8]) {
        let Some((last, places)) = self.0.split_last() else { return };
        for (at, place) in places.iter().enumerate() {
            place.store(text.get(at).copied().unwrap_or(0), Relaxed);
        }
        last.store(0, Relaxed);
    }

    /// Copies it and says how long it is; a NUL follows.
    pub fn load(&self, bytes: &mut [u8; N]) -> usize {
        for (byte, place) in bytes.iter_mut().zip(&self.0) {
            *byte = place.load(Relaxed);
        }
        bytes.iter().position(|&byte| byte == 0).unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.0.first().is_none_or(|first| first.load(Relaxed) == 0)
    }

    /// Where a C program can read it.
    pub fn address(&self) -> usize {
        self.0.as_ptr() as usize
    }
}
