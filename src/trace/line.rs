//! The buffer that a line is made in. What does not fit is cut, and the line says so.

use core::ffi::CStr;
use core::fmt;

/// Room for two lists of the length that is shown, as they usually are; small enough for a handler's stack.
const ROOM: usize = 3072;
/// What a cut line ends with, and any: the C string's NUL is in it.
const CUT: &[u8] = b"...\n\0";
const END: &[u8] = b"\n\0";

pub struct Line {
    bytes: [u8; ROOM],
    length: usize,
    cut: bool,
}

impl Line {
    #[inline]
    pub fn new() -> Line {
        Line { bytes: [0; ROOM], length: 0, cut: false }
    }

    pub fn len(&self) -> usize {
        self.length
    }

    /// Takes back what was written since `len()` said so.
    pub fn truncate(&mut self, length: usize) {
        if length < self.length {
            self.length = length;
            self.cut = false;
        }
    }

    pub fn push(&mut self, text: &[u8]) {
        let room = (ROOM - CUT.len()).saturating_sub(self.length);
        let fits = if self.cut { 0 } else { text.len().min(room) };
        self.cut |= fits < text.len();
        self.put(&text[..fits]);
        self.length += fits;
    }

    fn put(&mut self, text: &[u8]) {
        if let Some(place) = self.bytes.get_mut(self.length..).and_then(|rest| rest.get_mut(..text.len())) {
            place.copy_from_slice(text);
        }
    }

    /// The whole line with its newline.
    pub fn finish(&mut self) -> &CStr {
        self.put(if self.cut { CUT } else { END });
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}
