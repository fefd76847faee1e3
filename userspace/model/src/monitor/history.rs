//! What a stored history tells of a range of time: of one target, or of all of them.
//!
//! The JSON of `show`, `list` and `export` with `--since`; `docs/history.md` describes every field.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Alert, Fold, Metric, Unit, Values};

/// Version of these JSON documents.
pub const HISTORY_SCHEMA_VERSION: u32 = 1;

/// The length a stored row stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// A window, as it was measured.
    #[default]
    Window,
    /// All windows that began within a minute of the wall clock.
    Minute,
    /// All that began within an hour.
    Hour,
}

impl Step {
    /// All of them, the finest first.
    pub const ALL: [Self; 3] = [Self::Window, Self::Minute, Self::Hour];

    /// Nanoseconds; 0 of windows, whose length is their own.
    pub const fn ns(self) -> u64 {
        match self {
            Self::Window => 0,
            Self::Minute => 60_000_000_000,
            Self::Hour => 3_600_000_000_000,
        }
    }

    /// Reads [`Self::ns`] back.
    pub fn of_ns(ns: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.ns() == ns)
    }

    /// Start of the step a moment lies in; of windows the moment itself.
    pub const fn start_of(self, unix_ns: u64) -> u64 {
        match self.ns() {
            0 => unix_ns,
            ns => unix_ns / ns * ns,
        }
    }

    /// For people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::Minute => "minute",
            Self::Hour => "hour",
        }
    }
}

/// A range, and what of it is stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RangeInfo {
    /// Begin, nanoseconds since the Unix epoch; where steps are longer than windows, that of the step asked for.
    pub from_unix_ns: u64,
    /// End, exclusive.
    pub to_unix_ns: u64,
    /// The finest step that reaches back to the range's begin, or as far as there is any.
    pub step: Step,
    /// Time the host was watched in the range.
    pub covered_ns: u64,
    /// Windows measured in that time.
    pub windows: u64,
    /// Times the host was not watched, in order.
    pub gaps: Vec<Gap>,
}

/// A time without data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Begin, nanoseconds since the Unix epoch.
    pub from_unix_ns: u64,
    /// End.
    pub to_unix_ns: u64,
    /// Why.
    pub why: GapReason,
}

/// Why there is no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapReason {
    /// Nobody watched: no monitor ran, it could not store, or the machine was suspended.
    NotWatched,
    /// The host was watched, and the target had no process.
    NoProcess,
}

impl GapReason {
    /// For people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotWatched => "not watched",
            Self::NoProcess => "no process",
        }
    }
}

/// One target over a range.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetHistory {
    /// [`HISTORY_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Its name.
    pub target: String,
    /// The range.
    pub range: RangeInfo,
    /// Time the target had a process and was watched.
    pub covered_ns: u64,
    /// Windows of it.
    pub windows: u64,
    /// Times without data of it, in order; the host's own among them.
    pub gaps: Vec<Gap>,
    /// Metrics that were measured at any time, in the order of [`Metric::ALL`].
    pub metrics: Vec<MetricHistory>,
    /// Why the others were not, as last said, by collector.
    pub absent: BTreeMap<String, String>,
    /// Callers of the allocator, those of most bytes first.
    pub sites: Vec<SiteTotal>,
    /// Bytes by log2 of the block size; empty where never measured.
    pub sizes: Vec<f64>,
    /// Regions of the address space, the most accessed first.
    pub regions: Vec<RegionTotal>,
    /// Processes seen, the longest lived first.
    pub processes: Vec<ProcessSeen>,
    /// Alerts that held at any time in the range, the oldest first.
    pub alerts: Vec<Alert>,
    /// Its numbers, step by step.
    pub points: Vec<Point>,
}

/// A metric over a range. Of amounts `mean`, `min` and `max` are per second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricHistory {
    /// Which one.
    pub metric: Metric,
    /// What it counts.
    pub unit: String,
    /// `sum`, `level` or `mean`.
    pub fold: String,
    /// Mean over the time it was measured.
    pub mean: f64,
    /// Least of any step.
    pub min: f64,
    /// Greatest of any step.
    pub max: f64,
    /// Of amounts their sum: what was measured, nothing put in for the rest.
    pub total: Option<f64>,
    /// Time it was measured in.
    pub covered_ns: u64,
}

impl MetricHistory {
    /// The words of a metric's unit and fold.
    pub const fn words(metric: Metric) -> (&'static str, &'static str) {
        let unit = match metric.unit() {
            Unit::Count => "count",
            Unit::Bytes => "bytes",
            Unit::Nanoseconds => "ns",
            Unit::Ratio => "ratio",
        };
        let fold = match metric.fold() {
            Fold::Sum => "sum",
            Fold::Level => "level",
            Fold::Mean => "mean",
        };
        (unit, fold)
    }
}

