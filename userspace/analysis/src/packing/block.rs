//! Blocks: the items of one unit that go into a run together, mostly a single one. Made of a problem once, with
//! everything that cannot be counted left out.

use std::collections::{BTreeMap, BTreeSet};

use super::counters::{Counters, FIXED, mask};
use super::group::Group;
use super::plan::{Reason, Unplaceable};
use super::problem::{Item, Problem, Unit};

/// An item as its unit sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// As a place in [`Problem::items`].
    pub(super) item: usize,
    /// Counters of the unit that can count it; none if it is unlimited.
    pub(super) counters: Counters,
    pub(super) unlimited: bool,
    /// Sorted, without repetitions.
    pub(super) uses: Vec<super::Use>,
    pub(super) alone: bool,
    pub(super) halves: bool,
    /// Items of the same unit it conflicts with, sorted.
    pub(super) conflicts: Vec<usize>,
    /// Items of other units it conflicts with, sorted.
    pub(super) abroad: Vec<usize>,
}

impl Part {
    /// Whether it can be in no run with an item that is taken alone.
    pub(super) fn is_general(&self) -> bool {
        !self.unlimited && self.counters & FIXED == 0
    }
}

/// Items of a unit that go into the same run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// Unique in a problem.
    pub(super) id: usize,
    /// Blocks with the same one can be exchanged for each other.
    pub(super) kind: usize,
    /// What is taken alone first.
    pub(super) parts: Vec<Part>,
}

impl Block {
    pub(super) fn alone(&self) -> bool {
        self.parts.iter().any(|part| part.alone)
    }

    pub(super) fn halves(&self) -> bool {
        self.parts.iter().any(|part| part.halves)
    }
}

/// What a unit offers besides the masks of its items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// Items at once.
    pub(super) most: usize,
    /// Its counters.
    pub(super) counters: usize,
    /// General counters that may count beside what halves them.
    pub(super) half: usize,
    /// Registers of each pool.
    pub(super) pools: Vec<usize>,
}

impl Limits {
    fn of(unit: &Unit) -> Self {
        Self {
            most: unit.limit.unwrap_or(usize::MAX),
            counters: mask(unit.general, unit.fixed).count_ones() as usize,
            half: unit.half(),
            pools: unit.pools.iter().map(|pool| pool.instances).collect(),
        }
    }
}

/// The blocks of a unit.
#[derive(Debug, Clone, Default)]
pub(super) struct Task {
    pub(super) limits: Limits,
    pub(super) blocks: Vec<Block>,
}

impl Task {
    pub(super) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.blocks.iter().flat_map(|block| &block.parts)
    }
}

/// A problem made ready.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// One per unit.
    pub(super) tasks: Vec<Task>,
    /// Blocks that what other units count concerns, those that go into one run as one entry: ids.
    pub(super) across: Vec<Vec<usize>>,
    pub(super) unplaceable: Vec<Unplaceable>,
    pub(super) separated: Vec<usize>,
}

/// Of a problem that was checked.
pub(super) fn prepare(problem: &Problem) -> Prepared {
    let mut prepared = Prepared {
        tasks: problem
            .units
            .iter()
            .map(|unit| Task { limits: Limits::of(unit), ..Task::default() })
            .collect(),
        ..Prepared::default()
    };
    let mut parts: BTreeMap<usize, Part> = BTreeMap::new();
    for (at, item) in problem.items.iter().enumerate() {
        let Some(unit) = problem.units.get(item.unit) else { continue };
        match part(at, item, unit) {
            Ok(part) => {
                parts.insert(at, part);
            }
            Err(reason) => prepared.unplaceable.push(Unplaceable { item: at, reason }),
        }
    }
    add_conflicts(problem, &mut parts);
    let sets = merge(problem, &parts, &prepared.tasks, &mut prepared.separated);
    let mut kinds = BTreeMap::new();
    let mut id = 0;
    for set in sets {
        let mut by_unit: BTreeMap<usize, Vec<Part>> = BTreeMap::new();
        for (unit, part) in set.iter().filter_map(|item| placed(problem, &parts, *item)) {
            by_unit.entry(unit).or_default().push(part.clone());
        }
        let ids: Vec<usize> = (id..).take(by_unit.len()).collect();
        let conflicts_abroad = by_unit.values().flatten().any(|part| !part.abroad.is_empty());
        for (unit, parts) in by_unit {
            let next = kinds.len();
            let kind = *kinds.entry(kind(unit, &parts)).or_insert(next);
            if let Some(task) = prepared.tasks.get_mut(unit) {
                task.blocks.push(block(id, kind, parts));
                id += 1;
            }
        }
        if ids.len() > 1 || conflicts_abroad {
            prepared.across.push(ids);
        }
    }
    prepared
}

