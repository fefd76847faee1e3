//! How much time series of events go together: a coefficient for every pair, and whether it may be chance.
//!
//! Pearson's coefficient measures a straight line, Spearman's (Pearson's of the ranks) any relation that only rises or
//! falls. Samples of a running program resemble their neighbours in time, so n of them say less than n independent ones:
//! significance rests on the effective number n (1 − ab) / (1 + ab), with a and b the correlations of each series with itself
//! one sample later (Bartlett 1935; Bretherton et al., J. Climate 12, 1999). Among a million pairs many look significant by
//! chance, so `q` is the share of false discoveries among pairs at least as significant (Benjamini & Hochberg, J. R. Stat.
//! Soc. B 57, 1995).

mod cluster;
mod false_discovery;
mod ranks;
mod significance;

pub use cluster::order;
pub use false_discovery::adjusted;
pub(crate) use ranks::ranks;
pub(crate) use significance::{of_groups, of_normal, of_student};

/// Samples of one event at equal steps of time; `None` where it was not measured, or not for the whole step.
pub type Series = Vec<Option<f64>>;

/// Which coefficient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Of the values.
    Pearson,
    /// Of their ranks.
    Spearman,
}

/// A pair of series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correlation {
    /// The coefficient, -1 to 1.
    pub coefficient: f64,
    /// Independent samples that those both series have are worth.
    pub effective_samples: f64,
    /// Probability of a coefficient as far from 0 if the series had nothing to do with each other; `None` of too few
    /// samples to say, which is two effective ones.
    pub p: Option<f64>,
    /// `p` adjusted for the number of pairs.
    pub q: Option<f64>,
}

/// All pairs of some series.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    size: usize,
    /// Pairs (row, column) with row > column, row by row.
    pairs: Vec<Option<Correlation>>,
}

impl Matrix {
    /// Of these series, pair by pair over the samples both have. Memory is some 50 bytes per pair.
    pub fn of(series: &[Series], method: Method) -> Self {
        let prepared: Vec<Prepared> = series.iter().map(|one| Prepared::of(one, method)).collect();
        let mut pairs = Vec::new();
        for (row, one) in prepared.iter().enumerate() {
            pairs.extend(prepared.iter().take(row).map(|other| pair(one, other, method)));
        }
        let p: Vec<Option<f64>> = pairs.iter().map(|pair| pair.and_then(|pair| pair.p)).collect();
        for (pair, q) in pairs.iter_mut().zip(adjusted(&p)) {
            if let Some(pair) = pair {
                pair.q = q;
            }
        }
        Self { size: series.len(), pairs }
    }

    /// Number of series.
    pub fn size(&self) -> usize {
        self.size
    }

    /// A pair of two different series, in either order; `None` where one of them does not vary in the samples both have, or there
    /// are fewer than two.
    pub fn get(&self, one: usize, other: usize) -> Option<Correlation> {
        let (row, column) = (one.max(other), one.min(other));
        if row == column {
            return None;
        }
        self.pairs.get(row * (row - 1) / 2 + column).copied().flatten()
    }
}

/// What is known of one series alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Presence {
    /// Samples that were measured.
    pub samples: usize,
    /// Those of them that are not 0. None: the event never occurred, or does not count here.
    pub nonzero: usize,
    /// Whether all are alike. Such a series correlates with nothing.
    pub constant: bool,
}

impl Presence {
    /// Of a series.
    pub fn of(series: &[Option<f64>]) -> Self {
        let values: Vec<f64> = series.iter().copied().flatten().collect();
        let first = values.first().copied();
        Self {
            samples: values.len(),
            nonzero: values.iter().filter(|value| **value != 0.0).count(),
            constant: values.iter().all(|value| Some(*value) == first),
        }
    }
}

/// A series, and if it has no gaps what all its pairs need of it.
struct Prepared<'s> {
    series: &'s [Option<f64>],
    whole: Option<Unit>,
}

impl<'s> Prepared<'s> {
    fn of(series: &'s [Option<f64>], method: Method) -> Self {
        let values: Option<Vec<f64>> = series.iter().copied().collect();
        Self { series, whole: values.map(|values| Unit::of(values, method)) }
    }
}

/// Values with mean 0 and length 1.
struct Unit {
    /// `None` if they do not vary.
    values: Option<Vec<f64>>,
    /// Correlation with itself one sample later.
    next: f64,
}

impl Unit {
    fn of(mut values: Vec<f64>, method: Method) -> Self {
        if method == Method::Spearman {
            values = ranks(&values);
        }
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        values.iter_mut().for_each(|value| *value -= mean);
        let length = dot(&values, &values).sqrt();
        let largest = values.iter().fold(mean.abs(), |most, value| most.max(value.abs()));
        // What is left of equal values after the mean is taken off is rounding.
        if !length.is_finite() || length <= largest * 1e-12 {
            return Self { values: None, next: 0.0 };
        }
        values.iter_mut().for_each(|value| *value /= length);
        let next = values.iter().zip(values.iter().skip(1)).map(|(one, next)| one * next).sum();
        Self { values: Some(values), next }
    }
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

fn pair(one: &Prepared, other: &Prepared, method: Method) -> Option<Correlation> {
    if let (Some(one), Some(other)) = (&one.whole, &other.whole)
        && one.values.as_ref().map(Vec::len) == other.values.as_ref().map(Vec::len)
    {
        return correlate(one, other);
    }
    let both = one.series.iter().zip(other.series).filter_map(|(one, other)| one.zip(*other));
    let (one, other): (Vec<f64>, Vec<f64>) = both.unzip();
    correlate(&Unit::of(one, method), &Unit::of(other, method))
}

fn correlate(one: &Unit, other: &Unit) -> Option<Correlation> {
    let (x, y) = one.values.as_ref().zip(other.values.as_ref())?;
    let coefficient = dot(x, y).clamp(-1.0, 1.0);
    let samples = x.len() as f64;
    // Series that swing to and fro say more than independent ones, which is not relied on.
    let alike = (one.next * other.next).max(0.0);
    let effective_samples = samples * (1.0 - alike) / (1.0 + alike);
    let p = significance::of_correlation(coefficient, effective_samples);
    Some(Correlation { coefficient, effective_samples, p, q: None })
}

#[cfg(test)]
mod tests;
