//! Random problems of every constraint at once.

use proptest::collection::vec;
use proptest::prelude::*;

use super::oracle::{is_possible, optimum};
use super::*;

fn units() -> impl Strategy<Value = Vec<Unit>> {
    let pools = vec((0..=2_usize).prop_map(|instances| pool("pool", instances)), 0..3);
    let limit = prop_oneof![4 => Just(None), 1 => (0..4_usize).prop_map(Some)];
    let one = (0..16_u64, 0..4_u64, limit, pools).prop_map(|(general, fixed, limit, pools)| Unit {
        name: "unit".to_owned(),
        general,
        fixed,
        limit,
        pools,
    });
    vec(one, 1..3)
}

fn item(units: Vec<Unit>) -> impl Strategy<Value = Item> {
    let general = prop_oneof![Just(15), Just(1), Just(3), Just(12), 0..16_u64];
    let fixed = prop_oneof![5 => Just(0), 1 => 0..4_u64];
    let alone = prop_oneof![7 => Just(false), 1 => Just(true)];
    let halves = prop_oneof![7 => Just(false), 1 => Just(true)];
    let unlimited = prop_oneof![9 => Just(false), 1 => Just(true)];
    let uses = prop_oneof![1 => Just(Vec::new()), 1 => vec((0..3_usize, 0..3_u64), 1..3)];
    (0..units.len(), general, fixed, unlimited, (alone, halves), uses).prop_map(
        move |(unit, general, fixed, unlimited, (alone, halves), uses)| {
            let there = units[unit].pools.len();
            let uses = uses.into_iter().filter(|(pool, _)| *pool < there);
            let uses = uses.map(|(pool, value)| Use { pool, value }).collect();
            Item { name: "item".to_owned(), unit, general, fixed, unlimited, uses, alone, halves }
        },
    )
}

fn problem(most: usize) -> impl Strategy<Value = Problem> {
    units().prop_flat_map(move |units| {
        vec(item(units.clone()), 1..=most).prop_flat_map(move |items| {
            let count = items.len();
            let units = units.clone();
            let sets = (vec((0..count, 0..count), 0..=count / 2), vec(vec(0..count, 2..4), 0..=count / 3));
            sets.prop_map(move |(conflicts, together)| Problem {
                units: units.clone(),
                items: items.clone(),
                conflicts: conflicts.into_iter().filter(|(one, other)| one != other).collect(),
                together,
            })
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn the_optimum_lies_between_bound_and_plan(problem in problem(7)) {
        let plan = packed(&problem);
        let optimum = optimum(&problem, &plan);
        prop_assert!(plan.lower_bound() <= optimum, "{} > {optimum}", plan.lower_bound());
        prop_assert!(optimum <= plan.runs.len(), "{optimum} > {}", plan.runs.len());
    }

    /// A set that shares no item with others is separated only if no run can count it.
    #[test]
    fn nothing_is_separated_without_need(problem in problem(6)) {
        let mut problem = problem;
        problem.together.truncate(1);
        let plan = packed(&problem);
        let placeable = |item: &usize| !plan.unplaceable.iter().any(|one| one.item == *item);
        let set: Vec<usize> = problem.together.concat().into_iter().filter(placeable).collect();
        let mut set = set;
        set.sort_unstable();
        set.dedup();
        let fits = fits_one_run(&problem, &set).unwrap();
        prop_assert_eq!(plan.separated.is_empty(), fits);
        prop_assert_eq!(fits, is_possible(&problem, &set));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn plans_of_larger_problems_hold(problem in problem(60)) {
        let plan = packed(&problem);
        prop_assert!(plan.lower_bound() <= plan.runs.len());
        prop_assert_eq!(pack(&problem).unwrap(), plan, "equal problems, equal plans");
    }
}

/// 1,000 problems drawn from fixed numbers, of which all were solved and 976 proven when this was written; another
/// version of proptest may draw others.
#[test]
fn most_small_problems_are_solved_and_proven() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let strategy = problem(7);
    let (mut solved, mut proven) = (0, 0);
    for _ in 0..1000 {
        let problem = strategy.new_tree(&mut runner).unwrap().current();
        let plan = packed(&problem);
        let optimum = optimum(&problem, &plan);
        solved += usize::from(plan.runs.len() == optimum);
        proven += usize::from(plan.lower_bound() == optimum);
    }
    assert!(solved >= 990 && proven >= 940, "{solved} solved, {proven} proven");
}
