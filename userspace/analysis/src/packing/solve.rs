//! The groups of one unit: exactly where masks are all there is, else the best of several first fits, each improved, until
//! one is as good as the bound.

use super::block::{Block, Task};
use super::exact;
use super::fill::{Order, first_fit};
use super::group::Group;
use super::improve::{Effort, Pinned, improve};

/// Attempts that may be spent on a unit that stays above its bound.
const EFFORT: usize = 400_000;

/// Few groups of all blocks; the first are the seeds with what was added to them. None is sought below `target`, which no
/// plan can beat.
pub(super) fn groups<'u>(
    task: &'u Task,
    seeds: &[Group<'u>],
    pinned: &Pinned,
    target: usize,
) -> Vec<Group<'u>> {
    if seeds.is_empty()
        && let Some(groups) = exact::groups(task)
    {
        return groups;
    }
    let target = target.max(seeds.len());
    let blocks: Vec<&Block> = task.blocks.iter().filter(|block| !pinned.contains(&block.id)).collect();
    let mut effort = Effort::new(EFFORT);
    let mut best: Option<Vec<Group<'u>>> = None;
    for order in Order::all() {
        let filled = first_fit(seeds.to_vec(), &order.sort(&blocks), &task.limits);
        if best.as_ref().is_none_or(|best| filled.len() < best.len()) {
            best = Some(filled);
        }
        if best.as_ref().is_some_and(|best| best.len() <= target) {
            break;
        }
    }
    improve(best.unwrap_or_default(), seeds.len(), target, pinned, &mut effort)
}
