//! Local improvement: a group is taken apart and its blocks are put into others, which give up blocks in turn that fit
//! elsewhere. What is often homeless is let go less readily (ejection search with penalties, after Nagata & Bräysy, Oper.
//! Res. Lett. 37, 2009, who empty vehicles' routes so).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::block::Block;
use super::group::Group;

/// Attempts to add a block that all improvement of a unit may take; an attempt takes some 200 ns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort(usize);

impl Effort {
    pub(super) fn new(attempts: usize) -> Self {
        Self(attempts)
    }

    pub(super) fn is_spent(self) -> bool {
        self.0 == 0
    }

    fn spend(&mut self, attempts: usize) {
        self.0 = self.0.saturating_sub(attempts);
    }
}

/// Blocks that stay where they are.
pub(super) type Pinned = BTreeSet<usize>;

/// Empties groups until `target` are left, nothing more can be done, or the effort is spent. The first `fixed` of them stay,
/// even if they hold nothing: other units' parts are in the same runs.
pub(super) fn improve<'u>(
    mut groups: Vec<Group<'u>>,
    fixed: usize,
    target: usize,
    pinned: &Pinned,
    effort: &mut Effort,
) -> Vec<Group<'u>> {
    while groups.len() > target && !effort.is_spent() {
        match without_one(&groups, fixed, pinned, effort) {
            Some(fewer) => groups = fewer,
            None => break,
        }
    }
    groups
}

fn without_one<'u>(
    groups: &[Group<'u>],
    fixed: usize,
    pinned: &Pinned,
    effort: &mut Effort,
) -> Option<Vec<Group<'u>>> {
    let may_go = |group: &Group<'_>| group.blocks().iter().all(|block| movable(block, pinned));
    let mut victims: Vec<(usize, usize)> = groups
        .iter()
        .enumerate()
        .skip(fixed)
        .filter(|(_, group)| may_go(group))
        .map(|(at, group)| (group.blocks().iter().map(|block| block.parts.len()).sum(), at))
        .collect();
    victims.sort_unstable();
    // Of a few that hold least: one of them may hold what fits elsewhere.
    victims.into_iter().take(4).find_map(|(_, victim)| {
        let mut rest = groups.to_vec();
        let homeless = rest.remove(victim).blocks().iter().copied().collect();
        let mut share = Effort(effort.0 / 4);
        let before = share.0;
        let found =
            Ejection { groups: rest, pinned, refused: BTreeMap::new(), turn: 0 }.house(homeless, &mut share);
        effort.spend((before - share.0).max(1));
        found
    })
}

fn movable(block: &Block, pinned: &Pinned) -> bool {
    !block.alone() && !pinned.contains(&block.id)
}

struct Ejection<'u, 'p> {
    groups: Vec<Group<'u>>,
    pinned: &'p Pinned,
    /// How often a block found no group.
    refused: BTreeMap<usize, usize>,
    /// Where the search for a group begins, so that equal choices are not always made in the same one.
    turn: usize,
}

impl<'u> Ejection<'u, '_> {
    /// All groups with the homeless in them, or `None` if the effort does not suffice.
    fn house(mut self, mut homeless: VecDeque<&'u Block>, effort: &mut Effort) -> Option<Vec<Group<'u>>> {
        while let Some(block) = homeless.pop_front() {
            if effort.is_spent() {
                return None;
            }
            effort.spend(self.groups.len());
            if self.groups.iter_mut().any(|group| group.add(block)) {
                continue;
            }
            *self.refused.entry(block.id).or_default() += 1;
            let (at, without) = self.choose(block, effort)?;
            let group = self.groups.get_mut(at)?;
            group.remove(without);
            if !group.add(block) {
                return None;
            }
            homeless.push_back(without);
        }
        Some(self.groups)
    }

    /// The group and the block to give up for `block`: one that fits elsewhere, else the one refused least often.
    fn choose(&mut self, block: &'u Block, effort: &mut Effort) -> Option<(usize, &'u Block)> {
        self.turn = self.turn.wrapping_add(7);
        let mut best: Option<(usize, usize, &'u Block)> = None;
        let count = self.groups.len();
        for at in (0..count).map(|step| (step + self.turn) % count.max(1)) {
            let Some(group) = self.groups.get(at) else { continue };
            for without in group.blocks().iter().copied().filter(|one| movable(one, self.pinned)) {
                if without.kind == block.kind || effort.is_spent() {
                    continue;
                }
                effort.spend(1);
                let mut trial = group.clone();
                trial.remove(without);
                if !trial.fits(block) {
                    continue;
                }
                let refused = self.refused.get(&without.id).copied().unwrap_or(0);
                if best.is_none_or(|(least, ..)| refused < least) {
                    best = Some((refused, at, without));
                }
                if refused == 0 {
                    let mut others = self.groups.iter().enumerate().filter(|(other, _)| *other != at);
                    effort.spend(count);
                    if others.any(|(_, group)| group.fits(without)) {
                        return Some((at, without));
                    }
                }
            }
        }
        best.map(|(_, at, without)| (at, without))
    }
}
