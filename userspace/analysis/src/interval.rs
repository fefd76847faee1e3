//! How sure a share of sampled accesses is: the Wilson score interval (Wilson, J. Am. Stat. Assoc. 22, 1927), which also
//! holds for shares near 0 and 1, as those of cold memory are.

/// Standard normal quantile of a two-sided 95 % interval.
const Z: f64 = 1.959_964;

/// How many samples there are, and how many of equal weight they are worth: (Σw)² / Σw² (Kish, "Survey Sampling", 1965). Samples
/// taken at once are one with the weight of all: they may be alike, and are where memory is used in long phases.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SampleSize {
    samples: u64,
    weights: f64,
    squares: f64,
    /// By whom and when the last one was taken, and the weight of all taken with it.
    last: Option<(u32, u64)>,
    at_once: f64,
}

impl SampleSize {
    /// Adds a sample taken by a thread at a time; those taken at once follow each other.
    pub(crate) fn add(&mut self, weight: u64, taken: (u32, u64)) {
        let weight = weight as f64;
        if self.last.replace(taken) != Some(taken) {
            self.at_once = 0.0;
        }
        self.samples += 1;
        self.weights += weight;
        self.squares += weight * (weight + 2.0 * self.at_once);
        self.at_once += weight;
    }

    pub(crate) fn samples(self) -> u64 {
        self.samples
    }

    pub(crate) fn effective(self) -> f64 {
        if self.squares > 0.0 { self.weights * self.weights / self.squares } else { 0.0 }
    }

    /// [`half_width`] of a share of these samples.
    pub(crate) fn half_width(self, share: f64) -> f64 {
        half_width(share, self.effective())
    }
}

/// Half-width of the 95 % interval of a share, 0–1, of `n` samples; a half where there are none.
pub(crate) fn half_width(share: f64, n: f64) -> f64 {
    Z * (share * (1.0 - share) * n + Z * Z / 4.0).max(0.0).sqrt() / (n + Z * Z)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(weights: &[u64]) -> SampleSize {
        let mut size = SampleSize::default();
        (0..).zip(weights).for_each(|(at_ns, weight)| size.add(*weight, (1, at_ns)));
        size
    }

    /// The intervals of 1 of 10, (0.0179, 0.4042), and of 0 of 10, (0, 0.2775).
    #[test]
    fn known_intervals() {
        let ten = of(&[1; 10]);
        assert!(
            (ten.half_width(0.1) - (0.404_150 - 0.017_876) / 2.0).abs() < 1e-4,
            "{}",
            ten.half_width(0.1)
        );
        assert!((ten.half_width(0.0) - 0.277_533 / 2.0).abs() < 1e-4, "{}", ten.half_width(0.0));
        assert_eq!(of(&[]).half_width(0.0), 0.5, "nothing is known");
    }

    #[test]
    fn equal_weights_change_nothing_and_unequal_ones_widen() {
        assert!((of(&[1000; 10]).half_width(0.3) - of(&[1; 10]).half_width(0.3)).abs() < 1e-12);
        assert!((of(&[3, 3, 0]).effective() - 2.0).abs() < 1e-12, "what weighs nothing says nothing");
        let mut twins = SampleSize::default();
        (0..10).for_each(|n| twins.add(7, (n % 2, u64::from(n / 4))));
        assert!((twins.effective() - 10.0).abs() < 1e-12, "two threads in turns");
        let mut fours = SampleSize::default();
        (0..40).for_each(|n| fours.add(7, (1, n / 4)));
        assert!((fours.effective() - 10.0).abs() < 1e-12 && fours.samples() == 40);
        assert!(of(&[1, 1, 1, 97]).half_width(0.3) > of(&[1; 4]).half_width(0.3));
    }
}
