//! Long lists of numbers for the page: LEB128 varints in base64, a third of what they take as JSON.
//!
//! Standards: LEB128 as in DWARF 5, section 7.6; signed values zigzag as in Protocol Buffers; base64 of RFC 4648.

use serde::{Serialize, Serializer};

use crate::base64;

/// Numbers being packed; serialises as a base64 string.
#[derive(Debug, Default)]
pub struct Packed(Vec<u8>);

impl Packed {
    /// Adds a number. The page reads them as doubles, so it should be below 2^53.
    pub fn push(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Adds a number of either sign.
    pub fn push_signed(&mut self, value: i64) {
        self.push((value.wrapping_shl(1) ^ (value >> 63)) as u64);
    }
}

impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64::encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DWARF 5, table 7.7, and the zigzag table of Protocol Buffers.
    #[test]
    fn numbers_are_varints() {
        let mut packed = Packed::default();
        [2, 127, 128, 12_857].into_iter().for_each(|value| packed.push(value));
        assert_eq!(packed.0, [2, 0x7f, 0x80, 1, 0xb9, 0x64]);
        let mut packed = Packed::default();
        [0, -1, 1, -2, i64::MIN].into_iter().for_each(|value| packed.push_signed(value));
        assert_eq!(packed.0[..4], [0, 1, 2, 3]);
        assert_eq!(packed.0.len(), 4 + 10);
    }
}
