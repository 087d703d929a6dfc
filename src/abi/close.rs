//! close() and its kin, in front of libc's: a descriptor that goes takes its knotes along (10.1).
//!
//! For a number that no queue watches this costs two atomic additions. A call that fails, or that only marks
//! descriptors close-on-exec, drops nothing. The library's own helpers are not the program's to close: for it
//! those numbers are not open.

use crate::errno::Errno;
use crate::platform::next::{self, DIR, FILE};
use crate::platform::sys::Uncancelled;
use crate::platform::{descriptors, start, sys};
use crate::registry::close::{begin, hold_helpers, is_helper, make_way, Watched};
use core::ffi::{c_char, c_int, c_uint};

const BADF: c_int = -1;

fn bad_descriptor() -> c_int {
    sys::set_errno(Errno::EBADF);
    BADF
}

/// `close(2)`.
#[no_mangle]
pub extern "C-unwind" fn close(fd: c_int) -> c_int {
    if fd < 0 {
        start::notice_probe();
        return bad_descriptor();
    }
    if is_helper(fd) {
        return bad_descriptor();
    }
    if descriptors::is_known(fd) {
        // A thread that is cancelled here closes nothing, so nothing may be dropped.
        sys::test_cancel();
    }
    let watched = begin(fd);
    let result = next::close(fd);
    // On Linux the number is free whatever close() says of the file, but for EBADF.
    watched.end(result == 0 || sys::last_errno() != Errno::EBADF);
    result
}

/// Will `dup2(old, new)` succeed?
fn replaces(old: c_int, new: c_int) -> bool {
    (new as u64) < sys::descriptor_limit() && sys::is_open(old)
}

fn replace(old: c_int, new: c_int, call: impl FnOnce() -> c_int) -> c_int {
    if is_helper(old) {
        return bad_descriptor();
    }
    let _hold = hold_helpers(new);
    // What can fail must fail before anything is dropped; where there is nothing to drop it need not be asked.
    if old == new || (descriptors::is_known(new) && !replaces(old, new)) {
        return call();
    }
    if let Err(errno) = make_way(new) {
        sys::set_errno(errno);
        return -1;
    }
    let watched = begin(new);
    let result = call();
    watched.end(result != -1);
    result
}

/// `dup2(2)`.
#[no_mangle]
pub extern "C" fn dup2(old: c_int, new: c_int) -> c_int {
    replace(old, new, || next::dup2(old, new))
}

/// `dup3(2)`.
#[no_mangle]
pub extern "C" fn dup3(old: c_int, new: c_int, flags: c_int) -> c_int {
    if flags & !libc::O_CLOEXEC != 0 {
        return next::dup3(old, new, flags);
    }
    replace(old, new, || next::dup3(old, new, flags))
}

const CLOSE_RANGE_CLOEXEC: c_int = 4;
const CLOSE_RANGE_UNSHARE: c_int = 2;

/// `close_range(2)`.
#[no_mangle]
pub extern "C" fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int {
    let closes = first <= last && flags & !CLOSE_RANGE_UNSHARE == 0;
    // In a program without kqueue the one call is all.
    let known = || {
        let mut any = false;
        descriptors::each_known(first, last, |_| any = true);
        any
    };
    let _hold = if closes { hold_helpers(i32::try_from(last).unwrap_or(i32::MAX)) } else { None };
    if flags & CLOSE_RANGE_CLOEXEC != 0 || !closes || !known() || !next::has_close_range() {
        return next::close_range(first, last, flags);
    }
    // In one call for as many as can be: a number closed twice might be another thread's new file.
    const BATCH: usize = 32;
    let mut batch = [const { Watched::NONE }; BATCH];
    let (mut count, mut from, mut result) = (0, Some(first), 0);
    let mut flush = |batch: &mut [Watched], from: c_uint, to: c_uint| {
        let closed = from > to || next::close_range(from, to, flags) == 0;
        result |= if closed { 0 } else { -1 };
        for watched in batch.iter_mut().rev() {
            core::mem::replace(watched, Watched::NONE).end(closed);
        }
    };
    descriptors::each_known(first, last, |fd| {
        let Some(begin_at) = from else { return };
        if is_helper(fd as c_int) {
            if begin_at < fd {
                flush(&mut batch[..count], begin_at, fd - 1);
            }
            (count, from) = (0, fd.checked_add(1));
            return;
        }
        batch[count] = begin(fd as c_int);
        count += 1;
        if count == BATCH {
            flush(&mut batch, begin_at, fd);
            (count, from) = (0, fd.checked_add(1));
        }
    });
    if let Some(from) = from {
        flush(&mut batch[..count], from, last);
    }
    result
}

