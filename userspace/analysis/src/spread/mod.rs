//! Repeated measurements: how they spread, and how much larger one set is than another.
//!
//! The ratio of two medians has a percentile bootstrap interval (Efron & Tibshirani, "An Introduction to the Bootstrap",
//! 1993, ch. 13): both sides are resampled independently. BCa corrects by a jackknife, which is inconsistent for medians
//! (ibid., ch. 11.6), so the plain percentiles are the honest choice. Of few repetitions they are narrow: medians of five
//! resampled values reach from the least to the greatest, and cover the true ratio less often than 95 %.

mod random;
pub mod series;

use serde::{Deserialize, Serialize};

pub use random::Random;

/// Resamples of an interval.
const RESAMPLES: usize = 10_000;
/// Probabilities cut off at either end of a 95 % interval.
const TAIL: f64 = 0.025;

/// Repeated measurements of one quantity, in its unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The middle one; of an even number, the mean of the middle two.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// Their mean.
    pub mean: f64,
    /// Sample standard deviation (n − 1); `null` of a single one.
    pub std: Option<f64>,
}

impl Spread {
    /// Of these values; `None` where there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let sorted = sorted(values);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let n = sorted.len() as f64;
        let mean = sorted.iter().sum::<f64>() / n;
        let squares: f64 = sorted.iter().map(|value| (value - mean) * (value - mean)).sum();
        let std = (sorted.len() > 1).then(|| (squares / (n - 1.0)).sqrt());
        Some(Self { median: middle(&sorted)?, min, max, mean, std })
    }
}

/// How many times larger one median is than another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Quotient of the medians.
    pub ratio: f64,
    /// Lower end of its 95 % interval; `null` where a side has a single value.
    pub ci95_low: Option<f64>,
    /// Upper end.
    pub ci95_high: Option<f64>,
}

impl Ratio {
    /// Of `values` to `base`, with an interval drawn from `seed`. `None` where a side is empty or the base's median is 0.
    pub fn of(values: &[f64], base: &[f64], seed: u64) -> Option<Self> {
        let (values, base) = (sorted(values), sorted(base));
        let ratio = quotient(middle(&values)?, middle(&base)?)?;
        let interval = if values.len() > 1 && base.len() > 1 { interval(&values, &base, seed) } else { None };
        let (ci95_low, ci95_high) = interval.unzip();
        Some(Self { ratio, ci95_low, ci95_high })
    }
}

/// `None` where a resample has no quotient: then the interval has no upper end.
fn interval(values: &[f64], base: &[f64], seed: u64) -> Option<(f64, f64)> {
    let mut random = Random::new(seed);
    let mut ratios = Vec::with_capacity(RESAMPLES);
    let (mut of_values, mut of_base) = (Vec::new(), Vec::new());
    for _ in 0..RESAMPLES {
        resample(values, &mut random, &mut of_values);
        resample(base, &mut random, &mut of_base);
        ratios.push(quotient(middle(&of_values)?, middle(&of_base)?)?);
    }
    ratios.sort_by(f64::total_cmp);
    let cut = (RESAMPLES as f64 * TAIL) as usize;
    Some((*ratios.get(cut)?, *ratios.get(RESAMPLES - 1 - cut)?))
}

fn resample(values: &[f64], random: &mut Random, into: &mut Vec<f64>) {
    into.clear();
    into.extend(values.iter().filter_map(|_| values.get(random.below(values.len()))));
    into.sort_by(f64::total_cmp);
}

fn quotient(value: f64, base: f64) -> Option<f64> {
    (base > 0.0).then(|| value / base)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

/// The middle one of these values; of an even number, the mean of the middle two.
pub fn median(values: &[f64]) -> Option<f64> {
    middle(&sorted(values))
}

fn middle(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.get(sorted.len() / 2)?;
    let below = sorted.get((sorted.len() / 2).saturating_sub(1)).filter(|_| sorted.len().is_multiple_of(2));
    Some(below.map_or(*middle, |below| f64::midpoint(*below, *middle)))
}

#[cfg(test)]
mod tests;
