//! Phases: each thread of the targets has a sampling event of its own, whose overflow ends a phase in the kernel part.

use waytrace_abi::phase::PhaseEnd;
use waytrace_hw::events::PerfAttr;
use waytrace_model::phase::{Phase, PhaseReading};

use super::thread_events::{ThreadEvents, Wanted};
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

/// The open events and what phases count. Dropping it ends all phases.
pub struct Phases {
    _events: ThreadEvents,
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
        let wanted = Wanted {
            program: "phase_end",
            attr: &event.attr,
            period: event.period,
            tgids,
            only_tid,
            follow_forks,
        };
        Ok(Self { _events: ThreadEvents::start(kernel, wanted)?, positions })
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
}
