//! A vector register or a vector's worth of memory: up to 64 bytes, each known or unknown.

use super::value::{Value, mask};

/// 64 bytes and which of them are known. Bytes that are not known are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vector {
    bytes: [u8; 64],
    known: u64,
}

impl Vector {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { bytes: [0; 64], known: 0 };
    /// All bytes are known to be 0.
    pub const ZERO: Self = Self { bytes: [0; 64], known: u64::MAX };

    /// The lowest bytes as given (at most 64), all above known to be 0.
    pub fn known(bytes: &[u8]) -> Self {
        let mut vector = Self::ZERO;
        let count = bytes.len().min(64);
        vector.bytes[..count].copy_from_slice(&bytes[..count]);
        vector
    }

    /// The bytes whose bit is set in `known` are as given, the others are unknown.
    #[inline]
    pub fn partly(bytes: [u8; 64], known: u64) -> Self {
        if known == u64::MAX {
            return Self { bytes, known };
        }
        Self::UNKNOWN.with(&Self { bytes, known }, known)
    }

    /// As [`Vector::partly`], where the unknown bytes are 0 already.
    #[inline]
    pub(crate) fn cleared(bytes: [u8; 64], known: u64) -> Self {
        Self { bytes, known }
    }

    /// The lowest 8 bytes are `value`'s (a byte with an unknown bit is unknown), all above are 0.
    pub fn from_value(value: Value) -> Self {
        let mut known = u64::MAX;
        for index in 0..8 {
            let byte = 0xff << (8 * index);
            if value.known_bits() & byte != byte {
                known &= !(1 << index);
            }
        }
        let mut bytes = [0; 64];
        bytes[..8].copy_from_slice(&value.bits().to_le_bytes());
        Self::partly(bytes, known)
    }

    /// The bytes; unknown ones are 0.
    #[inline]
    pub fn bytes(&self) -> &[u8; 64] {
        &self.bytes
    }

    /// Which bytes are known, the lowest bit for byte 0.
    #[inline]
    pub fn known_bytes(&self) -> u64 {
        self.known
    }

    /// The first `N` bytes, if all are known. `N` is at most 64.
    #[inline]
    pub fn get<const N: usize>(&self) -> Option<[u8; N]> {
        let needed = byte_mask(N);
        if self.known & needed != needed {
            return None;
        }
        self.bytes.first_chunk::<N>().copied()
    }

    /// The `width_bytes` (1 to 8) bytes from `offset` as a word; bytes beyond the register are unknown.
    pub fn value(&self, offset: usize, width_bytes: u8) -> Value {
        let (mut bits, mut known) = (0, 0);
        for index in 0..usize::from(width_bytes.min(8)) {
            let from = offset.saturating_add(index);
            if from < 64 && self.known >> from & 1 == 1 {
                bits |= u64::from(self.bytes[from]) << (8 * index);
                known |= 0xff << (8 * index);
            }
        }
        Value::partly(bits, known | !mask(width_bytes))
    }

    /// `self` with the bytes whose bit is set in `mask` taken from `other`.
    #[inline]
    pub fn with(&self, other: &Self, mask: u64) -> Self {
        let mut bytes = self.bytes;
        for (index, (eight, from)) in bytes.chunks_exact_mut(8).zip(other.bytes.chunks_exact(8)).enumerate() {
            // Masks mostly take words as a whole.
            match mask >> (8 * index) & 0xff {
                0 => {}
                0xff => eight.copy_from_slice(from),
                some => {
                    for place in (0..8).filter(|place| some >> place & 1 == 1) {
                        eight[place] = from[place];
                    }
                }
            }
        }
        Self { bytes, known: (self.known & !mask) | (other.known & mask) }
    }

    /// The lowest `width_bytes` bytes as they are, all above known to be 0.
    pub fn zero_extended(&self, width_bytes: u16) -> Self {
        Self::ZERO.with(self, byte_mask(usize::from(width_bytes)))
    }
}

/// The bits of the lowest `count` bytes.
#[inline]
fn byte_mask(count: usize) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}
