//! Which device pipes are on: the same for all of a system. So a FIFO, which has a name, is told from what pipe(2) made.

use super::{births, sys};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Asked of a pipe that is made for that, once; 0: not yet. (On no system it is 0.)
static PIPES: AtomicU64 = AtomicU64::new(0);

#[allow(clippy::unnecessary_cast)] // the type differs from system to system
pub fn device_of_pipes() -> Option<libc::dev_t> {
    if PIPES.load(Relaxed) == 0 {
        let _hold = births::hold();
        let mut ends = [-1; 2];
        // SAFETY: room for two.
        sys::check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }).ok()?;
        if let Ok(stat) = sys::stat(ends[0]) {
            PIPES.store(stat.st_dev as u64, Relaxed);
        }
        ends.into_iter().for_each(sys::close_raw);
    }
    Some(PIPES.load(Relaxed)).filter(|&device| device != 0).map(|device| device as libc::dev_t)
}
