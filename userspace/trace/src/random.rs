//! Random numbers for sampling: cheap, and good enough that nothing periodic hides from them.

use waytrace_hw::clock;

/// Knuth's linear congruential generator (MMIX), of which the upper half is used.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Default for Random {
    /// Begins somewhere else each time.
    fn default() -> Self {
        Self::from_seed(clock::monotonic_ns())
    }
}

impl Random {
    /// The sequence that a seed begins.
    pub fn from_seed(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// Uniform in `0..below`; 0 if that is empty. Distinct values for `below` up to 2^32.
    pub fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((u128::from(self.0 >> 32) * u128::from(below)) >> 32) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_even_and_within_bounds() {
        let (mut random, mut counts) = (Random::from_seed(7), [0_u32; 10]);
        for _ in 0..10_000 {
            counts[random.below(10) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
        assert_eq!((random.below(1), random.below(0)), (0, 0));
        assert!((0..100).any(|_| random.below(u64::MAX) > u64::MAX / 2));
    }
}
