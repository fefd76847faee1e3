//! The events of a machine whatever its CPU: what its PMUs name in sysfs, the kernel's software events, breakpoints, tracepoints.
//!
//! On a machine without hardware counters these are all there is.

use std::collections::BTreeMap;

use super::event::{Counters, Event, Fields};
use super::units::CORE;
use crate::Machine;
use crate::events::names::{self, Generic};
use crate::pmu::{NamedEvent, Pmu};

/// Events of a machine, and what could not be asked.
#[derive(Debug, Default)]
pub struct MachineEvents {
    /// By PMU: hardware, software, others by name, tracepoints.
    pub events: Vec<Event>,
    /// Why some are missing.
    pub missing: Vec<String>,
}

/// What each software event counts, in the order of the kernel's numbers.
const SOFTWARE: [(&str, &str); 10] = [
    ("cpu-clock", "time the CPUs ran, or a thread was on one, ns"),
    ("task-clock", "CPU time of the counted threads, ns"),
    ("page-faults", "page faults, minor and major"),
    ("context-switches", "times a thread left its CPU"),
    ("cpu-migrations", "times a thread came back on another CPU"),
    ("minor-faults", "page faults served without I/O"),
    ("major-faults", "page faults that waited for I/O"),
    ("alignment-faults", "unaligned accesses the kernel had to mend"),
    ("emulation-faults", "instructions the kernel had to emulate"),
    ("cgroup-switches", "context switches from one cgroup to another"),
];

/// Reads them.
pub fn machine_events(machine: &Machine) -> MachineEvents {
    let mut found = MachineEvents::default();
    if !machine.core_pmus().is_empty() {
        found
            .events
            .extend(names::HARDWARE.iter().map(|generic| kernel(generic, CORE, "generic hardware event")));
        let cached = names::cache_events().into_iter();
        found
            .events
            .extend(cached.map(|(name, _)| own(&name, CORE, "generic cache event", Counters::default())));
    }
    let described = |generic: &Generic| {
        SOFTWARE.iter().find(|(name, _)| *name == generic.name).map_or("", |(_, text)| *text)
    };
    if machine.pmu("software").is_some() {
        found
            .events
            .extend(names::SOFTWARE.iter().map(|generic| kernel(generic, "software", described(generic))));
    }
    found.events.extend(named(machine));
    if machine.pmu("breakpoint").is_some() {
        let text = "accesses to an address; up to 4 addresses a thread";
        found.events.push(own("mem:ADDR[/LEN][:rwx]", "breakpoint", text, unlimited()));
    }
    match machine.tracefs().map_err(|error| error.to_string()).and_then(|tracefs| {
        tracefs.read("available_events").map_err(|error| format!("tracefs: available_events: {error}"))
    }) {
        Ok(names) => {
            let mut names: Vec<&str> =
                names.lines().map(str::trim).filter(|name| name.contains(':')).collect();
            names.sort_unstable();
            let names = names.into_iter();
            found.events.extend(names.map(|name| own(name, "tracepoint", "", unlimited())));
        }
        Err(reason) => found.missing.push(format!("tracepoints: {reason}")),
    }
    found
}

fn unlimited() -> Counters {
    Counters { unlimited: true, ..Counters::default() }
}

fn kernel(generic: &Generic, pmu: &str, description: &str) -> Event {
    let counters = if pmu == CORE { Counters::default() } else { unlimited() };
    own(generic.name, pmu, description, counters)
}

fn own(name: &str, pmu: &str, description: &str, counters: Counters) -> Event {
    Event {
        name: name.to_owned(),
        pmu: pmu.to_owned(),
        description: description.to_owned(),
        counters,
        ..Event::default()
    }
}

/// Events that PMUs name, once for all instances of a unit: `uncore_imc_0` and `uncore_imc_1` both count
/// `uncore_imc/cas_count_read/`.
fn named(machine: &Machine) -> Vec<Event> {
    let mut found: BTreeMap<String, Event> = BTreeMap::new();
    for pmu in machine.pmu_names().iter().filter_map(|name| machine.pmu(name)) {
        let unit = without_number(&pmu.name);
        for (name, event) in &pmu.events {
            let name = format!("{unit}/{name}/");
            found.entry(name.clone()).or_insert_with(|| from_sysfs(name, unit, &pmu, event));
        }
    }
    found.into_values().collect()
}