/// A target in one step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Start, nanoseconds since the Unix epoch.
    pub start_unix_ns: u64,
    /// Which step it is: after the last full one windows stand one by one.
    pub step: Step,
    /// Time measured in it.
    pub length_ns: u64,
    /// Sums over that time, and means.
    pub values: Values,
    /// Time by metric, of those that were measured in another time than `length_ns`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub covered_ns: BTreeMap<Metric, u64>,
}

impl Point {
    /// Time a metric was measured in.
    pub fn covered_ns(&self, metric: Metric) -> u64 {
        self.covered_ns.get(&metric).copied().unwrap_or(self.length_ns)
    }

    /// Per second of the time it was measured in; of levels and shares the number itself.
    pub fn rate(&self, metric: Metric) -> Option<f64> {
        self.values.rate(metric, self.covered_ns(metric))
    }
}

/// What a caller of the allocator did over a range.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SiteTotal {
    /// Its name; `null`: all that were too small to be kept one by one.
    pub name: Option<String>,
    /// Allocations, estimated.
    pub alloc_count: f64,
    /// Bytes, estimated.
    pub alloc_bytes: f64,
    /// Bytes per second of the time allocations were measured in.
    pub bytes_per_s: f64,
}

/// A region of the address space over a range.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RegionTotal {
    /// Its name; `null`: all that were too small to be kept one by one.
    pub name: Option<String>,
    /// Share of the target's sampled accesses, 0 to 1.
    pub share_ratio: f64,
    /// Of these, stores, 0 to 1.
    pub store_ratio: f64,
}

/// A process that belonged to a target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessSeen {
    /// The target.
    pub target: String,
    /// Process id.
    pub pid: u32,
    /// When it started, nanoseconds of `CLOCK_BOOTTIME`.
    pub start_boot_ns: u64,
    /// Command name as last seen.
    pub comm: String,
    /// Start of the first window it was seen in, nanoseconds since the Unix epoch.
    pub first_seen_unix_ns: u64,
    /// End of the last one; of one that lives, to the minute.
    pub last_seen_unix_ns: u64,
}

/// All targets over a range.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HistoryOverview {
    /// [`HISTORY_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The range.
    pub range: RangeInfo,
    /// Targets with anything in it, by name.
    pub targets: Vec<TargetOverview>,
    /// Processes seen, by target, the longest lived first.
    pub processes: Vec<ProcessSeen>,
    /// Alerts that held at any time in the range, the oldest first.
    pub alerts: Vec<Alert>,
    /// What was lost, by kind.
    pub loss: BTreeMap<String, u64>,
    /// Own CPU time, percent of one CPU, over the time watched.
    pub own_cpu_pct: f64,
    /// Own resident memory, mean over the time watched.
    pub own_rss_bytes: f64,
    /// How the collectors fared, by name.
    pub collectors: Vec<CollectorTotal>,
}

/// One target of an overview.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetOverview {
    /// Its name.
    pub target: String,
    /// Time it had a process and was watched.
    pub covered_ns: u64,
    /// Time it was configured, watched and without a process.
    pub missing_ns: u64,
    /// Processes seen.
    pub processes: u64,
    /// Alerts.
    pub alerts: u64,
    /// Means over the range: of amounts per second.
    pub means: Values,
}

/// A collector over a range.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CollectorTotal {
    /// Its name.
    pub name: String,
    /// Time in each state, by [`super::ShareState::as_str`].
    pub state_ns: BTreeMap<String, u64>,
    /// Why it was not `full`, as last said.
    pub reason: Option<String>,
    /// waytrace's CPU time it took, percent of one CPU, over the time watched.
    pub tool_cpu_pct: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_begin_at_multiples() {
        let moment = 1_700_000_123_456_789_012;
        assert_eq!(Step::Window.start_of(moment), moment);
        assert_eq!(Step::Minute.start_of(moment), 1_700_000_100_000_000_000);
        assert_eq!(Step::Hour.start_of(moment), 1_699_999_200_000_000_000);
        for step in Step::ALL {
            assert_eq!(Step::of_ns(step.ns()), Some(step));
        }
        assert_eq!(Step::of_ns(1), None);
    }

    #[test]
    fn rates_are_over_the_time_measured() {
        let mut point = Point { length_ns: 60_000_000_000, ..Point::default() };
        point.values = Values::from_iter([(Metric::AllocBytes, 100.0), (Metric::Cpu, 6e9)]);
        point.covered_ns.insert(Metric::AllocBytes, 10_000_000_000);
        assert_eq!(point.rate(Metric::AllocBytes), Some(10.0));
        assert_eq!(point.rate(Metric::Cpu), Some(1e8));
        let json = serde_json::to_string(&point).unwrap();
        assert!(json.contains(r#""covered_ns":{"alloc_bytes":10000000000}"#), "{json}");
        assert_eq!(serde_json::from_str::<Point>(&json).unwrap(), point);
    }
}
