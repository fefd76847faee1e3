//! Groups as `events measure` and `profile` open them, on a loop of known length.

use anyhow::{Context as _, Result, ensure};
use waytrace_hw::Machine;
use waytrace_hw::events::{PerfAttr, resolve_perf};
use waytrace_hw::group::{self, open_groups};
use waytrace_measure::groups;
use waytrace_measure::places::PerfEvents;
use waytrace_measure::{Place, Recorder};
use waytrace_model::measured::EventCount;

use super::{ITERATIONS, MARGIN, TRUTH, ensure_true};
use crate::spin::spin;
use crate::system;

/// Retired instructions in user mode, an event that takes any general counter; the kernel opens it as often as it is named.
const GENERAL: &str = "r8:u";

/// What a run of events came to.
struct Counted {
    /// Events of each group, in the order asked for.
    groups: Vec<Vec<u32>>,
    /// One for each event, in the order asked for.
    counts: Vec<EventCount>,
}

pub fn attr(name: &str) -> Result<PerfAttr> {
    let (_, attr) = resolve_perf(&Machine::live(), name)?;
    Ok(attr)
}

/// Counts `work` at one place.
fn count(names: &[&str], place: Place, work: impl FnOnce()) -> Result<Counted> {
    let attrs = (0..).zip(names).map(|(number, name)| Ok((number, attr(name)?)));
    let attrs: Vec<(u32, PerfAttr)> = attrs.collect::<Result<_>>()?;
    let mut opener = PerfEvents::default();
    let mut groups = groups::open(&mut opener, &attrs, &[place])?;
    ensure!(groups.refused.is_empty(), "refused: {:?}", groups.refused);
    let mut recorder = Recorder::new(&groups);
    recorder.begin_at(groups.read(&mut opener));
    groups.start(&mut opener)?;
    work();
    groups.stop(&mut opener);
    let readings = groups.read(&mut opener);
    ensure!(readings.iter().all(Option::is_some), "a group cannot be read");
    recorder.add(1, readings);
    let mut counts = recorder.finish().counts;
    counts.sort_by_key(|count| count.event);
    Ok(Counted { groups: groups.groups.iter().map(|group| group.events.clone()).collect(), counts })
}

fn myself() -> Place {
    let pid = std::process::id();
    Place::Thread { tgid: pid, tid: pid }
}

/// What a check says of counts.
fn say(names: &[&str], counts: &[EventCount]) -> String {
    let one = |(name, count): (&&str, &EventCount)| format!("{name} {}", count.value);
    format!("{}; the loop is {TRUTH}", names.iter().zip(counts).map(one).collect::<Vec<_>>().join(", "))
}

/// The machine has a PMU of its cores, and the kernel says how many counters.
pub fn pmu_found() -> Result<String> {
    let machine = Machine::live();
    let pmu = machine.core_pmus().first().context("no PMU of the cores in sysfs")?;
    Ok(format!("{}, {} counters", pmu.name, system::counters()?))
}

/// Hardware events of a thread are one group, a software event beside them another, and all count the whole time.
fn ensure_counted(names: &[&str], place: Place) -> Result<String> {
    let Counted { groups, counts } = count(names, place, || spin(ITERATIONS))?;
    ensure!(groups == [vec![0, 1], vec![2]], "groups {groups:?}");
    for (name, count) in names.iter().zip(&counts) {
        let (enabled, running) = (count.time_enabled_ns, count.time_running_ns);
        ensure!(enabled > 0 && count.is_whole(), "{name} ran {running} ns of {enabled} ns");
    }
    for (name, count) in names.iter().zip(&counts).take(2) {
        ensure_true(name, count.value)?;
    }
    // One cycle is one nanosecond of the guest's clock.
    let clock_ns = counts.last().map_or(0, |count| count.value);
    ensure!(clock_ns >= TRUTH, "the clock counted {clock_ns} ns, and the loop takes {TRUTH}");
    Ok(say(names, &counts))
}

