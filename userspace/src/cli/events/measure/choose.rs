//! What is asked for → a plan: whom to count, which events, and which of them together.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail, ensure};
use waytrace_analysis::packing::pack;
use waytrace_hw::catalogue::constraints::Setup;
use waytrace_hw::catalogue::{Counters, Event, Fields};
use waytrace_hw::events::{Modifiers, PerfAttr, Source, resolve, resolve_perf};
use waytrace_hw::{Error, Machine, topology};
use waytrace_image::process;
use waytrace_measure::places::PerfEvents;
use waytrace_measure::{Place, groups, limits};
use waytrace_model::counter::Unit;
use waytrace_model::measured::{MeasuredEvent, Scope};

use super::super::plan::problem;

/// Anchors, best first: how much is done per second tells more of the target's pace than how long it was on a CPU.
const ANCHORS: [&str; 3] = ["instructions", "cycles", "task-clock"];

/// Which events.
pub struct Wanted<'a> {
    /// By name; none: all of the catalogue.
    pub named: &'a [String],
    /// Tracepoints among them.
    pub tracepoints: bool,
    /// Most of those that need no counter in one run; `None`: as many as there are descriptors.
    pub at_once: Option<usize>,
}

/// A plan's events, by run.
#[derive(Debug, Default)]
pub struct Chosen {
    pub events: Vec<MeasuredEvent>,
    pub anchors: Vec<u32>,
    pub runs: Vec<Vec<u32>>,
    /// What is in no run, and why.
    pub left_out: Vec<String>,
}

/// Whom to count.
pub fn scope(pid: Option<u32>, cgroup: Option<&Path>, command: &[String]) -> anyhow::Result<Scope> {
    if let Some(pid) = pid {
        let info = process::inspect(pid)?;
        ensure!(info.tgid == pid, "{pid} is a thread of process {}; use --pid {}", info.tgid, info.tgid);
        return Ok(Scope::Process { tgid: pid, comm: info.comm, start_time_ticks: info.start_time_ticks });
    }
    if let Some(path) = cgroup {
        ensure!(
            path.is_dir(),
            "--cgroup {}: no such directory; cgroups are below /sys/fs/cgroup",
            path.display()
        );
        return Ok(Scope::Cgroup { path: path.to_string_lossy().into_owned() });
    }
    Ok(if command.is_empty() { Scope::AllCpus } else { Scope::Command { command: command.to_vec() } })
}

/// Whether the target of a measurement to go on with is still the same.
pub fn check_target(scope: &Scope) -> anyhow::Result<()> {
    let Scope::Process { tgid, comm, start_time_ticks } = scope else { return Ok(()) };
    let now = process::inspect(*tgid).with_context(|| format!("`{comm}` has gone; measure anew"))?;
    ensure!(now.start_time_ticks == *start_time_ticks, "process {tgid} is another one now; measure anew");
    Ok(())
}

/// Whether perf knows the control group, which a directory alone does not tell.
pub fn check_cgroup(machine: &Machine, scope: &Scope) -> anyhow::Result<()> {
    let Scope::Cgroup { path } = scope else { return Ok(()) };
    let cpus = topology::cpus_online(machine.root())?;
    let first: Vec<Place> = cpus.first().copied().map(Place::Cpu).into_iter().collect();
    let clock = attr(machine, "task-clock")?;
    let opened = groups::open(&mut PerfEvents::of(scope)?, &[(0, clock)], &first)?;
    ensure!(
        opened.refused.is_empty(),
        "--cgroup {path}: perf does not know it; name a directory of cgroup v2, or of the hierarchy `perf_event` of v1"
    );
    Ok(())
}

/// Whether there is such a program.
pub fn check_command(scope: &Scope) -> anyhow::Result<()> {
    let Scope::Command { command } = scope else { return Ok(()) };
    let program = command.first().context("no command given after --")?;
    let is_there = |path: &Path| path.is_file();
    let found = if program.contains('/') {
        is_there(Path::new(program))
    } else {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&folders).any(|folder| is_there(&folder.join(program)))
    };
    if found { Ok(()) } else { bail!("cannot start `{program}`: no such program") }
}

/// What a measurement of it is called.
pub fn stem(scope: &Scope) -> String {
    match scope {
        Scope::Command { command } => {
            let program = command.first().map(Path::new).and_then(Path::file_name);
            program.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
        }
        Scope::Process { comm, .. } => comm.clone(),
        Scope::Cgroup { path } => {
            Path::new(path).file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
        }
        Scope::AllCpus => "all-cpus".to_owned(),
    }
}

