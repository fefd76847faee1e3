//! Counters the kernel keeps per task anyway: an iterator reads them once a window, an exit record once more.
//!
//! CPU time lags by at most one scheduler tick for a thread that is on a CPU when its window closes; what is missing
//! then appears in the next window.

use std::collections::HashMap;

use waytrace_abi::counter::TaskNumbers;
use waytrace_abi::pod;
use waytrace_hw::events::TaskCounter;
use waytrace_model::batch::ThreadInfo;
use waytrace_model::counter::CounterReading;

use crate::Error;
use crate::kernel::Kernel;

/// Follows the threads of the targets.
#[derive(Debug, Default)]
pub struct Tasks {
    /// Counters wanted, with their position in the run's events.
    wanted: Vec<(TaskCounter, u16)>,
    /// Where each thread's numbers stood when they were last booked, and when that was.
    threads: HashMap<u32, Known>,
    only_tid: Option<u32>,
    booked_ns: u64,
    /// CPU time of all threads booked so far.
    cpu_ns: u64,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    numbers: TaskNumbers,
    at_ns: u64,
}

/// What a window brought.
#[derive(Debug, Default)]
pub struct Brought {
    /// Increases since the last window.
    pub readings: Vec<CounterReading>,
    /// Threads not seen before.
    pub threads: Vec<ThreadInfo>,
}

impl Tasks {
    /// A follower of the counters given with their positions in the run's events; with `only_tid` of one thread.
    pub fn new(wanted: Vec<(TaskCounter, u16)>, only_tid: Option<u32>) -> Self {
        Self { wanted, only_tid, ..Self::default() }
    }

    /// Books where all threads stand now as their start.
    ///
    /// # Errors
    /// When the iterator cannot run.
    pub fn begin(&mut self, kernel: &mut Kernel, now_ns: u64) -> Result<Vec<ThreadInfo>, Error> {
        let mut seen = Vec::new();
        for numbers in read_all(kernel)? {
            if self.is_wanted(&numbers) {
                seen.push(info(&numbers));
                self.threads.insert(numbers.tid, Known { numbers, at_ns: now_ns });
            }
        }
        self.booked_ns = now_ns;
        Ok(seen)
    }

    /// Closes a window: reads all threads and books their increases.
    ///
    /// # Errors
    /// When the iterator cannot run.
    pub fn close(&mut self, kernel: &mut Kernel, now_ns: u64, brought: &mut Brought) -> Result<(), Error> {
        for numbers in read_all(kernel)? {
            self.book(&numbers, now_ns, brought);
        }
        self.booked_ns = now_ns;
        Ok(())
    }

    /// Books the last numbers of an exiting thread and forgets it: its id may be used again.
    pub fn exited(&mut self, numbers: &TaskNumbers, at_ns: u64, brought: &mut Brought) {
        self.book(numbers, at_ns, brought);
        self.threads.remove(&numbers.tid);
    }

    /// CPU time all threads together spent since the start.
    pub fn cpu_ns(&self) -> u64 {
        self.cpu_ns
    }

    fn is_wanted(&self, numbers: &TaskNumbers) -> bool {
        self.only_tid.is_none_or(|tid| tid == numbers.tid)
    }

    fn book(&mut self, numbers: &TaskNumbers, now_ns: u64, brought: &mut Brought) {
        if !self.is_wanted(numbers) {
            return;
        }
        let before = self.threads.insert(numbers.tid, Known { numbers: *numbers, at_ns: now_ns });
        let same_thread = before.filter(|known| known.numbers.cpu_ns <= numbers.cpu_ns);
        if before.is_none() {
            brought.threads.push(info(numbers));
        }
        let (from, since_ns) = same_thread
            .map_or((TaskNumbers::default(), self.booked_ns), |known| (known.numbers, known.at_ns));
        let time_ns = now_ns.saturating_sub(since_ns);
        self.cpu_ns += numbers.cpu_ns.saturating_sub(from.cpu_ns);
        // A thread that did not run has nothing to tell; one that did tells all, for a zero is a reading too.
        if before.is_some() && numbers.cpu_ns == from.cpu_ns {
            return;
        }
        for &(counter, event) in &self.wanted {
            brought.readings.push(CounterReading {
                tid: numbers.tid,
                event,
                value: value(counter, numbers).saturating_sub(value(counter, &from)),
                time_enabled_ns: time_ns,
                time_running_ns: time_ns,
            });
        }
    }
}

fn read_all(kernel: &mut Kernel) -> Result<Vec<TaskNumbers>, Error> {
    let bytes = kernel.task_numbers()?;
    Ok(bytes.chunks_exact(size_of::<TaskNumbers>()).filter_map(pod::read).collect())
}

fn value(counter: TaskCounter, numbers: &TaskNumbers) -> u64 {
    match counter {
        TaskCounter::TaskClock => numbers.cpu_ns,
        TaskCounter::PageFaults => numbers.minor_faults_count + numbers.major_faults_count,
        TaskCounter::MinorFaults => numbers.minor_faults_count,
        TaskCounter::MajorFaults => numbers.major_faults_count,
        TaskCounter::ContextSwitches => numbers.voluntary_switches_count + numbers.involuntary_switches_count,
        TaskCounter::CpuMigrations => numbers.migrations_count,
    }
}

fn info(numbers: &TaskNumbers) -> ThreadInfo {
    let end = numbers.comm.iter().position(|&byte| byte == 0).unwrap_or(numbers.comm.len());
    let comm = String::from_utf8_lossy(&numbers.comm[..end]).into_owned();
    ThreadInfo { tgid: numbers.tgid, tid: numbers.tid, comm }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(tid: u32, cpu_ns: u64, faults: u64) -> TaskNumbers {
        TaskNumbers { tgid: 1, tid, cpu_ns, minor_faults_count: faults, ..TaskNumbers::default() }
    }

    fn follower() -> Tasks {
        Tasks::new(vec![(TaskCounter::TaskClock, 0), (TaskCounter::MinorFaults, 1)], None)
    }

    fn values(brought: &Brought, event: u16) -> Vec<(u32, u64)> {
        brought.readings.iter().filter(|r| r.event == event).map(|r| (r.tid, r.value)).collect()
    }

    #[test]
    fn increases_are_booked_once() {
        let mut tasks = follower();
        let mut brought = Brought::default();
        tasks.book(&numbers(7, 100, 3), 10, &mut brought);
        tasks.book(&numbers(7, 150, 3), 20, &mut brought);
        assert_eq!(values(&brought, 0), [(7, 100), (7, 50)]);
        assert_eq!(values(&brought, 1), [(7, 3), (7, 0)]);
        assert_eq!(brought.threads.len(), 1);
    }

    #[test]
    fn a_reused_id_starts_from_nothing() {
        let mut tasks = follower();
        let mut brought = Brought::default();
        tasks.book(&numbers(7, 100, 3), 10, &mut brought);
        tasks.exited(&numbers(7, 120, 4), 15, &mut brought);
        tasks.book(&numbers(7, 30, 1), 20, &mut brought);
        assert_eq!(values(&brought, 0), [(7, 100), (7, 20), (7, 30)]);
        assert_eq!(values(&brought, 1), [(7, 3), (7, 1), (7, 1)]);
    }

    #[test]
    fn other_threads_are_left_out() {
        let mut tasks = Tasks::new(vec![(TaskCounter::TaskClock, 0)], Some(8));
        let mut brought = Brought::default();
        tasks.book(&numbers(7, 100, 3), 10, &mut brought);
        assert!(brought.readings.is_empty() && brought.threads.is_empty());
    }
}
