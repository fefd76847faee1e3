//! Sums as the kernel part leaves them, and what is made of them.

use super::*;

const START_NS: u64 = 7_000_000_000;
const INTERVAL_NS: u64 = 100_000_000;

fn key(window: u64, direction: u32, number: u64) -> HeatKey {
    HeatKey { tgid: 5, direction, window, number }
}

fn total(window: u64, cpu: u64, weights: [u64; 3], passed_weight: u64) -> (TotalKey, HeatTotal) {
    let (samples, passed) = (weights.iter().sum(), passed_weight);
    (TotalKey { window, cpu }, HeatTotal { weights, samples, passed, passed_weight, ..HeatTotal::default() })
}

#[test]
fn cpus_and_directions_of_a_window_are_put_together() {
    let taken = kernel::Heat {
        totals: vec![total(3, 0, [10, 5, 0], 15), total(3, 1, [0, 2, 4], 6), total(1, 0, [1, 0, 0], 1)],
        pages: vec![
            (key(3, direction::LOAD, 2), 10),
            (key(3, direction::STORE, 2), 7),
            (key(1, direction::LOAD, 2), 1),
        ],
        lines: vec![(key(3, direction::UNKNOWN, 129), 4)],
    };
    let mut heat = Heat::new(START_NS, INTERVAL_NS);
    heat.add(&taken, 4, |tgid, address| (tgid == 5 && address < 0x3000).then_some(9));
    let [first, second] = &heat.take()[..] else { panic!() };
    assert_eq!((first.start_ns, second.start_ns), (INTERVAL_NS, 3 * INTERVAL_NS));
    assert_eq!((second.samples, second.passed), (21, 21));
    assert_eq!(second.sums, HeatSums { loads: 10, stores: 7, unknown: 4 });
    let page = HeatCell {
        tgid: 5,
        address: 0x2000,
        is_line: false,
        region: Some(9),
        sums: HeatSums { loads: 10, stores: 7, unknown: 0 },
    };
    let line = HeatCell {
        address: 129 * 64,
        is_line: true,
        sums: HeatSums { unknown: 4, ..HeatSums::default() },
        ..page
    };
    assert_eq!(second.cells, [page, line]);
    assert_eq!((heat.samples, heat.weight, heat.taken_until_ns()), (22, 22, 4 * INTERVAL_NS));
    assert!(heat.take().is_empty());
}

#[test]
fn a_window_is_taken_once_and_only_when_it_is_over() {
    let mut heat = Heat::new(START_NS, INTERVAL_NS);
    assert_eq!(heat.complete(START_NS - 1), None);
    assert_eq!(heat.complete(START_NS + INTERVAL_NS), None, "programs may still run");
    assert_eq!(heat.complete(START_NS + INTERVAL_NS + GRACE_NS), Some(1));
    heat.add(&kernel::Heat::default(), 1, |_, _| None);
    assert_eq!(heat.complete(START_NS + INTERVAL_NS + GRACE_NS), None);
    assert_eq!(heat.complete(START_NS + 4 * INTERVAL_NS), Some(3));
}

#[test]
fn weights_of_what_was_handed_on_add_up_to_what_was_counted() {
    let taken = kernel::Heat {
        totals: vec![
            total(22, 0, [0, 10, 0], 10),
            total(0, 0, [0, 1000, 0], 7),
            total(0, 1, [0, 50, 0], 50),
            total(1, 0, [0, 90, 0], 0),
        ],
        ..kernel::Heat::default()
    };
    let mut heat = Heat::new(START_NS, INTERVAL_NS);
    heat.add(&taken, 23, |_, _| None);
    let weights: Vec<u64> = (0..7).map(|n| heat.weigh(n, Some(0), 1)).collect();
    assert_eq!(weights.iter().sum::<u64>(), 1000);
    assert!(weights.iter().all(|weight| (142..=143).contains(weight)), "{weights:?}");
    assert_eq!(heat.weigh(0, Some(1), 1), 1, "nothing was left out there");
    assert_eq!(heat.weigh(INTERVAL_NS, Some(0), 3), 3, "nothing was handed on");
    assert_eq!(heat.weigh(22 * INTERVAL_NS, Some(0), 10), 100, "it stands for the window before, too");
    assert_eq!(heat.weigh(9 * INTERVAL_NS, None, 3), 3, "nothing is known");
    assert_eq!(heat.weigh(0, Some(0), u64::MAX), u64::MAX);
}

#[test]
fn kernel_code_and_samples_without_address_are_told_apart() {
    let total = HeatTotal { in_kernel: 3, no_address: 2, other_weight: 5, ..HeatTotal::default() };
    let taken =
        kernel::Heat { totals: vec![(TotalKey { window: 0, cpu: 0 }, total)], ..kernel::Heat::default() };
    let mut heat = Heat::new(START_NS, INTERVAL_NS);
    heat.add(&taken, 1, |_, _| None);
    assert_eq!((heat.samples, heat.in_kernel, heat.no_address, heat.weight), (0, 3, 2, 5));
}
