//! What a session is asked to do, with everything resolved.

use waytrace_hw::events::EventSpec;

use crate::access::{Mode, Targets};
use crate::collect::phases::PhaseEvent;
use crate::probes::{Detail, Scope};
use crate::usdt::Wanted;

/// How allocations are measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AllocationMode {
    /// Every call.
    Exact {
        /// How much each call is asked.
        detail: Detail,
        /// Smallest block traced one by one.
        min_traced_bytes: u64,
    },
    /// Duty-cycled, so that the target loses at most this share of its CPU time.
    Budgeted {
        /// Percent.
        budget_pct: f64,
    },
}

/// What a run is to do. Everything is resolved: processes exist, events are known.
#[derive(Debug, Clone)]
pub struct Request {
    /// Processes.
    pub tgids: Vec<u32>,
    /// Only this thread of the one process.
    pub only_tid: Option<u32>,
    /// The one process is held at its first instruction: what it will map is foreseen.
    pub starting: bool,
    /// Children become targets.
    pub follow_forks: bool,
    /// Window length.
    pub interval_ns: u64,
    /// Events to count; `None` leaves counters out.
    pub events: Option<Vec<EventSpec>>,
    /// The user named the events: one that cannot be counted is an error, else it is left out.
    pub events_named: bool,
    /// What ends a phase of a thread; `None` is no phases.
    pub phases: Option<PhaseEvent>,
    /// How to measure allocations; `None` leaves them out.
    pub allocations: Option<AllocationMode>,
    /// Whether they may be taken from the allocators' own samples.
    pub alloc_source: Wanted,
    /// Where samples of memory accesses come from, and how often; `None` leaves them out.
    pub accesses: Option<Mode>,
    /// The user asked for accesses by name, or for how they are to be sampled: that they cannot be is an error.
    pub accesses_named: bool,
    /// What all collectors together may cost the targets, in percent of their CPU time; `None` where one has no bound.
    pub budget_pct: Option<f64>,
    /// The user asked for these collectors by name: what they cannot do is an error.
    pub explicit: bool,
    /// Live blocks tracked at once.
    pub max_live: u32,
    /// Size of the ring.
    pub ring_bytes: u32,
}

impl Request {
    /// How much each allocator call is asked.
    pub fn detail(&self) -> Detail {
        match self.allocations {
            Some(AllocationMode::Exact { detail, .. }) => detail,
            _ => Detail::Counts,
        }
    }

    /// Whose accesses are sampled.
    pub fn sampled(&self) -> Targets<'_> {
        Targets { tgids: &self.tgids, only_tid: self.only_tid, follow_forks: self.follow_forks }
    }

    /// Whom probes for a process are placed for: children not known yet are only reached through everyone.
    pub fn scope(&self, tgid: u32) -> Scope {
        if self.follow_forks { Scope::Everyone } else { Scope::Process(tgid) }
    }
}
