//! The contract of `show RUN --json`. Fields are only ever added within one `SCHEMA_VERSION`.

use serde::{Deserialize, Serialize};

use crate::access_report::AccessReport;
use crate::allocation::Mode;
use crate::collector::{CollectorReport, Loss, Overhead};
use crate::counter::Unit;
use crate::histogram::Bucket;
use crate::run::{EndedBy, Host};
use crate::stack::{Frame, StackQuality};

/// Version of the JSON contract.
pub const SCHEMA_VERSION: u32 = 1;

/// One run, complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// Identity.
    pub run: RunSummary,
    /// Machine.
    pub host: Host,
    /// Target with its threads.
    pub target: TargetReport,
    /// Collectors and their reasons.
    pub collectors: Vec<CollectorReport>,
    /// Totals per event.
    pub counters: Vec<CounterTotal>,
    /// Phases; `null` where none were asked for.
    pub phases: Option<PhaseTotals>,
    /// Allocations; `null` where that collector did not run.
    pub allocations: Option<AllocationReport>,
    /// Memory accesses; `null` where that collector did not run.
    pub accesses: Option<AccessReport>,
    /// Losses by kind; empty means nothing was lost.
    pub loss: Loss,
    /// Cost of the measurement.
    pub overhead: Overhead,
}

/// Identity of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Unique in its database, from 1.
    pub id: i64,
    /// Name given or made.
    pub name: String,
    /// Start, RFC 3339 in UTC.
    pub started_at: String,
    /// Length in nanoseconds.
    pub duration_ns: u64,
    /// Why it ended.
    pub ended_by: EndedBy,
    /// Window length asked for.
    pub interval_ns: u64,
    /// Windows stored.
    pub windows: u64,
    /// Exit code of a target waytrace started.
    pub exit_code: Option<i32>,
    /// waytrace's command line.
    pub command: String,
}

/// The target and its threads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetReport {
    /// Thread group id.
    pub tgid: u32,
    /// Command name.
    pub comm: String,
    /// Command line.
    pub cmdline: String,
    /// Executable.
    pub exe: String,
    /// Build id of the executable.
    pub build_id: Option<String>,
    /// Threads, busiest first.
    pub threads: Vec<ThreadReport>,
}

/// One thread and its counter totals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThreadReport {
    /// Process it belongs to (differs from the target's with `--follow-forks`).
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// Its name.
    pub comm: String,
    /// Its totals.
    pub counters: Vec<CounterTotal>,
    /// Allocations it made, where the collector ran.
    pub alloc_count: Option<f64>,
    /// Bytes it asked for, where the collector ran.
    pub alloc_bytes: Option<f64>,
}

/// Total of one event over the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CounterTotal {
    /// Event name.
    pub event: String,
    /// Sum over windows, unscaled; `null` when the event never ran.
    pub value: Option<u64>,
    /// Unit of `value`.
    pub unit: Unit,
    /// Time enabled.
    pub time_enabled_ns: u64,
    /// Time counting.
    pub time_running_ns: u64,
    /// Windows it has a reading in.
    pub windows: u64,
    /// `time_running_ns < time_enabled_ns`: the value covers only part of the time.
    pub multiplexed: bool,
}

/// Phases of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseTotals {
    /// Event that ends a phase.
    pub event: String,
    /// Unit of `period`.
    pub unit: Unit,
    /// Counts of the event a phase lasts.
    pub period: u64,
    /// Phases stored, of all threads.
    pub count: u64,
    /// Time their threads were on a CPU within them, together.
    pub cpu_ns: u64,
}

/// Allocations of a run. Numbers are estimates when `mode` is `budgeted`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AllocationReport {
    /// How the numbers were obtained; `null` if only mappings were traced.
    pub mode: Option<Mode>,
    /// Successful allocations.
    pub alloc_count: Option<f64>,
    /// Bytes asked for.
    pub alloc_bytes: Option<f64>,
    /// Frees of a non-null pointer.
    pub free_count: Option<f64>,
    /// Bytes given back.
    pub freed_bytes: Option<f64>,
    /// Live at the end, of what was allocated in the run.
    pub live_bytes: Option<u64>,
    /// Peak of that.
    pub peak_live_bytes: Option<u64>,
    /// Freed by the same thread before it allocated again.
    pub temporary_count: Option<u64>,
    /// Blocks of at least `--min-size` stored one by one; `None` where lifetimes were not measured.
    pub traced_count: Option<u64>,
    /// Bytes mapped.
    pub mmap_bytes: u64,
    /// Bytes unmapped.
    pub munmap_bytes: u64,
    /// Half-width of the 95 % interval of `alloc_bytes`, percent.
    pub ci95_pct: Option<f64>,
    /// Half-width of the 95 % interval of `alloc_count`, percent.
    pub alloc_count_ci95_pct: Option<f64>,
    /// Why some of the above is null.
    pub null_reason: Option<String>,
    /// Functions probed.
    pub probes: Vec<String>,
    /// Size histogram.
    pub sizes: Vec<Bucket>,
    /// Lifetime histogram.
    pub lifetimes: Vec<Bucket>,
    /// How stacks fared.
    pub stacks: StackQuality,
    /// Sites, most bytes first, all threads together.
    pub sites: Vec<SiteReport>,
}

/// One allocation site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SiteReport {
    /// Allocations.
    pub alloc_count: f64,
    /// Bytes asked for.
    pub alloc_bytes: f64,
    /// Live at the end; exact mode only.
    pub live_bytes: Option<u64>,
    /// Live when the process peaked; exact mode only.
    pub peak_live_bytes: Option<u64>,
    /// Temporaries; exact mode only.
    pub temporary_count: Option<u64>,
    /// The immediate caller and, where a stack was sampled, the most frequent path above it; innermost first.
    pub frames: Vec<Frame>,
    /// Stacks sampled at this site.
    pub samples_count: u64,
}
