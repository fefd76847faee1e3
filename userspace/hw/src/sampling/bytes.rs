//! Reading little-endian words off a slice: every read says whether there was enough.

/// What is left of a slice.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next `count` bytes; `None`, and nothing is read, where there are fewer.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    /// The next two bytes as a number.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// The next four bytes as a number.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next eight bytes as a number.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Passes over `count` elements of `size` bytes.
    pub fn skip(&mut self, count: u64, size: u64) -> Option<()> {
        let bytes = usize::try_from(count.checked_mul(size)?).ok()?;
        self.take(bytes).map(drop)
    }

    /// Everything up to the first zero byte, or to the end, as text. What is no UTF-8 is replaced.
    pub fn text(bytes: &[u8]) -> String {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_little_endian_and_short_reads_take_nothing() {
        let mut bytes = Bytes::new(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        assert_eq!((bytes.u8(), bytes.u16()), (Some(1), Some(0x0302)));
        assert_eq!((bytes.u32(), bytes.u64()), (Some(0x0706_0504), None));
        assert_eq!(bytes.rest(), [8, 9, 10, 11]);
        assert_eq!((bytes.skip(u64::MAX, 8), bytes.skip(2, 2), bytes.u8()), (None, Some(()), None));
    }

    #[test]
    fn text_ends_at_zero() {
        assert_eq!(Bytes::text(b"ab\0cd"), "ab");
        assert_eq!(Bytes::text(b"ab"), "ab");
        assert_eq!(Bytes::text(b"\xff\0"), "\u{fffd}");
    }
}
