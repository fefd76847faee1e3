//! A machine word of up to 64 bits, each known or unknown.

/// The bits of a word `width_bytes` wide, which is 1 to 8.
#[inline]
pub fn mask(width_bytes: u8) -> u64 {
    if width_bytes >= 8 { u64::MAX } else { (1 << (8 * width_bytes)) - 1 }
}

/// A word and which of its bits are known. Bits that are not known are 0 in `bits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    bits: u64,
    known: u64,
}

impl Value {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { bits: 0, known: 0 };

    /// All 64 bits are known.
    #[inline]
    pub fn known(bits: u64) -> Self {
        Self { bits, known: u64::MAX }
    }

    /// The bits set in `known` are those of `bits`, the others are unknown.
    #[inline]
    pub fn partly(bits: u64, known: u64) -> Self {
        Self { bits: bits & known, known }
    }

    /// A known word, or an unknown one.
    #[inline]
    pub fn from_option(bits: Option<u64>) -> Self {
        bits.map_or(Self::UNKNOWN, Self::known)
    }

    /// The lowest `width_bytes` bytes, zero-extended, if all their bits are known.
    #[inline]
    pub fn get(self, width_bytes: u8) -> Option<u64> {
        let mask = mask(width_bytes);
        (self.known & mask == mask).then_some(self.bits & mask)
    }

    /// The lowest `width_bytes` bytes, sign-extended, if all their bits are known.
    #[inline]
    pub fn get_signed(self, width_bytes: u8) -> Option<i64> {
        let shift = 64 - 8 * u32::from(width_bytes.clamp(1, 8));
        self.get(width_bytes).map(|bits| (bits << shift) as i64 >> shift)
    }

    /// All 64 bits; unknown ones are 0.
    #[inline]
    pub fn bits(self) -> u64 {
        self.bits
    }

    /// Which bits are known.
    #[inline]
    pub fn known_bits(self) -> u64 {
        self.known
    }

    /// The bits in `mask` as they are, all others known to be 0: what zero extension does.
    #[inline]
    pub fn zero_extended(self, mask: u64) -> Self {
        Self { bits: self.bits & mask, known: self.known | !mask }
    }

    /// `self` with the bits in `mask` taken from `other`.
    #[inline]
    pub fn with(self, other: Self, mask: u64) -> Self {
        Self {
            bits: (self.bits & !mask) | (other.bits & mask),
            known: (self.known & !mask) | (other.known & mask),
        }
    }
}
