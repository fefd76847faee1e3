//! Functions over a target's own history: what each is, and how it is worked out.

use waytrace_analysis::slope::{LEAST_POINTS, Slope};
use waytrace_analysis::spread::median;

use super::expression::Number;

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// The median before this window: what is usual.
    Baseline,
    /// The median, this window included.
    Median,
    /// The mean.
    Mean,
    /// The greatest.
    Max,
    /// The least.
    Min,
    /// Change per second.
    Slope,
    /// What it rises by per second at least: the lower end of the slope's 95 % interval.
    Growth,
}

/// A function of an expression over a time: one history in each target.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Which.
    pub past: Past,
    /// Of what; without functions.
    pub of: Number,
    /// Over how long, nanoseconds.
    pub span_ns: u64,
}

/// Name, function, signature, help.
pub const FUNCTIONS: [(&str, Past, &str, &str); 7] = [
    (
        "baseline",
        Past::Baseline,
        "baseline(TIME)",
        "the median of the comparison's other side before this window",
    ),
    ("median", Past::Median, "median(NUMBER, TIME)", "the median"),
    ("mean", Past::Mean, "mean(NUMBER, TIME)", "the mean"),
    ("max", Past::Max, "max(NUMBER, TIME)", "the greatest"),
    ("min", Past::Min, "min(NUMBER, TIME)", "the least"),
    (
        "slope",
        Past::Slope,
        "slope(NUMBER, TIME)",
        "change per second: the median slope between pairs of windows",
    ),
    ("growth", Past::Growth, "growth(NUMBER, TIME)", "the lower end of the slope's 95 % interval"),
];

/// Windows a baseline needs at least.
pub const LEAST_BASELINE: usize = 6;

impl Past {
    /// By its name.
    pub fn parse(name: &str) -> Option<Self> {
        FUNCTIONS.iter().find(|(known, ..)| *known == name).map(|(_, past, ..)| *past)
    }

    /// How it is written.
    pub fn signature(self) -> &'static str {
        FUNCTIONS.iter().find(|row| row.1 == self).map_or("", |row| row.2)
    }

    /// Values it needs at least.
    pub fn least(self) -> usize {
        match self {
            Self::Baseline => LEAST_BASELINE,
            Self::Slope | Self::Growth => LEAST_POINTS,
            Self::Median | Self::Mean | Self::Max | Self::Min => 1,
        }
    }

    /// Slopes are over what lies between the ends of windows, the rest over the windows themselves.
    pub fn is_slope(self) -> bool {
        matches!(self, Self::Slope | Self::Growth)
    }

    /// The share of its time that its values must cover.
    pub fn least_cover(self) -> f64 {
        if self.is_slope() { 0.5 } else { 0.25 }
    }

    /// What becomes of several values that are kept as one.
    pub fn merge(self, kept: f64, weight: f64, value: f64) -> f64 {
        match self {
            Self::Max => kept.max(value),
            Self::Min => kept.min(value),
            _ => kept + (value - kept) / (weight + 1.0),
        }
    }

    /// Its value over points (seconds, value).
    pub fn of(self, points: &[(f64, f64)]) -> Option<f64> {
        let values = || points.iter().map(|(_, value)| *value);
        match self {
            Self::Baseline | Self::Median => median(&values().collect::<Vec<_>>()),
            Self::Mean => (!points.is_empty()).then(|| values().sum::<f64>() / points.len() as f64),
            Self::Max => values().max_by(f64::total_cmp),
            Self::Min => values().min_by(f64::total_cmp),
            Self::Slope => Slope::of(points).map(|slope| slope.median),
            Self::Growth => Slope::of(points).and_then(|slope| slope.low),
        }
    }
}
