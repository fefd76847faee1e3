//! The `accesses` part of `show RUN --json`: everything derived from sampled accesses.
//!
//! Loads and stores are samples weighted by what each stands for, so that shares can be taken of them; they are no
//! counts of what the program did. Every list says how it is sorted and is complete unless it says otherwise.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::access::Source;
use crate::stack::Frame;

/// Memory accesses of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccessReport {
    /// Where samples come from.
    pub source: Source,
    /// What they are not.
    pub bias: String,
    /// Samples asked for a second of a thread's CPU time; `null` where they are counted by events.
    pub rate_hz: Option<f64>,
    /// Samples of user code.
    pub samples: u64,
    /// Ticks that found the thread in the kernel; not among `samples`.
    pub kernel_samples: u64,
    /// Samples of which an access is known.
    pub resolved: u64,
    /// Those of which none is known, by reason.
    pub unresolved: BTreeMap<String, u64>,
    /// Share of the checked walks that agreed with the processor, 0–1; `null` where none was checked.
    pub confirmed_ratio: Option<f64>,
    /// Walks checked.
    pub checked: u64,
    /// Times the kernel held samples back.
    pub throttled: u64,
    /// Samples of equal weight that would tell as much (Kish): what intervals of shares rest on.
    pub effective_samples: f64,
    /// How many accesses were kept of those sampled.
    pub kept: Kept,
    /// Weighted loads.
    pub loads: u64,
    /// Weighted stores.
    pub stores: u64,
    /// What of the address space was seen in use.
    pub working_set: WorkingSet,
    /// What was counted in the kernel, where samples come with an address; `null` elsewhere. Then `loads`, `stores` and the
    /// working sets are its own wherever it knows them.
    #[serde(default)]
    pub aggregate: Option<AggregateReport>,
    /// Mappings, most accessed first.
    pub regions: Vec<RegionReport>,
    /// Allocation sites, most accessed first; empty without `--exact`.
    pub sites: Vec<SiteAccesses>,
    /// Functions and their callers by inlining, most accesses first.
    pub functions: Vec<FunctionAccesses>,
    /// Cache lines that look falsely shared, most accesses first; at most 50.
    pub sharing: Vec<SharedLine>,
    /// Regions in the order in which they would move to slow memory, the least accessed per byte first.
    pub tiers: Vec<TierStep>,
    /// Why some of the above is missing.
    pub null_reason: Option<String>,
}

/// Accesses counted in the kernel, by page and line. Weights are those of the samples: where every access is an event (a
/// watched address) they are counts of what the program did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AggregateReport {
    /// Length of its windows.
    pub window_ns: u64,
    /// Samples counted.
    pub samples: u64,
    /// Samples handed on one by one; the others are in sums only.
    pub passed: u64,
    /// Weight of all.
    pub counted: u64,
    /// Weighted loads.
    pub loads: u64,
    /// Weighted stores.
    pub stores: u64,
    /// Weight of accesses whose direction only a sample's own record tells.
    pub unknown: u64,
    /// Distinct pages of 4 KiB.
    pub pages: u64,
    /// Distinct lines of 64 bytes.
    pub lines: u64,
    /// Weight whose page found no room in the kernel's table.
    pub unplaced: u64,
    /// Weight whose line had to make way for another in the kernel's table.
    pub evicted: u64,
}

/// The bound on stored accesses: what of the sampled ones is left, all sums being of these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Accesses kept.
    pub samples: u64,
    /// Accesses there were.
    pub of: u64,
    /// How many each kept one stands for; it is in all weights.
    pub factor: u64,
    /// Weighted loads of all there were.
    pub loads: u64,
    /// Weighted stores of all there were.
    pub stores: u64,
}

impl Kept {
    /// All of them.
    pub fn all(samples: u64, loads: u64, stores: u64) -> Self {
        Self { samples, of: samples, factor: 1, loads, stores }
    }
}

