//! An input, read from its front; at its end everything is 0.

pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub fn new(input: &'a [u8]) -> Bytes<'a> {
        Bytes(input)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.split(1).0.first().copied().unwrap_or(0)
    }

    pub fn number(&mut self) -> u64 {
        self.split(8).0.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
    }

    /// A number that is more often one of the interesting ones.
    pub fn any(&mut self) -> u64 {
        match self.byte() {
            small @ ..200 => u64::from(small).wrapping_sub(u64::from(small > 100) * 103),
            200..=210 => i64::MAX as u64,
            211..=220 => i64::MIN as u64,
            221..=230 => 1 << 32 | u64::from(self.byte()),
            _ => self.number(),
        }
    }

    /// The next `length` bytes, or what there is, as an input of their own.
    pub fn split(&mut self, length: usize) -> Bytes<'a> {
        let (front, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        Bytes(front)
    }
}
