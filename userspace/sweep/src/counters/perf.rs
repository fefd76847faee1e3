//! Counters of the running machine: one group of perf events for each thread, inherited by those it creates.
//!
//! Not verified on hardware. `cache-references` and `cache-misses` are events of the last-level cache on Intel's CPUs alone
//! (`arch/x86/events/intel/core.c`, `intel_perfmon_event_map`); AMD's and Arm's count those names in other caches, and are not
//! asked for them.

use waytrace_hw::Machine;
use waytrace_hw::events::{PerfAttr, resolve_perf};
use waytrace_measure::Place;
use waytrace_measure::groups::{self, Group, Groups};
use waytrace_measure::places::{self, PerfEvents};
use waytrace_model::measured::Scope;

use super::{Counters, Reading};
use crate::SweepError;
use crate::target::Target;

/// Events by their place in a group.
const EVENTS: [&str; 4] = ["instructions", "cycles", "cache-references", "cache-misses"];
const OF_CORE: usize = 2;

type Counter = <PerfEvents as groups::Opener>::Counter;

/// Groups of a process's threads.
pub struct PerfCounters {
    target: Target,
    opener: PerfEvents,
    groups: Groups<Counter>,
}

impl PerfCounters {
    /// Opens and starts them.
    pub fn open(machine: &Machine, pid: u32) -> Result<Self, SweepError> {
        let target = Target::find(machine.root(), pid)?;
        let failed = |reason: String| SweepError::Counting { what: format!("process {pid}"), reason };
        let cpuinfo = machine.root().read("proc/cpuinfo").unwrap_or_default();
        let count = if cpuinfo.contains("GenuineIntel") { EVENTS.len() } else { OF_CORE };
        let mut events: Vec<(u32, PerfAttr)> = Vec::new();
        for (number, name) in (0..).zip(EVENTS.iter().take(count)) {
            // An event the machine does not know is one it does not count.
            if let Ok((_, attr)) = resolve_perf(machine, name) {
                events.push((number, attr));
            }
        }
        let scope = Scope::Process { tgid: pid, comm: String::new(), start_time_ticks: 0 };
        let mut opener = PerfEvents::of(&scope).map_err(|error| failed(error.to_string()))?;
        let places: Vec<Place> = places::of(&scope, &[]).map_err(|_| SweepError::NoTarget { pid })?;
        let mut groups =
            groups::open(&mut opener, &events, &places).map_err(|error| failed(error.to_string()))?;
        groups.start(&mut opener).map_err(|error| failed(error.to_string()))?;
        Ok(Self { target, opener, groups })
    }
}

impl Counters for PerfCounters {
    fn read(&mut self) -> Result<Reading, SweepError> {
        if !self.target.lives() {
            return Ok(Reading::new());
        }
        let readings = self.groups.read(&mut self.opener);
        let mut reading = Reading::new();
        for (group, values) in self.groups.groups.iter().zip(readings) {
            let (Group { place: Place::Thread { tid, .. }, events, .. }, Some(values)) = (group, values)
            else {
                continue;
            };
            let counts = reading.entry(*tid).or_default();
            counts.enabled_ns = counts.enabled_ns.max(values.time_enabled_ns);
            counts.running_ns = values.time_running_ns;
            for (event, value) in events.iter().zip(&values.values) {
                match event {
                    0 => counts.instructions = Some(*value),
                    1 => counts.cycles = Some(*value),
                    2 => counts.references = Some(*value),
                    _ => counts.misses = Some(*value),
                }
            }
        }
        Ok(reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_counted_or_the_reason_is_told() {
        match PerfCounters::open(&Machine::live(), std::process::id()) {
            Ok(mut counters) => {
                let reading = counters.read().unwrap();
                // Without a PMU there is no group, and nothing is made up.
                assert!(reading.values().all(|counts| counts.running_ns <= counts.enabled_ns));
            }
            Err(error) => assert!(matches!(error, SweepError::Counting { .. }), "{error}"),
        }
    }
}
