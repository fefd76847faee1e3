//! Problems whose fewest runs are known.

use super::*;

fn one(unit: Unit, items: Vec<Item>) -> Problem {
    Problem { units: vec![unit], items, ..Problem::default() }
}

/// Checks that a problem takes so many runs, and that this is proven.
fn takes(problem: &Problem, runs: usize) -> Plan {
    let plan = packed(problem);
    assert_eq!((plan.runs.len(), plan.lower_bound()), (runs, runs), "{:?}", plan.units);
    plan
}

#[test]
fn nothing_takes_no_run() {
    takes(&Problem::default(), 0);
    takes(&one(unit("cpu", 4, 3), Vec::new()), 0);
}

#[test]
fn masks_are_packed_exactly() {
    // {0}: 3; {0,1}: 5; {2,3}: 2; any: 8. The first two are 8 on two counters, all are 18 on four.
    let mixed =
        [items("a", 3, &on(1)), items("b", 5, &on(3)), items("c", 2, &on(12)), items("d", 8, &on(15))];
    takes(&one(unit("cha", 4, 0), mixed.concat()), 5);
    // Without nesting: each of three pairs of counters is wanted by 4, and there are 12 on three counters.
    let pairs = [items("a", 4, &on(3)), items("b", 4, &on(6)), items("c", 4, &on(5))];
    takes(&one(unit("cha", 3, 0), pairs.concat()), 4);
}

#[test]
fn units_count_at_once() {
    let of = |unit: usize, count: usize| items("e", count, &Item { unit, general: 3, ..Item::default() });
    let units = vec![unit("cpu", 2, 0), unit("imc", 2, 0), unit("idle", 2, 0)];
    let plan = takes(&Problem { units, items: [of(0, 9), of(1, 4)].concat(), ..Problem::default() }, 5);
    let runs: Vec<_> = plan.units.iter().map(|unit| (unit.runs, unit.lower_bound)).collect();
    assert_eq!(runs, [(5, 5), (2, 2), (0, 0)]);
}

#[test]
fn what_is_taken_alone_leaves_the_fixed_counters_to_others() {
    let alone = Item { alone: true, ..on(15) };
    let either = Item { fixed: 1, ..on(15) };
    let mut all = [items("alone", 3, &alone), items("either", 3, &either)].concat();
    takes(&one(unit("cpu", 4, 1), all.clone()), 3);
    // A run more for what needs a general counter; and four at a time.
    all.extend(items("general", 5, &on(15)));
    takes(&one(unit("cpu", 4, 1), all), 5);
}

/// Four that halve four counters take two runs, whether by two or each beside another; the two counters these runs leave free
/// are 4 places lost of 4 per run.
#[test]
fn what_halves_the_counters_leaves_half_of_them_free() {
    let halving = Item { halves: true, ..on(15) };
    let with = |count: usize, others: Item| {
        let all = [items("mem", count, &halving), items("e", 8, &others)].concat();
        one(unit("cpu", 4, 1), all)
    };
    let problem = with(4, on(15));
    let explained = takes(&problem, 4).units[0].certificate.explain(&problem, 0, 1);
    assert_eq!(
        explained,
        "4 leave all but 2 general counters to the other thread, in 2 runs (mem.0, …); 12 need one of general counters 0-3 \
         (mem.0, …): at least 4 = ceil((12 + 2·2) / 4) runs"
    );
    // A fixed counter beside them is free: 3 with 2 counters each and the fixed one, 2 with 4 and it, for 5 and 8 items.
    takes(&with(5, Item { fixed: 1, ..on(15) }), 4);
    // What can be counted by a fixed counter moves there to make room.
    let either = Item { fixed: 1, ..on(15) };
    takes(&one(unit("cpu", 2, 1), vec![either, halving.clone()]), 1);
    takes(&one(unit("cpu", 2, 0), vec![on(3), halving.clone()]), 2);
    takes(&one(unit("cpu", 1, 0), vec![halving]), 1);
}

