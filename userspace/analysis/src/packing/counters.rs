//! General and fixed counters of a unit in one mask: general ones in the low 64 bits, fixed ones above.

use super::problem::Counter;

/// A set of counters.
pub(super) type Counters = u128;

const GENERAL_BITS: u32 = 64;
/// All general counters there could be.
pub(super) const GENERAL: Counters = u64::MAX as Counters;
/// All fixed counters there could be.
pub(super) const FIXED: Counters = !GENERAL;
/// Bits of a set.
pub(super) const BITS: usize = 128;

pub(super) fn mask(general: u64, fixed: u64) -> Counters {
    Counters::from(general) | Counters::from(fixed) << GENERAL_BITS
}

pub(super) fn general(counters: Counters) -> u64 {
    (counters & GENERAL) as u64
}

pub(super) fn fixed(counters: Counters) -> u64 {
    (counters >> GENERAL_BITS) as u64
}

/// The counter of a bit.
pub(super) fn counter(bit: u8) -> Counter {
    if u32::from(bit) < GENERAL_BITS {
        Counter::General(bit)
    } else {
        Counter::Fixed(bit - GENERAL_BITS as u8)
    }
}

/// The bits of a set, lowest first.
pub(super) fn bits(mut counters: Counters) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let bit = counters.trailing_zeros();
        // Clearing the lowest bit leaves an empty set empty.
        counters &= counters.wrapping_sub(1);
        (bit < Counters::BITS).then_some(bit as u8)
    })
}
