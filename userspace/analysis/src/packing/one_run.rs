//! What fits one run: items taken in an order of preference, each with all it must be together with.

use std::collections::{BTreeMap, BTreeSet};

use super::across::{RunGroups, join};
use super::block::{Block, prepare};
use super::group::Group;
use super::{InvalidProblem, Problem, Run};

/// Whether one run can count all these items, places in [`Problem::items`].
///
/// # Errors
/// A problem that refers to what it does not have, or an item that is not there.
pub fn fits_one_run(problem: &Problem, items: &[usize]) -> Result<bool, InvalidProblem> {
    problem.check()?;
    let places: BTreeMap<usize, usize> =
        items.iter().copied().collect::<BTreeSet<_>>().into_iter().zip(0..).collect();
    let of = |item: &usize| {
        problem.items.get(*item).cloned().ok_or(InvalidProblem::Together { set: 0, item: *item })
    };
    let conflict = |(one, other): &(usize, usize)| Some((*places.get(one)?, *places.get(other)?));
    let only = Problem {
        units: problem.units.clone(),
        items: places.keys().map(of).collect::<Result<_, _>>()?,
        conflicts: problem.conflicts.iter().filter_map(conflict).collect(),
        together: vec![(0..places.len()).collect()],
    };
    let prepared = prepare(&only);
    Ok(prepared.unplaceable.is_empty() && prepared.separated.is_empty())
}

/// The run that is filled item by item, where an item that does not fit is passed over. Where masks are all that limits
/// it, no other choice has better first items: what matchings cover is a matroid (Edmonds & Fulkerson 1965).
///
/// `wanted` is called before each choice with what was taken so far, places in [`Problem::items`], and what did not fit, and
/// returns the item to try next; `None` ends. An item offered again is passed over.
///
/// # Errors
/// A problem that refers to what it does not have.
pub fn fill_one_run(
    problem: &Problem,
    mut wanted: impl FnMut(&[usize], &[usize]) -> Option<usize>,
) -> Result<Run, InvalidProblem> {
    problem.check()?;
    let prepared = prepare(problem);
    let blocks: BTreeMap<usize, (usize, &Block)> = prepared
        .tasks
        .iter()
        .enumerate()
        .flat_map(|(unit, task)| task.blocks.iter().map(move |block| (block.id, (unit, block))))
        .collect();
    // Blocks that stand alone, and those that go together.
    let mut entries: BTreeMap<usize, Vec<usize>> = blocks.keys().map(|id| (*id, vec![*id])).collect();
    for ids in &prepared.across {
        entries.extend(ids.iter().map(|id| (*id, ids.clone())));
    }
    let block_of: BTreeMap<usize, usize> =
        blocks.values().flat_map(|(_, block)| block.parts.iter().map(|part| (part.item, block.id))).collect();
    let mut groups: RunGroups<'_> = prepared.tasks.iter().map(|task| Group::new(&task.limits)).collect();
    let (mut taken, mut refused): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut offers = 0..problem.items.len();
    while let Some(item) = offers.next().and_then(|_| wanted(&taken, &refused)) {
        if taken.contains(&item) {
            continue;
        }
        let ids = block_of.get(&item).and_then(|id| entries.get(id));
        let entry: Vec<(usize, &Block)> =
            ids.into_iter().flatten().filter_map(|id| blocks.get(id).copied()).collect();
        if !entry.is_empty() && join(&mut groups, &entry) {
            let parts = entry.iter().flat_map(|(_, block)| &block.parts);
            taken.extend(parts.map(|part| part.item));
        } else {
            refused.push(item);
        }
    }
    let used = groups.iter().enumerate().filter(|(_, group)| !group.is_empty());
    Ok(Run { groups: used.map(|(unit, group)| group.placed(unit)).collect() })
}
