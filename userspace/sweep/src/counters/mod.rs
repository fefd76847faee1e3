//! What the target's threads count: instructions, cycles, and references to the last-level cache and misses of it.

mod files;
mod perf;

use std::collections::BTreeMap;

use waytrace_hw::{Machine, Root};
use waytrace_model::sweep::ThreadCounts;

use crate::SweepError;

/// Sums since counting began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Instructions retired.
    pub instructions: Option<u64>,
    /// Core cycles, not halted.
    pub cycles: Option<u64>,
    /// Accesses that reached the last-level cache.
    pub references: Option<u64>,
    /// Those it did not hold.
    pub misses: Option<u64>,
    /// Nanoseconds enabled.
    pub enabled_ns: u64,
    /// Nanoseconds counted.
    pub running_ns: u64,
}

/// Sums of each thread.
pub type Reading = BTreeMap<u32, Counts>;

/// Counters of a process's threads, those born meanwhile as well.
pub trait Counters {
    /// Takes note of threads that were born since, where they are not counted by themselves.
    fn follow(&mut self) {}

    /// Reads all. A thread that has ended may be missing; with none left, the process has ended.
    ///
    /// # Errors
    /// What cannot be read.
    fn read(&mut self) -> Result<Reading, SweepError>;
}

/// Opens counters of a process: perf events on the running machine, files of a simulated host below another root.
///
/// # Errors
/// [`SweepError::Counting`] where the kernel refuses all events; an event alone that is not there is left out.
pub fn open(root: &Root, pid: u32) -> Result<Box<dyn Counters>, SweepError> {
    if root.is_live() {
        return Ok(Box::new(perf::PerfCounters::open(&Machine::live(), pid)?));
    }
    Ok(Box::new(files::FileCounters::new(root.clone(), pid)))
}

impl Counts {
    fn since(&self, before: &Self) -> Self {
        let difference =
            |now: Option<u64>, before: Option<u64>| Some(now?.saturating_sub(before.unwrap_or(0)));
        Self {
            instructions: difference(self.instructions, before.instructions),
            cycles: difference(self.cycles, before.cycles),
            references: difference(self.references, before.references),
            misses: difference(self.misses, before.misses),
            enabled_ns: self.enabled_ns.saturating_sub(before.enabled_ns),
            running_ns: self.running_ns.saturating_sub(before.running_ns),
        }
    }

    fn with(&self, other: &Self) -> Self {
        let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        Self {
            instructions: sum(self.instructions, other.instructions),
            cycles: sum(self.cycles, other.cycles),
            references: sum(self.references, other.references),
            misses: sum(self.misses, other.misses),
            enabled_ns: self.enabled_ns.saturating_add(other.enabled_ns),
            running_ns: self.running_ns.saturating_add(other.running_ns),
        }
    }

    /// Instructions per cycle.
    pub fn ipc(&self) -> Option<f64> {
        ratio(self.instructions?, self.cycles?)
    }

    /// Misses per reference.
    pub fn miss_ratio(&self) -> Option<f64> {
        ratio(self.misses?, self.references?)
    }
}

/// One count per another; `None` where there is nothing to divide by.
pub fn ratio(count: u64, by: u64) -> Option<f64> {
    (by > 0).then(|| count as f64 / by as f64)
}

/// What each thread counted between two readings; one that is new counted from 0.
pub fn since(now: &Reading, before: &Reading) -> Reading {
    now.iter()
        .map(|(tid, counts)| (*tid, counts.since(&before.get(tid).copied().unwrap_or_default())))
        .collect()
}

/// All threads together.
pub fn total(reading: &Reading) -> Counts {
    reading.values().fold(Counts::default(), |total, counts| total.with(counts))
}

/// As a point holds them.
pub fn threads(reading: &Reading) -> Vec<ThreadCounts> {
    let of = |(tid, counts): (&u32, &Counts)| ThreadCounts {
        tid: *tid,
        cpu: None,
        instructions: counts.instructions,
        cycles: counts.cycles,
        llc_references: counts.references,
        llc_misses: counts.misses,
        enabled_ns: counts.enabled_ns,
        running_ns: counts.running_ns.min(counts.enabled_ns),
    };
    reading.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_of_threads_and_new_ones_count_from_zero() {
        let counts = |instructions| Counts { instructions: Some(instructions), ..Counts::default() };
        let before = Reading::from([(1, counts(10)), (2, counts(5))]);
        let now = Reading::from([(1, counts(15)), (3, counts(7))]);
        let between = since(&now, &before);
        assert_eq!(between, Reading::from([(1, counts(5)), (3, counts(7))]));
        assert_eq!(total(&between), counts(12));
        assert_eq!((threads(&between)[1].tid, threads(&between)[1].cycles), (3, None));
        assert_eq!(total(&Reading::new()).ipc(), None);
    }
}