/// As `events measure --pid` counts.
pub fn thread_group() -> Result<String> {
    ensure_counted(&["cycles:u", "instructions:u", "task-clock"], myself())
}

/// As `events measure -- CMD` counts.
pub fn cpu_group() -> Result<String> {
    ensure_counted(&["cycles:u", "instructions:u", "cpu-clock"], Place::Cpu(0))
}

/// A stopped group counts nothing more, and a started one goes on from there.
pub fn stopped_group() -> Result<String> {
    let attrs = [(0, attr("cycles:u")?), (1, attr("instructions:u")?)];
    let mut opener = PerfEvents::default();
    let mut groups = groups::open(&mut opener, &attrs, &[myself()])?;
    let mut read = |groups: &mut groups::Groups<_>| -> Result<Vec<u64>> {
        let reading = groups.read(&mut opener).into_iter().next().flatten().context("no reading")?;
        Ok(reading.values)
    };
    let opened = read(&mut groups)?;
    spin(ITERATIONS);
    ensure!(read(&mut groups)? == opened, "it counts before it is started");
    groups.start(&mut PerfEvents::default())?;
    spin(ITERATIONS);
    groups.stop(&mut PerfEvents::default());
    let stopped = read(&mut groups)?;
    spin(ITERATIONS);
    ensure!(read(&mut groups)? == stopped, "it counts on after it is stopped: {stopped:?}");
    groups.start(&mut PerfEvents::default())?;
    spin(ITERATIONS);
    groups.stop(&mut PerfEvents::default());
    for (counted, before) in read(&mut groups)?.into_iter().zip(stopped) {
        ensure_true("the second time", counted.saturating_sub(before))?;
    }
    Ok("nothing before, no more while stopped, the loop once more after".to_owned())
}

/// As many events as there are counters, the cycle counter included, are one group that counts all the time.
pub fn full_group() -> Result<String> {
    let counters = usize::try_from(system::counters()?)?;
    let mut names = vec!["cycles:u"];
    names.resize(counters, GENERAL);
    let Counted { groups, counts } = count(&names, Place::Cpu(0), || spin(ITERATIONS))?;
    ensure!(groups.len() == 1, "{counters} events, and the groups {groups:?}");
    for (name, count) in names.iter().zip(&counts) {
        ensure!(count.is_whole(), "{name} did not run all the time");
        ensure_true(name, count.value)?;
    }
    Ok(format!("{counters} events in one group, each counted the loop"))
}

/// One event more than there are general counters begins a second group, and what takes turns is flagged, raw and too low;
/// the counters of `profile` say so, too.
pub fn too_many_events() -> Result<String> {
    let general = usize::try_from(system::counters()?)?.saturating_sub(1);
    let names = vec![GENERAL; general + 1];
    let Counted { groups, counts } = count(&names, Place::Cpu(0), || spin(ITERATIONS))?;
    let sizes: Vec<usize> = groups.iter().map(Vec::len).collect();
    ensure!(sizes == [general, 1], "{general} general counters, and groups of {sizes:?}");
    for (number, count) in counts.iter().enumerate() {
        ensure!(!count.is_whole(), "event {number} is said to have counted all the time");
        ensure!(count.value < TRUTH, "event {number} counted {} in a part of the time", count.value);
    }
    let sum = counts.first().map_or(0, |count| count.value) + counts.last().map_or(0, |count| count.value);
    // One of the two counts at any time.
    let there = TRUTH - TRUTH / 100..=TRUTH + 2 * MARGIN;
    ensure!(there.contains(&sum), "both groups together counted {sum}, and the loop is {TRUTH}");
    let attr = attr(GENERAL)?;
    let opened = open_groups(&mut group::PerfEvents, &vec![&attr; general + 1], &[0], true)?;
    let turns = opened.turns().context("`profile` would not say that events take turns")?;
    ensure!(turns.iter().map(Vec::len).eq([general, 1]), "turns {turns:?}");
    Ok(format!("groups of {sizes:?} take turns, flagged; together they counted {sum} of {TRUTH}"))
}
