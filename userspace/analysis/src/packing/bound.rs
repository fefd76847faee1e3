//! The lower bound of a unit: the best of several arguments, each sound by itself.

use std::collections::{BTreeMap, BTreeSet};

use super::block::{Block, Part, Task};
use super::certificate::{Argument, Certificate};
use super::counters::{self, Counters};
use super::flow::Demand;
use super::group::Group;

/// Pools whose values are told apart within those of another pool.
const MOST_NESTED: usize = 3;
/// Blocks looked at for a set of which no two can be in one run, and places to begin such a set.
const MOST_CANDIDATES: usize = 250;
const MOST_STARTS: usize = 40;

/// The best proof found for a unit.
pub(super) fn certificate(task: &Task) -> Certificate {
    let (alone, rest): (Vec<&Part>, Vec<&Part>) = task.parts().partition(|part| part.alone);
    let general: Vec<&Part> = rest.iter().copied().filter(|part| part.is_general()).collect();
    let all: Vec<&Part> = task.parts().collect();
    let items: Vec<usize> = alone.iter().map(|part| part.item).collect();
    let with_alone = |rest: Argument| Certificate { alone: items.clone(), rest, ..Certificate::default() };
    let without = |rest: Argument| Certificate { rest, ..Certificate::default() };
    let halving: Vec<usize> = general.iter().filter(|part| part.halves).map(|part| part.item).collect();
    let halved = |rest: Argument| match rest {
        Argument::Counters { .. } => {
            Certificate { halving: halving.clone(), half: task.limits.half, ..with_alone(rest) }
        }
        rest => with_alone(rest),
    };
    let candidates = [
        with_alone(by_counters(&rest, alone.len())),
        with_alone(argument(task, &general, &[])),
        without(argument(task, &all, &[])),
        with_alone(apart(task, !alone.is_empty())),
        halved(by_counters(&rest, alone.len())),
        halved(on_all(&general)),
    ];
    // The first of equals: the simplest to check.
    candidates.into_iter().rev().max_by_key(Certificate::runs).unwrap_or_default()
}

fn items(parts: &[&Part]) -> Vec<usize> {
    parts.iter().map(|part| part.item).collect()
}

/// That all these need any of their counters, whether the set is the one that is short or not.
fn on_all(parts: &[&Part]) -> Argument {
    let counters = parts.iter().fold(0 as Counters, |all, part| all | part.counters);
    Argument::Counters {
        items: items(parts),
        general: counters::general(counters),
        fixed: counters::fixed(counters),
    }
}

/// Hall's bound beside what is taken alone.
fn by_counters(parts: &[&Part], alone: usize) -> Argument {
    let limited = parts.iter().filter(|part| !part.unlimited);
    let (_, short) = Demand::of(limited.map(|part| part.counters)).fewest(alone);
    let Some(short) = short else {
        // No counter is short: the runs of what is taken alone do for all, or one run does.
        let one = parts.first().filter(|_| alone == 0);
        return one.map_or(Argument::Nothing, |part| Argument::Apart(vec![vec![part.item]]));
    };
    let confined = |part: &&Part| !part.unlimited && part.counters & !short.counters == 0;
    let inside: Vec<&Part> = parts.iter().copied().filter(confined).collect();
    on_all(&inside)
}

/// The best argument for these parts where nothing is taken alone. `told` are pools whose values are alike in all of them.
fn argument(task: &Task, parts: &[&Part], told: &[usize]) -> Argument {
    let mut best = by_counters(parts, 0);
    if task.limits.most < usize::MAX {
        let limit = Argument::Limit { items: items(parts), limit: task.limits.most };
        if limit.runs() > best.runs() {
            best = limit;
        }
    }
    if told.len() >= MOST_NESTED {
        return best;
    }
    for (pool, instances) in task.limits.pools.iter().enumerate().filter(|(pool, _)| !told.contains(pool)) {
        let mut by_value: BTreeMap<u64, Vec<&Part>> = BTreeMap::new();
        for part in parts {
            for one in part.uses.iter().filter(|one| one.pool == pool) {
                by_value.entry(one.value).or_default().push(part);
            }
        }
        let told: Vec<usize> = told.iter().copied().chain([pool]).collect();
        let why = |(value, parts): (u64, Vec<&Part>)| (value, argument(task, &parts, &told));
        let values: Vec<(u64, Argument)> = by_value.into_iter().map(why).collect();
        let found = Argument::Pool { pool, instances: *instances, values };
        if found.runs() > best.runs() {
            best = found;
        }
    }
    best
}

/// A set of blocks of which no two can be in one run, found greedily from several places.
fn apart(task: &Task, beside_alone: bool) -> Argument {
    let single =
        |block: &&Block| block.parts.len() == 1 && block.parts.iter().all(|part| part.conflicts.is_empty());
    let usable =
        |block: &&Block| !block.alone() && (!beside_alone || block.parts.iter().any(Part::is_general));
    let mut candidates: Vec<&Block> =
        task.blocks.iter().filter(|block| !single(block)).filter(usable).take(MOST_CANDIDATES).collect();
    // With what is confined to few counters or values, a set can often be continued.
    let mut kinds = BTreeSet::new();
    let others = task.blocks.iter().filter(single).filter(usable).filter(|block| kinds.insert(block.kind));
    if !candidates.is_empty() {
        candidates.extend(others.take(MOST_CANDIDATES));
    }
    let partners = |(at, block): (usize, &&Block)| -> Vec<bool> {
        let alike = |(other_at, other): (usize, &&Block)| other_at != at && !can_share(task, block, other);
        candidates.iter().enumerate().map(alike).collect()
    };
    let separate: Vec<Vec<bool>> = candidates.iter().enumerate().map(partners).collect();
    let is_apart = |one: usize, other: usize| {
        separate.get(one).and_then(|row| row.get(other)).is_some_and(|apart| *apart)
    };
    let degree = |at: &usize| separate.get(*at).map_or(0, |row| row.iter().filter(|apart| **apart).count());
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_cached_key(|at| (usize::MAX - degree(at), *at));
    let from = |start: &usize| {
        let mut set = vec![*start];
        for next in &order {
            if set.iter().all(|one| is_apart(*one, *next)) {
                set.push(*next);
            }
        }
        set
    };
    let best = order.iter().take(MOST_STARTS).map(from).max_by_key(Vec::len).unwrap_or_default();
    let members =
        |at: &usize| candidates.get(*at).map(|block| block.parts.iter().map(|part| part.item).collect());
    Argument::Apart(best.iter().filter_map(members).collect())
}

fn can_share<'u>(task: &'u Task, one: &'u Block, other: &'u Block) -> bool {
    let mut group = Group::new(&task.limits);
    group.add(one) && group.add(other)
}
