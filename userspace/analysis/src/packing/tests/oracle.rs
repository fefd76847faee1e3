//! The true optimum of small problems, by trying every way to divide the items into runs, and every counter.

use super::*;

/// Fewest runs for all items but the unplaceable, keeping together what is not `separated`.
pub fn optimum(problem: &Problem, plan: &Plan) -> usize {
    let left_out = |item: &usize| plan.unplaceable.iter().any(|one| one.item == *item);
    let items: Vec<usize> = (0..problem.items.len()).filter(|item| !left_out(item)).collect();
    let mut best = items.len();
    divide(problem, plan, &items, &mut Vec::new(), &mut best);
    best
}

fn divide(problem: &Problem, plan: &Plan, left: &[usize], runs: &mut Vec<Vec<usize>>, best: &mut usize) {
    let Some((item, left)) = left.split_first() else {
        let kept = problem.together.iter().enumerate().filter(|(set, _)| !plan.separated.contains(set));
        let whole = |set: &Vec<usize>| {
            runs.iter().filter(|run| run.iter().any(|item| set.contains(item))).count() <= 1
        };
        if runs.len() < *best && kept.map(|(_, set)| set).all(whole) {
            *best = runs.len();
        }
        return;
    };
    for run in 0..=runs.len() {
        if run == runs.len() {
            if run + 1 >= *best {
                continue;
            }
            runs.push(Vec::new());
        }
        runs[run].push(*item);
        if is_possible(problem, &runs[run]) {
            divide(problem, plan, left, runs, best);
        }
        runs[run].pop();
        if runs[run].is_empty() {
            runs.pop();
        }
    }
}

/// Whether one run can count these items.
pub fn is_possible(problem: &Problem, run: &[usize]) -> bool {
    let conflict = |(one, other): &(usize, usize)| run.contains(one) && run.contains(other);
    !problem.conflicts.iter().any(conflict)
        && problem.units.iter().enumerate().all(|(at, unit)| {
            let items: Vec<&Item> =
                run.iter().map(|item| &problem.items[*item]).filter(|item| item.unit == at).collect();
            unit.limit.is_none_or(|limit| items.len() <= limit)
                && (0..unit.pools.len()).all(|pool| {
                    let mut values: Vec<u64> = items
                        .iter()
                        .flat_map(|item| &item.uses)
                        .filter(|one| one.pool == pool)
                        .map(|one| one.value)
                        .collect();
                    values.sort_unstable();
                    values.dedup();
                    values.len() <= unit.pools[pool].instances
                })
                && count(unit, &items, &mut Vec::new())
        })
}

/// Tries every counter for every item.
fn count(unit: &Unit, items: &[&Item], taken: &mut Vec<Counter>) -> bool {
    if taken.len() == items.len() {
        let alone = items.iter().position(|item| item.alone);
        let general = taken.iter().filter(|counter| matches!(counter, Counter::General(_))).count();
        if items.iter().any(|item| item.halves) && general > unit.half() {
            return false;
        }
        return alone.is_none_or(|alone| {
            (0..items.len())
                .filter(|other| *other != alone)
                .all(|other| !items[other].alone && !matches!(taken[other], Counter::General(_)))
        });
    }
    let item = items[taken.len()];
    if item.unlimited {
        taken.push(Counter::Own);
        let found = count(unit, items, taken);
        taken.pop();
        return found;
    }
    let set = |mask: u64| (0..64).filter(move |bit| mask >> bit & 1 == 1);
    let general = set(item.general & unit.general).map(Counter::General);
    let all: Vec<Counter> = general.chain(set(item.fixed & unit.fixed).map(Counter::Fixed)).collect();
    all.into_iter().any(|counter| {
        if taken.contains(&counter) {
            return false;
        }
        taken.push(counter);
        let found = count(unit, items, taken);
        taken.pop();
        found
    })
}