/// `closefrom(3)`.
#[no_mangle]
pub extern "C" fn closefrom(least: c_int) {
    let least = least.max(0) as c_uint;
    if close_range(least, c_uint::MAX, 0) == 0 {
        return;
    }
    // It is no cancellation point.
    let _uncancelled = Uncancelled::begin();
    for fd in least..sys::descriptor_limit().min(1 << 20) as c_uint {
        close(fd as c_int);
    }
}

/// `fclose(3)`.
///
/// # Safety
/// As libc's: `stream` is an open stream.
#[no_mangle]
pub unsafe extern "C-unwind" fn fclose(stream: *mut FILE) -> c_int {
    // SAFETY: the caller's promise.
    let (watched, result) = unsafe { (begin(next::fileno(stream)), next::fclose(stream)) };
    watched.end(true);
    result
}

/// `pclose(3)`.
///
/// # Safety
/// As libc's: `stream` came from popen().
#[no_mangle]
pub unsafe extern "C-unwind" fn pclose(stream: *mut FILE) -> c_int {
    // SAFETY: the caller's promise.
    let (watched, result) = unsafe { (begin(next::fileno(stream)), next::pclose(stream)) };
    watched.end(true);
    result
}

/// `closedir(3)`.
///
/// # Safety
/// As libc's: `directory` came from opendir() or fdopendir(), or is null.
#[no_mangle]
pub unsafe extern "C-unwind" fn closedir(directory: *mut DIR) -> c_int {
    // SAFETY: the caller's promise.
    let (watched, result) = unsafe { (begin(next::dirfd(directory)), next::closedir(directory)) };
    watched.end(true);
    result
}

/// Closes the stream's descriptor, and may put the new file on the same number.
///
/// # Safety
/// `stream` is an open stream.
unsafe fn reopen(stream: *mut FILE, call: impl FnOnce() -> *mut FILE) -> *mut FILE {
    // SAFETY: the caller's promise.
    let watched = begin(unsafe { next::fileno(stream) });
    let result = call();
    watched.end(true);
    result
}

/// `freopen(3)`.
///
/// # Safety
/// As libc's: `stream` is an open stream.
#[no_mangle]
pub unsafe extern "C-unwind" fn freopen(path: *const c_char, mode: *const c_char, stream: *mut FILE) -> *mut FILE {
    // SAFETY: the caller's promise.
    unsafe { reopen(stream, || next::freopen(path, mode, stream)) }
}

/// `freopen` where `off_t` has 64 bits, as programs built with `_FILE_OFFSET_BITS=64` call it.
///
/// # Safety
/// As libc's: `stream` is an open stream.
#[no_mangle]
pub unsafe extern "C-unwind" fn freopen64(path: *const c_char, mode: *const c_char, stream: *mut FILE) -> *mut FILE {
    // SAFETY: the caller's promise.
    unsafe { reopen(stream, || next::freopen64(path, mode, stream)) }
}

/// `mq_close(3)`: a message queue is a descriptor on Linux.
#[no_mangle]
pub extern "C" fn mq_close(queue: c_int) -> c_int {
    let watched = begin(queue);
    let result = next::mq_close(queue);
    watched.end(result == 0 || sys::last_errno() != Errno::EBADF);
    result
}
