//! Packing events into the fewest runs, without multiplexing.
//!
//! All units (PMUs) count at once, so the runs needed are the most any unit needs, not their sum: each unit's items are
//! packed into groups, and the i-th groups of all units are run i. A bound per unit says how good that is, with a
//! certificate a reader can check, and [`validate`] checks a plan by other means than made it.
//!
//! 1. `block`: what no counter can count is sorted out, what must be together becomes a block.
//! 2. `across`: blocks that concern several units go first.
//! 3. `exact` and `flow`: with masks alone, and items taken alone, the fewest groups are known.
//! 4. `fill` and `improve`: with registers, conflicts, what halves the counters and blocks of several items, the best of several first fits, improved
//!    until it meets the bound or an effort that does not depend on the machine is spent. Equal problems give equal plans.
//! 5. `bound`: the most of what masks (Hall), registers, limits, conflicts and what is taken alone ask for.

mod across;
mod block;
mod bound;
mod certificate;
mod counters;
mod exact;
mod fill;
mod flow;
mod group;
mod improve;
mod one_run;
mod plan;
mod problem;
mod solve;
pub mod validate;

pub use certificate::{Argument, Certificate};
pub use one_run::{fill_one_run, fits_one_run};
pub use plan::{Placed, Plan, Reason, Run, UnitBound, UnitGroup, Unplaceable};
pub use problem::{Counter, InvalidProblem, Item, Pool, Problem, Unit, Use};

/// Packs all items that can be counted into few runs.
///
/// # Errors
/// A problem that refers to a unit, pool or item it does not have. An item that cannot be counted is none: it is in
/// [`Plan::unplaceable`].
pub fn pack(problem: &Problem) -> Result<Plan, InvalidProblem> {
    problem.check()?;
    let prepared = block::prepare(problem);
    let seeds = across::place(&prepared);
    let mut plan = Plan {
        runs: Vec::new(),
        units: Vec::new(),
        unplaceable: prepared.unplaceable.clone(),
        separated: prepared.separated.clone(),
    };
    for (unit, task) in prepared.tasks.iter().enumerate() {
        let certificate = bound::certificate(task);
        let lower_bound = certificate.runs();
        let seeds_here = seeds.groups.get(unit).map(Vec::as_slice).unwrap_or_default();
        let groups = solve::groups(task, seeds_here, &seeds.pinned, lower_bound);
        let used = || groups.iter().enumerate().filter(|(_, group)| !group.is_empty());
        plan.units.push(UnitBound {
            items: task.parts().count(),
            runs: used().count(),
            lower_bound,
            certificate,
        });
        for (run, group) in used() {
            if plan.runs.len() <= run {
                plan.runs.resize_with(run + 1, Run::default);
            }
            if let Some(run) = plan.runs.get_mut(run) {
                run.groups.push(group.placed(unit));
            }
        }
    }
    Ok(plan)
}

#[cfg(test)]
mod tests;
