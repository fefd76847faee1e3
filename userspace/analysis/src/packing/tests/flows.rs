//! What masks alone decide is decided exactly, and not left to first fit.

use super::super::counters::{bits, mask};
use super::super::flow::{Capacity, Demand};
use super::super::{block, exact};
use super::*;

fn demand(masks: &[(u64, u64, usize)]) -> Demand {
    let all = masks.iter().flat_map(|(general, fixed, count)| vec![mask(*general, *fixed); *count]);
    Demand::of(all)
}

/// Fewest runs, and the counters that are short with one less.
fn fewest(masks: &[(u64, u64, usize)], alone: usize) -> (usize, Vec<u8>) {
    let (runs, short) = demand(masks).fewest(alone);
    (runs, short.into_iter().flat_map(|short| bits(short.counters)).collect())
}

#[test]
fn the_fewest_runs_and_what_is_short() {
    assert_eq!(fewest(&[], 0), (0, vec![]));
    assert_eq!(fewest(&[(1, 0, 3), (3, 0, 4), (12, 0, 1)], 0), (4, vec![0, 1]));
    assert_eq!(fewest(&[(1, 0, 9), (15, 0, 9)], 0), (9, vec![0]));
    // Beside two taken alone general counters have no room; fixed ones do.
    assert_eq!(fewest(&[(3, 0, 4)], 2), (4, vec![0, 1]));
    assert_eq!(fewest(&[(3, 1, 4), (0, 1, 1)], 2), (3, vec![0, 1, 64]));
    assert_eq!(fewest(&[(0, 1, 2)], 2), (2, vec![]));
}

/// The counters of items with mask {0, 1} have to make way twice over for those of {1, 2} and {2}.
#[test]
fn a_chain_of_counters_is_rearranged() {
    let demand = demand(&[(3, 0, 2), (6, 0, 2), (4, 0, 2)]);
    let sent = demand.send(Capacity { runs: 2, alone: 0 }).unwrap();
    let per_class: Vec<usize> =
        (0..3).map(|class| sent.of_class(class).map(|(_, items)| items).sum()).collect();
    assert_eq!(per_class, [2, 2, 2]);
    for bit in 0..3 {
        let load: usize =
            (0..3).flat_map(|class| sent.of_class(class)).filter(|one| one.0 == bit).map(|one| one.1).sum();
        assert_eq!(load, 2, "counter {bit}");
    }
    assert!(demand.send(Capacity { runs: 1, alone: 0 }).is_err());
}

#[test]
fn the_flow_becomes_groups() {
    let cpu = unit("cpu", 4, 1);
    let alone = Item { alone: true, ..on(15) };
    let either = Item { fixed: 1, ..on(8) };
    let own = Item { unlimited: true, ..Item::default() };
    let all = [
        items("alone", 3, &alone),
        items("low", 4, &on(3)),
        items("either", 9, &either),
        items("own", 2, &own),
    ];
    let mut problem = Problem { units: vec![cpu], items: all.concat(), ..Problem::default() };
    let groups = |problem: &Problem| {
        let prepared = block::prepare(problem);
        exact::groups(&prepared.tasks[0]).map(|groups| groups.len())
    };
    // In g runs nine have g fixed counters and g − 3 times counter 3: six runs.
    assert_eq!(groups(&problem), Some(6));
    problem.conflicts.push((0, 4));
    assert_eq!(groups(&problem), None, "conflicts are not its matter");
}
