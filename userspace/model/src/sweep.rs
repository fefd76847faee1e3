//! A way sweep: what was asked, every point with its raw readings, and how it ended.
//!
//! A **point** is one way mask held for one window. Points are taken in sweeps: a sweep visits every number of ways once, in
//! an order of its own, with reference points (all ways) in between. Curves are derived from points on read
//! (`waytrace-analysis`), never stored instead of them.

use serde::{Deserialize, Serialize};

use crate::cache::{CacheId, WayMask};
use crate::cache_report::Interface;

/// What a sweep is known to be of before its first point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepHeader {
    /// Name it is found by, unique in a store.
    pub name: String,
    /// When it began, nanoseconds since 1970.
    pub started_at_unix_ns: u64,
    /// The command line.
    pub command: String,
    /// Whether the caches were those of a simulated host. What it shows is then no figure of any machine.
    pub simulated: bool,
    /// Who set the masks.
    pub interface: Interface,
    /// Whose curve it is.
    pub target: SweepTarget,
    /// The cache whose ways were taken away.
    pub cache: SweptCache,
    /// What was asked.
    pub plan: SweepPlan,
    /// From where misses are known; `None`: not at all, and curves are of instructions per cycle only.
    pub misses: Option<MissSource>,
}

/// Whose curve it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepTarget {
    /// Process.
    pub pid: u32,
    /// Its name when the sweep began.
    pub comm: String,
    /// CPUs it was measured on; empty where it was followed by its threads.
    pub cpus: Vec<u32>,
}

/// The cache that was divided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweptCache {
    /// As schemata name it: `L3`, with CDP `L3DATA` for data (code's mask is set alike).
    pub resource: String,
    /// The caches the masks were set on.
    pub ids: Vec<CacheId>,
    /// Ways of each.
    pub ways: u32,
    /// Bytes of a way, where sysfs tells.
    pub way_bytes: Option<u64>,
    /// All ways.
    pub full_mask: WayMask,
}

/// What was asked of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepPlan {
    /// Numbers of ways to visit, ascending, without repetition; the last is the number of all ways.
    pub ways: Vec<u32>,
    /// Sweeps, at least 1; `None`: until ended.
    pub repeats: Option<u32>,
    /// Length of a point's window, nanoseconds.
    pub window_ns: u64,
    /// Longest wait for a mask to take effect, nanoseconds.
    pub settle_cap_ns: u64,
    /// From the beginning of a sweep to that of the next, nanoseconds; `None`: at once.
    pub every_ns: Option<u64>,
    /// A reference point stands before every so many points, and at a sweep's end.
    pub reference_every: u32,
    /// Bytes a co-runner keeps busy in the ways the target has not; `None`: none runs.
    pub pressure_bytes: Option<u64>,
    /// Whether all others were confined to the ways the target has not.
    pub others_confined: bool,
    /// From what the order was drawn.
    pub seed: u64,
    /// Loss of instructions per second against the reference points around (0–1) at which the sweep ends.
    pub max_slowdown: Option<f64>,
    /// Condition at whose breach it ends, as written.
    pub slo: Option<String>,
}

/// From where misses are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissSource {
    /// The PMU's last-level cache events: references and misses.
    LlcEvents,
    /// Bytes from memory (MBM) over the bytes of a line: misses, prefetches with them, and no references.
    MemoryTraffic,
}

/// A mask held for a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepPoint {
    /// Which sweep, from 0.
    pub sweep: u32,
    /// Its position in the order of all points, from 0.
    pub position: u64,
    /// Ways the target might fill.
    pub ways: u32,
    /// Which.
    pub mask: WayMask,
    /// Taken only to compare its neighbours with (all ways), not as a point of the curve.
    pub reference: bool,
    /// When its window began, nanoseconds since the sweep did.
    pub at_ns: u64,
    /// From setting the mask to the window's beginning, nanoseconds.
    pub settle_ns: u64,
    /// Why the window began.
    pub settled: Settled,
    /// The window's real length, nanoseconds.
    pub window_ns: u64,
    /// What each thread counted in the window.
    pub threads: Vec<ThreadCounts>,
    /// What each cache's monitors gave.
    pub monitors: Vec<CacheMonitor>,
    /// Its masks were changed by somebody else meanwhile: it is kept, and is in no curve.
    pub disturbed: bool,
}

/// Why a window began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Settled {
    /// Occupancy is within the mask and changes no more.
    Occupancy,
    /// The machine tells no occupancy; instructions per cycle change no more.
    Rate,
    /// Neither within the longest wait: the target still has lines in ways that are no longer its own, or never rests.
    Not,
}

/// What one thread counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadCounts {
    /// Thread; 0 where a CPU was counted, whose number is in `cpu`.
    pub tid: u32,
    /// CPU, where CPUs were counted.
    pub cpu: Option<u32>,
    /// Instructions retired.
    pub instructions: Option<u64>,
    /// Core cycles, not halted.
    pub cycles: Option<u64>,
    /// Accesses that reached the last-level cache.
    pub llc_references: Option<u64>,
    /// Those it did not hold.
    pub llc_misses: Option<u64>,
    /// Nanoseconds the events were enabled.
    pub enabled_ns: u64,
    /// Nanoseconds they counted, at most `enabled_ns`.
    pub running_ns: u64,
}

/// What one cache's monitors gave for the target. What is no number is null, with the reason beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheMonitor {
    /// Which cache.
    pub cache_id: CacheId,
    /// Bytes the target held at the window's end.
    pub occupancy_bytes: Option<u64>,
    /// Bytes that came from memory or went there in the window.
    pub total_bytes: Option<u64>,
    /// Those of them from memory of the same node.
    pub local_bytes: Option<u64>,
    /// Why a number is missing: `unavailable`, `unassigned`, `error`.
    pub missing: Option<String>,
}

/// How a sweep ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepEnd {
    /// Why.
    pub reason: EndReason,
    /// In words, where there is more to say: the condition that was breached, the error.
    pub detail: Option<String>,
    /// Whether masks and memberships were read back as they had been.
    pub restored: bool,
    /// What was left because somebody else had changed it, a line each.
    pub left: Vec<String>,
    /// CPU time the sweep itself took, nanoseconds, without its co-runner.
    pub own_cpu_ns: u64,
    /// From its beginning to its end, nanoseconds.
    pub elapsed_ns: u64,
}

/// Why a sweep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// All that was asked was measured.
    Completed,
    /// The guard: a slowdown or a breached condition.
    Guard,
    /// A signal.
    Interrupted,
    /// The target ended.
    TargetExited,
    /// Somebody else changed what the sweep had set.
    Disturbed,
    /// Something failed.
    Failed,
}
