//! Plans and certificates with something wrong: the validator must find it.

use super::*;

fn problem() -> Problem {
    let cpu = Unit { pools: vec![pool("msr", 1)], limit: Some(3), ..unit("cpu", 4, 1) };
    let msr = |value| Item { uses: vec![Use { pool: 0, value }], ..on(15) };
    let named = |name: &str, item: Item| Item { name: name.to_owned(), ..item };
    let all = vec![
        named("a", on(1)),
        named("b", on(15)),
        named("alone", Item { alone: true, ..on(15) }),
        named("one", msr(1)),
        named("two", msr(2)),
        named("fixed", Item { fixed: 1, ..on(0) }),
        named("none", on(0)),
    ];
    Problem {
        units: vec![cpu, unit("imc", 1, 0)],
        items: all,
        conflicts: vec![(0, 3)],
        together: vec![vec![0, 1]],
    }
}

/// What is done to a plan.
type Change<'c> = &'c dyn Fn(&mut Plan);

/// The faults of a plan in which `change` was made.
fn found(change: Change<'_>) -> String {
    let problem = problem();
    let mut plan = packed(&problem);
    change(&mut plan);
    validate::faults(&problem, &plan).join("\n")
}

/// Moves an item to the group of another, on a counter.
fn moved(plan: &mut Plan, item: usize, beside: usize, counter: Counter) {
    let holds = |group: &UnitGroup, item: usize| group.placed.iter().any(|placed| placed.item == item);
    let groups = || 0..plan.runs.len();
    let to = groups().find(|run| holds(&plan.runs[*run].groups[0], beside)).unwrap();
    for run in &mut plan.runs {
        run.groups[0].placed.retain(|placed| placed.item != item);
    }
    plan.runs[to].groups[0].placed.push(Placed { item, counter });
}

