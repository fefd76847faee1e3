//! The flags instructions compute and branches read, each known or unknown.

/// A flag, as its bit in `rflags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Flag {
    /// `CF`.
    Carry = 1,
    /// `PF`: the lowest byte of the result has an even number of ones.
    Parity = 1 << 2,
    /// `AF`: carry out of bit 3.
    Adjust = 1 << 4,
    /// `ZF`.
    Zero = 1 << 6,
    /// `SF`.
    Sign = 1 << 7,
    /// `DF`: string instructions go downwards.
    Direction = 1 << 10,
    /// `OF`.
    Overflow = 1 << 11,
}

/// `rflags` as far as known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    bits: u64,
    known: u64,
}

impl Flags {
    /// The six flags arithmetic sets: carry, parity, adjust, zero, sign, overflow.
    pub const STATUS: u64 = 0x8d5;
    /// The status flags and the direction flag: all that a walk follows.
    pub const ALL: u64 = Self::STATUS | Flag::Direction as u64;
    /// No flag is known.
    pub const UNKNOWN: Self = Self { bits: 0, known: 0 };

    /// All followed flags as in `rflags`.
    pub fn known(rflags: u64) -> Self {
        Self { bits: rflags & Self::ALL, known: Self::ALL }
    }

    /// The flag, if known.
    #[inline]
    pub fn get(self, flag: Flag) -> Option<bool> {
        (self.known & flag as u64 != 0).then_some(self.bits & flag as u64 != 0)
    }

    /// Sets a flag to a known or unknown state.
    #[inline]
    pub fn set(&mut self, flag: Flag, state: Option<bool>) {
        let bit = flag as u64;
        self.assign(bit, if state == Some(true) { bit } else { 0 });
        if state.is_none() {
            self.forget(bit);
        }
    }

    /// Sets the flags in `mask` to what they are in `bits`.
    #[inline]
    pub fn assign(&mut self, mask: u64, bits: u64) {
        self.bits = (self.bits & !mask) | (bits & mask);
        self.known |= mask & Self::ALL;
    }

    /// Makes the flags in `mask` unknown.
    #[inline]
    pub fn forget(&mut self, mask: u64) {
        self.bits &= !mask;
        self.known &= !mask;
    }

    /// The flags in `rflags` positions; unknown ones are 0.
    pub fn bits(self) -> u64 {
        self.bits
    }

    /// Which flags are known, in `rflags` positions.
    pub fn known_bits(self) -> u64 {
        self.known
    }
}
