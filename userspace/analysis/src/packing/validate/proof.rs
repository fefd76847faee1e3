//! Checks a certificate: that what it says of items is so, and what follows from it.

use std::collections::BTreeSet;

use super::super::{Argument, Certificate, Item, Problem, Unit};

/// Fewest runs any plan needs for the unit, as far as the certificate proves it. Of the sets to keep together, the
/// `separated` ones, as places in [`Problem::together`], do not count.
///
/// # Errors
/// What it says that is not so.
pub fn proves(
    problem: &Problem,
    separated: &[usize],
    unit: usize,
    certificate: &Certificate,
) -> Result<usize, String> {
    let there = problem.units.get(unit).ok_or_else(|| format!("unit {unit} is not there"))?;
    let proof = Proof { problem, separated, unit, there };
    let alone = proof.items(&certificate.alone)?;
    if let Some(item) = alone.iter().find(|item| !item.alone) {
        return Err(format!("{} is not taken alone", item.name));
    }
    let count = alone.len();
    let halving = proof.items(&certificate.halving)?;
    if let Some(item) = halving.iter().find(|item| !item.halves || !proof.is_general(item)) {
        return Err(format!("{} may be in a run that is not halved", item.name));
    }
    if !halving.is_empty() && certificate.half != proof.half() {
        return Err(format!("half of the counters is not {}", certificate.half));
    }
    match &certificate.rest {
        Argument::Counters { items, general, fixed } => {
            if let Some(both) = items.iter().find(|item| certificate.alone.contains(item)) {
                return Err(format!("item {both} counts twice"));
            }
            proof.confined(items, *general, *fixed)?;
            let halved = if halving.is_empty() { 0 } else { divide(halving.len(), certificate.half)? };
            let general = general.count_ones() as usize;
            let beside = general.min(certificate.half);
            // The fewest runs in which the counters have places for all.
            let enough = |runs: &usize| {
                let places =
                    general * (runs - count - halved) + beside * halved + fixed.count_ones() as usize * runs;
                places >= items.len()
            };
            let least = count + halved;
            (least..=least + items.len()).find(enough).ok_or_else(|| "no number of runs is enough".to_owned())
        }
        _ if !halving.is_empty() => Err("halved runs beside what is no count of counters".to_owned()),
        rest => Ok(count + proof.runs(rest, count > 0)?),
    }
}

struct Proof<'p> {
    problem: &'p Problem,
    separated: &'p [usize],
    unit: usize,
    there: &'p Unit,
}

