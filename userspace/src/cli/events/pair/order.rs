//! Which runs there are, and in which order: every pair in every configuration and each program alone, shuffled together.

use std::collections::BTreeSet;

use waytrace_analysis::spread::Random;
use waytrace_model::pairing::{PairPlan, PairProgram};

/// One run of a measured program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// In the whole order, from 0.
    pub position: u64,
    /// Name of the configuration.
    pub configuration: String,
    /// Name of the measured program.
    pub program: String,
    /// Name of the one beside it; `None`: alone.
    pub antagonist: Option<String>,
    /// Which of the repetitions, from 1.
    pub repetition: u32,
}

/// The order that `seed` gives, in the configurations that are not skipped: the same whenever a series goes on.
///
/// Pairs are numbered over all configurations; the plan's base and step choose among them, and a program runs alone on
/// each machine that measures it beside another.
pub fn of(plan: &PairPlan, is_skipped: impl Fn(&str) -> bool, seed: u64) -> Vec<Step> {
    let configurations = plan.configurations.iter().filter(|name| !is_skipped(name));
    let pairs = configurations.flat_map(|configuration| {
        plan.measured.iter().flat_map(move |program| {
            plan.antagonists.iter().map(move |antagonist| (configuration, program, antagonist))
        })
    });
    let is_ours =
        |index: u64| index.checked_sub(plan.base).is_some_and(|past| past.is_multiple_of(plan.step.max(1)));
    let ours: Vec<_> = (0..).zip(pairs).filter(|(index, _)| is_ours(*index)).map(|(_, pair)| pair).collect();
    let measured: BTreeSet<(&String, &String)> =
        ours.iter().map(|(configuration, program, _)| (*configuration, *program)).collect();
    let is_alone = |name: &str| plan.alone && find(plan, name).is_some_and(|program| program.alone);
    let alone = measured.into_iter().filter(|(_, program)| is_alone(program));
    let cells = alone.map(|(configuration, program)| (configuration, program, None));
    let cells = cells.chain(
        ours.into_iter()
            .map(|(configuration, program, antagonist)| (configuration, program, Some(antagonist))),
    );
    let mut steps: Vec<Step> = cells
        .flat_map(|(configuration, program, antagonist)| {
            (1..=plan.repeat).map(move |repetition| Step {
                position: 0,
                configuration: configuration.clone(),
                program: program.clone(),
                antagonist: antagonist.cloned(),
                repetition,
            })
        })
        .collect();
    Random::new(seed).shuffle(&mut steps);
    for (position, step) in (0..).zip(&mut steps) {
        step.position = position;
    }
    steps
}

/// The program of this name.
pub fn find<'p>(plan: &'p PairPlan, name: &str) -> Option<&'p PairProgram> {
    plan.programs.iter().find(|program| program.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(base: u64, step: u64) -> PairPlan {
        let program = |name: &str| PairProgram {
            name: name.to_owned(),
            binary: "true".to_owned(),
            arguments: Vec::new(),
            antagonist_arguments: Vec::new(),
            working_dir: "/".to_owned(),
            env: std::collections::BTreeMap::new(),
            alone: name != "c",
            openmp: false,
            parsec: false,
        };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        PairPlan {
            configurations: names(&["L1-SMT", "L3-cores", "Full-cores"]),
            programs: ["a", "b", "c"].map(program).to_vec(),
            measured: names(&["a", "b", "c"]),
            antagonists: names(&["a", "b"]),
            alone: true,
            repeat: 3,
            warmup_ns: 0,
            timeout: None,
            base,
            step,
        }
    }

    fn cells(plan: &PairPlan) -> BTreeSet<(String, String, Option<String>)> {
        let steps = of(plan, |name| name == "L1-SMT", 1);
        assert!((0..).zip(&steps).all(|(index, step)| step.position == index));
        let cells: BTreeSet<_> = steps
            .iter()
            .map(|one| (one.configuration.clone(), one.program.clone(), one.antagonist.clone()))
            .collect();
        assert_eq!(steps.len(), cells.len() * 3, "each as often as asked for");
        cells
    }

    /// Two configurations of three that can be done, three programs by two antagonists, and two of the programs alone.
    #[test]
    fn all_pairs_and_those_that_run_alone() {
        let cells = cells(&plan(0, 1));
        assert_eq!(cells.len(), 2 * (3 * 2 + 2));
        assert!(!cells.iter().any(|(_, program, beside)| program == "c" && beside.is_none()));
    }

    #[test]
    fn machines_share_the_pairs_and_lose_none() {
        let beside = |cells: BTreeSet<(String, String, Option<String>)>| -> BTreeSet<_> {
            cells.into_iter().filter(|cell| cell.2.is_some()).collect()
        };
        let (even, odd) = (cells(&plan(0, 2)), cells(&plan(1, 2)));
        assert!(even.iter().filter(|cell| cell.2.is_some()).all(|pair| even.contains(&(
            pair.0.clone(),
            pair.1.clone(),
            None
        )) || pair.1 == "c"));
        let (even, odd) = (beside(even), beside(odd));
        assert!(even.is_disjoint(&odd));
        assert_eq!(even.union(&odd).count(), beside(cells(&plan(0, 1))).len());
        assert_eq!(cells(&plan(12, 1)).len(), 0, "there are but twelve pairs");
    }

    #[test]
    fn the_seed_decides() {
        let plan = plan(0, 1);
        let order = |seed| of(&plan, |_| false, seed);
        assert_eq!(order(5), order(5));
        assert_ne!(order(5), order(6));
    }
}
