//! What monitors gave over an interval: a line of `cache watch --json`.

use serde::{Deserialize, Serialize};

use crate::cache::CacheId;
use crate::cache_report::Interface;

/// Version of [`WatchSample`]'s JSON; fields are added without raising it.
pub const SCHEMA_VERSION: u32 = 1;

/// All that is watched, over one interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchSample {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// When the interval ended, nanoseconds since 1970.
    pub at_unix_ns: u64,
    /// Its length, nanoseconds.
    pub interval_ns: u64,
    /// Who was asked.
    pub interface: Interface,
    /// Whether the caches were those of a simulated host. The figures are then those of no machine.
    pub simulated: bool,
    /// A row for each that is watched.
    pub rows: Vec<WatchRow>,
}

/// What of a thing that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WatchKind {
    /// A class with its monitoring groups.
    Class,
    /// A monitoring group.
    Group,
    /// All threads of a process.
    Pid,
    /// CPUs.
    Cpus,
}

/// One that is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchRow {
    /// What it is.
    pub kind: WatchKind,
    /// Its name: `web`, `web/slow`, a process, a list of CPUs.
    pub target: String,
    /// Whether it has ended meanwhile: this is its last row.
    pub ended: bool,
    /// The classes and groups it is read from; their sum is in `caches`.
    pub sources: Vec<WatchSource>,
    /// Readings by cache.
    pub caches: Vec<WatchCache>,
}

/// A class or group that is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchSource {
    /// Class.
    pub class: String,
    /// Monitoring group in it; null is the class with all of its groups.
    pub group: Option<String>,
    /// Whether it was made for this, and goes with it.
    pub own: bool,
    /// Threads and CPUs in it that are none of the target's, and are in the readings.
    pub others: usize,
}

/// Readings of one cache. What has no number is null, and `missing` says why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchCache {
    /// Which cache.
    pub id: CacheId,
    /// Bytes of it that were held at the end of the interval.
    pub llc_occupancy_bytes: Option<u64>,
    /// Bytes moved between it and memory in the interval.
    pub mbm_total_bytes: Option<u64>,
    /// Of these, from and to the node's own memory.
    pub mbm_local_bytes: Option<u64>,
    /// Total less local. They are read one after the other: where local came out as more, it is 0.
    pub mbm_remote_bytes: Option<u64>,
    /// What has no number.
    pub missing: Vec<WatchMissing>,
}

/// An event without a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchMissing {
    /// As the kernel names it: `llc_occupancy`, `mbm_total_bytes`, `mbm_local_bytes`.
    pub event: String,
    /// Why.
    pub reason: Missing,
}

/// Why there is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// The hardware had none.
    Unavailable,
    /// No counter is assigned to the group.
    Unassigned,
    /// The hardware refused, or what it gave makes no sense.
    Error,
    /// There is no reading from the beginning of the interval, or the counter began anew within it.
    Restarted,
    /// The group was removed.
    Removed,
    /// The machine has no such event.
    NotMonitored,
}

impl Missing {
    /// The word that stands where a number would.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Unassigned => "unassigned",
            Self::Error => "error",
            Self::Restarted => "restarted",
            Self::Removed => "removed",
            Self::NotMonitored => "-",
        }
    }
}
