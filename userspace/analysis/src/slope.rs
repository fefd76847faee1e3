//! How fast a noisy series rises: the median of the slopes between all pairs of its points (Theil 1950), with the
//! distribution-free interval of Sen (J. Am. Stat. Assoc. 63, 1968) that follows from Kendall's test. A few wild points
//! move neither. The interval takes points as independent around the line; of a random walk it is too narrow.

use std::sync::LazyLock;

/// Probability cut off at either end of a 95 % interval.
const TAIL: f64 = 0.025;
/// Up to so many points the distribution of Kendall's statistic is counted out; beyond, it is normal to within a pair.
const EXACT: usize = 40;
/// Fewer points have no 95 % interval: with four, all orders but one in 24 would have to be excluded.
pub const LEAST_POINTS: usize = 5;

/// Slope of a series, in units of its values per unit of its times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slope {
    /// The median of the slopes between pairs.
    pub median: f64,
    /// Lower end of the 95 % interval; `None` with fewer than [`LEAST_POINTS`] points.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

impl Slope {
    /// Of points (time, value), in any order. Points of equal time are no pair; `None` where no pair has a finite slope.
    ///
    /// Takes time and memory by the square of their number.
    pub fn of(points: &[(f64, f64)]) -> Option<Self> {
        let mut slopes = Vec::with_capacity(points.len() * points.len().saturating_sub(1) / 2);
        for (position, (time, value)) in points.iter().enumerate() {
            let earlier = points.iter().take(position);
            slopes.extend(earlier.map(|(t, v)| (value - v) / (time - t)).filter(|slope| slope.is_finite()));
        }
        slopes.sort_by(f64::total_cmp);
        let cut = outside(points.len());
        let (low, high) = (
            cut.and_then(|cut| slopes.get(cut)).copied(),
            cut.and_then(|cut| slopes.get((slopes.len().checked_sub(1)?).checked_sub(cut)?)).copied(),
        );
        Some(Self { median: super::spread::median(&slopes)?, low, high })
    }
}

/// How many of the sorted slopes lie outside of the interval at either end.
fn outside(points: usize) -> Option<usize> {
    static COUNTED: LazyLock<Vec<Option<usize>>> = LazyLock::new(|| (0..=EXACT).map(counted).collect());
    if let Some(&exact) = COUNTED.get(points) {
        return exact;
    }
    let n = points as f64;
    let deviation = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    Some(((n * (n - 1.0) / 2.0 - 1.96 * deviation) / 2.0).floor() as usize)
}

/// From the distribution of the number of pairs out of order in a random order of n: the convolution of uniform ones on
/// 0..i for i below n.
fn counted(n: usize) -> Option<usize> {
    let mut chance = vec![1.0];
    for i in 1..n {
        let mut next = vec![0.0; chance.len() + i];
        for (position, &one) in chance.iter().enumerate() {
            next[position..=position + i].iter_mut().for_each(|sum| *sum += one / (i + 1) as f64);
        }
        chance = next;
    }
    let mut cumulated = 0.0;
    let within = chance.iter().take_while(|&&one| {
        cumulated += one;
        cumulated <= TAIL
    });
    // The k-th smallest slope is a lower end if k-1 pairs out of order, or fewer, are rarer than the tail.
    within.count().checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spread::Random;

    /// Evenly from -1 to 1.
    fn noise(random: &mut Random) -> f64 {
        random.below(2_000_001) as f64 / 1e6 - 1.0
    }

    #[test]
    fn a_line_has_its_slope_and_a_wild_point_does_not_move_it() {
        let mut points: Vec<(f64, f64)> = (0..20).map(|n| (f64::from(n), 3.0 + 2.0 * f64::from(n))).collect();
        assert_eq!(Slope::of(&points), Some(Slope { median: 2.0, low: Some(2.0), high: Some(2.0) }));
        points[7].1 = 1e12;
        assert_eq!(Slope::of(&points).unwrap().median, 2.0);
        points.reverse();
        assert_eq!(Slope::of(&points).unwrap().median, 2.0);
    }

    #[test]
    fn what_has_no_pair_has_no_slope() {
        assert_eq!(Slope::of(&[]), None);
        assert_eq!(Slope::of(&[(1.0, 1.0)]), None);
        assert_eq!(Slope::of(&[(1.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(Slope::of(&[(1.0, f64::NAN), (2.0, 2.0)]), None);
        let two = Slope::of(&[(1.0, 1.0), (2.0, 3.0)]).unwrap();
        assert_eq!((two.median, two.low, two.high), (2.0, None, None));
    }

    /// Critical values of Kendall's S at 2.5 % for one side, n = 4 to 10 (Hollander & Wolfe, table A.30): none, 10, 13, 15, 18, 20, 23.
    #[test]
    fn cuts_are_those_of_kendalls_tables() {
        for (n, critical) in [(5, 10), (6, 13), (7, 15), (8, 18), (9, 20), (10, 23)] {
            let pairs = n * (n - 1) / 2;
            assert_eq!(outside(n), Some((pairs - critical) / 2), "{n}");
        }
        assert_eq!(outside(4), None);
        let (exact, normal) = (outside(EXACT).unwrap(), outside(EXACT + 1).unwrap());
        assert!(normal > exact && normal - exact < EXACT, "{exact} {normal}");
    }

    /// 2000 series of 12 points: each end misses the true slope in 2.5 % at most, and not much less.
    #[test]
    fn the_interval_covers_as_often_as_it_says() {
        let mut random = Random::new(11);
        let (mut below, mut above) = (0, 0);
        for _ in 0..2000 {
            let points: Vec<(f64, f64)> =
                (0..12).map(|n| (f64::from(n), 0.5 * f64::from(n) + noise(&mut random))).collect();
            let slope = Slope::of(&points).unwrap();
            below += u32::from(slope.high.unwrap() < 0.5);
            above += u32::from(slope.low.unwrap() > 0.5);
        }
        // Three standard deviations of a binomial of 2000 and 0.025 are 21.
        assert!((10..=71).contains(&below) && (10..=71).contains(&above), "{below} {above}");
    }
}
