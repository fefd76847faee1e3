//! Checks a plan against its problem, by the plain meaning of each constraint. It shares no code with what makes plans.

mod proof;

use std::collections::{BTreeMap, BTreeSet};

use super::{Counter, Item, Plan, Problem, Reason, Unit, UnitGroup};

pub use proof::proves;

/// All that is wrong with a plan, a sentence each; empty if it is right.
pub fn faults(problem: &Problem, plan: &Plan) -> Vec<String> {
    let mut faults = Vec::new();
    coverage(problem, plan, &mut faults);
    for (at, run) in plan.runs.iter().enumerate() {
        let mut found = Vec::new();
        for group in &run.groups {
            match problem.units.get(group.unit) {
                Some(unit) => check_group(problem, unit, group, &mut found),
                None => found.push(format!("a group of unit {}, which is not there", group.unit)),
            }
        }
        let units: BTreeSet<usize> = run.groups.iter().map(|group| group.unit).collect();
        if units.len() < run.groups.len() {
            found.push("two groups of one unit".to_owned());
        }
        if run.groups.iter().all(|group| group.placed.is_empty()) {
            found.push("nothing is counted".to_owned());
        }
        faults.extend(found.into_iter().map(|fault| format!("run {at}: {fault}")));
    }
    companions(problem, plan, &mut faults);
    bounds(problem, plan, &mut faults);
    faults
}

/// The run of each item, if it is in one alone.
fn runs_of(plan: &Plan) -> BTreeMap<usize, Vec<usize>> {
    let mut runs: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, run) in plan.runs.iter().enumerate() {
        for placed in run.groups.iter().flat_map(|group| &group.placed) {
            runs.entry(placed.item).or_default().push(at);
        }
    }
    runs
}

/// Every item is in one run, or in none for a reason that holds.
fn coverage(problem: &Problem, plan: &Plan, faults: &mut Vec<String>) {
    let runs = runs_of(plan);
    for (at, item) in problem.items.iter().enumerate() {
        let times = runs.get(&at).map_or(0, Vec::len);
        let reasons: Vec<Reason> =
            plan.unplaceable.iter().filter(|one| one.item == at).map(|one| one.reason).collect();
        match (times, reasons.as_slice()) {
            (1, []) => {}
            (0, [reason]) if holds(problem, item, *reason) => {}
            _ => faults.push(format!("{} is counted {times} times, and left out for {reasons:?}", item.name)),
        }
    }
    if let Some(unknown) = runs.keys().find(|item| **item >= problem.items.len()) {
        faults.push(format!("item {unknown} is counted, which is not there"));
    }
}

fn holds(problem: &Problem, item: &Item, reason: Reason) -> bool {
    let Some(unit) = problem.units.get(item.unit) else { return false };
    match reason {
        Reason::NoCounter => {
            !item.unlimited && item.general & unit.general == 0 && item.fixed & unit.fixed == 0
        }
        Reason::NothingAllowed => unit.limit == Some(0),
        Reason::PoolTooSmall(pool) => {
            let values: BTreeSet<u64> =
                item.uses.iter().filter(|one| one.pool == pool).map(|one| one.value).collect();
            unit.pools.get(pool).is_some_and(|pool| values.len() > pool.instances)
        }
    }
}

