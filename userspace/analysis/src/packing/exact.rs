//! The fewest runs where masks, and what is taken alone, are all there is: what a flow sends to a counter goes to the
//! counter's runs one after another.

use super::block::{Block, Task};
use super::counters::GENERAL;
use super::flow::{Capacity, Demand};
use super::group::Group;

/// Groups as few as can be, or `None` where something else than masks limits them.
pub(super) fn groups(task: &Task) -> Option<Vec<Group<'_>>> {
    if !task.blocks.iter().all(|block| is_plain(block, task)) {
        return None;
    }
    let unlimited = |block: &&Block| block.parts.iter().any(|part| part.unlimited);
    let (free, limited): (Vec<&Block>, Vec<&Block>) = task.blocks.iter().partition(unlimited);
    let (alone, rest): (Vec<&Block>, Vec<&Block>) = limited.into_iter().partition(|block| block.alone());
    let demand = Demand::of(rest.iter().flat_map(|block| &block.parts).map(|part| part.counters));
    let (runs, _) = demand.fewest(alone.len());
    let sent = demand.send(Capacity { runs, alone: alone.len() }).ok()?;
    let mut groups: Vec<Group<'_>> = (0..runs).map(|_| Group::new(&task.limits)).collect();
    for (block, group) in alone.iter().zip(&mut groups) {
        group.add(block).then_some(())?;
    }
    // The next run of each counter.
    let mut next: Vec<usize> =
        (0..super::counters::BITS).map(|bit| if GENERAL >> bit & 1 == 1 { alone.len() } else { 0 }).collect();
    for (class, (mask, _)) in demand.classes().iter().enumerate() {
        let mut blocks = rest.iter().filter(|block| block.parts.iter().any(|part| part.counters == *mask));
        for (bit, items) in sent.of_class(class) {
            for block in blocks.by_ref().take(items) {
                let run = next.get_mut(usize::from(bit))?;
                groups.get_mut(*run)?.add(block).then_some(())?;
                *run += 1;
            }
        }
    }
    if groups.is_empty() && !free.is_empty() {
        groups.push(Group::new(&task.limits));
    }
    for block in free {
        groups.first_mut()?.add(block).then_some(())?;
    }
    Some(groups)
}

fn is_plain(block: &Block, task: &Task) -> bool {
    let [part] = block.parts.as_slice() else { return false };
    // What is unlimited takes its unit's whole limit, if there is one.
    let most = if part.unlimited { usize::MAX } else { task.limits.counters };
    part.uses.is_empty()
        && part.conflicts.is_empty()
        && part.abroad.is_empty()
        && !part.halves
        && task.limits.most >= most
        && (!part.alone || part.counters & GENERAL != 0 && !part.unlimited)
}
