//! What flows from the collectors to the store.

use serde::{Deserialize, Serialize};

use crate::access::{Access, AccessTotals};
use crate::access_heat::HeatWindow;
use crate::allocation::{AllocationTotals, AllocationWindow, MapEvent, Site, TracedAllocation};
use crate::collector::{CollectorReport, Loss, Overhead};
use crate::counter::CounterReading;
use crate::phase::Phase;
use crate::run::{EndedBy, Window};
use crate::stack::StackQuality;

/// A thread of a target, as first seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadInfo {
    /// Process it belongs to.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// Its name when first seen.
    pub comm: String,
}

/// One finished window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// The interval.
    pub window: Window,
    /// Threads seen for the first time in it.
    pub threads: Vec<ThreadInfo>,
    /// Readings, one per thread and event that moved.
    pub readings: Vec<CounterReading>,
    /// Allocation activity; `None` where that collector did not run.
    pub allocations: Option<AllocationWindow>,
    /// Address-space changes, oldest first.
    pub map_events: Vec<MapEvent>,
    /// Phases that ended in it, oldest first.
    pub phases: Vec<Phase>,
    /// Traced allocations that ended since the batch before, in the order of their ends.
    pub traced: Vec<TracedAllocation>,
    /// Accesses resolved since the batch before, in the order of their times but for a few.
    pub accesses: Vec<Access>,
    /// What the kernel part has counted of accesses in windows that were complete, oldest first.
    pub heat: Vec<HeatWindow>,
}

/// What is known only at the end of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epilogue {
    /// Length of the run.
    pub duration_ns: u64,
    /// Why it ended.
    pub ended_by: EndedBy,
    /// The target's exit code, where waytrace started it and it exited.
    pub exit_code: Option<i32>,
    /// Every collector's fate.
    pub collectors: Vec<CollectorReport>,
    /// Totals of the allocation side; `None` where it did not run at all.
    pub allocations: Option<AllocationTotals>,
    /// Sites, in any order: traced allocations name them by [`Site::id`].
    pub sites: Vec<Site>,
    /// Traced allocations that remain, oldest first.
    pub remaining: Vec<TracedAllocation>,
    /// Totals of the access side; `None` where it did not run.
    pub accesses: Option<AccessTotals>,
    /// How stacks fared.
    pub stacks: StackQuality,
    /// What was lost.
    pub loss: Loss,
    /// What it cost.
    pub overhead: Overhead,
}