fn check_group(problem: &Problem, unit: &Unit, group: &UnitGroup, faults: &mut Vec<String>) {
    let mut counters = BTreeSet::new();
    let mut values: BTreeMap<usize, BTreeSet<u64>> = BTreeMap::new();
    let mut items: Vec<(&Item, Counter)> = Vec::new();
    for placed in &group.placed {
        // What is not there is found with the coverage.
        let Some(item) = problem.items.get(placed.item) else { continue };
        items.push((item, placed.counter));
        if item.unit != group.unit {
            faults.push(format!("{} is not of {}", item.name, unit.name));
        }
        let is_set = |mask: u64, bit: u8| bit < 64 && mask & (1 << bit) != 0;
        let can_count = match placed.counter {
            Counter::General(bit) => !item.unlimited && is_set(unit.general & item.general, bit),
            Counter::Fixed(bit) => !item.unlimited && is_set(unit.fixed & item.fixed, bit),
            Counter::Own => item.unlimited,
        };
        if !can_count {
            faults.push(format!("{} cannot be counted by {:?}", item.name, placed.counter));
        }
        if !counters.insert(placed.counter) && placed.counter != Counter::Own {
            faults.push(format!("{:?} counts twice", placed.counter));
        }
        for one in &item.uses {
            values.entry(one.pool).or_default().insert(one.value);
        }
    }
    if unit.limit.is_some_and(|limit| items.len() > limit) {
        faults.push(format!("{} items of {}", items.len(), unit.name));
    }
    for (pool, values) in values {
        if unit.pools.get(pool).is_none_or(|pool| values.len() > pool.instances) {
            faults.push(format!("values {values:?} in pool {pool} of {}", unit.name));
        }
    }
    let general = items.iter().filter(|(_, counter)| matches!(counter, Counter::General(_))).count();
    let half = if unit.general.count_ones() < 2 { 1 } else { unit.general.count_ones() / 2 };
    if let Some((item, _)) = items.iter().find(|(item, _)| item.halves)
        && general > half as usize
    {
        faults.push(format!("{general} general counters of {} count beside {}", unit.name, item.name));
    }
    for (at, (item, _)) in items.iter().enumerate().filter(|(_, (item, _))| item.alone) {
        let mut others = items.iter().enumerate().filter(|(other, _)| *other != at);
        let disturbs = |other: &Item, counter: Counter| other.alone || matches!(counter, Counter::General(_));
        if let Some((_, (other, _))) = others.find(|(_, (other, counter))| disturbs(other, *counter)) {
            faults.push(format!("{} is taken alone, with {}", item.name, other.name));
        }
    }
}

/// What must be together is, and what must not is not.
fn companions(problem: &Problem, plan: &Plan, faults: &mut Vec<String>) {
    let runs = runs_of(plan);
    for (one, other) in &problem.conflicts {
        if runs.get(one).zip(runs.get(other)).is_some_and(|(one, other)| one == other) {
            faults.push(format!("items {one} and {other} conflict, and are in one run"));
        }
    }
    for (set, items) in problem.together.iter().enumerate() {
        let found: BTreeSet<&Vec<usize>> = items.iter().filter_map(|item| runs.get(item)).collect();
        if found.len() > 1 && !plan.separated.contains(&set) {
            faults.push(format!("set {set} is in several runs"));
        }
    }
}

/// The figures of the units are those of the runs, and their certificates prove their bounds.
fn bounds(problem: &Problem, plan: &Plan, faults: &mut Vec<String>) {
    if plan.units.len() != problem.units.len() {
        faults.push(format!("{} units, of {}", plan.units.len(), problem.units.len()));
    }
    for (at, unit) in plan.units.iter().enumerate() {
        let groups: Vec<&UnitGroup> =
            plan.runs.iter().flat_map(|run| &run.groups).filter(|group| group.unit == at).collect();
        let items: usize = groups.iter().map(|group| group.placed.len()).sum();
        if (unit.runs, unit.items) != (groups.len(), items) {
            faults.push(format!("unit {at} has {items} items in {} runs, and says otherwise", groups.len()));
        }
        match proves(problem, &plan.separated, at, &unit.certificate) {
            Ok(bound) if bound == unit.lower_bound && bound <= unit.runs => {}
            Ok(bound) => faults.push(format!(
                "unit {at}: {} runs, a bound of {}, a proof of {bound}",
                unit.runs, unit.lower_bound
            )),
            Err(fault) => faults.push(format!("unit {at}: its certificate proves nothing: {fault}")),
        }
    }
}
