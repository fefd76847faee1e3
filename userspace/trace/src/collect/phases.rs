//! Phases: each thread of the targets has a sampling event of its own, whose overflow ends a phase in the kernel part.
//!
//! Threads that begin later inherit the event from their creator, so that none is missed and nobody has to be quick.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;

use waytrace_abi::phase::PhaseEnd;
use waytrace_hw::counter::{Counter, Inherit, open_on_thread};
use waytrace_hw::events::PerfAttr;
use waytrace_model::phase::{Phase, PhaseReading};

use super::perf::borrow;
use crate::Error;
use crate::kernel::Kernel;

/// What ends a phase.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseEvent {
    /// The event.
    pub attr: PerfAttr,
    /// Counts of it a phase lasts.
    pub period: u64,
}

/// Times the threads are looked for until none began meanwhile.
const ATTEMPTS: usize = 16;

/// The open events. Dropping it closes them, also those that were inherited.
pub struct Phases {
    samplers: Vec<(OwnedFd, Counter)>,
    /// Position in the run's events of each perf event, in the kernel part's order.
    positions: Vec<u16>,
}

impl Phases {
    /// Opens the event for every thread of the targets, or for `only_tid`, and starts it. `positions` are the perf events'
    /// in the run's events.
    ///
    /// # Errors
    /// When the event cannot be opened, or the kernel refuses the program.
    pub fn start(
        kernel: &mut Kernel,
        event: &PhaseEvent,
        tgids: &[u32],
        only_tid: Option<u32>,
        follow_forks: bool,
        positions: Vec<u16>,
    ) -> Result<Self, Error> {
        let mut phases = Self { samplers: Vec::new(), positions };
        let inherit = match only_tid {
            Some(_) => Inherit::Nobody,
            None if follow_forks => Inherit::Processes,
            None => Inherit::Threads,
        };
        let list = || only_tid.map_or_else(|| threads(tgids), |tid| BTreeSet::from([tid]));
        for attempt in 1.. {
            let tids = list();
            phases.samplers.clear();
            for &tid in &tids {
                phases.open(kernel, event, tid, inherit)?;
            }
            // One that began meanwhile has inherited the event if its creator had it by then: nobody can tell.
            if list().is_subset(&tids) {
                break;
            }
            if attempt == ATTEMPTS {
                tracing::warn!("threads begin faster than they can be listed: some may have no phases");
                break;
            }
        }
        for (_, sampler) in &mut phases.samplers {
            sampler.enable().map_err(Error::syscall("starting the event that ends phases"))?;
        }
        Ok(phases)
    }

    fn open(
        &mut self,
        kernel: &mut Kernel,
        event: &PhaseEvent,
        tid: u32,
        inherit: Inherit,
    ) -> Result<(), Error> {
        let sampler = match open_on_thread(&event.attr, tid, event.period, inherit) {
            Err(waytrace_hw::Error::PerfOpen { source, .. })
                if source.raw_os_error() == Some(libc::ESRCH) =>
            {
                return Ok(());
            }
            sampler => sampler?,
        };
        let link = kernel.attach_perf_event("phase_end", borrow(&sampler))?;
        self.samplers.push((link, sampler));
        Ok(())
    }

    /// A kernel record in the model's words.
    pub fn phase(&self, end: &PhaseEnd, run_start_ns: u64) -> Phase {
        phase(end, run_start_ns, &self.positions)
    }
}

fn phase(end: &PhaseEnd, run_start_ns: u64, positions: &[u16]) -> Phase {
    let readings = positions.iter().zip(&end.sums.values).map(|(&event, value)| PhaseReading {
        event,
        value: value.value,
        time_enabled_ns: value.time_enabled_ns,
        time_running_ns: value.time_running_ns,
    });
    Phase {
        tid: end.tid,
        index: end.index,
        start_ns: end.start_ns.saturating_sub(run_start_ns),
        end_ns: end.end_ns.saturating_sub(run_start_ns),
        cpu_ns: end.cpu_ns,
        readings: readings.collect(),
    }
}

/// Threads of processes, now. A process that has gone has none.
fn threads(tgids: &[u32]) -> BTreeSet<u32> {
    let tasks = tgids.iter().filter_map(|tgid| fs::read_dir(format!("/proc/{tgid}/task")).ok());
    tasks.flatten().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use waytrace_abi::counter::{Reading, Value};

    use super::*;

    #[test]
    fn readings_go_to_the_runs_events() {
        let mut sums = Reading::default();
        sums.values[0] = Value { value: 7, time_enabled_ns: 20, time_running_ns: 10 };
        sums.values[1] = Value { value: 8, time_enabled_ns: 20, time_running_ns: 20 };
        let end = PhaseEnd {
            tid: 42,
            index: 3,
            start_ns: 1_100,
            end_ns: 1_250,
            cpu_ns: 99,
            sums,
            ..PhaseEnd::default()
        };
        let found = phase(&end, 1_000, &[4, 1]);
        assert_eq!((found.tid, found.index, found.cpu_ns), (42, 3, 99));
        assert_eq!((found.start_ns, found.end_ns), (100, 250));
        let reading = |event, value, time_running_ns| PhaseReading {
            event,
            value,
            time_enabled_ns: 20,
            time_running_ns,
        };
        assert_eq!(found.readings, [reading(4, 7, 10), reading(1, 8, 20)]);
    }

    #[test]
    fn threads_are_those_that_live() {
        let own = std::process::id();
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || {
            // SAFETY: gettid has no preconditions.
            tell.send(unsafe { libc::gettid() } as u32).unwrap();
            ended.recv().unwrap_err();
        });
        let tid = told.recv().unwrap();
        assert!(threads(&[own]).is_superset(&BTreeSet::from([own, tid])));
        drop(end);
        other.join().unwrap();
        // The kernel takes the entry away a moment after the join.
        while threads(&[own]).contains(&tid) {
            std::thread::yield_now();
        }
        assert!(threads(&[u32::MAX]).is_empty());
    }
}
