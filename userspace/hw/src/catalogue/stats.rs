//! Figures of a catalogue, and what two catalogues have in common.

use std::collections::BTreeMap;

use serde::Serialize;
use waytrace_model::spelling::edit_distance;

use super::event::{Event, Precise};

/// Figures of the events of one CPU.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// All events.
    pub events: usize,
    /// Those the cores count.
    pub core: usize,
    /// Those other units count.
    pub uncore: usize,
    /// Deprecated ones.
    pub deprecated: usize,
    /// Not validated ones.
    pub experimental: usize,
    /// Those that can be, or must be, sampled precisely.
    pub precise: usize,
    /// Those that take their PMU for themselves.
    pub taken_alone: usize,
    /// Those with an erratum.
    pub with_errata: usize,
    /// Those that need a register beside the counter.
    pub with_msr: usize,
    /// Those counted through a filter register shared within the unit.
    pub with_filter: usize,
    /// Those a fixed counter counts.
    pub fixed: usize,
    /// By PMU, in order of their names.
    pub pmus: Vec<PmuStats>,
}

/// Figures of one PMU.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct PmuStats {
    /// The PMU.
    pub pmu: String,
    /// Its events.
    pub events: usize,
    /// General counters that some event names; 0 where the source names none.
    pub counters: u32,
    /// Events with fewer counters than that.
    pub restricted: usize,
}

impl Stats {
    /// Figures of `events`.
    pub fn of(events: &[Event]) -> Self {
        let count = |is: &dyn Fn(&Event) -> bool| events.iter().filter(|event| is(event)).count();
        let core = count(&Event::is_core);
        Self {
            events: events.len(),
            core,
            uncore: events.len() - core,
            deprecated: count(&|event| event.deprecated),
            experimental: count(&|event| event.experimental),
            precise: count(&|event| event.precise != Precise::No),
            taken_alone: count(&|event| event.taken_alone),
            with_errata: count(&|event| !event.errata.is_empty()),
            with_msr: count(&|event| event.fields.msr.is_some()),
            with_filter: count(&|event| event.filters.iter().any(super::Filter::is_shared)),
            fixed: count(&|event| event.counters.fixed != 0),
            pmus: pmus(events),
        }
    }
}

fn pmus(events: &[Event]) -> Vec<PmuStats> {
    let mut by_pmu: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in events {
        by_pmu.entry(&event.pmu).or_default().push(event);
    }
    let stats = |(pmu, events): (&str, Vec<&Event>)| {
        let all = events.iter().fold(0, |all, event| all | event.counters.general);
        let is_restricted = |event: &&&Event| event.counters.general != 0 && event.counters.general != all;
        PmuStats {
            pmu: pmu.to_owned(),
            events: events.len(),
            counters: all.count_ones(),
            restricted: events.iter().filter(is_restricted).count(),
        }
    };
    by_pmu.into_iter().map(stats).collect()
}

/// Events of two CPUs, by name.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// Only the second has, sorted.
    pub added: Vec<String>,
    /// Only the first has, sorted.
    pub removed: Vec<String>,
    /// Both have, with another description; the most different first.
    pub described_otherwise: Vec<Changed>,
    /// Both have, with another encoding, sorted by name.
    pub encoded_otherwise: Vec<Changed>,
    /// Both have, alike in both.
    pub same: usize,
}

/// What differs about an event.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Event.
    pub name: String,
    /// The first CPU's.
    pub from: String,
    /// The second CPU's.
    pub to: String,
    /// Levenshtein distance of the two, bytes inserted, deleted or replaced.
    pub edit_distance: usize,
}

impl Differences {
    /// What is different about `to`, seen from `from`.
    pub fn between(from: &[Event], to: &[Event]) -> Self {
        let (from, to) = (by_name(from), by_name(to));
        let only = |these: &BTreeMap<&str, &Event>, others: &BTreeMap<&str, &Event>| {
            these.keys().filter(|name| !others.contains_key(*name)).map(|name| (*name).to_owned()).collect()
        };
        let mut found = Self { added: only(&to, &from), removed: only(&from, &to), ..Self::default() };
        for (name, before) in &from {
            let Some(after) = to.get(name) else { continue };
            let described = changed(name, &before.description, &after.description);
            let encoded = changed(name, &before.encoding(), &after.encoding());
            found.same += usize::from(described.is_none() && encoded.is_none());
            found.described_otherwise.extend(described);
            found.encoded_otherwise.extend(encoded);
        }
        found
            .described_otherwise
            .sort_by(|a, b| b.edit_distance.cmp(&a.edit_distance).then(a.name.cmp(&b.name)));
        found
    }
}

/// Of two kinds of cores the larger stands for both.
fn by_name(events: &[Event]) -> BTreeMap<&str, &Event> {
    let mut all = BTreeMap::new();
    for event in events {
        let known = all.entry(event.name.as_str()).or_insert(event);
        if event.pmu == "cpu_core" {
            *known = event;
        }
    }
    all
}

fn changed(name: &str, from: &str, to: &str) -> Option<Changed> {
    (from != to).then(|| Changed {
        name: name.to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        edit_distance: edit_distance(short(from), short(to)),
    })
}

/// Descriptions are compared by their beginning, so that hostile ones cost no hours.
fn short(text: &str) -> &str {
    const BYTES: usize = 1000;
    text.char_indices().nth(BYTES).map_or(text, |(end, _)| text.get(..end).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::super::event::{Counters, Fields};
    use super::*;

    fn event(name: &str, pmu: &str, general: u64, description: &str, umask: u64) -> Event {
        Event {
            name: name.to_owned(),
            pmu: pmu.to_owned(),
            counters: Counters { general, ..Counters::default() },
            description: description.to_owned(),
            fields: Fields { codes: vec![1], umask, ..Fields::default() },
            ..Event::default()
        }
    }

    #[test]
    fn figures_are_counted_by_pmu() {
        let mut events = vec![
            event("a", "cpu", 0xf, "", 0),
            event("b", "cpu", 1, "", 0),
            event("c", "uncore_cha", 0, "", 0),
        ];
        events[1].errata = vec!["X1".to_owned()];
        let stats = Stats::of(&events);
        assert_eq!((stats.events, stats.core, stats.uncore, stats.with_errata), (3, 2, 1, 1));
        let of = |pmu: &str, events, counters, restricted| PmuStats {
            pmu: pmu.to_owned(),
            events,
            counters,
            restricted,
        };
        assert_eq!(stats.pmus, [of("cpu", 2, 4, 1), of("uncore_cha", 1, 0, 0)]);
    }

    #[test]
    fn differences_are_added_removed_and_changed() {
        let from =
            [event("a", "cpu", 1, "one", 1), event("b", "cpu", 1, "two", 1), event("c", "cpu", 1, "x", 1)];
        let to = [event("b", "cpu", 1, "tow", 2), event("c", "cpu", 1, "x", 1), event("d", "cpu", 1, "x", 1)];
        let found = Differences::between(&from, &to);
        assert_eq!(
            (found.added.as_slice(), found.removed.as_slice(), found.same),
            (["d".to_owned()].as_slice(), ["a".to_owned()].as_slice(), 1)
        );
        assert_eq!(
            (found.described_otherwise[0].edit_distance, found.encoded_otherwise[0].to.as_str()),
            (2, "event=0x1,umask=0x2")
        );
    }
}
