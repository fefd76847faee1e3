//! Allocations: windows, sites, single traced allocations and mapping changes.

use serde::{Deserialize, Serialize};

use crate::histogram::Bucket;
use crate::stack::Frame;

/// How allocation numbers were obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Every call was seen.
    Exact,
    /// Estimated from duty-cycled windows held to a budget.
    Budgeted,
    /// Estimated from the samples the allocator itself takes and hands out by static probes (`otel_memory`), each with the
    /// bytes it stands for.
    Sampled,
}

impl Mode {
    /// The spelling used in the store and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Budgeted => "budgeted",
            Self::Sampled => "sampled",
        }
    }

    /// Whether its numbers are estimates.
    pub fn is_estimate(self) -> bool {
        self != Self::Exact
    }

    /// Reads the spelling back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Exact, Self::Budgeted, Self::Sampled].into_iter().find(|mode| mode.as_str() == text)
    }
}

/// What a process allocated within one window. But in exact mode the first four are estimates for the whole window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct AllocationWindow {
    /// Successful allocations.
    pub alloc_count: Option<f64>,
    /// Bytes asked for by them.
    pub alloc_bytes: Option<f64>,
    /// Frees of a non-null pointer, moved reallocations included.
    pub free_count: Option<f64>,
    /// Bytes given back, where known.
    pub freed_bytes: Option<f64>,
    /// Live bytes of what was allocated since the attachment, at the window's end; not in budgeted mode.
    pub live_bytes: Option<u64>,
    /// Bytes mapped by mmap, mremap growth and brk growth.
    pub mmap_bytes: u64,
    /// Bytes unmapped by munmap, mremap shrinking and brk shrinking.
    pub munmap_bytes: u64,
    /// Share of the window during which the probes counted, 0–1; 1 but in budgeted mode.
    pub probed_ratio: f64,
}

/// Totals of one allocation site: a thread's calls of the allocator from one place, or in reports all threads'.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// Its key in the run, the same from its first allocation on; lists of sites are in no order that depends on it.
    pub id: u32,
    /// Thread that allocated, or 0 for all.
    pub tid: u32,
    /// Allocations from here.
    pub alloc_count: f64,
    /// Bytes asked for from here.
    pub alloc_bytes: f64,
    /// Frees of what was allocated here; exact mode only.
    pub free_count: Option<u64>,
    /// Bytes freed of what was allocated here; not in budgeted mode.
    pub freed_bytes: Option<u64>,
    /// Bytes from here still live at the end; not in budgeted mode.
    pub live_bytes: Option<u64>,
    /// Bytes from here that were live when the process peaked; exact mode only.
    pub peak_live_bytes: Option<u64>,
    /// Allocations from here that the same thread freed before it allocated again; exact mode only.
    pub temporary_count: Option<u64>,
    /// Innermost first: frame 0 is the immediate caller of the allocator, which is right for every call.
    pub frames: Vec<Frame>,
    /// Full stacks seen below this caller, with the number of samples each had.
    pub stacks: Vec<SampledStack>,
}

/// A full stack sampled at a site.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SampledStack {
    /// How many samples had exactly this stack.
    pub samples_count: u64,
    /// Innermost first; frame 0 is the immediate caller of the allocator.
    pub frames: Vec<Frame>,
}

/// One allocation of at least `--min-size`, traced in exact mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedAllocation {
    /// When it was made, nanoseconds since the run started; `None` if it was there before.
    pub from_ns: Option<u64>,
    /// When it was freed, nanoseconds since the run started; `None` if it remains.
    pub to_ns: Option<u64>,
    /// Address given to the program.
    pub address: u64,
    /// Bytes asked for; 0 if it was there before and its size is not known.
    pub size_bytes: u64,
    /// Thread that allocated it; 0 if it was there before.
    pub tid: u32,
    /// [`Site::id`] of its site, which is known only when the run has ended; `None` if it was there before.
    pub site: Option<u32>,
}

/// What a system call did to the address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MapKind {
    /// New mapping.
    Mmap,
    /// Mapping removed.
    Munmap,
    /// Mapping grown, shrunk or moved.
    Mremap,
    /// Heap end moved up or down.
    Brk,
}

impl MapKind {
    /// The spelling used in the store and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mmap => "mmap",
            Self::Munmap => "munmap",
            Self::Mremap => "mremap",
            Self::Brk => "brk",
        }
    }

    /// Reads the spelling back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Mmap, Self::Munmap, Self::Mremap, Self::Brk].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One change of the address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapEvent {
    /// When, nanoseconds since the run started.
    pub at_ns: u64,
    /// Thread that made the call.
    pub tid: u32,
    /// Which call.
    pub kind: MapKind,
    /// Start of the range (after the call).
    pub address: u64,
    /// Bytes added by it.
    pub added_bytes: u64,
    /// Bytes removed by it.
    pub removed_bytes: u64,
}

/// Everything known about allocations only when the run ends.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AllocationTotals {
    /// How they were obtained; `None` if no allocator was probed (mappings may still be there).
    pub mode: Option<Mode>,
    /// Successful allocations.
    pub alloc_count: Option<f64>,
    /// Bytes asked for.
    pub alloc_bytes: Option<f64>,
    /// Frees of a non-null pointer.
    pub free_count: Option<f64>,
    /// Bytes given back, where known.
    pub freed_bytes: Option<f64>,
    /// Live at the end, of what was allocated during the run.
    pub live_bytes: Option<u64>,
    /// Largest `live_bytes` during the run.
    pub peak_live_bytes: Option<u64>,
    /// Allocations freed by the same thread before it allocated again.
    pub temporary_count: Option<u64>,
    /// Bytes mapped by mmap, mremap growth and brk growth.
    pub mmap_bytes: u64,
    /// Bytes unmapped by munmap, mremap shrinking and brk shrinking.
    pub munmap_bytes: u64,
    /// Half-width of the 95 % interval of `alloc_count`, in percent of it; 0 in exact mode.
    pub alloc_count_ci95_pct: Option<f64>,
    /// Half-width of the 95 % interval of `alloc_bytes`, in percent of it; 0 in exact mode.
    pub ci95_pct: Option<f64>,
    /// Why some of the above is null.
    pub null_reason: Option<String>,
    /// Sizes asked for.
    pub sizes: Vec<Bucket>,
    /// Lifetimes in nanoseconds; not in budgeted mode.
    pub lifetimes: Vec<Bucket>,
    /// Functions probed, as `module:function+offset`.
    pub probes: Vec<String>,
}
