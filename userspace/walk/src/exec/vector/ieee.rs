//! Floating point as the processor does it: NaN payloads, and no result that depends on flushing denormals.
//!
//! Rounding is to nearest, the default. Whether denormal numbers count as zero is up to the thread's `MXCSR`, which is
//! not known, so that a result is unknown if an operand or the result is denormal, or so small that it may have been.

use super::lanes::Lane;

/// A floating point number.
pub(super) trait Float: Lane + PartialOrd {
    /// What an invalid operation gives.
    const INDEFINITE: Self;
    fn is_nan(self) -> bool;
    fn is_subnormal(self) -> bool;
    /// The smallest normal number, to which a denormal may have been rounded.
    fn is_smallest_normal(self) -> bool;
    /// A NaN with its quiet bit set.
    fn quiet(self) -> Self;
    fn add(self, other: Self) -> Self;
    fn subtract(self, other: Self) -> Self;
    fn multiply(self, other: Self) -> Self;
    fn divide(self, other: Self) -> Self;
    fn square_root(self) -> Self;
    /// `self * factor + term`, rounded once.
    fn multiply_add(self, factor: Self, term: Self) -> Self;
    fn negated(self) -> Self;
    /// Rounded to an integer, by the mode an immediate numbers: nearest (ties to even), down, up, towards zero.
    fn rounded(self, mode: u8) -> Self;
    /// As a double, which is exact.
    fn double(self) -> f64;
}

macro_rules! float {
    ($($number:ident, $bits:ty, $mantissa:literal;)*) => {$(
        impl Float for $number {
            const INDEFINITE: Self = Self::from_bits(!0 << ($mantissa - 1));
            fn is_nan(self) -> bool {
                self.is_nan()
            }
            fn is_subnormal(self) -> bool {
                self.is_subnormal()
            }
            fn is_smallest_normal(self) -> bool {
                self.abs() == Self::MIN_POSITIVE
            }
            fn quiet(self) -> Self {
                Self::from_bits(self.to_bits() | 1 << ($mantissa - 1))
            }
            fn add(self, other: Self) -> Self {
                self + other
            }
            fn subtract(self, other: Self) -> Self {
                self - other
            }
            fn multiply(self, other: Self) -> Self {
                self * other
            }
            fn divide(self, other: Self) -> Self {
                self / other
            }
            fn square_root(self) -> Self {
                self.sqrt()
            }
            fn multiply_add(self, factor: Self, term: Self) -> Self {
                self.mul_add(factor, term)
            }
            fn negated(self) -> Self {
                -self
            }
            fn rounded(self, mode: u8) -> Self {
                match mode & 3 {
                    0 => self.round_ties_even(),
                    1 => self.floor(),
                    2 => self.ceil(),
                    _ => self.trunc(),
                }
            }
            fn double(self) -> f64 {
                self.into()
            }
        }
    )*};
}
float! {
    f32, u32, 23;
    f64, u64, 52;
}

/// A computed number, unless flushing could have changed it.
pub(super) fn settled<F: Float>(result: F) -> Option<F> {
    if result.is_nan() {
        return Some(F::INDEFINITE);
    }
    (!result.is_subnormal() && !result.is_smallest_normal()).then_some(result)
}

/// `compute(a, b)` with the processor's rules for NaN: the first one wins.
#[inline]
pub(super) fn arithmetic<F: Float>(a: F, b: F, compute: impl Fn(F, F) -> F) -> Option<F> {
    match (a.is_nan(), b.is_nan()) {
        _ if a.is_subnormal() || b.is_subnormal() => None,
        (true, _) => Some(a.quiet()),
        (_, true) => Some(b.quiet()),
        _ => settled(compute(a, b)),
    }
}

/// `min` and `max`: the first if `wins`, else the second, so that NaN and equal zeros give the second.
pub(super) fn chosen<F: Float>(a: F, b: F, wins: fn(&F, &F) -> bool) -> Option<F> {
    if a.is_subnormal() || b.is_subnormal() {
        return None;
    }
    Some(if wins(&a, &b) { a } else { b })
}

/// Square root of `a`.
pub(super) fn root<F: Float>(a: F) -> Option<F> {
    arithmetic(a, a, |a, _| a.square_root())
}

/// `a` rounded to an integer by an immediate of `round`; if it refers to the default mode, to nearest.
pub(super) fn integral<F: Float>(a: F, immediate: u8) -> Option<F> {
    if a.is_subnormal() {
        return None;
    }
    let mode = if immediate & 4 != 0 { 0 } else { immediate };
    Some(if a.is_nan() { a.quiet() } else { a.rounded(mode) })
}

/// Whether a comparison's predicate (an immediate) holds; unknown for denormal operands.
pub(super) fn holds<F: Float>(a: F, b: F, predicate: u8) -> Option<bool> {
    /// For each predicate, a bit for less, equal, greater and unordered.
    const HOLDS: [u8; 16] = [2, 1, 3, 8, 13, 14, 12, 7, 10, 9, 11, 0, 5, 6, 4, 15];
    let relation = match a.partial_cmp(&b) {
        _ if a.is_subnormal() || b.is_subnormal() => return None,
        Some(order) => 1 << (order as i8 + 1),
        None => 8,
    };
    Some(HOLDS[usize::from(predicate & 15)] & relation != 0)
}
