//! KQUEUE_DEBUG_FILE: where the lines go instead of the standard error.
//!
//! Opened for the first line and kept: close-on-exec, for appending, out of the program's way. It stays in the
//! child of a fork, which goes on in the same file; the lines say which process wrote them.

use super::text::Text;
use crate::platform::{births, descriptors, outlet};
use core::ffi::CStr;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering::SeqCst};

const PATH_ROOM: usize = 1024;
static PATH: Text<PATH_ROOM> = Text::new(b"");
/// The descriptor, and above it which file it is (never 0): 0 is none. A program that closes what is not its own,
/// where we are not told, may have a file of its own under the number.
static FILE: AtomicU64 = AtomicU64::new(0);
/// No queue's: the number of the helper's owner.
const NO_SLOT: u32 = (1 << 30) - 1;

/// Copied, because programs overwrite their environment. One that does not fit names no file.
pub fn set_path(path: &CStr) {
    if path.count_bytes() < PATH_ROOM {
        PATH.store(path.to_bytes());
    }
}

fn word(fd: i32) -> Option<u64> {
    Some(u64::from(outlet::identity(fd)?) << 32 | fd as u64)
}

/// Where lines are written. `None`: the file cannot be opened, and nothing is.
pub fn descriptor() -> Option<i32> {
    if PATH.is_empty() {
        return Some(outlet::STANDARD_ERROR);
    }
    let known = FILE.load(SeqCst);
    if known == 0 {
        return open();
    }
    let fd = known as i32;
    if word(fd) == Some(known) {
        return Some(fd);
    }
    if FILE.compare_exchange(known, 0, SeqCst, SeqCst).is_ok() {
        descriptors::disown(fd);
    }
    open()
}

fn open() -> Option<i32> {
    let mut bytes = [0; PATH_ROOM];
    PATH.load(&mut bytes);
    let path = CStr::from_bytes_until_nul(&bytes).ok()?;
    let fd = births::birth(&AtomicI32::new(-1), || outlet::open(path)).ok()?;
    // Another thread may have opened it meanwhile.
    match word(fd).map(|word| FILE.compare_exchange(0, word, SeqCst, SeqCst)) {
        Some(Ok(_)) => {
            descriptors::note_helper(fd, NO_SLOT);
            Some(fd)
        }
        other => {
            outlet::close(fd);
            other.and_then(|known| known.err()).map(|known| known as i32)
        }
    }
}

/// The program is about to put another file on this number.
pub fn make_way(fd: i32) {
    let known = FILE.load(SeqCst);
    if known != 0 && known as i32 == fd && FILE.compare_exchange(known, 0, SeqCst, SeqCst).is_ok() {
        // The file goes with the number, and the next line opens it anew.
        descriptors::disown(fd);
    }
}
