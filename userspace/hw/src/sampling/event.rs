//! What a sampling source hands over, whatever PMU it comes from, and the trait all of them share.

use waytrace_model::access::{Access, AccessKind, Precise};

use super::records::TaskChange;
use crate::Error;

/// A sampled access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemorySample {
    /// `CLOCK_MONOTONIC` nanoseconds; what SPE samples is as late as the piece of memory that brought it.
    pub time_ns: u64,
    /// Process.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// CPU, where known.
    pub cpu: Option<u32>,
    /// Instruction, where known.
    pub ip: Option<u64>,
    /// Stack pointer of the thread, where known.
    pub stack_pointer: Option<u64>,
    /// Virtual address accessed.
    pub address: u64,
    /// Load or store; `None` where neither the sample nor its event tells.
    pub kind: Option<AccessKind>,
    /// Events it stands for, at least 1.
    pub weight: u64,
    /// What only a PMU tells.
    pub precise: Option<Precise>,
}

impl MemorySample {
    /// The sample as a run stores it: its time counted from `start_ns`, its instruction and mapping to be named.
    /// `None` where its direction is not known.
    pub fn access(&self, start_ns: u64) -> Option<Access> {
        Some(Access {
            at_ns: self.time_ns.saturating_sub(start_ns),
            tid: self.tid,
            cpu: self.cpu,
            address: self.address,
            width_bytes: None,
            kind: self.kind?,
            code: None,
            region: None,
            block: None,
            weight: self.weight,
            precise: self.precise.clone(),
        })
    }
}

/// One thing a source has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An access.
    Sample(MemorySample),
    /// A sample of kernel code, which the PMU could not be told to leave out.
    InKernel,
    /// A sample of user code whose operation accessed nothing, or whose address the PMU did not have.
    NoAddress,
    /// Samples that found no room, or that the PMU lost.
    Lost(u64),
    /// The kernel holds samples back.
    Throttled,
    /// And no longer does.
    Unthrottled,
    /// What became of a task of the target.
    Task(TaskChange),
    /// Bytes that are no record of the kernel's, or one cut short.
    Damaged(u64),
}

/// A source of sampled accesses that a session can start, drain and stop.
pub trait Sampling {
    /// Begins to sample.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn enable(&mut self) -> Result<(), Error>;

    /// Stops sampling; what was sampled can still be drained.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn disable(&mut self) -> Result<(), Error>;

    /// Hands over everything since the last time, in the order of time on each CPU but not between CPUs.
    fn drain(&mut self, take: &mut dyn FnMut(Event));
}