#[test]
fn what_has_a_counter_to_itself_takes_no_other() {
    let own = Item { unlimited: true, ..on(15) };
    let all = [items("own", 50, &own), items("e", 8, &on(15))].concat();
    takes(&one(unit("iio", 4, 0), all), 2);
    // Tracepoints need no counter; only how many can be open at once limits them.
    let tracepoint = Unit { limit: Some(20), ..Unit::default() };
    let problem = one(tracepoint, items("own", 50, &own));
    let explained = takes(&problem, 3).units[0].certificate.explain(&problem, 0, 1);
    assert_eq!(explained, "50 with at most 20 at once (own.0, …): at least 3 runs");
    takes(&one(unit("msr", 0, 0), items("own", 50, &own)), 1);
    let alone = Item { alone: true, ..on(15) };
    takes(&one(unit("cpu", 4, 0), [items("own", 2, &own), items("alone", 2, &alone)].concat()), 2);
}

#[test]
fn two_registers_take_two_values_at_once() {
    let msr = |value| Item { uses: vec![Use { pool: 0, value }], ..on(15) };
    let with = |values: &[u64]| {
        let cpu = Unit { pools: vec![pool("offcore_rsp", 2)], ..unit("cpu", 4, 0) };
        one(cpu, values.iter().map(|value| msr(*value)).collect())
    };
    takes(&with(&[1, 2, 3, 4, 5]), 3);
    takes(&with(&[1, 1, 1, 2]), 1);
    // Of five items with one value, four fit a run: that value takes two runs, four values take five in pairs.
    takes(&with(&[1, 1, 1, 1, 1, 2, 3, 4]), 3);
}

#[test]
fn filter_values_are_shared_where_they_are_equal() {
    let filter = |value, mask| Item { uses: vec![Use { pool: 0, value }], ..on(mask) };
    let cbo = Unit { pools: vec![pool("filter_state", 1)], ..unit("cbo", 4, 0) };
    let all = [items("a", 5, &filter(1, 15)), items("b", 3, &filter(2, 1)), items("c", 8, &on(15))];
    // Value 1 takes two runs, value 2 three for counter 0.
    takes(&one(cbo, all.concat()), 5);
}

#[test]
fn conflicts_keep_apart() {
    let mut problem = one(unit("cpu", 4, 0), items("e", 6, &on(15)));
    problem.conflicts = vec![(0, 1), (1, 2), (0, 2), (3, 0)];
    let plan = takes(&problem, 3);
    assert!(matches!(&plan.units[0].certificate.rest, Argument::Apart(blocks) if blocks.len() == 3));
}

#[test]
fn conflicts_reach_across_units() {
    let of = |unit| Item { unit, ..on(1) };
    let units = vec![unit("a", 1, 0), unit("b", 1, 0)];
    let items = vec![of(0), of(0), of(1), of(1)];
    let conflicts = vec![(0, 2), (0, 3)];
    // Item 0 has no partner in b: three runs.
    let plan = packed(&Problem { units, items, conflicts, ..Problem::default() });
    assert_eq!(plan.runs.len(), 3);
}

#[test]
fn what_belongs_together_is_counted_together() {
    let of = |unit| Item { unit, ..on(15) };
    let units = vec![unit("cpu", 4, 0), unit("imc", 4, 0)];
    let all = [items("cpu", 6, &of(0)), items("imc", 6, &of(1))].concat();
    let together = vec![vec![0, 1, 6], vec![2, 3, 4, 7, 8], vec![9, 5]];
    takes(&Problem { units, items: all, together, ..Problem::default() }, 2);
    // Three of four counters each: no two such sets share a run.
    let together = (0..3).map(|set| (set * 3..set * 3 + 3).collect()).collect();
    takes(&Problem { together, ..one(unit("cpu", 4, 0), items("e", 9, &on(15))) }, 3);
}

#[test]
fn a_set_too_large_for_a_run_is_separated() {
    let problem = one(unit("cpu", 2, 0), items("e", 6, &on(3)));
    let plan = takes(&Problem { together: vec![vec![0, 1], vec![2, 3, 4], vec![1, 0]], ..problem }, 3);
    assert_eq!(plan.separated, [1]);
}

