//! First fit: blocks one by one into the first group that takes them, the hard ones first.

use std::collections::BTreeMap;

use super::block::{Block, Limits};
use super::group::Group;
use crate::spread::Random;

/// Fills the groups, and opens new ones where none takes a block.
pub(super) fn first_fit<'u>(
    mut groups: Vec<Group<'u>>,
    order: &[&'u Block],
    limits: &'u Limits,
) -> Vec<Group<'u>> {
    // Groups only get fuller: what did not take a block takes none of its kind.
    let mut first: BTreeMap<usize, usize> = BTreeMap::new();
    for block in order {
        let from = first.entry(block.kind).or_default();
        let found = groups.iter_mut().skip(*from).position(|group| group.add(block));
        match found {
            Some(after) => *from += after,
            None => {
                *from = groups.len();
                let mut group = Group::new(limits);
                // What fits no empty group was sorted out before.
                group.add(block);
                groups.push(group);
            }
        }
    }
    groups
}

/// Ways to say what is hard. Each order is a full one, so that equal problems give equal plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Needs registers or conflicts, then few counters.
    Registers,
    /// Few counters, then registers.
    Counters,
    /// Values many items need first.
    Values,
    /// As the first, but what is equally hard in a random order.
    Shuffled(u64),
}

impl Order {
    /// The first to be tried, and then some more.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        [Self::Registers, Self::Counters, Self::Values].into_iter().chain((1..6).map(Self::Shuffled))
    }

    /// The blocks in this order.
    pub(super) fn sort<'u>(self, blocks: &[&'u Block]) -> Vec<&'u Block> {
        let mut order = blocks.to_vec();
        if let Self::Shuffled(seed) = self {
            Random::new(seed).shuffle(&mut order);
        }
        let sharing = sharing(blocks);
        order.sort_by_cached_key(|block| {
            let registers = block.parts.iter().map(|part| part.uses.len()).sum::<usize>();
            let conflicts = block.parts.iter().map(|part| part.conflicts.len()).sum::<usize>();
            let counters = block.parts.iter().map(|part| part.counters.count_ones()).min().unwrap_or(0);
            let shared = block.parts.iter().flat_map(|part| &part.uses).filter_map(|one| sharing.get(one));
            let shared = usize::MAX - shared.copied().max().unwrap_or(0);
            let first = (!block.alone(), !block.halves(), usize::MAX - block.parts.len());
            let rest = (block.parts.first().map(|part| &part.uses), block.kind, block.id);
            let hard = (usize::MAX - registers, usize::MAX - conflicts, counters as usize);
            match self {
                Self::Registers => (first, [hard.0, hard.1, hard.2], Some(rest)),
                Self::Counters => (first, [hard.2, hard.0, hard.1], Some(rest)),
                Self::Values => (first, [shared, hard.1, hard.2], Some(rest)),
                Self::Shuffled(_) => (first, [hard.0.min(hard.1), hard.2, 0], None),
            }
        });
        order
    }
}

/// How many items need each value.
fn sharing(blocks: &[&Block]) -> BTreeMap<super::Use, usize> {
    let mut sharing = BTreeMap::new();
    let uses = blocks.iter().flat_map(|block| &block.parts).flat_map(|part| &part.uses);
    uses.for_each(|one| *sharing.entry(*one).or_insert(0) += 1);
    sharing
}
