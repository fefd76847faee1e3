//! Plain-old-data: reading records from bytes without trusting them.

/// A `repr(C)` struct of integers without padding.
///
/// # Safety
/// Implementors promise that every bit pattern is a valid value and that the type has no padding bytes.
pub unsafe trait Pod: Copy + 'static {}

// SAFETY: any bits are an integer, and it has no padding.
unsafe impl Pod for u64 {}

/// Reads a record from the front of `bytes`; `None` if they are too few. No alignment is needed.
pub fn read<T: Pod>(bytes: &[u8]) -> Option<T> {
    if bytes.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: the length was checked above, `read_unaligned` needs no alignment, and `T: Pod` accepts any bits.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
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
