//! Event names as perf prints them → what to count and how.
//!
//! Does not open events ([`crate::counter`] does) and knows no vendor tables: an event outside the kernel's generic
//! names is written with its PMU's own terms, `cpu/event=0x3c,umask=0x0/`. Source: `perf-list(1)`.

mod attr;
mod core_events;
mod defaults;
mod modifiers;
pub(crate) mod names;
mod resolve;

pub use attr::{Encoding, PerfAttr};
pub use defaults::default_events;
pub use modifiers::Modifiers;
pub use resolve::{known_names, resolve, resolve_list, resolve_perf};
use waytrace_model::counter::{EventInfo, Unit};

/// One event to count.
#[derive(Debug, Clone, PartialEq)]
pub struct EventSpec {
    /// Name as `perf list` spells it; of several spellings the shorter (`cycles`, not `cpu-cycles`).
    pub name: String,
    /// Unit of its values.
    pub unit: Unit,
    /// Where the values come from.
    pub source: Source,
}

impl EventSpec {
    /// The event as a run records it.
    pub fn info(&self) -> EventInfo {
        EventInfo { name: self.name.clone(), unit: self.unit }
    }
}

/// Where an event's values come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A number the kernel keeps per task anyway: read it per window, never at a context switch.
    Task(TaskCounter),
    /// A perf event, opened per CPU.
    Perf(PerfAttr),
}

/// Numbers the kernel keeps per task whether anybody looks or not (`include/linux/sched.h`, `task_struct`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskCounter {
    /// CPU time, in nanoseconds (`se.sum_exec_runtime`).
    TaskClock,
    /// Minor and major page faults together (`min_flt + maj_flt`).
    PageFaults,
    /// Page faults served without I/O (`min_flt`).
    MinorFaults,
    /// Page faults that waited for I/O (`maj_flt`).
    MajorFaults,
    /// Times it left a CPU, voluntarily or not (`nvcsw + nivcsw`).
    ContextSwitches,
    /// Times it came back on another CPU (`se.nr_migrations`).
    CpuMigrations,
}

impl TaskCounter {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::TaskClock,
        Self::PageFaults,
        Self::MinorFaults,
        Self::MajorFaults,
        Self::ContextSwitches,
        Self::CpuMigrations,
    ];

    /// Name as `perf list` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::TaskClock => "task-clock",
            Self::PageFaults => "page-faults",
            Self::MinorFaults => "minor-faults",
            Self::MajorFaults => "major-faults",
            Self::ContextSwitches => "context-switches",
            Self::CpuMigrations => "cpu-migrations",
        }
    }

    /// Unit of its values.
    pub fn unit(self) -> Unit {
        if self == Self::TaskClock { Unit::Ns } else { Unit::Count }
    }
}