#[test]
fn what_cannot_be_counted_has_a_reason() {
    let cpu = Unit { pools: vec![pool("msr", 1)], ..unit("cpu", 2, 1) };
    let uses = |values: &[u64]| values.iter().map(|value| Use { pool: 0, value: *value }).collect();
    let all = vec![
        on(0),
        Item { fixed: 2, ..on(4) },
        Item { uses: uses(&[1, 2]), ..on(3) },
        Item { uses: uses(&[1, 1]), ..on(3) },
        Item { fixed: 1, ..on(0) },
    ];
    let mut problem = one(cpu, all);
    problem.units.push(Unit { limit: Some(0), ..unit("off", 4, 0) });
    problem.items.push(Item { unit: 1, ..on(1) });
    let plan = takes(&problem, 1);
    let reasons: Vec<_> = plan.unplaceable.iter().map(|one| (one.item, one.reason)).collect();
    let expected = [
        (0, Reason::NoCounter),
        (1, Reason::NoCounter),
        (2, Reason::PoolTooSmall(0)),
        (5, Reason::NothingAllowed),
    ];
    assert_eq!(reasons, expected);
    let text = Reason::PoolTooSmall(0).explain(&problem, 2);
    assert_eq!(text, "it needs more values of msr than the 1 that cpu has");
}

#[test]
fn references_that_lead_nowhere_are_errors() {
    let good = one(unit("cpu", 4, 0), items("e", 2, &on(15)));
    let with = |change: &dyn Fn(&mut Problem)| {
        let mut problem = good.clone();
        change(&mut problem);
        pack(&problem).unwrap_err().to_string()
    };
    assert_eq!(
        with(&|problem| problem.items[1].unit = 1),
        "e.1 is of unit 1, which is not there: add the unit"
    );
    assert_eq!(
        with(&|problem| problem.items[0].uses.push(Use { pool: 3, value: 0 })),
        "e.0 needs pool 3, which its unit does not have: add the pool"
    );
    assert_eq!(
        with(&|problem| problem.conflicts.push((1, 1))),
        "item 1 conflicts with itself: leave the pair out"
    );
    assert!(with(&|problem| problem.conflicts.push((1, 2))).contains("not both are there"));
    assert!(with(&|problem| problem.together.push(vec![0, 9])).contains("has item 9"));
}

#[test]
fn certificates_can_be_read() {
    let msr = |value| Item { uses: vec![Use { pool: 0, value }], ..on(15) };
    let cpu = Unit { pools: vec![pool("offcore_rsp", 2)], ..unit("cpu", 4, 1) };
    let alone = items("alone", 2, &Item { alone: true, ..on(15) });
    let offcore: Vec<Item> = (0..7).flat_map(|value| items(&format!("off{value}"), 1, &msr(value))).collect();
    let problem = one(cpu, [alone, offcore].concat());
    let explain = |plan: &Plan| plan.units[0].certificate.explain(&problem, 0, 2);
    assert_eq!(
        explain(&takes(&problem, 6)),
        "2 are taken alone (alone.0, alone.1); 7 values of offcore_rsp, of which a run has 2, in 7 runs together, \
         ceil(7 / 2) (off0.0, off1.0, …): at least 6 = 2 + 4 runs"
    );
    let problem = one(unit("cha", 4, 0), [items("a", 7, &on(1)), items("b", 8, &on(14))].concat());
    assert_eq!(
        takes(&problem, 7).units[0].certificate.explain(&problem, 0, 1),
        "7 need one of general counters 0 (a.0, …): at least 7 runs"
    );
}

#[test]
fn a_run_keeps_its_place_where_another_unit_must_stay_apart_from_it() {
    // The first unit's item is in run 0, so what the second unit must keep apart from it is in run 1, beside its item that
    // needs no counter, and its only counter is free in run 0.
    let one = Unit { pools: vec![pool("register", 1)], ..unit("one", 3, 0) };
    let units = vec![one, unit("two", 1, 0)];
    let (alone, free) = (Item { alone: true, ..on(1) }, Item { unit: 1, unlimited: true, ..Item::default() });
    let counted = Item { unit: 1, ..on(1) };
    let items = vec![counted.clone(), alone, free, counted];
    let problem = Problem { units, items, conflicts: vec![(1, 0), (3, 2)], together: vec![] };
    assert_eq!(packed(&problem).runs.len(), 2);
}
