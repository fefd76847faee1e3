//! Events of the PMU, by process: where there is one, and where it counts them all the time.

use std::collections::HashMap;

use waytrace_hw::Machine;
use waytrace_hw::clock;
use waytrace_hw::events::{Source, resolve};
use waytrace_model::monitor::{CollectorShare, ShareState};

use super::ProcessNumbers;
use crate::Error;
use crate::collect::perf::{Events, Perf};
use crate::kernel::Kernel;

/// In the order of their positions.
const EVENTS: [&str; 3] = ["cycles", "instructions", "cache-misses"];

/// Events that are open, and why others are not.
pub struct Open {
    events: Events,
    reason: Option<String>,
}

impl Open {
    /// How many there are.
    pub fn count(&self) -> u32 {
        self.events.positions().len() as u32
    }
}

/// Opens the events on every CPU; those the machine lacks are left out.
///
/// # Errors
/// When the machine cannot be read.
pub fn open(wanted: bool) -> Result<Open, Error> {
    let machine = Machine::live();
    let cpus = waytrace_hw::topology::cpus_online(machine.root())?;
    let (mut attrs, mut reasons) = (Vec::new(), Vec::new());
    for (name, position) in EVENTS.into_iter().zip(0..).filter(|_| wanted) {
        match resolve(&machine, name).map(|spec| spec.source) {
            Ok(Source::Perf(attr)) => attrs.push((attr, position)),
            Ok(Source::Task(_)) => {}
            Err(error) => reasons.push(error.to_string()),
        }
    }
    let events = Events::open(&attrs, &cpus, false)?;
    reasons.extend(events.report.reason.clone());
    // Where there is no PMU at all the first event says so for all.
    let reason = if attrs.is_empty() { reasons.into_iter().next() } else { Some(reasons.join("; ")) };
    let reason = reason.filter(|reason| !reason.is_empty());
    Ok(Open {
        events,
        reason: reason.or_else(|| (!wanted).then(|| "switched off by the configuration".to_owned())),
    })
}

/// The events while they count.
pub struct Counted {
    /// `None` where there are none.
    perf: Option<Perf>,
    positions: Vec<u16>,
    reason: Option<String>,
    start_ns: u64,
    interval_ns: u64,
}

/// What they came to, by process and position; `None` where an event did not count all the time.
pub struct Increase(HashMap<(u32, u16), Option<u64>>, Vec<u16>);

impl Counted {
    /// Begins to count.
    ///
    /// # Errors
    /// When the kernel refuses a program or a timer.
    pub fn start(kernel: &mut Kernel, opened: Open, start_ns: u64, interval_ns: u64) -> Result<Self, Error> {
        let Open { events, reason } = opened;
        let positions = events.positions().to_vec();
        let cpus = waytrace_hw::topology::cpus_online(Machine::live().root())?;
        // Without events nothing is to be read at switches.
        let perf = match positions.is_empty() {
            true => None,
            false => Some(Perf::start(kernel, events, &cpus, interval_ns, None)?),
        };
        Ok(Self { perf, positions, reason, start_ns, interval_ns })
    }

    /// Takes what is complete: up to two seconds ago.
    ///
    /// # Errors
    /// When the kernel part cannot be read.
    pub fn take(&self, kernel: &mut Kernel) -> Result<Increase, Error> {
        let mut sums: HashMap<(u32, u16), Option<u64>> = HashMap::new();
        let now = clock::monotonic_ns().saturating_sub(self.start_ns) / self.interval_ns.max(1);
        if self.perf.is_some() {
            for (key, reading) in kernel.readings()? {
                if key.window + 1 >= now {
                    continue;
                }
                kernel.remove_reading(key)?;
                for (&position, value) in self.positions.iter().zip(&reading.values) {
                    let all_the_time = value.time_running_ns >= value.time_enabled_ns;
                    let sum = sums.entry((key.tgid, position)).or_insert(Some(0));
                    *sum = sum.filter(|_| all_the_time).map(|sum| sum + value.value);
                }
            }
        }
        Ok(Increase(sums, self.positions.clone()))
    }

    /// How it fares.
    pub fn share(&self) -> CollectorShare {
        let state = match (&self.perf, &self.reason) {
            (None, _) => ShareState::Unavailable,
            (Some(_), Some(_)) => ShareState::Reduced,
            (Some(_), None) => ShareState::Full,
        };
        let reason = self
            .reason
            .clone()
            .or_else(|| self.perf.is_none().then(|| "switched off by the configuration".to_owned()));
        CollectorShare { name: "events".to_owned(), state, reason, tool_cpu_pct: 0.0 }
    }
}

impl Increase {
    /// Enters a process's numbers. Who did not run had no events.
    pub fn enter(&self, process: &mut ProcessNumbers) {
        let value = |position: u16| {
            if !self.1.contains(&position) {
                return None;
            }
            self.0.get(&(process.tgid, position)).copied().unwrap_or(Some(0))
        };
        let [cycles, instructions, misses] = [0, 1, 2].map(value);
        (process.cycles_count, process.instructions_count, process.cache_misses_count) =
            (cycles, instructions, misses);
    }
}
