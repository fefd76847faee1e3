//! Sums, differences and the flags they set; shared by the families.

use crate::state::{Flag, Flags, mask};

/// A result and the flags in `rflags` positions.
pub type Outcome = (u64, u64);

/// Flags a logical instruction leaves known: adjust is undefined.
pub const LOGIC: u64 = Flags::STATUS & !(Flag::Adjust as u64);

/// Zero, sign and parity of a result.
#[inline]
pub fn zero_sign_parity(result: u64, width: u8) -> u64 {
    let mut flags = 0;
    if result & mask(width) == 0 {
        flags |= Flag::Zero as u64;
    }
    if top(result, width) {
        flags |= Flag::Sign as u64;
    }
    if (result as u8).count_ones().is_multiple_of(2) {
        flags |= Flag::Parity as u64;
    }
    flags
}

/// `a + b + carry` on `width` bytes, with all status flags.
#[inline]
pub fn add(a: u64, b: u64, carry: bool, width: u8) -> Outcome {
    let sum = a.wrapping_add(b).wrapping_add(u64::from(carry)) & mask(width);
    let carries = (a & b) | ((a | b) & !sum);
    (sum, flags_of(a, b, sum, carries, (a ^ sum) & (b ^ sum), width))
}

/// `a - b - borrow` on `width` bytes, with all status flags.
#[inline]
pub fn sub(a: u64, b: u64, borrow: bool, width: u8) -> Outcome {
    let difference = a.wrapping_sub(b).wrapping_sub(u64::from(borrow)) & mask(width);
    let borrows = (!a & b) | ((!a | b) & difference);
    (difference, flags_of(a, b, difference, borrows, (a ^ b) & (a ^ difference), width))
}

#[inline]
fn flags_of(a: u64, b: u64, result: u64, carries: u64, overflows: u64, width: u8) -> u64 {
    let mut flags = zero_sign_parity(result, width) | ((a ^ b ^ result) & Flag::Adjust as u64);
    if top(carries, width) {
        flags |= Flag::Carry as u64;
    }
    if top(overflows, width) {
        flags |= Flag::Overflow as u64;
    }
    flags
}

/// The highest bit of `width` bytes.
#[inline]
pub fn top(value: u64, width: u8) -> bool {
    value >> (8 * u32::from(width.clamp(1, 8)) - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_set_the_flags_of_the_manual() {
        let (carry, overflow) = (Flag::Carry as u64, Flag::Overflow as u64);
        let (sum, flags) = add(0xff, 1, false, 1);
        assert_eq!((sum, flags & (carry | overflow | Flag::Zero as u64)), (0, carry | Flag::Zero as u64));
        let (sum, flags) = add(0x7f, 0, true, 1);
        assert_eq!((sum, flags & (carry | overflow)), (0x80, overflow));
        assert_eq!(add(u64::MAX, 0, true, 8).1 & carry, carry);
        let (difference, flags) = sub(0, 0, true, 4);
        assert_eq!((difference, flags & carry), (0xffff_ffff, carry));
        assert_eq!(sub(0x8000, 1, false, 2).1 & (carry | overflow), overflow);
    }
}
