//! One window of a host: its targets, what was lost, and what watching cost.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Values;
use crate::allocation::Mode;
use crate::collector::Loss;

/// One window of everything that is watched on a host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HostWindow {
    /// Position since `monitor` started, from 0, without gaps.
    pub index: u64,
    /// Start by the wall clock, nanoseconds since the Unix epoch. It may go back where that clock was set back; `index` never does.
    pub start_unix_ns: u64,
    /// Start by `CLOCK_BOOTTIME`, which goes on while a machine is suspended.
    pub start_boot_ns: u64,
    /// Length by `CLOCK_MONOTONIC`: the time there was something to measure in.
    pub length_ns: u64,
    /// Targets with at least one process in the window, by name.
    pub targets: Vec<TargetWindow>,
    /// Configured targets without a process.
    pub missing: Vec<String>,
    /// What each collector was given of the budget.
    pub collectors: Vec<CollectorShare>,
    /// What was lost in the window, by kind.
    pub loss: Loss,
    /// What watching cost.
    pub own: OwnCost,
}

/// One target in one window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetWindow {
    /// Name of the target.
    pub target: String,
    /// Its numbers: sums over its processes, also of those that ended in the window.
    pub values: Values,
    /// Why numbers are absent, by the collector that would have them.
    pub absent: BTreeMap<String, String>,
    /// Its processes of most CPU time, at most [`Self::MAX_PROCESSES`], most first.
    pub processes: Vec<ProcessWindow>,
    /// How allocations were obtained; absent where they were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alloc_mode: Option<Mode>,
    /// Callers of the allocator by bytes, at most [`Self::MAX_SITES`], most first; empty where they were not measured.
    pub sites: Vec<SiteRate>,
    /// Bytes by log2 of the block size: `sizes[n]` is of blocks from 2^n to 2^(n+1)-1 bytes; empty where not measured.
    pub sizes: Vec<f64>,
    /// Regions of the address space by share of sampled accesses, most first; empty where not measured.
    pub regions: Vec<Region>,
}

impl TargetWindow {
    /// Processes told one by one.
    pub const MAX_PROCESSES: usize = 64;
    /// Sites told one by one.
    pub const MAX_SITES: usize = 20;
}

/// A process in one window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessWindow {
    /// Process id.
    pub pid: u32,
    /// When it started, nanoseconds of `CLOCK_BOOTTIME`: with `pid` it tells a reused id apart.
    pub start_boot_ns: u64,
    /// Command name.
    pub comm: String,
    /// Its numbers.
    pub values: Values,
    /// Its threads of most CPU time (id, name, nanoseconds of CPU time), at most 16, most first.
    pub threads: Vec<(u32, String, u64)>,
}

/// What one caller of the allocator did in a window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SiteRate {
    /// Function and, where known, file and line; innermost.
    pub name: String,
    /// Allocations per second, estimated.
    pub alloc_per_s: f64,
    /// Bytes per second, estimated.
    pub bytes_per_s: f64,
}

/// A part of the address space.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// `[heap]`, `[stack]`, `[anon]`, or a file's name.
    pub name: String,
    /// Share of the target's sampled accesses, 0 to 1.
    pub share_ratio: f64,
    /// Of these, stores, 0 to 1.
    pub store_ratio: f64,
}

/// How a collector fared in the division of the budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShareState {
    /// Does all it is asked.
    #[default]
    Full,
    /// Does less, to keep within the budget.
    Reduced,
    /// Does nothing, for the budget has no room for it.
    Paused,
    /// Cannot run here.
    Unavailable,
}

impl ShareState {
    /// The spelling in the store, in JSON and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Reduced => "reduced",
            Self::Paused => "paused",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What a collector was given and took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CollectorShare {
    /// `counters`, `allocations`, `mappings`, `accesses`, `cache`, `events`.
    pub name: String,
    /// How it fared.
    pub state: ShareState,
    /// Why it is not `full`.
    pub reason: Option<String>,
    /// waytrace's CPU time it took in the window, percent of one CPU.
    pub tool_cpu_pct: f64,
}

/// What watching cost in a window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OwnCost {
    /// waytrace's CPU time, recordings included, percent of one CPU.
    pub cpu_pct: f64,
    /// Of that, recordings.
    pub recording_cpu_pct: f64,
    /// Its resident memory at the window's end.
    pub rss_bytes: u64,
    /// Its open files at the window's end.
    pub open_files: u64,
    /// Probes in place at the window's end.
    pub probes: u64,
    /// Bytes of the history, `None` where none is kept.
    pub store_bytes: Option<u64>,
    /// Windows that wait to be written.
    pub store_waiting: u64,
}