impl<'p> Proof<'p> {
    /// The items, which must be different and of the unit.
    fn items(&self, items: &[usize]) -> Result<Vec<&'p Item>, String> {
        if items.iter().collect::<BTreeSet<_>>().len() < items.len() {
            return Err("an item counts twice".to_owned());
        }
        let item = |at: &usize| self.problem.items.get(*at).filter(|item| item.unit == self.unit);
        items.iter().map(|at| item(at).ok_or_else(|| format!("item {at} is not of the unit"))).collect()
    }

    fn confined(&self, items: &[usize], general: u64, fixed: u64) -> Result<(), String> {
        let outside = |item: &&Item| {
            item.unlimited
                || item.general & self.there.general & !general != 0
                || item.fixed & self.there.fixed & !fixed != 0
        };
        match self.items(items)?.into_iter().find(outside) {
            Some(item) => Err(format!("another counter can count {}", item.name)),
            None => Ok(()),
        }
    }

    /// General counters of a run with an item that halves them.
    fn half(&self) -> usize {
        (self.there.general.count_ones() as usize).div_euclid(2).max(1)
    }

    /// Whether the item can be in no run of an item taken alone: such a run has room on fixed counters only.
    fn is_general(&self, item: &Item) -> bool {
        item.fixed & self.there.fixed == 0 && !item.alone && !item.unlimited
    }

    /// Runs an argument proves to be needed, beside those of what is taken alone if `beside`.
    fn runs(&self, argument: &Argument, beside: bool) -> Result<usize, String> {
        if !matches!(argument, Argument::Apart(_))
            && beside
            && let Some(item) = self.items_of(argument)?.iter().find(|item| !self.is_general(item))
        {
            return Err(format!("{} may be in a run of what is taken alone", item.name));
        }
        match argument {
            Argument::Nothing => Ok(0),
            Argument::Counters { items, general, fixed } => {
                self.confined(items, *general, *fixed)?;
                divide(items.len(), (general.count_ones() + fixed.count_ones()) as usize)
            }
            Argument::Limit { items, limit } => {
                if self.there.limit.is_none_or(|there| there > *limit) {
                    return Err(format!("no limit of {limit}"));
                }
                divide(self.items(items)?.len(), *limit)
            }
            Argument::Pool { pool, instances, values } => {
                if self.there.pools.get(*pool).is_none_or(|there| there.instances > *instances) {
                    return Err(format!("no pool {pool} of {instances}"));
                }
                if values.iter().map(|(value, _)| value).collect::<BTreeSet<_>>().len() < values.len() {
                    return Err("a value counts twice".to_owned());
                }
                let mut total = 0;
                for (value, why) in values {
                    let needs =
                        |item: &&Item| item.uses.iter().any(|one| (one.pool, one.value) == (*pool, *value));
                    if let Some(item) = self.items_of(why)?.into_iter().find(|item| !needs(item)) {
                        return Err(format!("{} does not need {value}", item.name));
                    }
                    total += self.runs(why, false)?;
                }
                divide(total, *instances)
            }
            Argument::Apart(blocks) => self.apart(blocks, beside),
        }
    }

    /// All an argument speaks of; an item that needs several values of a pool is there for each.
    fn items_of(&self, argument: &Argument) -> Result<Vec<&'p Item>, String> {
        match argument {
            Argument::Nothing => Ok(Vec::new()),
            Argument::Counters { items, .. } | Argument::Limit { items, .. } => self.items(items),
            Argument::Pool { values, .. } => values
                .iter()
                .map(|(_, why)| self.items_of(why))
                .collect::<Result<Vec<_>, _>>()
                .map(|all| all.concat()),
            Argument::Apart(blocks) => self.items(&blocks.concat()),
        }
    }

    fn apart(&self, blocks: &[Vec<usize>], beside: bool) -> Result<usize, String> {
        self.items(&blocks.concat())?;
        for (at, block) in blocks.iter().enumerate() {
            let items = self.items(block)?;
            if beside && !items.iter().any(|item| self.is_general(item)) {
                return Err(format!("{block:?} may be in a run of what is taken alone"));
            }
            if !self.is_kept_together(block) {
                return Err(format!("{block:?} need not be together"));
            }
            for other in blocks.iter().skip(at + 1) {
                let both: Vec<usize> = block.iter().chain(other).copied().collect();
                if self.can_share(&both)? {
                    return Err(format!("{block:?} and {other:?} can be in one run"));
                }
            }
        }
        Ok(blocks.len())
    }

    /// Whether sets to keep together join all these.
    fn is_kept_together(&self, block: &[usize]) -> bool {
        let mut joined: BTreeSet<usize> = block.first().copied().into_iter().collect();
        loop {
            let before = joined.len();
            let sets = self.problem.together.iter().enumerate();
            for (_, set) in sets.filter(|(at, _)| !self.separated.contains(at)) {
                if set.iter().any(|item| joined.contains(item)) {
                    joined.extend(set);
                }
            }
            if joined.len() == before {
                return block.iter().all(|item| joined.contains(item));
            }
        }
    }

    fn can_share(&self, both: &[usize]) -> Result<bool, String> {
        let items = self.items(both)?;
        let conflict = |(one, other): &(usize, usize)| both.contains(one) && both.contains(other);
        let too_many = |pool: usize, instances: usize| {
            let uses = items.iter().flat_map(|item| &item.uses).filter(|one| one.pool == pool);
            uses.map(|one| one.value).collect::<BTreeSet<_>>().len() > instances
        };
        Ok(!self.problem.conflicts.iter().any(conflict)
            && self.there.limit.is_none_or(|limit| items.len() <= limit)
            && !self.there.pools.iter().enumerate().any(|(pool, there)| too_many(pool, there.instances))
            && items.iter().filter(|item| item.alone).count() <= 1
            && self.have_counters(&items, (0, 0), items.iter().any(|item| item.halves)))
    }

    /// Tries all counters for the first item, then for the rest.
    fn have_counters(&self, items: &[&Item], used: (u64, u64), halved: bool) -> bool {
        let Some((first, rest)) = items.split_first() else {
            return !halved || used.0.count_ones() as usize <= self.half();
        };
        if first.unlimited {
            return self.have_counters(rest, used, halved);
        }
        let free = |mask: u64| (0..64).map(|bit| 1 << bit).filter(move |bit| mask & bit != 0);
        let (general, fixed) =
            (first.general & self.there.general & !used.0, first.fixed & self.there.fixed & !used.1);
        free(general).any(|bit| self.have_counters(rest, (used.0 | bit, used.1), halved))
            || free(fixed).any(|bit| self.have_counters(rest, (used.0, used.1 | bit), halved))
    }
}

fn divide(items: usize, by: usize) -> Result<usize, String> {
    if by == 0 { Err("nothing to share".to_owned()) } else { Ok(items.div_ceil(by)) }
}
