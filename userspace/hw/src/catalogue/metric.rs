//! Metrics: what a vendor computes of events, and so which events are worth counting at once.
//!
//! Does not compute them; says which events an expression names. Sources: `tools/perf/util/expr.l` for how expressions are
//! written, Intel's perfmon repository for metrics that name their events apart.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::event::Event;

/// A metric.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metric {
    /// Name, lower case.
    pub name: String,
    /// Groups it is in, as the vendor spells them.
    pub groups: Vec<String>,
    /// The PMU of its events, on CPUs that have several kinds of cores.
    pub pmu: Option<String>,
    /// What is computed; in Intel's own files with letters for the events.
    pub formula: String,
    /// Names it speaks of, lower case, once each: events, with their terms where it adds any, and other metrics.
    pub names: Vec<String>,
    /// One line of description.
    pub description: String,
}

/// What a metric counts, of a certain list of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Places of its events in the list, ascending, with those of the metrics it is computed from.
    pub events: Vec<usize>,
    /// Names that are neither an event of the list nor a metric.
    pub unknown: Vec<String>,
    /// Names of events that it counts with further terms.
    pub altered: Vec<String>,
}

/// What needs no PMU's counter, or is no event: the tool's own clocks and the time-stamp counter.
const NO_EVENTS: [&str; 6] = [
    "duration_time",
    "user_time",
    "system_time",
    "tsc",
    "durationtimeinseconds",
    "durationtimeinmilliseconds",
];
/// Energy counters that always run, as Intel's files call them.
const ENERGY: &str = "_energy_status";
/// What is read from the register of shares of the slots (SDM vol. 3, "Performance Metrics"): it counts with the slots' own
/// counter, and takes no other.
const SHARES: [&str; 2] = ["perf_metrics.", "topdown-"];
const SLOTS: &str = "topdown.slots";
/// Words of the language.
const WORDS: [&str; 9] =
    ["if", "else", "min", "max", "d_ratio", "source_count", "has_event", "strcmp_cpuid_str", "inf"];
/// Metrics that metrics are computed from, one within the other; the deepest known go to 12.
const MOST_NESTED: usize = 64;

impl Metric {
    /// What it counts of `events`, where `metrics` are the others.
    pub fn counted(&self, events: &[Event], metrics: &[Self]) -> Counted {
        Book::new(events, metrics).counted(self)
    }
}

/// Events and metrics by name, for who looks many up.
#[derive(Debug)]
pub struct Book<'a> {
    events: BTreeMap<String, Vec<(usize, &'a Event)>>,
    metrics: BTreeMap<&'a str, &'a Metric>,
}

impl<'a> Book<'a> {
    /// Of these.
    pub fn new(events: &'a [Event], metrics: &'a [Metric]) -> Self {
        let mut by_name: BTreeMap<String, Vec<(usize, &Event)>> = BTreeMap::new();
        for (at, event) in events.iter().enumerate() {
            by_name.entry(event.name.to_ascii_lowercase()).or_default().push((at, event));
        }
        let metrics = metrics.iter().map(|metric| (metric.name.as_str(), metric)).collect();
        Self { events: by_name, metrics }
    }

    /// What a metric counts.
    pub fn counted(&self, metric: &Metric) -> Counted {
        let mut found = Found::default();
        self.gather(metric, MOST_NESTED, &mut found);
        Counted {
            events: found.events.into_iter().collect(),
            unknown: found.unknown.into_iter().collect(),
            altered: found.altered.into_iter().collect(),
        }
    }

    fn gather(&self, metric: &Metric, nested: usize, found: &mut Found) {
        if nested == 0 || !found.seen.insert(metric.name.clone()) {
            return;
        }
        for name in &metric.names {
            let (pmu, bare, is_altered) = taken_apart(name);
            let is_share = SHARES.iter().any(|prefix| bare.starts_with(prefix));
            let bare = if is_share && !self.events.contains_key(bare) { SLOTS } else { bare };
            if let Some(place) = self.event(pmu.or(metric.pmu.as_deref()), bare) {
                found.events.insert(place);
                if is_altered {
                    found.altered.insert(name.clone());
                }
            } else if let Some(other) = self.metrics.get(name.as_str()) {
                self.gather(other, nested - 1, found);
            } else if !NO_EVENTS.contains(&bare) && !bare.ends_with(ENERGY) {
                found.unknown.insert(name.clone());
            }
        }
    }

    /// The event of that name, of the PMU wanted if that has one: files call a unit `cha` that the kernel calls `uncore_cha`.
    fn event(&self, pmu: Option<&str>, name: &str) -> Option<usize> {
        let named = self.events.get(name)?;
        let is_of = |event: &Event| {
            pmu.is_some_and(|pmu| event.pmu == pmu || event.pmu.strip_prefix("uncore_") == Some(pmu))
        };
        let wanted = named.iter().find(|(_, event)| is_of(event)).or_else(|| named.first());
        wanted.map(|(place, _)| *place)
    }
}

#[derive(Default)]
struct Found {
    events: BTreeSet<usize>,
    unknown: BTreeSet<String>,
    altered: BTreeSet<String>,
    seen: BTreeSet<String>,
}

/// `cha@unc_cha_a,config1=0x1@`, `unc_cha_a:filter1=0x1`, `unc_cha_a:u` → PMU, event, and whether terms change what is counted.
fn taken_apart(name: &str) -> (Option<&str>, &str, bool) {
    let (pmu, rest) = match name.split_once('@') {
        Some((pmu, rest)) => (Some(pmu).filter(|pmu| !pmu.is_empty()), rest.trim_end_matches('@')),
        None => (None, name),
    };
    let end = rest.find([',', '@', ':']).unwrap_or(rest.len());
    let (bare, terms) = rest.split_at(end);
    let only_modes =
        terms.strip_prefix(':').is_some_and(|modes| modes.chars().all(|mode| "ukhpgsdwe".contains(mode)));
    (pmu, bare, !terms.trim_matches(['@', ':']).is_empty() && !only_modes)
}

/// The names an expression speaks of, once each in their order: no numbers, no words of the language, and nothing that begins
/// with `#`, which are figures of the machine.
pub fn names(expression: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut rest = expression.chars().peekable();
    while let Some(first) = rest.peek().copied() {
        if !is_of_name(first) {
            rest.next();
            continue;
        }
        let mut name = String::new();
        let mut is_within = false;
        while let Some(next) = rest.next_if(|next| is_of_name(*next) || (is_within && is_of_term(*next))) {
            match next {
                '\\' => name.extend(rest.next()),
                '@' => {
                    is_within = !is_within;
                    name.push(next);
                }
                _ => name.push(next),
            }
        }
        let name = name.to_ascii_lowercase();
        if is_name(&name) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '@' | '?' | '#' | '\\')
}

/// Between two `@`, where terms need not be escaped.
fn is_of_term(c: char) -> bool {
    matches!(c, ',' | '=' | '/' | '-')
}

fn is_name(name: &str) -> bool {
    let is_number = name.parse::<f64>().is_ok() || name.starts_with("0x");
    let has_letter = name.chars().any(|c| c.is_ascii_alphabetic());
    has_letter && !is_number && !name.starts_with('#') && !WORDS.contains(&name)
}

#[cfg(test)]
#[path = "metric_tests.rs"]
mod tests;
