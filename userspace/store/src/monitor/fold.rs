//! Steps out of windows: how the numbers of a target, and of the host, in two stretches of time become those of both.
//!
//! Nothing is scaled. An amount is what was measured, and beside it stands the time it was measured in, so that its rate stays right where a
//! metric was absent in some of the windows. Adding is associative and commutative but for rounding: it does not matter in what order, and in
//! how many parts, windows come.

use waytrace_model::monitor::{Fold, HostWindow, Metric, Point, Step, TargetWindow, Values};

/// Numbers of one target over some time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Numbers {
    /// Time measured.
    pub length_ns: u64,
    /// Windows in it.
    pub windows: u64,
    /// Sums and means.
    pub values: Values,
    /// Time each metric was measured in; 0 of absent ones.
    pub covered_ns: [u64; Metric::COUNT],
}

impl Default for Numbers {
    fn default() -> Self {
        Self { length_ns: 0, windows: 0, values: Values::default(), covered_ns: [0; Metric::COUNT] }
    }
}

impl Numbers {
    /// Of one window.
    pub(crate) fn of(window: &TargetWindow, length_ns: u64) -> Self {
        let mut numbers = Self { length_ns, windows: 1, values: window.values, ..Self::default() };
        for (metric, _) in window.values.iter() {
            numbers.covered_ns[metric.index()] = length_ns;
        }
        numbers
    }

    /// Adds another stretch of time.
    pub(crate) fn add(&mut self, other: &Self) {
        for &metric in Metric::ALL {
            let (own_ns, their_ns) = (self.covered_ns[metric.index()], other.covered_ns[metric.index()]);
            let both = match (self.values.get(metric), other.values.get(metric)) {
                (Some(own), Some(theirs)) => Some(match metric.fold() {
                    Fold::Sum => own + theirs,
                    Fold::Level | Fold::Mean => mean((own, own_ns), (theirs, their_ns)),
                }),
                (own, theirs) => own.or(theirs),
            };
            self.values.set(metric, both);
            self.covered_ns[metric.index()] = own_ns.saturating_add(their_ns);
        }
        self.length_ns = self.length_ns.saturating_add(other.length_ns);
        self.windows = self.windows.saturating_add(other.windows);
    }

    /// As it is told.
    pub(crate) fn point(&self, start_unix_ns: u64, step: Step) -> Point {
        let partly = |(metric, _): (Metric, f64)| {
            let covered_ns = self.covered_ns[metric.index()];
            (covered_ns != self.length_ns).then_some((metric, covered_ns))
        };
        Point {
            start_unix_ns,
            step,
            length_ns: self.length_ns,
            values: self.values,
            covered_ns: self.values.iter().filter_map(partly).collect(),
        }
    }
}

/// Mean of two means, weighted by time. Windows of no length weigh alike.
fn mean((one, one_ns): (f64, u64), (other, other_ns): (f64, u64)) -> f64 {
    let (one_ns, other_ns) = (one_ns.max(1) as f64, other_ns.max(1) as f64);
    // In this form two equal values stay what they are.
    one + (other - one) * (other_ns / (one_ns + other_ns))
}

/// What watching cost, over some time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Own {
    /// Percent of one CPU.
    pub cpu_pct: f64,
    /// Of that, recordings.
    pub recording_cpu_pct: f64,
    /// Resident memory.
    pub rss_bytes: f64,
    /// Open files.
    pub open_files: f64,
    /// Probes in place.
    pub probes: f64,
    /// Bytes of the history.
    pub store_bytes: Option<f64>,
    /// Windows waiting to be written.
    pub store_waiting: f64,
}

impl Own {
    /// Of one window.
    pub(crate) fn of(window: &HostWindow) -> Self {
        let own = &window.own;
        let finite = crate::codec::finite;
        Self {
            cpu_pct: finite(own.cpu_pct),
            recording_cpu_pct: finite(own.recording_cpu_pct),
            rss_bytes: own.rss_bytes as f64,
            open_files: own.open_files as f64,
            probes: own.probes as f64,
            store_bytes: own.store_bytes.map(|bytes| bytes as f64),
            store_waiting: own.store_waiting as f64,
        }
    }

