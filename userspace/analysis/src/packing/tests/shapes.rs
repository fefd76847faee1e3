//! Problems of the shape of real catalogues, by the counts of events per unit and mask.

use super::*;

/// Skylake-X: CHA, M3UPI and the core are the largest of its units.
#[test]
fn a_server_of_3700_events() {
    let of = |unit, count, general| items("e", count, &Item { unit, ..on(general) });
    let core = Unit { pools: vec![pool("offcore_rsp", 2)], ..unit("cpu", 4, 3) };
    let units = vec![core, unit("cha", 4, 0), unit("m3upi", 3, 0), unit("m2m", 4, 0), unit("iio", 4, 0)];
    let msr = |value| Item { uses: vec![Use { pool: 0, value }], name: format!("off.{value}"), ..on(15) };
    let all = [
        items("alone", 25, &Item { alone: true, ..on(15) }),
        (0..145).map(msr).collect(),
        items("core", 280, &on(15)),
        items("fixed", 4, &Item { fixed: 2, ..on(0) }),
        of(1, 1127, 15),
        of(1, 64, 1),
        of(2, 589, 7),
        of(2, 30, 1),
        of(3, 434, 15),
        of(4, 211, 15),
        of(4, 80, 3),
        of(4, 101, 12),
    ];
    let plan = packed(&Problem { units, items: all.concat(), ..Problem::default() });
    let runs: Vec<_> = plan.units.iter().map(|unit| (unit.runs, unit.lower_bound)).collect();
    assert_eq!(runs, [(132, 132), (298, 298), (207, 207), (109, 109), (98, 98)]);
    assert_eq!(plan.runs.len(), 298);
}

/// Broadwell client: more offcore events than pairs of MSRs can take beside the rest.
#[test]
fn a_client_of_404_offcore_events() {
    let cpu = Unit { pools: vec![pool("offcore_rsp", 2), pool("ldlat", 1)], ..unit("cpu", 4, 3) };
    let msr = |value| Item { uses: vec![Use { pool: 0, value }], name: format!("off.{value}"), ..on(15) };
    let latency = |value| Item { uses: vec![Use { pool: 1, value }], alone: true, ..on(8) };
    let all = [
        (0..404).map(msr).collect(),
        (0..8).map(latency).collect(),
        items("core", 300, &on(15)),
        items("two", 7, &on(4)),
        items("one", 1, &on(2)),
    ];
    let plan = packed(&Problem { units: vec![cpu], items: all.concat(), ..Problem::default() });
    assert_eq!((plan.runs.len(), plan.lower_bound()), (210, 210));
}

/// Filters, errata pairs and metric groups at once.
#[test]
fn filters_errata_and_groups_at_once() {
    let cbo = Unit { pools: vec![pool("state", 1), pool("opcode", 1)], ..unit("cbo", 4, 0) };
    let filtered = |pool, value, mask| Item { uses: vec![Use { pool, value }], ..on(mask) };
    let all = [
        items("state", 26, &filtered(0, 0x1f, 15)),
        (0..30).flat_map(|value| items("opcode", 1 + value % 3, &filtered(1, value as u64, 15))).collect(),
        items("low", 26, &on(1)),
        items("pair", 26, &on(3)),
        items("any", 60, &on(15)),
    ];
    let mut problem = Problem { units: vec![cbo], items: all.concat(), ..Problem::default() };
    problem.conflicts = (0..12).map(|at| (at, 120 + at)).collect();
    problem.together = (0..10).map(|set| vec![150 + 3 * set, 151 + 3 * set, 152 + 3 * set]).collect();
    let plan = packed(&problem);
    assert_eq!((plan.runs.len(), plan.lower_bound()), (50, 50));
}