/// Packs the events into runs.
pub fn runs(
    machine: &Machine,
    catalogue: &[Event],
    wanted: &Wanted<'_>,
    scope: &Scope,
) -> anyhow::Result<Chosen> {
    let mut chosen = Chosen::default();
    let events = candidates(catalogue, wanted);
    let places = match scope {
        Scope::Process { tgid, .. } => process::inspect(*tgid)?.threads.len(),
        _ => topology::cpus_online(machine.root())?.len(),
    };
    let (free, counted): (Vec<Event>, Vec<Event>) =
        events.into_iter().partition(|event| event.counters.unlimited);
    let setup = Setup::read(machine.root());
    let problem = problem::pose(&counted, Vec::new(), setup);
    let plan = pack(&problem).map_err(|error| anyhow!("planning: {error}"))?;
    for one in &plan.unplaceable {
        let name = counted.get(one.item).map_or("", |event| event.name.as_str());
        chosen.left_out.push(format!("left out {name}: {}", one.reason.explain(&problem, one.item)));
    }
    for run in &plan.runs {
        let items =
            run.groups.iter().flat_map(|group| &group.placed).filter_map(|placed| counted.get(placed.item));
        let run = items.flat_map(|event| chosen.instances(machine, event)).collect();
        chosen.runs.push(run);
    }
    let free: Vec<u32> = free.iter().flat_map(|event| chosen.instances(machine, event)).collect();
    let descriptors =
        limits::descriptors((free.len() * places.max(1)) as u64).context("the limit of open files")?;
    let by_descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX) / places.max(1);
    let most = wanted.at_once.unwrap_or(usize::MAX).min(by_descriptors).max(1);
    for (number, chunk) in free.chunks(most).enumerate() {
        match chosen.runs.get_mut(number) {
            Some(run) => run.extend_from_slice(chunk),
            None => chosen.runs.push(chunk.to_vec()),
        }
    }
    chosen.runs.retain(|run| !run.is_empty());
    if chosen.runs.is_empty() {
        bail!("no event is left to measure here; `waytrace events list` shows what there is");
    }
    if !matches!(scope, Scope::Command { .. }) {
        chosen.anchor(machine, catalogue, matches!(scope, Scope::AllCpus));
    }
    Ok(chosen)
}

/// The catalogue's events, or those named, of which one nobody knows is tried all the same.
fn candidates(catalogue: &[Event], wanted: &Wanted<'_>) -> Vec<Event> {
    let mut seen = BTreeSet::new();
    if wanted.named.is_empty() {
        let is_asked_for = |event: &&Event| {
            event.pmu != "breakpoint"
                && (wanted.tracepoints || event.pmu != "tracepoint")
                && !event.deprecated
        };
        let all = catalogue.iter().filter(is_asked_for);
        return all.filter(|event| seen.insert((&event.pmu, &event.name))).cloned().collect();
    }
    let mut once = BTreeSet::new();
    let names = wanted.named.iter().flat_map(|list| split(list)).filter(|name| once.insert(*name));
    names.map(|name| named(catalogue, name)).collect()
}

fn named(catalogue: &[Event], name: &str) -> Event {
    let modified = || {
        let event = known(catalogue, modifiers(name)?.0)?;
        Some(Event { name: name.to_owned(), ..event })
    };
    known(catalogue, name).or_else(modified).unwrap_or_else(|| unknown(name))
}

/// A name without what follows its last colon, and that, if it can be modifiers.
fn modifiers(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once(':').filter(|(_, letters)| Modifiers::parse(letters).is_ok())
}

fn known(catalogue: &[Event], name: &str) -> Option<Event> {
    catalogue.iter().find(|event| event.name.eq_ignore_ascii_case(name)).cloned()
}

/// How the kernel is told of an event, once for each instance of its PMU. One that is written with its terms has the modifiers
/// behind them.
fn perf_names(machine: &Machine, event: &Event) -> Vec<String> {
    let Some((name, letters)) = modifiers(&event.name).filter(|_| event.fields != Fields::default()) else {
        return event.perf_names(machine);
    };
    let bare = Event { name: name.to_owned(), ..event.clone() };
    bare.perf_names(machine).into_iter().map(|name| name + letters).collect()
}

/// An event that is only spelled: its PMU is what it begins with. A tracepoint has a colon and takes no counter.
fn unknown(name: &str) -> Event {
    let (pmu, unlimited) = match (name.split_once('/'), name.contains(':')) {
        (Some((pmu, _)), _) => (pmu, false),
        (None, true) => ("tracepoint", true),
        (None, false) => ("cpu", false),
    };
    let counters = Counters { unlimited, ..Counters::default() };
    Event { name: name.to_owned(), pmu: pmu.to_owned(), counters, ..Event::default() }
}

/// Names of a list; commas between the slashes of a PMU event separate its terms.
fn split(list: &str) -> impl Iterator<Item = &str> {
    let mut in_terms = false;
    let pieces = list.split(move |c| {
        in_terms ^= c == '/';
        c == ',' && !in_terms
    });
    pieces.map(str::trim).filter(|piece| !piece.is_empty())
}

