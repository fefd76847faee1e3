//! What one unit counts in one run, while it is being filled. Counters are given out by augmenting paths (Kuhn's
//! bipartite matching): what is already in moves to other counters if that makes room.

use super::block::{Block, Limits, Part};
use super::counters::{Counters, FIXED, GENERAL, counter, general};
use super::plan::{Placed, UnitGroup};
use super::problem::Counter;

#[derive(Debug, Clone, Copy)]
struct Slot<'u> {
    /// `None` of what is unlimited.
    counter: Option<u8>,
    part: &'u Part,
}

impl Slot<'_> {
    fn set(&self) -> Counters {
        self.counter.map_or(0, |bit| 1 << bit)
    }
}

/// Blocks that fit one run, each item on a counter.
#[derive(Debug, Clone)]
pub(super) struct Group<'u> {
    limits: &'u Limits,
    blocks: Vec<&'u Block>,
    slots: Vec<Slot<'u>>,
    used: Counters,
    alone: bool,
    halved: bool,
}

impl<'u> Group<'u> {
    pub(super) fn new(limits: &'u Limits) -> Self {
        Self { limits, blocks: Vec::new(), slots: Vec::new(), used: 0, alone: false, halved: false }
    }

    pub(super) fn blocks(&self) -> &[&'u Block] {
        &self.blocks
    }

    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Takes the block in if it fits; else nothing changes.
    pub(super) fn add(&mut self, block: &'u Block) -> bool {
        let Some((slots, used)) = self.with(block) else { return false };
        self.slots = slots;
        self.used = used;
        self.alone |= block.alone();
        self.halved |= block.halves();
        self.blocks.push(block);
        true
    }

    pub(super) fn fits(&self, block: &'u Block) -> bool {
        self.with(block).is_some()
    }

    /// The counters in use with the block in.
    fn with(&self, block: &'u Block) -> Option<(Vec<Slot<'u>>, Counters)> {
        if !self.may_share(block) {
            return None;
        }
        let mut slots = self.slots.clone();
        let mut used = self.used;
        let restricted = self.alone || block.alone();
        for part in &block.parts {
            used |= assign(&mut slots, used, part, restricted, &mut 0)?;
        }
        let too_many = |used| general(used).count_ones() as usize > self.limits.half;
        if (self.halved || block.halves()) && too_many(used) {
            (slots, used) = sparing(&slots, restricted)?;
            if too_many(used) {
                return None;
            }
        }
        Some((slots, used))
    }

    /// Takes the block out, if it is in.
    pub(super) fn remove(&mut self, block: &Block) {
        self.blocks.retain(|one| one.id != block.id);
        self.slots.retain(|slot| !block.parts.iter().any(|part| part.item == slot.part.item));
        self.used = self.slots.iter().fold(0, |used, slot| used | slot.set());
        self.alone = self.slots.iter().any(|slot| slot.part.alone);
        self.halved = self.slots.iter().any(|slot| slot.part.halves);
    }

    /// All but the counters.
    fn may_share(&self, block: &Block) -> bool {
        let size = self.slots.len() + block.parts.len();
        let limited = block.parts.iter().filter(|part| !part.unlimited);
        size <= self.limits.most
            && self.used.count_ones() as usize + limited.count() <= self.limits.counters
            && (!block.alone()
                || self.is_empty() && block.parts.iter().filter(|part| part.alone).count() == 1)
            && block.parts.iter().all(|part| {
                let conflicts = |with: &Part| part.conflicts.binary_search(&with.item).is_ok();
                part.conflicts.is_empty()
                    || !self.slots.iter().any(|slot| conflicts(slot.part))
                        && !block.parts.iter().any(conflicts)
            })
            && self.has_registers(block)
    }

    fn has_registers(&self, block: &Block) -> bool {
        let added = || block.parts.iter().flat_map(|part| &part.uses);
        added().all(|one| {
            let there = self.slots.iter().flat_map(|slot| &slot.part.uses);
            let mut values: Vec<u64> = there
                .chain(added())
                .filter(|other| other.pool == one.pool)
                .map(|other| other.value)
                .collect();
            values.sort_unstable();
            values.dedup();
            self.limits.pools.get(one.pool).is_some_and(|instances| values.len() <= *instances)
        })
    }

    /// As part of a plan.
    pub(super) fn placed(&self, unit: usize) -> UnitGroup {
        let mut placed: Vec<Placed> = self
            .slots
            .iter()
            .map(|slot| Placed { item: slot.part.item, counter: slot.counter.map_or(Counter::Own, counter) })
            .collect();
        placed.sort_by_key(|placed| placed.item);
        UnitGroup { unit, placed }
    }
}

/// The same items on as few general counters as can be. The counters that matchings of ever more items cover are quotients of
/// matroids, whose greedy bases are nested: so it is enough that each item adds a fixed counter if it can add one at all.
fn sparing<'u>(slots: &[Slot<'u>], restricted: bool) -> Option<(Vec<Slot<'u>>, Counters)> {
    let (mut sparing, mut used) = (Vec::with_capacity(slots.len()), 0);
    for slot in slots {
        let fixed = assign(&mut sparing, used | GENERAL, slot.part, restricted, &mut 0);
        used |= fixed.or_else(|| assign(&mut sparing, used, slot.part, restricted, &mut 0))?;
    }
    Some((sparing, used))
}

/// Finds a counter for `part`, moving others if need be. Returns what is newly used, and leaves all as it was if there is none.
fn assign<'u>(
    slots: &mut Vec<Slot<'u>>,
    used: Counters,
    part: &'u Part,
    restricted: bool,
    visited: &mut Counters,
) -> Option<Counters> {
    if part.unlimited {
        slots.push(Slot { counter: None, part });
        return Some(0);
    }
    let allowed = match (restricted, part.alone) {
        (false, _) => part.counters,
        (true, false) => part.counters & FIXED,
        // The fixed counters are what is left for others.
        (true, true) if part.counters & GENERAL != 0 => part.counters & GENERAL,
        (true, true) => part.counters,
    };
    let free = allowed & !used;
    if free != 0 {
        // Fixed counters first, then high ones: most restrictions are to the low ones.
        let bit = (Counters::BITS - 1 - free.leading_zeros()) as u8;
        slots.push(Slot { counter: Some(bit), part });
        return Some(1 << bit);
    }
    for at in 0..slots.len() {
        let Some(slot) = slots.get(at).copied() else { continue };
        if allowed & !*visited & slot.set() == 0 {
            continue;
        }
        *visited |= slot.set();
        if let Some(slot) = slots.get_mut(at) {
            slot.part = part;
        }
        if let Some(taken) = assign(slots, used, slot.part, restricted, visited) {
            return Some(taken);
        }
        if let Some(back) = slots.get_mut(at) {
            back.part = slot.part;
        }
    }
    None
}
