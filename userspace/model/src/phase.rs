//! Phases: each thread's stretches of so many counts of one event, as Datamime cuts a program by unhalted reference cycles
//! (Lee and Sanchez, MICRO 2022). They lie beside the windows, which cut the run by time.

use serde::{Deserialize, Serialize};

use crate::counter::EventInfo;

/// What ends a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseRule {
    /// The event counted.
    pub event: EventInfo,
    /// Counts of it a phase lasts, in the event's unit.
    pub period: u64,
}

/// A phase of one thread, complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// Thread.
    pub tid: u32,
    /// Position among the thread's phases, from 0; a gap is a lost phase.
    pub index: u64,
    /// Start, nanoseconds since the run started.
    pub start_ns: u64,
    /// End, nanoseconds since the run started; where the thread's next phase starts.
    pub end_ns: u64,
    /// Time the thread was on a CPU, with what interrupts and the host took of it.
    pub cpu_ns: u64,
    /// What it counted of the run's perf events. Counters the kernel keeps per task are read by window only.
    pub readings: Vec<PhaseReading>,
}

/// What a thread counted of one event in one phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseReading {
    /// Position in the run's event list.
    pub event: u16,
    /// Increase of the counter within the phase, unscaled.
    pub value: u64,
    /// Time the event was enabled for this thread within the phase.
    pub time_enabled_ns: u64,
    /// Time it really counted. Less than enabled means it was multiplexed.
    pub time_running_ns: u64,
}