/// How the kernel opens an event, also where it keeps its number per task anyway.
pub fn attr(machine: &Machine, name: &str) -> Result<PerfAttr, Error> {
    match resolve(machine, name)?.source {
        Source::Perf(attr) => Ok(attr),
        Source::Task(_) => resolve_perf(machine, name).map(|(_, attr)| attr),
    }
}

impl Chosen {
    /// Adds an event, once for each instance of its PMU.
    fn instances(&mut self, machine: &Machine, event: &Event) -> Vec<u32> {
        let mut names = perf_names(machine, event);
        if names.is_empty() {
            names.push(event.name.clone());
        }
        let mut numbers = Vec::with_capacity(names.len());
        for perf_name in names {
            numbers.push(u32::try_from(self.events.len()).unwrap_or(u32::MAX));
            // Tracepoints all count; asking tracefs for each of two thousand would only take time.
            let unit = match event.pmu.as_str() {
                "tracepoint" => Unit::Count,
                _ => resolve(machine, &perf_name).map_or(Unit::Count, |spec| spec.unit),
            };
            let (name, pmu) = (event.name.clone(), event.pmu.clone());
            self.events.push(MeasuredEvent { name, perf_name, pmu, unit, scale: event.scale.clone() });
        }
        numbers
    }

    /// Puts what all epochs have in common into each run. A clock is no anchor of all CPUs: it ticks alike whatever they do.
    fn anchor(&mut self, machine: &Machine, catalogue: &[Event], all_cpus: bool) {
        for name in ANCHORS {
            let is_clock = name == "task-clock";
            if (is_clock && all_cpus) || (!is_clock && machine.core_pmus().is_empty()) {
                continue;
            }
            let there = self.events.iter().position(|event| event.name == name);
            let number = match there.and_then(|number| u32::try_from(number).ok()) {
                Some(number) => number,
                None => {
                    let event = named(catalogue, name);
                    let Some(number) = self.instances(machine, &event).first().copied() else { continue };
                    number
                }
            };
            for run in self.runs.iter_mut().filter(|run| !run.contains(&number)) {
                run.insert(0, number);
            }
            self.anchors.push(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, pmu: &str) -> Event {
        let counters = Counters { unlimited: true, ..Counters::default() };
        Event { name: name.to_owned(), pmu: pmu.to_owned(), counters, ..Event::default() }
    }

    fn names(events: &[Event]) -> Vec<&str> {
        events.iter().map(|event| event.name.as_str()).collect()
    }

    #[test]
    fn tracepoints_and_breakpoints_are_for_those_who_ask() {
        let all =
            [event("task-clock", "software"), event("a:b", "tracepoint"), event("mem:ADDR", "breakpoint")];
        let wanted = |tracepoints| Wanted { named: &[], tracepoints, at_once: None };
        assert_eq!(names(&candidates(&all, &wanted(false))), ["task-clock"]);
        assert_eq!(names(&candidates(&all, &wanted(true))), ["task-clock", "a:b"]);
    }

    #[test]
    fn what_is_named_is_tried_even_if_nobody_knows_it() {
        let named = ["task-clock,cpu/event=1,umask=2/".to_owned(), "no:such".to_owned()];
        let all = [event("task-clock", "software")];
        let found = candidates(&all, &Wanted { named: &named, tracepoints: false, at_once: None });
        assert_eq!(names(&found), ["task-clock", "cpu/event=1,umask=2/", "no:such"]);
        assert_eq!((found[1].pmu.as_str(), found[1].counters.unlimited), ("cpu", false));
        assert!(found[2].counters.unlimited);
    }

    #[test]
    fn modifiers_leave_an_event_on_its_counters() {
        let cycles = Event { counters: Counters::default(), ..event("cycles", "cpu") };
        let coded = Event { fields: Fields { codes: vec![0xd1], ..Fields::default() }, ..cycles.clone() };
        let all = [cycles, Event { name: "missed".to_owned(), ..coded }, event("a:uk", "tracepoint")];
        let found = named(&all, "cycles:uk");
        assert_eq!((found.name.as_str(), found.pmu.as_str()), ("cycles:uk", "cpu"));
        assert!(!found.counters.unlimited && named(&all, "a:uk").counters.unlimited);
        assert_eq!(named(&all, "cycles:x").pmu, "tracepoint", "no modifier, so the name of something else");
        let missed = named(&all, "missed:u");
        assert_eq!((missed.name.as_str(), missed.fields.codes[0]), ("missed:u", 0xd1));
    }

    #[test]
    fn a_program_that_is_not_there_is_found_out_before_anything_runs() {
        let of = |program: &str| check_command(&Scope::Command { command: vec![program.to_owned()] });
        assert!(of("true").is_ok() && of("/bin/sh").is_ok());
        assert!(of("no-such-program").unwrap_err().to_string().contains("no-such-program"));
    }
}