    /// Mean of two stretches of time.
    pub(crate) fn with(&self, own_ns: u64, other: &Self, other_ns: u64) -> Self {
        let both = |one, other| mean((one, own_ns), (other, other_ns));
        Self {
            cpu_pct: both(self.cpu_pct, other.cpu_pct),
            recording_cpu_pct: both(self.recording_cpu_pct, other.recording_cpu_pct),
            rss_bytes: both(self.rss_bytes, other.rss_bytes),
            open_files: both(self.open_files, other.open_files),
            probes: both(self.probes, other.probes),
            // It is a state, not a level to be averaged: what it was last.
            store_bytes: other.store_bytes.or(self.store_bytes),
            store_waiting: both(self.store_waiting, other.store_waiting),
        }
    }
}

/// Adds bucket by bucket.
pub(crate) fn add_buckets(into: &mut Vec<f64>, other: &[f64]) {
    if into.len() < other.len() {
        into.resize(other.len(), 0.0);
    }
    for (own, theirs) in into.iter_mut().zip(other) {
        *own += theirs;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Windows of whole numbers, which add up without rounding.
    fn window() -> impl Strategy<Value = (u64, Vec<Option<u32>>)> {
        let value = prop::option::weighted(0.7, 0..1_000_000u32);
        (1..30_000_000_000u64, prop::collection::vec(value, Metric::COUNT))
    }

    fn numbers((length_ns, given): &(u64, Vec<Option<u32>>)) -> Numbers {
        let some = Metric::ALL.iter().zip(given).filter_map(|(&m, value)| value.map(|v| (m, f64::from(v))));
        Numbers::of(&TargetWindow { values: some.collect(), ..TargetWindow::default() }, *length_ns)
    }

    fn folded(all: &[(u64, Vec<Option<u32>>)]) -> Numbers {
        let mut sum = Numbers::default();
        all.iter().for_each(|one| sum.add(&numbers(one)));
        sum
    }

    proptest! {
        #[test]
        fn sums_times_and_means_are_those_of_the_windows(
            windows in prop::collection::vec(window(), 1..40),
            cut in 0.0..1.0f64,
        ) {
            // In two steps, one after the other added to the first, as a restart in the middle of a step does.
            let (early, late) = windows.split_at((windows.len() as f64 * cut) as usize);
            let mut both = folded(early);
            both.add(&folded(late));
            prop_assert_eq!(both.length_ns, windows.iter().map(|one| one.0).sum::<u64>());
            prop_assert_eq!(both.windows, windows.len() as u64);
            for &metric in Metric::ALL {
                let there: Vec<(f64, u64)> = windows
                    .iter()
                    .filter_map(|(ns, values)| values[metric.index()].map(|v| (f64::from(v), *ns)))
                    .collect();
                let covered: u64 = there.iter().map(|one| one.1).sum();
                prop_assert_eq!(both.covered_ns[metric.index()], covered);
                let Some(value) = both.values.get(metric) else {
                    prop_assert!(there.is_empty());
                    continue;
                };
                match metric.fold() {
                    Fold::Sum => prop_assert_eq!(value, there.iter().map(|one| one.0).sum::<f64>()),
                    Fold::Level | Fold::Mean => {
                        let weighted: f64 = there.iter().map(|(v, ns)| v * *ns as f64).sum();
                        let expected = weighted / covered as f64;
                        prop_assert!((value - expected).abs() <= expected.abs() * 1e-9 + 1e-9, "{value} {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_rate_is_over_the_time_its_metric_was_there() {
        let with = |values: &[(Metric, f64)]| TargetWindow {
            values: values.iter().copied().collect(),
            ..TargetWindow::default()
        };
        let ns = 10_000_000_000;
        let mut sum = Numbers::of(&with(&[(Metric::AllocBytes, 500.0), (Metric::Rss, 8.0)]), ns);
        sum.add(&Numbers::of(&with(&[(Metric::Rss, 16.0)]), 3 * ns));
        let point = sum.point(0, Step::Minute);
        assert_eq!(point.rate(Metric::AllocBytes), Some(50.0));
        assert_eq!(point.rate(Metric::Rss), Some(14.0));
        assert_eq!(point.covered_ns.into_iter().collect::<Vec<_>>(), [(Metric::AllocBytes, ns)]);
    }

    #[test]
    fn windows_of_no_length_do_not_divide_by_it() {
        let level =
            TargetWindow { values: Values::from_iter([(Metric::Rss, 8.0)]), ..TargetWindow::default() };
        let mut sum = Numbers::of(&level, 0);
        sum.add(&Numbers::of(&level, 0));
        assert_eq!(sum.values.get(Metric::Rss), Some(8.0));
    }
}
