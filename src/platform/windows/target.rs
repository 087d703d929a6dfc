//! What an ident is: a SOCKET, a descriptor of the current C runtime, or a HANDLE, in this order.
//!
//! The three share their numbers. A socket is asked about first, as in the C library; a HANDLE is looked at last, and
//! only where no descriptor can have its number by chance: handles are multiples of 4, and the lowest are the standard
//! ones.

use super::api::*;
use super::{crt, sys};
use crate::platform::descriptors::{self, Owner};
use crate::registry;
use core::ffi::c_int;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    Stream(Handle),
    Datagram(Handle),
    Pipe(Handle),
    Console(Handle),
    /// The kqueue in that slot.
    Queue(u32),
    File(Handle),
    Directory(Handle),
    /// NUL and the like: always ready.
    Device(Handle),
}

const LEAST_HANDLE: c_int = 64;

/// `None`: the number is nothing that is open.
pub fn resolve(number: c_int) -> Option<Target> {
    sys::keeping_last_error(|| socket(number).or_else(|| descriptor(number)).or_else(|| handle(number)))
}

/// The handle of what has a file's state: a file, directory, device, pipe.
pub fn file_handle(number: c_int) -> Option<Handle> {
    match resolve(number)? {
        Target::File(handle) | Target::Directory(handle) | Target::Device(handle) => Some(handle),
        _ => None,
    }
}

fn socket(number: c_int) -> Option<Target> {
    let socket = Handle::try_from(number).ok()?;
    // SAFETY: no preconditions.
    let error = unsafe { WSAGetLastError() };
    let kind = option(socket, SO_TYPE);
    // SAFETY: no preconditions.
    unsafe { WSASetLastError(error) };
    Some(if kind? == SOCK_STREAM { Target::Stream(socket) } else { Target::Datagram(socket) })
}

/// An option of a socket that is an int.
pub fn option(socket: Handle, name: i32) -> Option<i32> {
    let (mut value, mut length) = (0i32, size_of::<i32>() as i32);
    // SAFETY: the value and its length are locals.
    let result = unsafe { getsockopt(socket, SOL_SOCKET, name, (&raw mut value).cast(), &mut length) };
    (result == 0).then_some(value)
}

fn descriptor(number: c_int) -> Option<Target> {
    let crt = crt::current()?;
    let handle = crt.handle_of(number)?;
    if let Owner::Queue { slot, .. } = descriptors::owner(sys::number(crt, number)) {
        if registry::kernel(slot).is_some_and(|kernel| kernel.is_descriptor(handle)) {
            return Some(Target::Queue(slot));
        }
    }
    of_handle(handle)
}

fn handle(number: c_int) -> Option<Target> {
    (number >= LEAST_HANDLE && number % 4 == 0).then(|| of_handle(number as Handle)).flatten()
}

fn of_handle(handle: Handle) -> Option<Target> {
    // SAFETY: any handle may be asked about.
    match unsafe { GetFileType(handle) } {
        FILE_TYPE_PIPE => Some(Target::Pipe(handle)),
        FILE_TYPE_DISK => {
            let mut information = FileInformation::default();
            // SAFETY: the structure is a local.
            let known = unsafe { GetFileInformationByHandle(handle, &mut information) } != 0;
            let directory = known && information.attributes & FILE_ATTRIBUTE_DIRECTORY != 0;
            Some(if directory { Target::Directory(handle) } else { Target::File(handle) })
        }
        FILE_TYPE_CHAR => {
            let mut mode = 0;
            // SAFETY: the mode is a local.
            let console = unsafe { GetConsoleMode(handle, &mut mode) } != 0;
            Some(if console { Target::Console(handle) } else { Target::Device(handle) })
        }
        _ => None,
    }
}
