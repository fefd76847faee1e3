//! `--keep-together`: lists of events, metrics and groups of metrics → sets of events to count in one run each.
//!
//! Metrics have events in common, most of them instructions or cycles. Sets that share events become one where a run can count
//! all of them; else what they share is counted again.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{anyhow, bail};
use waytrace_analysis::packing::{Problem, fits_one_run};
use waytrace_hw::catalogue::constraints::Setup;
use waytrace_hw::catalogue::{Book, Event, Glob, Metric};

use super::problem::pose;

/// A set asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The list, or the metric.
    pub name: String,
    /// Places of its events, ascending.
    pub events: Vec<usize>,
    /// Whether it was asked for by name, and not as one of a group.
    is_named: bool,
}

/// What can be kept together.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Sets of places in the events, which were added to.
    pub sets: Vec<Vec<usize>>,
    /// What was asked for, with the place of its set.
    pub wanted: Vec<(Wanted, usize)>,
    /// What cannot be counted in one run, and why.
    pub apart: Vec<(String, String)>,
    /// Events with the terms a metric counts them with, which a plan leaves out.
    pub altered: Vec<String>,
    /// Events counted once more, for another set.
    pub again: usize,
}

/// The sets that `groups` ask for; events that several sets need are added to the end of `events`.
///
/// # Errors
/// A name that is no event, metric or group; a metric with an event that is not there, or that fits no run.
pub fn keep(
    groups: &[String],
    events: &mut Vec<Event>,
    metrics: &[Metric],
    setup: Setup,
) -> anyhow::Result<Kept> {
    let mut kept = Kept::default();
    if groups.is_empty() {
        return Ok(kept);
    }
    // Any of them may be kept together; what one run can count is asked of some at a time.
    let problem = &pose(events, vec![(0..events.len()).collect()], setup);
    let mut wanted = Vec::new();
    for group in groups {
        wanted.extend(sets(group, events, metrics, &mut kept)?);
    }
    kept.altered.sort_unstable();
    kept.altered.dedup();
    let mut bins: Vec<BTreeSet<usize>> = Vec::new();
    for one in wanted {
        if !fits(problem, one.events.iter())? {
            let reason = format!("no run can count {} at once", told(&one.events, events));
            if one.is_named && !one.name.contains(',') && metrics.iter().any(|metric| metric.name == one.name)
            {
                bail!("--keep-together {}: {reason}; ask for some of its events by name", one.name);
            }
            kept.apart.push((one.name, reason));
            continue;
        }
        let place = bin(&mut bins, &one.events, problem)?;
        kept.wanted.push((one, place));
    }
    let mut first = BTreeSet::new();
    for bin in bins {
        let mut set = Vec::new();
        for place in bin {
            if first.insert(place) {
                set.push(place);
            } else if let Some(event) = events.get(place).cloned() {
                set.push(events.len());
                events.push(event);
                kept.again += 1;
            }
        }
        kept.sets.push(set);
    }
    Ok(kept)
}

/// The place of the set that takes these events: of those that have most in common with them and that one run can count with
/// them the first, else a new one.
fn bin(bins: &mut Vec<BTreeSet<usize>>, events: &[usize], problem: &Problem) -> anyhow::Result<usize> {
    let common = |bin: &BTreeSet<usize>| events.iter().filter(|event| bin.contains(event)).count();
    let mut order: Vec<(usize, usize)> = bins
        .iter()
        .enumerate()
        .map(|(at, bin)| (common(bin), at))
        .filter(|(common, _)| *common > 0)
        .collect();
    order.sort_by_key(|(common, at)| (usize::MAX - common, *at));
    for (_, at) in order {
        if let Some(bin) = bins.get_mut(at)
            && fits(problem, bin.iter().chain(events))?
        {
            bin.extend(events);
            return Ok(at);
        }
    }
    bins.push(events.iter().copied().collect());
    Ok(bins.len() - 1)
}

fn fits<'e>(problem: &Problem, events: impl Iterator<Item = &'e usize>) -> anyhow::Result<bool> {
    let events: Vec<usize> = events.copied().collect();
    fits_one_run(problem, &events).map_err(|error| anyhow!("planning: {error}"))
}

/// The sets one option asks for: its events and metrics are one, each metric of a group is one of its own.
fn sets(group: &str, events: &[Event], metrics: &[Metric], kept: &mut Kept) -> anyhow::Result<Vec<Wanted>> {
    let book = Book::new(events, metrics);
    let (mut own, mut sets) = (BTreeSet::new(), Vec::new());
    for name in group.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let named = matching(name, events);
        if !named.is_empty() {
            own.extend(named);
        } else if let Some(metric) = metrics.iter().find(|metric| metric.name.eq_ignore_ascii_case(name)) {
            let counted = book.counted(metric);
            if let Some(reason) = lacking(&counted.unknown, &counted.events) {
                bail!("--keep-together {group}: metric {name} {reason}");
            }
            kept.altered.extend(counted.altered);
            own.extend(counted.events);
        } else {
            let is_in = |metric: &&Metric| metric.groups.iter().any(|own| own.eq_ignore_ascii_case(name));
            let members: Vec<&Metric> = metrics.iter().filter(is_in).collect();
            if members.is_empty() {
                bail!(
                    "--keep-together {group}: no event `{name}` among those planned for, and no metric or group of metrics of that \
                     name; `waytrace events list` shows events, with --metrics metrics and their groups"
                );
            }
            for metric in members {
                let counted = book.counted(metric);
                match lacking(&counted.unknown, &counted.events) {
                    Some(reason) => kept.apart.push((metric.name.clone(), reason)),
                    None => {
                        kept.altered.extend(counted.altered);
                        let name = metric.name.clone();
                        sets.push(Wanted { name, events: counted.events, is_named: false });
                    }
                }
            }
        }
    }
    if !own.is_empty() {
        let name = group.trim().to_ascii_lowercase();
        sets.insert(0, Wanted { name, events: own.into_iter().collect(), is_named: true });
    }
    Ok(sets)
}

fn matching(name: &str, events: &[Event]) -> Vec<usize> {
    let glob = Glob::new(name);
    let is_pattern = name.contains(['*', '?']);
    let is =
        |event: &Event| event.name.eq_ignore_ascii_case(name) || (is_pattern && glob.matches(&event.name));
    events.iter().enumerate().filter(|(_, event)| is(event)).map(|(at, _)| at).collect()
}

/// Why a metric cannot be kept together.
fn lacking(unknown: &[String], events: &[usize]) -> Option<String> {
    match unknown {
        [] if events.is_empty() => Some("counts no event of a PMU".to_owned()),
        [] => None,
        [one] => Some(format!("counts {one}, which is not among the events planned for")),
        [one, rest @ ..] => {
            Some(format!("counts {one} and {} more that are not among the events planned for", rest.len()))
        }
    }
}

/// `5 events (4 of cpu, 1 of uncore_cha)`.
fn told(places: &[usize], events: &[Event]) -> String {
    let mut by_pmu: BTreeMap<&str, usize> = BTreeMap::new();
    for event in places.iter().filter_map(|place| events.get(*place)) {
        *by_pmu.entry(&event.pmu).or_default() += 1;
    }
    let each: Vec<String> = by_pmu.iter().map(|(pmu, count)| format!("{count} of {pmu}")).collect();
    format!("{} events ({})", places.len(), each.join(", "))
}

#[cfg(test)]
#[path = "together_tests.rs"]
mod tests;
