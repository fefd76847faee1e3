//! One number against another, each with its 95 % interval.

use serde::{Deserialize, Serialize};

/// Differences of less than this, in percent of the larger side, are called the same.
pub const SAME_PCT: f64 = 1.0;

/// A value with the half-width of its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    value: f64,
    /// `None`: the value is an estimate and nobody knows how good.
    half_width: Option<f64>,
}

impl Estimate {
    /// A value that was counted, not estimated.
    pub fn exact(value: f64) -> Self {
        Self { value, half_width: Some(0.0) }
    }

    /// An estimate whose interval is `ci95_pct` percent of it to either side.
    pub fn with_interval_pct(value: f64, ci95_pct: Option<f64>) -> Self {
        Self { value, half_width: ci95_pct.map(|pct| (value * pct / 100.0).abs()) }
    }

    /// An estimate and the half-width of its interval.
    pub fn with_half_width(value: f64, half_width: f64) -> Self {
        Self { value, half_width: Some(half_width) }
    }

    /// The rate over `ns` nanoseconds; `None` over no time.
    pub fn per_second_of(self, ns: u64) -> Option<Self> {
        let seconds = ns as f64 / 1e9;
        let half_width = self.half_width.map(|half_width| half_width / seconds);
        (ns > 0).then_some(Self { value: self.value / seconds, half_width })
    }
}

/// What a difference amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// B is larger, by more than the interval of the difference.
    Up,
    /// B is smaller, by more than the interval of the difference.
    Down,
    /// Less than [`SAME_PCT`] apart.
    Same,
    /// Not larger than the 95 % interval of the difference: may be nothing.
    WithinInterval,
    /// A side is missing, or is an estimate without an interval.
    Unknown,
}

/// A value in two runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// In run A; `null` where not measured.
    pub a: Option<f64>,
    /// In run B; `null` where not measured.
    pub b: Option<f64>,
    /// (B − A) / A in percent; `null` where a side is missing or A is 0 and B is not.
    pub change_pct: Option<f64>,
    /// Half-width of the 95 % interval of B − A, in the value's unit; `null` where not known.
    pub interval: Option<f64>,
    /// What to make of it.
    pub verdict: Verdict,
}

impl Change {
    /// From `a` to `b`. The estimates are independent, so the variances of their difference add.
    pub fn between(a: Option<Estimate>, b: Option<Estimate>) -> Self {
        let (value_a, value_b) = (a.map(|a| a.value), b.map(|b| b.value));
        let half_widths = a.and_then(|a| a.half_width).zip(b.and_then(|b| b.half_width));
        let interval = half_widths.map(|(of_a, of_b)| of_a.hypot(of_b));
        let both = value_a.zip(value_b);
        Self {
            a: value_a,
            b: value_b,
            change_pct: both.and_then(|(a, b)| change_pct(a, b)),
            interval,
            verdict: both
                .zip(interval)
                .map_or(Verdict::Unknown, |((a, b), interval)| verdict(a, b, interval)),
        }
    }

    /// |B − A|, a missing side being 0.
    pub fn magnitude(&self) -> f64 {
        (self.b.unwrap_or(0.0) - self.a.unwrap_or(0.0)).abs()
    }
}

fn change_pct(a: f64, b: f64) -> Option<f64> {
    match (a == 0.0, b == 0.0) {
        (true, true) => Some(0.0),
        (true, false) => None,
        (false, _) => Some((b - a) / a * 100.0),
    }
}

fn verdict(a: f64, b: f64, interval: f64) -> Verdict {
    let difference = b - a;
    if difference == 0.0 {
        Verdict::Same
    } else if difference.abs() <= interval {
        Verdict::WithinInterval
    } else if difference.abs() < a.abs().max(b.abs()) * SAME_PCT / 100.0 {
        Verdict::Same
    } else if difference > 0.0 {
        Verdict::Up
    } else {
        Verdict::Down
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judged(a: (f64, f64), b: (f64, f64)) -> Verdict {
        let estimate = |(value, pct)| Some(Estimate::with_interval_pct(value, Some(pct)));
        Change::between(estimate(a), estimate(b)).verdict
    }

    #[test]
    fn a_change_counts_when_it_exceeds_the_interval_of_the_difference() {
        // Half-widths 3 and 4 make 5 for the difference.
        assert_eq!(judged((100.0, 3.0), (104.9, 4.0 / 1.049)), Verdict::WithinInterval);
        assert_eq!(judged((100.0, 3.0), (105.1, 4.0 / 1.051)), Verdict::Up);
        assert_eq!(judged((100.0, 3.0), (94.9, 4.0 / 0.949)), Verdict::Down);
    }

    #[test]
    fn exact_values_need_one_percent() {
        assert_eq!(judged((100.0, 0.0), (100.9, 0.0)), Verdict::Same);
        assert_eq!(judged((100.0, 0.0), (102.0, 0.0)), Verdict::Up);
        assert_eq!(judged((0.0, 0.0), (0.0, 0.0)), Verdict::Same);
        assert_eq!(judged((0.0, 0.0), (1.0, 0.0)), Verdict::Up);
    }

    #[test]
    fn what_is_missing_is_unknown_and_from_zero_is_no_percentage() {
        let one = Some(Estimate::exact(1.0));
        assert_eq!(Change::between(None, one).verdict, Verdict::Unknown);
        let vague = Change::between(one, Some(Estimate::with_interval_pct(2.0, None)));
        assert_eq!((vague.verdict, vague.change_pct, vague.interval), (Verdict::Unknown, Some(100.0), None));
        assert_eq!(Change::between(Some(Estimate::exact(0.0)), one).change_pct, None);
        assert_eq!(Estimate::exact(1.0).per_second_of(0), None);
    }

    proptest! {
        #[test]
        fn swapping_the_runs_mirrors_the_verdict(a in 0.0..1e9f64, b in 0.0..1e9f64, ci in 0.0..50.0f64) {
            let mirrored = match judged((b, ci), (a, ci)) {
                Verdict::Up => Verdict::Down,
                Verdict::Down => Verdict::Up,
                other => other,
            };
            prop_assert_eq!(judged((a, ci), (b, ci)), mirrored);
        }
    }
}
