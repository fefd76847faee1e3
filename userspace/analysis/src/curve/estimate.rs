//! A ratio of sums over windows, and how sure it is.
//!
//! The standard error is that of a ratio estimator (Cochran, "Sampling Techniques", 1977, ch. 6): from what each window's upper
//! part differs from the common ratio times its lower part. Windows of one number of ways are a sweep apart. A target with phases
//! longer than that makes neighbours alike, and a band that took them for independent would be too narrow. So their lag-1
//! correlation is estimated over all numbers of ways together, corrected for its bias of about −(1 + 3ρ)/n (Kendall, Biometrika 41,
//! 1954), raised by a margin for what so few windows tell of it, and widens the bands; degrees of freedom fall with it to n (1 − ρ²) / (1 + ρ²) − 1 (Bartlett, J. R. Stat. Soc. 98, 1935). The tests
//! hold the bands against known truths. Phases longer than all sweeps cannot be seen by them.

use waytrace_model::sweep_curve::Estimate;

use super::student::quantile;

/// Correlation of neighbours beyond which so few windows cannot tell it from a trend.
const CORRELATION_MAX: f64 = 0.6;
/// Correlation supposed where no two neighbours tell it.
const CORRELATION_UNKNOWN: f64 = 0.2;
/// Margin of the correlation, over the root of the number of sweeps. With it bands of 3 to 20 sweeps keep 90 % where windows are
/// correlated by 0.5 (but for 6 sweeps whose windows all share their phase: 85 %), and are wider by 1.1 to 1.8 than they need be
/// where they are not.
const MARGIN: f64 = 0.4;

/// A window's part of a ratio.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub sweep: u32,
    pub upper: f64,
    pub lower: f64,
}

/// What a ratio may be, and how its parts are uncertain by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number of cases among others.
    Share,
    /// A number of events per something.
    Count,
    /// Anything else from 0 on.
    Quantity,
}

/// The ratio of each number of ways.
pub(super) fn ratios(cells: &[Vec<Part>], kind: Kind) -> Vec<Option<Estimate>> {
    let correlation = correlation(cells);
    cells.iter().map(|cell| ratio(cell, kind, correlation)).collect()
}

fn ratio(cell: &[Part], kind: Kind, correlation: f64) -> Option<Estimate> {
    let (value, lower) = quotient(cell)?;
    let n = cell.len() as f64;
    let band = (cell.len() > 1).then(|| {
        let half = spread(cell, value, correlation) / (lower / n);
        let (low, high) = counting(value, lower, kind);
        // A share of misses above the references happens where prefetches miss: then it is not clamped to 1.
        let most = if kind == Kind::Share { value.max(1.0) } else { f64::INFINITY };
        ((value - half).min(low).max(0.0), (value + half).max(high).min(most))
    });
    let single: Vec<f64> =
        cell.iter().filter(|part| part.lower > 0.0).map(|part| part.upper / part.lower).collect();
    Some(Estimate {
        value,
        ci95_low: band.map(|(low, _)| low),
        ci95_high: band.map(|(_, high)| high),
        std: crate::spread::Spread::of(&single).and_then(|spread| spread.std),
        windows: u32::try_from(cell.len()).unwrap_or(u32::MAX),
    })
}

/// The ratio and the sum below it.
pub(super) fn quotient(cell: &[Part]) -> Option<(f64, f64)> {
    let (upper, lower) = cell.iter().fold((0.0, 0.0), |sum, part| (sum.0 + part.upper, sum.1 + part.lower));
    (lower > 0.0).then(|| (upper / lower, lower))
}

/// Half-width of the band of the mean residual.
fn spread(cell: &[Part], value: f64, correlation: f64) -> f64 {
    let n = cell.len() as f64;
    let squares: f64 = cell.iter().map(|part| (part.upper - value * part.lower).powi(2)).sum();
    let inflation = inflation(cell.len(), correlation);
    // The variance within the windows is short of what their common part, which correlation makes, hides from them.
    let variance = squares / (n - inflation);
    let squared = correlation * correlation;
    (variance * inflation / n).sqrt() * quantile(n * (1.0 - squared) / (1.0 + squared) - 1.0)
}

/// How many times larger correlation makes the variance of a mean of `n`.
fn inflation(n: usize, correlation: f64) -> f64 {
    let (mut power, mut sum) = (1.0, 0.0);
    for lag in 1..n.min(200) {
        power *= correlation;
        sum += (1.0 - lag as f64 / n as f64) * power;
    }
    1.0 + 2.0 * sum
}

/// Correlation of windows of the same number of ways in one sweep and the next, 0 to [`CORRELATION_MAX`].
fn correlation(cells: &[Vec<Part>]) -> f64 {
    let (mut products, mut squares, mut pairs, mut windows) = (0.0, 0.0, 0.0, 0.0);
    for cell in cells.iter().filter(|cell| cell.len() > 2) {
        let Some((value, _)) = quotient(cell) else { continue };
        let residual = |part: &Part| part.upper - value * part.lower;
        let own: f64 = cell.iter().map(|part| residual(part).powi(2)).sum();
        if own <= 0.0 {
            continue;
        }
        // Each number of ways counts alike, whatever its spread.
        squares += 1.0;
        for pair in cell.windows(2) {
            if let [one, next] = pair
                && next.sweep == one.sweep + 1
            {
                products += residual(one) * residual(next) / own;
                pairs += 1.0;
            }
        }
        windows += cell.len() as f64;
    }
    if pairs == 0.0 {
        return CORRELATION_UNKNOWN;
    }
    let n = windows / squares;
    let biased = products / squares;
    let corrected = (biased + 1.0 / n) / (1.0 - 3.0 / n).max(0.4);
    (corrected + MARGIN / n.sqrt()).clamp(0.0, CORRELATION_MAX)
}

/// What a count is unsure by even where all windows agree: Wilson's interval of a share, Poisson's of a count.
fn counting(value: f64, lower: f64, kind: Kind) -> (f64, f64) {
    const Z: f64 = 1.959_964;
    match kind {
        Kind::Share if value <= 1.0 => {
            let middle = (value + Z * Z / (2.0 * lower)) / (1.0 + Z * Z / lower);
            let half = crate::interval::half_width(value, lower);
            (middle - half, middle + half)
        }
        Kind::Share | Kind::Count => {
            let half = Z * (value * lower + 1.0).sqrt() / lower;
            (value - half, value + half)
        }
        Kind::Quantity => (value, value),
    }
}

#[cfg(test)]
#[path = "estimate_tests.rs"]
mod tests;
