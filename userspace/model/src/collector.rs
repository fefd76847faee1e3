//! What each collector did, and why it did not do more; what was lost; what the measurement cost.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// State of one collector in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Ran from start to end.
    Ran,
    /// Ran, but gave less than it could elsewhere; the reason says what is missing.
    Degraded,
    /// Did not run; the reason says why.
    Skipped,
    /// Stopped before the end of the run; the reason says why.
    Failed,
}

impl Status {
    /// The spelling used in the store and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ran => "ran",
            Self::Degraded => "degraded",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }

    /// Reads the spelling back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ran, Self::Degraded, Self::Skipped, Self::Failed]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// One line of the run's honesty: a collector, its state, and the reason when the state is not `ran`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectorReport {
    /// `counters`, `allocations`, `mappings`, `stacks`, `accesses`.
    pub name: String,
    /// What became of it.
    pub status: Status,
    /// Why it is not `ran`, with what would mend it.
    pub reason: Option<String>,
}

/// Everything that was seen to happen but could not be recorded, by kind. An absent kind lost nothing.
///
/// Kinds: `ring_full` (records that found no room), `sites_full`, `live_full`, `threads_full`, `targets_full`, `readings_full`, `heat_full`
/// (what found no room in a kernel table), `stack_missing` (stacks that could not be taken or unwound in time), `walk_truncated` (stacks
/// that ran out of captured bytes), `traced_dropped` (blocks whose trace was not kept), `samples_unread` (an allocator's own samples whose
/// arguments could not be read), `windows_unusable` (probing windows
/// that carry no estimate), `samples_dropped` (access samples that came while the walker was behind), `samples_missed` (accesses to
/// a watched address at a moment when the kernel runs no program), `accesses_dropped` (accesses the disk had no time for).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Loss(pub BTreeMap<String, u64>);

impl Loss {
    /// Adds `count` losses of `kind`; zero leaves no trace.
    pub fn add(&mut self, kind: &str, count: u64) {
        if count > 0 {
            *self.0.entry(kind.to_owned()).or_default() += count;
        }
    }

    /// All losses together.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// What the measurement cost. The target's share is hits × calibrated trap cost over its CPU time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Overhead {
    /// Ceiling asked for, percent of the target's CPU time; `None` where there was none (`--exact`).
    pub budget_pct: Option<f64>,
    /// CPU time the probes took from the target, percent of its CPU time without them.
    pub target_pct: Option<f64>,
    /// waytrace's own CPU time, percent of one core over the run.
    pub tool_cpu_pct: Option<f64>,
    /// waytrace's peak resident set, in bytes.
    pub tool_rss_bytes: Option<u64>,
    /// Mean cost of a probe hit, in nanoseconds: as calibrated on this machine, in the default mode corrected by what the
    /// windows showed in the target. Without a hit, that of an allocation.
    pub probe_hit_ns: Option<f64>,
    /// Probe hits in the target over the run.
    pub probe_hits_count: u64,
    /// From the start of the attachment to the first data, in nanoseconds.
    pub attach_ns: Option<u64>,
}
