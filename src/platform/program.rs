//! What the program gave by its address: a string, a function.

use core::ffi::{c_char, CStr};

/// Copies the C string at an address that the program gave, and says how long it is. `None`: with its NUL it does
/// not fit.
pub fn copy_string(address: usize, bytes: &mut [u8]) -> Option<usize> {
    let text = address as *const u8;
    for (at, byte) in bytes.iter_mut().enumerate() {
        // SAFETY: the caller of kevent() promises a string; nothing behind its NUL is read.
        *byte = unsafe { text.add(at).read() };
        if *byte == 0 {
            return Some(at);
        }
    }
    None
}

/// Gives a line to the program's function, `void (*)(const char *, ...)`, never 0.
pub fn tell(function: usize, line: &CStr) {
    // SAFETY: the caller of kevent() promised such a function, and that it may be called from any call on.
    unsafe {
        let function = core::mem::transmute::<usize, unsafe extern "C" fn(*const c_char, ...)>(function);
        function(c"%s".as_ptr(), line.as_ptr());
    }
}