#[test]
fn every_broken_constraint_is_found() {
    let general = Counter::General;
    let cases: [(&str, Change<'_>); 18] = [
        ("a cannot be counted by General(1)", &|plan| moved(plan, 0, 1, general(1))),
        ("fixed cannot be counted by Fixed(1)", &|plan| moved(plan, 5, 1, Counter::Fixed(1))),
        ("b cannot be counted by General(200)", &|plan| moved(plan, 1, 0, general(200))),
        ("b cannot be counted by Own", &|plan| moved(plan, 1, 0, Counter::Own)),
        ("alone is taken alone, with b", &|plan| moved(plan, 1, 2, general(0))),
        ("values {1, 2} in pool 0 of cpu", &|plan| moved(plan, 3, 4, general(0))),
        ("items 0 and 3 conflict", &|plan| moved(plan, 0, 3, general(0))),
        ("set 0 is in several runs", &|plan| moved(plan, 1, 2, general(2))),
        ("4 items of cpu", &|plan| {
            let group = &mut plan.runs[0].groups[0].placed;
            group.resize(4, group[0]);
        }),
        (" is not of imc", &|plan| plan.runs[0].groups[0].unit = 1),
        ("a bound of 9, a proof of", &|plan| plan.units[0].lower_bound = 9),
        ("its certificate proves nothing", &|plan| plan.units[0].certificate.alone.push(0)),
        ("and says otherwise", &|plan| plan.units[0].runs += 1),
        ("General(0) counts twice", &|plan| moved(plan, 1, 0, general(0))),
        ("a is counted 0 times", &|plan| {
            plan.runs.iter_mut().for_each(|run| {
                run.groups[0].placed.retain(|placed| placed.item != 0);
            });
        }),
        ("none is counted 0 times", &|plan| plan.unplaceable.clear()),
        ("b is counted 1 times, and left out", &|plan| {
            plan.unplaceable.push(Unplaceable { item: 1, reason: Reason::NoCounter });
        }),
        ("two groups of one unit", &|plan| {
            let group = plan.runs[0].groups[0].clone();
            plan.runs[1].groups.push(group);
        }),
    ];
    for (expected, change) in cases {
        let faults = found(change);
        assert!(faults.contains(expected), "{expected}: {faults}");
    }
}

#[test]
fn every_unproven_bound_is_found() {
    let proven = |alone: &[usize], rest: Argument| {
        let problem = problem();
        validate::proves(
            &problem,
            &[],
            0,
            &Certificate { alone: alone.to_vec(), rest, ..Certificate::default() },
        )
    };
    let counters = |items: &[usize], general| Argument::Counters { items: items.to_vec(), general, fixed: 0 };
    let pool = |instances, values: &[(u64, usize)]| Argument::Pool {
        pool: 0,
        instances,
        values: values.iter().map(|(value, item)| (*value, counters(&[*item], 15))).collect(),
    };
    let apart = |blocks: &[&[usize]]| Argument::Apart(blocks.iter().map(|block| block.to_vec()).collect());
    assert_eq!(proven(&[2], counters(&[0, 1, 3, 4], 15)), Ok(2));
    assert_eq!(proven(&[2], pool(1, &[(1, 3), (2, 4)])), Ok(3));
    assert_eq!(proven(&[], apart(&[&[0, 1], &[3]])), Ok(2));
    assert_eq!(proven(&[], Argument::Limit { items: vec![0, 1, 3, 4], limit: 3 }), Ok(2));
    let lies = [
        ("b is not taken alone", proven(&[1], Argument::Nothing)),
        ("another counter can count b", proven(&[], counters(&[0, 1], 1))),
        ("counts twice", proven(&[], counters(&[0, 0], 1))),
        ("counts twice", proven(&[2], counters(&[2], 15))),
        ("is not of the unit", proven(&[], counters(&[99], 1))),
        ("no limit of 2", proven(&[], Argument::Limit { items: vec![0, 1, 3], limit: 2 })),
        ("no pool 0 of 0", proven(&[], pool(0, &[(1, 3)]))),
        ("one does not need 2", proven(&[], pool(1, &[(2, 3)]))),
        ("a value counts twice", proven(&[], pool(1, &[(1, 3), (1, 3)]))),
        ("can be in one run", proven(&[], apart(&[&[0], &[4]]))),
        ("need not be together", proven(&[], apart(&[&[0, 4], &[3]]))),
        (
            "fixed may be in a run of what is taken alone",
            proven(&[2], Argument::Limit { items: vec![5], limit: 3 }),
        ),
    ];
    for (expected, result) in lies {
        assert!(result.as_ref().is_err_and(|fault| fault.contains(expected)), "{expected}: {result:?}");
    }
}

#[test]
fn what_halves_the_counters_is_checked() {
    let halving = Item { name: "mem".to_owned(), halves: true, ..on(15) };
    let other = Item { name: "other".to_owned(), fixed: 1, ..on(15) };
    let items = vec![halving.clone(), halving, other.clone(), other];
    let problem = Problem { units: vec![unit("cpu", 4, 1)], items, ..Problem::default() };
    let mut plan = packed(&problem);
    let placed = (0..4).map(|item| Placed { item, counter: Counter::General(item as u8) }).collect();
    plan.runs = vec![Run { groups: vec![UnitGroup { unit: 0, placed }] }];
    let faults = validate::faults(&problem, &plan).join("\n");
    assert!(faults.contains("4 general counters of cpu count beside mem"), "{faults}");
    let proven = |halving: &[usize], half, rest: Argument| {
        let certificate = Certificate { halving: halving.to_vec(), half, rest, ..Certificate::default() };
        validate::proves(&problem, &[], 0, &certificate)
    };
    let counters = Argument::Counters { items: vec![0, 1], general: 15, fixed: 0 };
    assert_eq!(proven(&[0, 1], 2, counters.clone()), Ok(1));
    for (expected, result) in [
        ("other may be in a run that is not halved", proven(&[2], 2, counters.clone())),
        ("half of the counters is not 1", proven(&[0, 1], 1, counters)),
        ("beside what is no count", proven(&[0], 2, Argument::Nothing)),
    ] {
        assert!(result.as_ref().is_err_and(|fault| fault.contains(expected)), "{expected}: {result:?}");
    }
}

/// Two that are taken alone are one too many also where neither is on a general counter.
#[test]
fn two_taken_alone_are_found_on_fixed_counters() {
    let alone = Item { name: "alone".to_owned(), fixed: 3, alone: true, ..Item::default() };
    let problem = Problem { units: vec![unit("cpu", 4, 2)], items: vec![alone; 2], ..Problem::default() };
    let mut plan = packed(&problem);
    assert_eq!(plan.runs.len(), 2);
    let placed = (0..2).map(|item| Placed { item, counter: Counter::Fixed(item as u8) }).collect();
    plan.runs = vec![Run { groups: vec![UnitGroup { unit: 0, placed }] }];
    let faults = validate::faults(&problem, &plan).join("\n");
    assert!(faults.contains("alone is taken alone, with alone"), "{faults}");
}
