//! Sections of a file. Those of HTTP, rules and hooks are the types of the modules that heed them.

use std::path::PathBuf;

use serde::Deserialize;

use super::quantity;

/// `[budget]`: what watching may cost.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// CPU time of waytrace itself, recordings included, percent of all CPUs together.
    pub cpu_pct: f64,
    /// Its resident memory, MiB.
    pub rss_mb: u64,
    /// What probes and samples may take of a target's CPU time, percent.
    pub target_slowdown_pct: f64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { cpu_pct: 1.0, rss_mb: 150, target_slowdown_pct: 1.0 }
    }
}

/// `[history]`: what is kept.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistorySection {
    /// The database; none is kept without it.
    pub path: Option<PathBuf>,
    /// How long the steps are kept.
    pub keep: Keep,
    /// All that is kept, bytes.
    #[serde(deserialize_with = "quantity::size")]
    pub max_bytes: u64,
}

impl Default for HistorySection {
    fn default() -> Self {
        Self { path: None, keep: Keep::default(), max_bytes: 1 << 30 }
    }
}

/// `keep` of `[history]`: how long each step is kept, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    /// Windows as they were measured.
    #[serde(rename = "window", deserialize_with = "quantity::time")]
    pub window_ns: u64,
    /// Steps of a minute.
    #[serde(rename = "minute", deserialize_with = "quantity::time")]
    pub minute_ns: u64,
    /// Steps of an hour.
    #[serde(rename = "hour", deserialize_with = "quantity::time")]
    pub hour_ns: u64,
}

impl Default for Keep {
    fn default() -> Self {
        const DAY_NS: u64 = 86_400_000_000_000;
        Self { window_ns: DAY_NS, minute_ns: 14 * DAY_NS, hour_ns: 400 * DAY_NS }
    }
}

/// `[record]`: detailed profiles because of alerts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordSection {
    /// How many an hour at most.
    pub max_per_hour: u32,
    /// How long each takes, where its rule does not say, nanoseconds.
    #[serde(rename = "duration", deserialize_with = "quantity::time")]
    pub duration_ns: u64,
    /// Every allocator call is seen, whatever that costs the target.
    pub exact: bool,
}

impl Default for RecordSection {
    fn default() -> Self {
        Self { max_per_hour: 6, duration_ns: 10_000_000_000, exact: false }
    }
}
