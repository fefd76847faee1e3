//! Two ranges of a target's history, metric by metric, each with the interval its own fluctuation gives.

use serde::{Deserialize, Serialize};
use waytrace_model::monitor::{HISTORY_SCHEMA_VERSION, Metric, MetricHistory, RangeInfo, TargetHistory};

use super::change::{Change, Estimate};

/// Stretches a range is cut into; their scatter is the fluctuation that windows following each other have in common.
const BATCHES: usize = 10;
/// Fewer points than this in a batch, and it is one point's scatter.
const PER_BATCH: usize = 2;
/// Student's t for nine degrees of freedom, 97.5 %.
const T_9: f64 = 2.262;

/// Two ranges side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryDiff {
    /// [`HISTORY_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The target.
    pub target: String,
    /// The earlier range, or what is compared with.
    pub a: HistorySide,
    /// The range asked for.
    pub b: HistorySide,
    /// Metrics of either: of amounts per second.
    pub metrics: Vec<MetricChange>,
    /// Allocation sites of either, bytes per second, the largest difference first.
    pub sites: Vec<SiteChange>,
}

/// One of the ranges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistorySide {
    /// The range.
    pub range: RangeInfo,
    /// Time the target had a process and was watched.
    pub covered_ns: u64,
    /// Alerts in it.
    pub alerts: u64,
}

/// A metric in both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricChange {
    /// Which one.
    pub metric: Metric,
    /// Its means.
    pub change: Change,
}

/// A site in both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SiteChange {
    /// Its name.
    pub name: String,
    /// Bytes per second; 0 where it is not among the largest of a range.
    pub bytes_per_s: Change,
}

/// Compares `b` with `a`.
pub fn histories(a: &TargetHistory, b: &TargetHistory) -> HistoryDiff {
    let of = |history: &TargetHistory, metric| estimate(history, metric);
    let is_in = |history: &TargetHistory, metric| history.metrics.iter().any(|one| one.metric == metric);
    let metrics = Metric::ALL
        .iter()
        .filter(|metric| is_in(a, **metric) || is_in(b, **metric))
        .map(|&metric| MetricChange { metric, change: Change::between(of(a, metric), of(b, metric)) })
        .collect();
    HistoryDiff {
        schema_version: HISTORY_SCHEMA_VERSION,
        target: b.target.clone(),
        a: side(a),
        b: side(b),
        metrics,
        sites: sites(a, b),
    }
}

fn side(history: &TargetHistory) -> HistorySide {
    HistorySide {
        range: history.range.clone(),
        covered_ns: history.covered_ns,
        alerts: history.alerts.len() as u64,
    }
}

/// A metric's mean, and its interval by the means of ten stretches of time (batch means); none of few points.
fn estimate(history: &TargetHistory, metric: Metric) -> Option<Estimate> {
    let mean = history.metrics.iter().find(|one: &&MetricHistory| one.metric == metric)?.mean;
    let points: Vec<(f64, f64)> = history
        .points
        .iter()
        .filter_map(|point| Some((point.rate(metric)?, point.covered_ns(metric).max(1) as f64)))
        .collect();
    if points.len() < BATCHES * PER_BATCH {
        return Some(Estimate::with_interval_pct(mean, None));
    }
    let means: Vec<f64> = (0..BATCHES)
        .filter_map(|batch| {
            let at = |batch: usize| batch * points.len() / BATCHES;
            let some = points.get(at(batch)..at(batch + 1))?;
            let weight: f64 = some.iter().map(|(_, weight)| weight).sum();
            Some(some.iter().map(|(rate, weight)| rate * weight).sum::<f64>() / weight)
        })
        .collect();
    let centre = means.iter().sum::<f64>() / means.len() as f64;
    let squares: f64 = means.iter().map(|one| (one - centre).powi(2)).sum();
    let deviation = (squares / (means.len() as f64 - 1.0) / means.len() as f64).sqrt();
    Some(Estimate::with_half_width(mean, T_9 * deviation))
}

fn sites(a: &TargetHistory, b: &TargetHistory) -> Vec<SiteChange> {
    let rate = |history: &TargetHistory, name: &str| {
        let found = history.sites.iter().find(|site| site.name.as_deref() == Some(name));
        Estimate::with_interval_pct(found.map_or(0.0, |site| site.bytes_per_s), None)
    };
    let mut names: Vec<&str> =
        a.sites.iter().chain(&b.sites).filter_map(|site| site.name.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    let mut sites: Vec<SiteChange> = names
        .into_iter()
        .map(|name| SiteChange {
            name: name.to_owned(),
            bytes_per_s: Change::between(Some(rate(a, name)), Some(rate(b, name))),
        })
        .collect();
    sites.sort_by(|one, other| other.bytes_per_s.magnitude().total_cmp(&one.bytes_per_s.magnitude()));
    sites
}

#[cfg(test)]
mod tests {
    use waytrace_model::monitor::{Point, Values};

    use super::*;
    use crate::diff::Verdict;

    fn history(values: &[f64]) -> TargetHistory {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let points = values.iter().map(|value| Point {
            length_ns: 1_000_000_000,
            values: Values::from_iter([(Metric::Rss, *value)]),
            ..Point::default()
        });
        let metric = MetricHistory {
            metric: Metric::Rss,
            unit: "bytes".to_owned(),
            fold: "level".to_owned(),
            mean,
            min: mean,
            max: mean,
            total: None,
            covered_ns: 1,
        };
        TargetHistory { points: points.collect(), metrics: vec![metric], ..TargetHistory::default() }
    }

    fn verdict(a: &[f64], b: &[f64]) -> Verdict {
        histories(&history(a), &history(b)).metrics[0].change.verdict
    }

    #[test]
    fn a_change_counts_when_it_is_more_than_fluctuation() {
        let steady: Vec<f64> = (0..60).map(|at| 100.0 + f64::from(at % 3)).collect();
        let more: Vec<f64> = steady.iter().map(|value| value + 10.0).collect();
        assert_eq!(verdict(&steady, &more), Verdict::Up);
        assert_eq!(verdict(&more, &steady), Verdict::Down);
        assert_eq!(verdict(&steady, &steady), Verdict::Same);
        // The same difference between two that wander slowly by much more: neighbours are alike, so many points tell little.
        let wander = |shift: f64| -> Vec<f64> {
            (0..60).map(|at| shift + 100.0 + 60.0 * (f64::from(at) / 9.0).sin()).collect()
        };
        assert_eq!(verdict(&wander(0.0), &wander(10.0)), Verdict::WithinInterval);
        assert_eq!(verdict(&[100.0; 5], &[120.0; 5]), Verdict::Unknown);
    }
}