fn from_sysfs(name: String, unit: &str, pmu: &Pmu, event: &NamedEvent) -> Event {
    // What the msr PMU counts runs always; others have counters, which sysfs does not list.
    let counters = if unit == "msr" || unit == "power" { unlimited() } else { Counters::default() };
    let scale =
        event.scale.as_ref().map(|scale| format!("{:e} {}", scale.factor, scale.unit).trim().to_owned());
    let description = if pmu.is_core() { "named by the core's PMU" } else { "named by the PMU" };
    Event {
        pmu: unit.to_owned(),
        fields: Fields { terms: sysfs_terms(&event.terms), ..Fields::default() },
        counters,
        scale,
        description: description.to_owned(),
        name,
        ..Event::default()
    }
}

/// Terms with numbers; a term alone stands for 1, and one the user has to fill in (`?`) is none yet.
fn sysfs_terms(text: &str) -> Vec<(String, u64)> {
    let term = |term: &str| {
        let (name, value) = term.split_once('=').unwrap_or((term, "1"));
        let value = value.trim();
        let value = match value.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok()?,
            None => value.parse().ok()?,
        };
        Some((name.trim().to_owned(), value))
    };
    text.split(',').filter(|part| !part.trim().is_empty()).filter_map(term).collect()
}

/// `uncore_imc_0` → `uncore_imc`.
fn without_number(name: &str) -> &str {
    match name.rsplit_once('_') {
        Some((unit, digits)) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            unit
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, hybrid, intel_like, software_pmus};

    fn names(found: &MachineEvents, pmu: &str) -> Vec<String> {
        found.events.iter().filter(|event| event.pmu == pmu).map(|event| event.name.clone()).collect()
    }

    #[test]
    fn without_counters_software_msr_breakpoints_and_tracepoints_are_left() {
        let tree = Tree::new(&[(
            "sys/kernel/tracing/available_events",
            "sched:sched_switch\nirq:irq_handler_entry\n",
        )]);
        software_pmus(&tree);
        tree.write("sys/kernel/tracing/events/sched/sched_switch/id", "1");
        let found = machine_events(&tree.machine());
        assert_eq!(names(&found, "msr"), ["msr/tsc/"]);
        assert_eq!(names(&found, "tracepoint"), ["irq:irq_handler_entry", "sched:sched_switch"]);
        assert_eq!(names(&found, "software").len(), names::SOFTWARE.len());
        assert_eq!((names(&found, "breakpoint").len(), names(&found, CORE).len()), (1, 0));
        assert!(found.missing.is_empty() && found.events.iter().all(|event| event.counters.unlimited));
        for event in found.events.iter().filter(|event| event.pmu == "software") {
            assert!(!event.description.is_empty(), "{}", event.name);
        }
    }

    #[test]
    fn instances_of_a_unit_are_one_and_what_is_missing_is_said() {
        let found = machine_events(&intel_like().machine());
        assert_eq!(names(&found, "uncore_imc"), ["uncore_imc/cas_count_read/"]);
        let read = found.events.iter().find(|event| event.pmu == "uncore_imc").unwrap();
        assert_eq!(read.encoding(), "event=0x4,umask=0x3");
        assert_eq!(read.scale.as_deref(), Some("6.103515625e-5 MiB"));
        assert!(found.missing[0].contains("tracefs is not mounted"), "{:?}", found.missing);
        assert!(names(&found, CORE).contains(&"cycles".to_owned()));
        assert_eq!(names(&machine_events(&hybrid().machine()), "cpu_atom"), ["cpu_atom/mem-loads/"]);
    }

    #[test]
    fn what_a_machine_names_it_also_resolves() {
        let tree = intel_like();
        let machine = tree.machine();
        for event in machine_events(&machine).events.iter().filter(|event| event.pmu != "breakpoint") {
            let names = event.perf_names(&machine);
            let is_numbered = event.pmu == "uncore_imc";
            assert!(!names.is_empty(), "{}", event.name);
            for name in names.iter().take(if is_numbered { 1 } else { names.len() }) {
                assert!(crate::events::resolve(&machine, name).is_ok(), "{name}");
            }
        }
    }
}
