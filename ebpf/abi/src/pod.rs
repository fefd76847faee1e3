//! Plain-old-data: reading records from bytes without trusting them.

/// A `repr(C)` struct of integers without padding.
///
/// # Safety
/// Implementors promise that every bit pattern is a valid value and that the type has no padding bytes.
pub unsafe trait Pod: Copy + 'static {}

// SAFETY: any bits are an integer, and it has no padding.
unsafe impl Pod for u64 {}
// SAFETY: as above.
unsafe impl Pod for u32 {}

/// Reads a record from the front of `bytes`; `None` if they are too few. No alignment is needed.
pub fn read<T: Pod>(bytes: &[u8]) -> Option<T> {
    if bytes.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: the length was checked above, `read_unaligned` needs no alignment, and `T: Pod` accepts any bits.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// The record at the front of `bytes`, where it lies; `None` if they are too few or not aligned for it.
pub fn view<T: Pod>(bytes: &[u8]) -> Option<&T> {
    let record = bytes.as_ptr().cast::<T>();
    if bytes.len() < size_of::<T>() || !record.is_aligned() {
        return None;
    }
    // SAFETY: length and alignment were checked above, `T: Pod` accepts any bits, and the bytes stay borrowed.
    Some(unsafe { &*record })
}

/// Reads the tag at the front of a record.
pub fn read_tag(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|word| u32::from_le_bytes(*word))
}

/// Declares structs as [`Pod`] and checks at compile time that their size is the sum of the fields' sizes.
macro_rules! pod {
    ($($ty:ty = $size:expr),+ $(,)?) => { $(
        // SAFETY: `repr(C)`, integer fields only; the assertion below proves that there is no padding.
        unsafe impl $crate::pod::Pod for $ty {}
        const _: () = assert!(size_of::<$ty>() == $size);
    )+ };
}
pub(crate) use pod;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_seen_where_it_lies_if_it_is_whole_and_aligned() {
        let words = [7_u64, 9];
        // SAFETY: two words are sixteen bytes, which any bits are.
        let bytes = unsafe { core::slice::from_raw_parts(words.as_ptr().cast::<u8>(), 16) };
        assert_eq!(view::<u64>(&bytes[8..]), Some(&9));
        assert_eq!((view::<u64>(&bytes[4..]), read::<u64>(&bytes[4..]).is_some()), (None, true));
        assert_eq!(view::<u64>(&bytes[9..]), None);
    }
}
