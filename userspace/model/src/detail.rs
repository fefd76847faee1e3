//! A run with its time series and stacks: what reports and exports are made from. Traced allocations and accesses are
//! not in it: there may be millions, so whoever shows them reads them one by one.

use serde::{Deserialize, Serialize};

use crate::access::{Code, Region};
use crate::access_report::WorkingSet;
use crate::allocation::{AllocationWindow, MapEvent, Site};
use crate::counter::{CounterReading, EventInfo};
use crate::phase::Phase;
use crate::report::RunReport;
use crate::run::Window;

/// One stored run, complete but for its traced allocations and accesses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunDetail {
    /// Totals, as `show --json` prints them.
    pub report: RunReport,
    /// Events; readings point into this list.
    pub events: Vec<EventInfo>,
    /// Windows in order.
    pub windows: Vec<WindowDetail>,
    /// Sites per thread with their sampled stacks, most bytes first.
    pub sites: Vec<Site>,
    /// Address-space changes, oldest first.
    pub map_events: Vec<MapEvent>,
    /// Phases by thread, each thread's oldest first.
    pub phases: Vec<Phase>,
    /// Mappings that were accessed; accesses name them by [`Region::id`].
    pub regions: Vec<Region>,
    /// Instructions that accessed memory; accesses name them by [`Code::id`].
    pub code: Vec<Code>,
}

/// One window's data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WindowDetail {
    /// The interval.
    pub window: Window,
    /// Readings per thread and event.
    pub readings: Vec<CounterReading>,
    /// Allocation activity.
    pub allocations: Option<AllocationWindow>,
    /// Distinct memory among the window's access samples, where accesses were sampled.
    pub working_set: Option<WorkingSet>,
}