fn placed<'p>(problem: &Problem, parts: &'p BTreeMap<usize, Part>, item: usize) -> Option<(usize, &'p Part)> {
    Some((problem.items.get(item)?.unit, parts.get(&item)?))
}

fn block(id: usize, kind: usize, mut parts: Vec<Part>) -> Block {
    parts.sort_by_key(|part| (!part.alone, part.item));
    Block { id, kind, parts }
}

fn part(at: usize, item: &Item, unit: &Unit) -> Result<Part, Reason> {
    let unlimited = item.unlimited;
    let counters = if unlimited { 0 } else { mask(item.general & unit.general, item.fixed & unit.fixed) };
    if counters == 0 && !unlimited {
        return Err(Reason::NoCounter);
    }
    if unit.limit == Some(0) {
        return Err(Reason::NothingAllowed);
    }
    let uses: BTreeSet<super::Use> = item.uses.iter().copied().collect();
    let uses: Vec<super::Use> = uses.into_iter().collect();
    let too_many = |values: &&[super::Use]| {
        let instances =
            values.first().and_then(|one| unit.pools.get(one.pool)).map_or(0, |pool| pool.instances);
        values.len() > instances
    };
    if let Some(one) = uses.chunk_by(|a, b| a.pool == b.pool).find(too_many).and_then(|values| values.first())
    {
        return Err(Reason::PoolTooSmall(one.pool));
    }
    Ok(Part {
        item: at,
        counters,
        unlimited,
        uses,
        alone: item.alone,
        halves: item.halves,
        conflicts: Vec::new(),
        abroad: Vec::new(),
    })
}

fn add_conflicts(problem: &Problem, parts: &mut BTreeMap<usize, Part>) {
    let both = problem.conflicts.iter().flat_map(|(one, other)| [(*one, *other), (*other, *one)]);
    for (one, other) in both.collect::<BTreeSet<_>>() {
        let Some(unit) = problem.items.get(other).map(|item| item.unit) else { continue };
        let at_home = problem.items.get(one).is_some_and(|item| item.unit == unit);
        if let Some(part) = parts.get_mut(&one) {
            if at_home { part.conflicts.push(other) } else { part.abroad.push(other) }
        }
    }
}

/// What makes single items exchangeable; a block that conflicts or has several parts is like no other.
fn kind(unit: usize, parts: &[Part]) -> (usize, Counters, Vec<super::Use>, [bool; 2], Option<usize>) {
    let first = parts.first();
    let unique =
        parts.len() > 1 || parts.iter().any(|part| !part.conflicts.is_empty() || !part.abroad.is_empty());
    (
        unit,
        first.map_or(0, |part| part.counters),
        first.map(|part| part.uses.clone()).unwrap_or_default(),
        [first.is_some_and(|part| part.alone), first.is_some_and(|part| part.halves)],
        first.filter(|_| unique).map(|part| part.item),
    )
}

/// All items that can be placed, in the sets that must be together. A set that does not fit one run with those it
/// overlaps is left apart, and named in `separated`.
fn merge(
    problem: &Problem,
    parts: &BTreeMap<usize, Part>,
    tasks: &[Task],
    separated: &mut Vec<usize>,
) -> Vec<Vec<usize>> {
    let mut set_of: BTreeMap<usize, usize> = parts.keys().map(|item| (*item, *item)).collect();
    let mut sets: BTreeMap<usize, BTreeSet<usize>> =
        parts.keys().map(|item| (*item, BTreeSet::from([*item]))).collect();
    for (at, together) in problem.together.iter().enumerate() {
        let joined: BTreeSet<usize> = together.iter().filter_map(|item| set_of.get(item).copied()).collect();
        let union: BTreeSet<usize> =
            joined.iter().filter_map(|set| sets.get(set)).flatten().copied().collect();
        let Some(name) = joined.first().copied() else { continue };
        if joined.len() < 2 {
            continue;
        }
        if !fits(problem, parts, tasks, &union) {
            separated.push(at);
            continue;
        }
        sets.retain(|set, _| !joined.contains(set));
        set_of.extend(union.iter().map(|item| (*item, name)));
        sets.insert(name, union);
    }
    sets.into_values().map(|set| set.into_iter().collect()).collect()
}

/// Whether one run can count all of them.
fn fits(problem: &Problem, parts: &BTreeMap<usize, Part>, tasks: &[Task], set: &BTreeSet<usize>) -> bool {
    let members = || set.iter().filter_map(|item| placed(problem, parts, *item));
    if members().any(|(_, part)| part.abroad.iter().any(|other| set.contains(other))) {
        return false;
    }
    tasks.iter().enumerate().all(|(unit, task)| {
        let parts: Vec<Part> =
            members().filter(|(of, _)| *of == unit).map(|(_, part)| part.clone()).collect();
        parts.is_empty() || Group::new(&task.limits).add(&block(0, 0, parts))
    })
}
