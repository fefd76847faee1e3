//! Metrics of targets: each [`Metric`] under the name and in the unit Prometheus has for such a thing.

use std::collections::BTreeSet;

use waytrace_model::monitor::{Fold, HostWindow, Metric, Unit};

use super::text::{Exposition, Kind};
use crate::web::totals::Totals;

const PREFIX: &str = "waytrace_target";

/// All families of targets, in the order of [`Metric::ALL`].
pub(super) fn write(page: &mut Exposition, totals: &Totals, last: Option<&HostWindow>) {
    if let Some(window) = last {
        let name = format!("{PREFIX}_up");
        let help = "Whether a configured target had a process in the last window.";
        let mut family = page.family(&name, Kind::Gauge, help);
        for (target, series) in totals.iter() {
            if series.now.is_some() {
                family.sample(&[("target", target)], 1.0);
            }
        }
        let has_process =
            |target: &str| totals.iter().any(|(name, series)| name == target && series.now.is_some());
        let missing: BTreeSet<_> = window.missing.iter().filter(|target| !has_process(target)).collect();
        for target in missing.into_iter().take(totals.max_targets()) {
            family.sample(&[("target", target)], 0.0);
        }
    }
    for &metric in Metric::ALL {
        let (name, kind, scale) = exported(metric);
        let mut family = page.family(&name, kind, metric.help());
        for (target, series) in totals.iter() {
            if let Some(value) = series.sample(metric) {
                family.sample(&[("target", target)], value * scale);
            }
        }
    }
}

/// The family of a metric: its name without `_total`, what it is, and by what its numbers are multiplied.
pub(super) fn exported(metric: Metric) -> (String, Kind, f64) {
    let base = metric.name().rsplit_once('_').map_or(metric.name(), |(base, _)| base);
    // `_total` is the ending of counters and says nothing before it.
    let base = base.strip_suffix("_total").unwrap_or(base);
    let (unit, scale) = match metric.unit() {
        Unit::Count => ("", 1.0),
        Unit::Bytes => ("_bytes", 1.0),
        Unit::Nanoseconds => ("_seconds", 1e-9),
        Unit::Ratio => ("_ratio", 1.0),
    };
    let kind = match metric.fold() {
        Fold::Sum => Kind::Counter,
        Fold::Level | Fold::Mean => Kind::Gauge,
    };
    (format!("{PREFIX}_{base}{unit}"), kind, scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_units_are_those_of_prometheus() {
        let is = |metric, name: &str, kind, scale| {
            assert_eq!(exported(metric), (format!("waytrace_target_{name}"), kind, scale));
        };
        is(Metric::Cpu, "cpu_seconds", Kind::Counter, 1e-9);
        is(Metric::MinorFaults, "minor_faults", Kind::Counter, 1.0);
        is(Metric::AllocBytes, "alloc_bytes", Kind::Counter, 1.0);
        is(Metric::Rss, "rss_bytes", Kind::Gauge, 1.0);
        is(Metric::Threads, "threads", Kind::Gauge, 1.0);
        is(Metric::Overhead, "overhead_ratio", Kind::Gauge, 1.0);
        is(Metric::MemoryTraffic, "mbm_bytes", Kind::Counter, 1.0);
        let names: BTreeSet<_> = Metric::ALL.iter().map(|&metric| exported(metric).0).collect();
        assert_eq!(names.len(), Metric::COUNT);
    }
}
