//! What concerns several units: sets to keep together of which they count a part each, and conflicts between them. These
//! blocks come first and stay where they are put; what is left is each unit's own matter.

use std::collections::BTreeMap;

use super::block::{Block, Prepared};
use super::group::Group;
use super::improve::Pinned;

/// The first groups of each unit, run by run; empty where a unit has no part in a run.
#[derive(Debug, Default)]
pub(super) struct Seeds<'u> {
    /// By unit.
    pub(super) groups: Vec<Vec<Group<'u>>>,
    pub(super) pinned: Pinned,
}

/// One group per unit.
pub(super) type RunGroups<'u> = Vec<Group<'u>>;

/// First fit over whole runs, what has most items first.
pub(super) fn place(prepared: &Prepared) -> Seeds<'_> {
    let blocks: BTreeMap<usize, (usize, &Block)> = prepared
        .tasks
        .iter()
        .enumerate()
        .flat_map(|(unit, task)| task.blocks.iter().map(move |block| (block.id, (unit, block))))
        .collect();
    let mut entries: Vec<Vec<(usize, &Block)>> = prepared
        .across
        .iter()
        .map(|ids| ids.iter().filter_map(|id| blocks.get(id).copied()).collect())
        .collect();
    // What is taken alone cannot join a group, so it begins one.
    entries.sort_by_key(|entry: &Vec<(usize, &Block)>| {
        let alone = entry.iter().any(|(_, block)| block.alone());
        let items: usize = entry.iter().map(|(_, block)| block.parts.len()).sum();
        (!alone, usize::MAX - items, entry.first().map(|(_, block)| block.id))
    });
    let mut runs: Vec<RunGroups<'_>> = Vec::new();
    for entry in &entries {
        if !runs.iter_mut().any(|run| join(run, entry)) {
            let mut run = prepared.tasks.iter().map(|task| Group::new(&task.limits)).collect();
            join(&mut run, entry);
            runs.push(run);
        }
    }
    let pinned = prepared.across.iter().flatten().copied().collect();
    let of = |unit: usize| runs.iter().filter_map(|run| run.get(unit).cloned()).collect();
    Seeds { groups: (0..prepared.tasks.len()).map(of).collect(), pinned }
}

/// Puts all parts into the run, or none.
pub(super) fn join<'u>(run: &mut RunGroups<'u>, entry: &[(usize, &'u Block)]) -> bool {
    let there: Vec<usize> =
        run.iter().flat_map(Group::blocks).flat_map(|block| &block.parts).map(|part| part.item).collect();
    let conflicts = |item: &usize| there.contains(item);
    if entry.iter().flat_map(|(_, block)| &block.parts).any(|part| part.abroad.iter().any(conflicts)) {
        return false;
    }
    let mut trial = run.clone();
    let fits = entry.iter().all(|(unit, block)| trial.get_mut(*unit).is_some_and(|group| group.add(block)));
    if fits {
        *run = trial;
    }
    fits
}