/// Distinct memory among the samples: a lower bound of what was in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkingSet {
    /// Pages of 4 KiB.
    pub pages: u64,
    /// Lines of 64 bytes.
    pub lines: u64,
}

/// Accesses to one mapping.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RegionReport {
    /// `[heap]`, `[stack]`, `[stack:TID]`, `[anon]`, `[vdso]`, or the path of the file.
    pub name: String,
    /// Process.
    pub tgid: u32,
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// Weighted loads.
    pub loads: u64,
    /// Weighted stores.
    pub stores: u64,
    /// Distinct pages and lines among its samples.
    pub working_set: WorkingSet,
    /// Bytes of it backed by memory at the end of the run, where known.
    pub resident_bytes: Option<u64>,
    /// Bytes of it in huge pages at the end of the run, where known.
    pub huge_bytes: Option<u64>,
    /// NUMA node that holds most of it, where known.
    pub node: Option<u32>,
    /// Weighted accesses from CPUs of another node than `node`, where both are known; 0 where there is one node only.
    pub remote: Option<u64>,
    /// Mean cycles per load, where the source tells them.
    pub latency_cycles: Option<f64>,
}

/// Accesses to what one allocation site made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SiteAccesses {
    /// The immediate caller of the allocator and what it was inlined into, innermost first.
    pub frames: Vec<Frame>,
    /// Weighted loads.
    pub loads: u64,
    /// Weighted stores.
    pub stores: u64,
    /// Distinct blocks among the samples.
    pub blocks_seen: u64,
    /// Bytes of those blocks.
    pub seen_bytes: u64,
    /// Bytes live at the end of the run.
    pub live_bytes: Option<u64>,
    /// Of those, bytes on pages nobody has ever touched, where that was looked at.
    pub untouched_bytes: Option<u64>,
    /// Share of the accesses to blocks of sites with live bytes, per share of those bytes: 1 is average, 0 is cold; `null`
    /// without live bytes.
    pub heat: Option<f64>,
}

/// Accesses one function made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FunctionAccesses {
    /// The function and callers it was inlined into, innermost first, without line numbers; the module where it has no name.
    pub frames: Vec<Frame>,
    /// Weighted loads.
    pub loads: u64,
    /// Weighted stores.
    pub stores: u64,
    /// Its lines by accesses, most first: `file:line`, loads and stores. At most 8; empty without debug information.
    pub lines: Vec<LineAccesses>,
}

/// Accesses one source line made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineAccesses {
    /// Source file.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Weighted loads.
    pub loads: u64,
    /// Weighted stores.
    pub stores: u64,
}

/// A cache line that several threads use, different words of it, and at least one of them writes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SharedLine {
    /// Its address.
    pub address: u64,
    /// Name of the mapping it lies in.
    pub region: String,
    /// Frames of the site that allocated it, where known.
    pub frames: Vec<Frame>,
    /// Weighted loads.
    pub loads: u64,
    /// Weighted stores.
    pub stores: u64,
    /// Words and who uses them, by offset.
    pub words: Vec<SharedWord>,
}

/// A word of a shared line, and one thread's use of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedWord {
    /// Offset within the line in bytes, a multiple of 8.
    pub offset: u8,
    /// Thread.
    pub tid: u32,
    /// Weighted loads.
    pub loads: u64,
    /// Weighted stores.
    pub stores: u64,
}

/// One step of the advice on slow memory: the coldest region that is left moves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TierStep {
    /// Name of the region, or the function of the allocation site where one is known.
    pub name: String,
    /// First byte; `null` for an allocation site.
    pub start: Option<u64>,
    /// Bytes that would move.
    pub bytes: u64,
    /// Share of all accesses that would then go to slow memory, with all steps before, 0–1.
    pub access_ratio: f64,
    /// Bytes that would lie in slow memory, with all steps before.
    pub moved_bytes: u64,
    /// Half-width of the 95 % interval of `access_ratio`, from the number of samples (Wilson), 0–1.
    pub ci95_ratio: f64,
}
