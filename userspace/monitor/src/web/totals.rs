//! Amounts since the start, for counters: a window's amounts are added up, for a bounded number of targets.

use std::collections::{BTreeMap, BTreeSet};

use waytrace_model::monitor::{Fold, HostWindow, Metric, Values};

use super::clocks::Clocks;

/// The name under which targets without series of their own are summed up.
pub(super) const OTHER: &str = "_other";

/// A target that has been gone for so many windows loses its series, and its place goes to another. Longer than the five minutes for which
/// Prometheus goes on with the last sample, at windows of ten seconds.
const FORGOTTEN_AFTER: u32 = 60;

/// Everything that only grows.
pub(super) struct Totals {
    max_targets: usize,
    series: BTreeMap<String, Series>,
    /// Targets of the last window that are summed up.
    pub(super) others: usize,
    /// Windows published.
    pub(super) windows: u64,
    /// Losses by kind.
    pub(super) loss: BTreeMap<String, u64>,
    /// What became of the clocks.
    pub(super) clocks: Clocks,
}

/// What is exported of a target.
#[derive(Default)]
pub(super) struct Series {
    /// Amounts since its start.
    pub(super) sums: Values,
    /// Levels and shares of the last window; `None` where it had no process then.
    pub(super) now: Option<Values>,
    windows_gone: u32,
}

impl Totals {
    pub(super) fn new(max_targets: usize) -> Self {
        Self {
            max_targets,
            series: BTreeMap::new(),
            others: 0,
            windows: 0,
            loss: BTreeMap::new(),
            clocks: Clocks::default(),
        }
    }

    /// Takes a window in.
    pub(super) fn add(&mut self, window: &HostWindow) {
        self.windows += 1;
        self.clocks.add(window);
        for (kind, count) in &window.loss.0 {
            let sum = self.loss.entry(kind.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
        for series in self.series.values_mut() {
            series.now = None;
            series.windows_gone += 1;
        }
        self.series.retain(|name, series| name == OTHER || series.windows_gone <= FORGOTTEN_AFTER);
        let mut others = BTreeSet::new();
        for target in &window.targets {
            let name = self.name(&target.target);
            if name == OTHER {
                others.insert(target.target.as_str());
            }
            self.series.entry(name.to_owned()).or_default().add(&target.values);
        }
        self.others = others.len();
    }

    pub(super) const fn max_targets(&self) -> usize {
        self.max_targets
    }

    /// By name, in its order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Series)> {
        self.series.iter().map(|(name, series)| (name.as_str(), series))
    }

    fn name<'a>(&self, target: &'a str) -> &'a str {
        let own = self.series.len() - usize::from(self.series.contains_key(OTHER));
        if self.series.contains_key(target) || own < self.max_targets { target } else { OTHER }
    }
}

impl Series {
    fn add(&mut self, values: &Values) {
        self.windows_gone = 0;
        for (metric, value) in values.iter() {
            if metric.fold() == Fold::Sum {
                let sum = self.sums.get(metric).unwrap_or(0.0) + value.max(0.0);
                self.sums.set(metric, Some(sum));
            }
        }
        match &mut self.now {
            Some(now) => now.add_process(values),
            None => self.now = Some(*values),
        }
    }

    /// What is exported of a metric; `None` where there is nothing to tell.
    pub(super) fn sample(&self, metric: Metric) -> Option<f64> {
        match metric.fold() {
            Fold::Sum => self.sums.get(metric),
            Fold::Level | Fold::Mean => self.now.as_ref()?.get(metric),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waytrace_model::collector::Loss;
    use waytrace_model::monitor::TargetWindow;

    fn window(targets: &[(&str, f64, f64)]) -> HostWindow {
        let target = |(name, cpu, rss): &(&str, f64, f64)| TargetWindow {
            target: (*name).to_owned(),
            values: Values::from_iter([(Metric::Cpu, *cpu), (Metric::Rss, *rss)]),
            ..TargetWindow::default()
        };
        HostWindow { targets: targets.iter().map(target).collect(), ..HostWindow::default() }
    }

    fn told(totals: &Totals, metric: Metric) -> Vec<(&str, Option<f64>)> {
        totals.iter().map(|(name, series)| (name, series.sample(metric))).collect()
    }

    #[test]
    fn amounts_add_up_and_levels_do_not() {
        let mut totals = Totals::new(10);
        totals.add(&window(&[("a", 1.0, 100.0), ("b", 5.0, 7.0)]));
        totals.add(&window(&[("a", 2.0, 90.0)]));
        assert_eq!(told(&totals, Metric::Cpu), [("a", Some(3.0)), ("b", Some(5.0))]);
        assert_eq!(told(&totals, Metric::Rss), [("a", Some(90.0)), ("b", None)]);
        assert_eq!(told(&totals, Metric::AllocBytes), [("a", None), ("b", None)]);
        assert_eq!(totals.windows, 2);
    }

    #[test]
    fn those_without_a_place_are_summed_up_until_one_is_free() {
        let mut totals = Totals::new(2);
        let three = window(&[("a", 1.0, 1.0), ("b", 1.0, 1.0), ("c", 1.0, 1.0), ("d", 3.0, 2.0)]);
        totals.add(&three);
        totals.add(&three);
        assert_eq!(told(&totals, Metric::Cpu), [(OTHER, Some(8.0)), ("a", Some(2.0)), ("b", Some(2.0))]);
        assert_eq!(told(&totals, Metric::Rss)[0], (OTHER, Some(3.0)));
        assert_eq!(totals.others, 2);
        for _ in 0..=FORGOTTEN_AFTER {
            totals.add(&window(&[("a", 1.0, 1.0)]));
        }
        totals.add(&window(&[("c", 1.0, 1.0)]));
        let sums = told(&totals, Metric::Cpu);
        assert_eq!(sums[0], (OTHER, Some(8.0)), "counters never go back");
        assert_eq!(sums[2], ("c", Some(1.0)));
        assert_eq!(totals.others, 0);
    }

    #[test]
    fn losses_add_up_by_kind() {
        let mut totals = Totals::new(1);
        let mut loss = Loss::default();
        loss.add("ring_full", 3);
        let window = HostWindow { loss, ..HostWindow::default() };
        totals.add(&window);
        totals.add(&window);
        assert_eq!(totals.loss.get("ring_full"), Some(&6));
    }
}
