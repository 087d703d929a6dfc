//! Where trace lines leave the library, and how the program's own string and function for them are used.
//!
//! Lines are written to handles: a file is known by the handle's number, which no descriptor is.

use super::api::*;
use super::{crt, sys};
use crate::errno::Result;
use core::ffi::{c_int, CStr};

pub use crate::platform::program::{copy_string, tell};
pub use sys::thread_id;

/// Not a descriptor: whoever's runtime it is, standard error is one.
pub const STANDARD_ERROR: c_int = -2;

/// Opens a file to append to.
pub fn open(path: &CStr) -> Result<c_int> {
    let share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    // SAFETY: the path ends in a NUL.
    let file =
        unsafe { CreateFileA(path.as_ptr().cast(), FILE_APPEND_DATA, share, core::ptr::null(), OPEN_ALWAYS, 0, 0) };
    if file == INVALID {
        return Err(sys::error());
    }
    c_int::try_from(file).map_err(|_| {
        sys::close_handle(file);
        crate::errno::Errno::EMFILE
    })
}

/// Who the file is.
pub fn identity(number: c_int) -> Option<u32> {
    // SAFETY: any handle may be asked about.
    (unsafe { GetFileType(number as Handle) } != 0).then_some(number as u32)
}

pub fn close(number: c_int) {
    sys::close_handle(number as Handle);
}

/// Writes once, to one of these. Where that fails nothing happens.
pub fn write(number: c_int, bytes: &[u8]) {
    const STANDARD_ERROR_HANDLE: u32 = -12i32 as u32;
    let handle = match number {
        // SAFETY: no preconditions.
        STANDARD_ERROR => unsafe { GetStdHandle(STANDARD_ERROR_HANDLE) },
        number => number as Handle,
    };
    write_handle(handle, bytes);
}

/// The same for a descriptor that the program gave.
pub fn write_to_program(fd: c_int, bytes: &[u8]) {
    if let Some(handle) = crt::current().and_then(|crt| crt.handle_of(fd)) {
        write_handle(handle, bytes);
    }
}

fn write_handle(handle: Handle, bytes: &[u8]) {
    let mut written = 0;
    sys::keeping_last_error(|| {
        // SAFETY: the buffer's length is given.
        unsafe { WriteFile(handle, bytes.as_ptr(), bytes.len() as u32, &mut written, core::ptr::null_mut()) };
    });
}
