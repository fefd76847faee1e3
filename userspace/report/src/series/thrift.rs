//! As much of Thrift's compact protocol as the headers of a Parquet file take.
//!
//! Source: thrift's `doc/specs/thrift-compact-protocol.md`. Fields must be written in ascending order of their numbers.

/// Types of fields, as the protocol numbers them.
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// A structure being written.
#[derive(Debug, Default)]
pub struct Struct {
    bytes: Vec<u8>,
    last: u8,
}

impl Struct {
    /// The structure's bytes.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }

    fn field(&mut self, number: u8, kind: u8) {
        // Numbers in this file rise by less than 16.
        self.bytes.push(number.saturating_sub(self.last) << 4 | kind);
        self.last = number;
    }

    /// A 32-bit number.
    pub fn i32(&mut self, number: u8, value: i32) -> &mut Self {
        self.field(number, I32);
        varint(&mut self.bytes, zigzag(i64::from(value)));
        self
    }

    /// A 64-bit number.
    pub fn i64(&mut self, number: u8, value: i64) -> &mut Self {
        self.field(number, I64);
        varint(&mut self.bytes, zigzag(value));
        self
    }

    /// A text.
    pub fn text(&mut self, number: u8, value: &str) -> &mut Self {
        self.field(number, BINARY);
        text(&mut self.bytes, value);
        self
    }

    /// A structure, finished.
    pub fn inner(&mut self, number: u8, value: &[u8]) -> &mut Self {
        self.field(number, STRUCT);
        self.bytes.extend(value);
        self
    }

    /// A list of finished structures.
    pub fn structs(&mut self, number: u8, values: &[Vec<u8>]) -> &mut Self {
        self.list(number, STRUCT, values.len());
        self.bytes.extend(values.iter().flatten());
        self
    }

    /// A list of numbers.
    pub fn i32s(&mut self, number: u8, values: &[i32]) -> &mut Self {
        self.list(number, I32, values.len());
        values.iter().for_each(|value| varint(&mut self.bytes, zigzag(i64::from(*value))));
        self
    }

    /// A list of texts.
    pub fn texts(&mut self, number: u8, values: &[&str]) -> &mut Self {
        self.list(number, BINARY, values.len());
        values.iter().for_each(|value| text(&mut self.bytes, value));
        self
    }

    fn list(&mut self, number: u8, kind: u8, length: usize) {
        self.field(number, LIST);
        if length < 15 {
            self.bytes.push((length as u8) << 4 | kind);
        } else {
            self.bytes.push(0xf0 | kind);
            varint(&mut self.bytes, length as u64);
        }
    }
}

/// Seven bits a byte, the lowest first.
pub fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn text(bytes: &mut Vec<u8>, value: &str) {
    varint(bytes, value.len() as u64);
    bytes.extend(value.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples of the protocol's specification: zigzag 0, -1, 1, -2 are 0, 1, 2, 3; 50399 is df 89 03.
    #[test]
    fn known_bytes() {
        assert_eq!([0, -1, 1, -2, i64::MIN].map(zigzag), [0, 1, 2, 3, u64::MAX]);
        let mut bytes = Vec::new();
        varint(&mut bytes, 50399);
        assert_eq!(bytes, [0xdf, 0x89, 0x03]);
        let mut one = Struct::default();
        one.i32(1, -1).text(4, "ab").texts(5, &["c"]);
        assert_eq!(one.finish(), [0x15, 1, 0x38, 2, b'a', b'b', 0x19, 0x18, 1, b'c', 0]);
    }
}
