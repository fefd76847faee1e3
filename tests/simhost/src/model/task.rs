//! A task: a thread of the simulated host.

use super::counters::Counters;
use super::program::{Stream, Workload};

/// What a task is to begin as.
#[derive(Debug, Clone)]
pub struct TaskSpec {
    /// Thread group, its process.
    pub tgid: u32,
    /// Thread; the first of a process has its `tgid`.
    pub tid: u32,
    /// The CPU it stays on.
    pub cpu: usize,
    /// What it does.
    pub workload: Workload,
}

/// One task.
#[derive(Debug, Clone)]
pub struct Task {
    /// As it began.
    pub spec: TaskSpec,
    /// CLOSID of its group as the kernel keeps it with the task; 0 leaves it to the CPU's group.
    pub closid: u32,
    /// RMID likewise.
    pub rmid: u16,
    /// It waits and takes no time of its CPU.
    pub idle: bool,
    /// What was counted.
    pub counters: Counters,
    pub(super) stream: Stream,
    /// Cycles the last access took beyond the time there was.
    pub(super) owed_cycles: u64,
}
