//! A seeded source of numbers in which the values that break things (0, signs, small counts) are frequent.

/// SplitMix64 (Steele, Lea, Flood 2014): one word of state, every seed good.
pub struct Random(pub u64);

impl Random {
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..limit`; `limit` must not be 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.word() % limit
    }

    /// True in one of `chances` cases.
    pub fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// A word as programs hold them: all bits, few bits, a small number, a sign, a pattern.
    pub fn operand(&mut self) -> u64 {
        match self.below(8) {
            0 => self.pick(&[0, 1, u64::MAX, 1 << 63, 1 << 31, 0x8000, 0x80, 0x7fff_ffff, u64::MAX >> 1]),
            1 | 2 => self.below(64),
            3 => self.below(1000).wrapping_neg(),
            4 => self.word() >> self.below(64),
            5 => self.word() & 0xffff_ffff,
            _ => self.word(),
        }
    }

    /// Bytes of a vector or of memory (a multiple of 8): integers, small lanes, or floating point of one precision.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        let kind = self.below(4);
        for chunk in bytes.chunks_exact_mut(8) {
            let word = match kind {
                0 => self.double().to_bits(),
                1 => u64::from(self.single().to_bits()) << 32 | u64::from(self.single().to_bits()),
                2 => {
                    self.pick(&[0, 1, 0x0101_0101_0101_0101, 0x0001_0001_0001_0001, 1 << 32 | 1])
                        * self.below(200)
                }
                _ => self.operand(),
            };
            chunk.copy_from_slice(&word.to_le_bytes());
        }
    }

    /// Mostly a number whose sums and products are of the same sort; sometimes one of the classes that are not.
    fn double(&mut self) -> f64 {
        let classes =
            [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, f64::MIN_POSITIVE, 1e300, 5e-324];
        let number = self.below(4000) as f64 / self.pick(&[1.0, 2.0, -3.0, 7.0]);
        if self.one_in(20) { self.pick(&classes) } else { number }
    }

    fn single(&mut self) -> f32 {
        let classes = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0, f32::MIN_POSITIVE, 1e38, 1e-45];
        let number = self.below(4000) as f32 / self.pick(&[1.0, 2.0, -3.0, 7.0]);
        if self.one_in(20) { self.pick(&classes) } else { number }
    }
}
