//! What tests of several modules share.

/// A small generator of the xorshift kind; the sequence is the same every time.
pub struct Random(pub u64);

impl Random {
    /// The next number, below a limit.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}
