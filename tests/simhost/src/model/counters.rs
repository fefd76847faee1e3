//! What is counted of a task, as perf would read it from a thread's events.

/// Sums since the task began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Instructions retired.
    pub instructions: u64,
    /// Cycles at the host's one frequency.
    pub cycles: u64,
    /// Accesses that reached the last-level cache.
    pub llc_references: u64,
    /// Those it did not hold.
    pub llc_misses: u64,
    /// Nanoseconds the task was on a CPU with its events enabled.
    pub time_enabled_ns: u64,
    /// Nanoseconds of these in which they counted: all, for nothing is multiplexed here.
    pub time_running_ns: u64,
}

impl Counters {
    /// Names as files show them, with their values.
    pub fn named(&self) -> [(&'static str, u64); 6] {
        [
            ("instructions", self.instructions),
            ("cycles", self.cycles),
            ("llc_references", self.llc_references),
            ("llc_misses", self.llc_misses),
            ("time_enabled_ns", self.time_enabled_ns),
            ("time_running_ns", self.time_running_ns),
        ]
    }

    /// All of them, one a line: read at one time, as a group of perf's events is.
    pub fn group(&self) -> String {
        self.named().iter().map(|(name, value)| format!("{name} {value}\n")).collect()
    }

    /// What came since `before`, an earlier reading of the same task.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            instructions: self.instructions.saturating_sub(before.instructions),
            cycles: self.cycles.saturating_sub(before.cycles),
            llc_references: self.llc_references.saturating_sub(before.llc_references),
            llc_misses: self.llc_misses.saturating_sub(before.llc_misses),
            time_enabled_ns: self.time_enabled_ns.saturating_sub(before.time_enabled_ns),
            time_running_ns: self.time_running_ns.saturating_sub(before.time_running_ns),
        }
    }

    /// Misses per reference (0–1); none without references.
    pub fn miss_ratio(&self) -> Option<f64> {
        (self.llc_references > 0).then(|| self.llc_misses as f64 / self.llc_references as f64)
    }

    /// Instructions per cycle; none without cycles.
    pub fn ipc(&self) -> Option<f64> {
        (self.cycles > 0).then(|| self.instructions as f64 / self.cycles as f64)
    }
}
