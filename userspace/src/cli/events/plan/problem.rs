//! Events of the catalogue → a problem of packing.

use std::collections::{BTreeMap, BTreeSet};

use waytrace_analysis::packing::{Item, Pool, Problem, Unit, Use};
use waytrace_hw::catalogue::Event;
use waytrace_hw::catalogue::constraints::{Offer, Setup, demand, errata_pairs, offers};

/// The problem of counting `events`, item by item in their order; `together` holds sets of places in `events`. What has a fixed counter
/// may be on a general one where it is in a set: of the core's clock and the thread's only one has the fixed counter.
pub fn pose(events: &[Event], together: Vec<Vec<usize>>, setup: Setup) -> Problem {
    let offers: BTreeMap<String, Offer> = offers(events, setup);
    let kept: BTreeSet<usize> = together.iter().flatten().copied().collect();
    let item = |(at, event): (usize, &Event)| {
        // Every event's PMU is among those its own events made.
        let (unit, (_, offer)) = offers.iter().enumerate().find(|(_, (pmu, _))| **pmu == event.pmu)?;
        let demand = demand(event, offer, setup);
        let pool = |name: &String| offer.registers.keys().position(|register| register == name);
        let uses = demand
            .registers
            .iter()
            .filter_map(|(name, value)| Some(Use { pool: pool(name)?, value: *value }));
        Some(Item {
            name: event.name.clone(),
            unit,
            general: demand.general | if kept.contains(&at) { demand.twin } else { 0 },
            fixed: demand.fixed,
            unlimited: demand.unlimited,
            uses: uses.collect(),
            alone: demand.alone,
            halves: demand.halves,
        })
    };
    Problem {
        units: offers.values().map(unit).collect(),
        items: events.iter().enumerate().filter_map(item).collect(),
        conflicts: errata_pairs(events),
        together,
    }
}

fn unit(offer: &Offer) -> Unit {
    let pools =
        offer.registers.iter().map(|(name, instances)| Pool { name: name.clone(), instances: *instances });
    Unit {
        name: offer.pmu.clone(),
        general: offer.general,
        fixed: offer.fixed,
        limit: None,
        pools: pools.collect(),
    }
}

#[cfg(test)]
mod tests {
    use waytrace_analysis::packing::{pack, validate};
    use waytrace_hw::catalogue::{Counters, Fields, Msr};

    use super::*;

    fn event(name: &str, pmu: &str, general: u64) -> Event {
        Event {
            name: name.to_owned(),
            pmu: pmu.to_owned(),
            counters: Counters { general, general_smt_off: general, ..Counters::default() },
            ..Event::default()
        }
    }

    #[test]
    fn units_count_at_once_and_some_events_need_no_counter() {
        let mut events: Vec<Event> = (0..8).map(|number| event(&format!("c{number}"), "cpu", 0xf)).collect();
        events.extend((0..3).map(|number| event(&format!("u{number}"), "uncore_cha", 1)));
        events.push(Event {
            counters: Counters { unlimited: true, ..Counters::default() },
            ..event("s", "software", 0)
        });
        let problem = pose(&events, vec![vec![0, 7]], Setup::default());
        let plan = pack(&problem).unwrap();
        assert_eq!(validate::faults(&problem, &plan), Vec::<String>::new());
        assert!(plan.unplaceable.is_empty() && problem.items.len() == 12);
        assert_eq!((plan.runs.len(), plan.lower_bound()), (3, 3));
    }

    /// Both are counted by fixed counter 1; kept together, one of them is on a general counter.
    #[test]
    fn both_clocks_of_a_core_can_be_kept_together() {
        let clock = |name: &str| Event {
            counters: Counters { fixed: 2, ..Counters::default() },
            ..event(name, "cpu", 0)
        };
        let events = [clock("thread"), clock("thread_any"), event("a", "cpu", 1)];
        let runs = |together| pack(&pose(&events, together, Setup::default())).unwrap();
        assert_eq!(runs(Vec::new()).runs.len(), 2);
        let kept = runs(vec![vec![0, 1]]);
        assert!(kept.separated.is_empty() && kept.runs.len() == 2);
        let own = kept.runs.iter().map(|run| run.groups[0].placed.len()).max();
        assert_eq!(own, Some(2));
    }

    #[test]
    fn offcore_responses_share_two_registers() {
        let response = |number: u64| {
            let msr = Some(Msr { indices: vec![0x1a6, 0x1a7], value: number });
            Event { fields: Fields { msr, ..Fields::default() }, ..event(&format!("r{number}"), "cpu", 0xf) }
        };
        let events: Vec<Event> = (0..7).map(response).collect();
        let plan = pack(&pose(&events, Vec::new(), Setup::default())).unwrap();
        assert_eq!((plan.runs.len(), plan.lower_bound()), (4, 4));
    }
}
