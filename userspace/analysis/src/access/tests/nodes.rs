//! Accesses across NUMA nodes, on machines of which everything is known.

use super::*;

fn node(id: u32, cpus: &[u32]) -> NumaNode {
    NumaNode { id, cpus: cpus.to_vec() }
}

fn on(cpu: Option<u32>, weight: u64, access: Access) -> Access {
    Access { cpu, weight, ..access }
}

/// The heap's node and the stack's.
fn homes(heap: Option<u32>, stack: Option<u32>) -> AccessTotals {
    let mut totals = totals();
    totals.regions[0].node = heap;
    totals.regions[1].node = stack;
    totals
}

/// Remote accesses of heap and stack, and the reason.
fn remote(
    accesses: &[Access],
    totals: &AccessTotals,
    nodes: &[NumaNode],
) -> ([Option<u64>; 2], Option<String>) {
    let mut summary = Summary::default();
    accesses.iter().for_each(|access| summary.add(access));
    let found = summary.finish(totals, &[], nodes);
    let of = |name: &str| found.regions.iter().find(|region| region.name == name).unwrap().remote;
    ([of("[heap]"), of("[stack]")], found.null_reason)
}

/// CPUs 0 and 1 are on node 0, 2 and 3 on node 1, and node 2 has memory only. The heap on node 1 has 10 of 17 from CPU 0;
/// of memory on node 2 every access is remote.
#[test]
fn an_access_is_remote_if_its_cpu_is_on_another_node_than_the_page() {
    let nodes = [node(0, &[0, 1]), node(1, &[2, 3]), node(2, &[])];
    let accesses = [
        on(Some(0), 10, load(HEAP_START)),
        on(Some(2), 4, load(HEAP_START + 64)),
        on(Some(3), 3, store(HEAP_START)),
        on(Some(1), 5, store(STACK_START)),
        on(Some(3), 6, load(STACK_START)),
    ];
    assert_eq!(remote(&accesses, &homes(Some(1), Some(0)), &nodes), ([Some(10), Some(6)], None));
    assert_eq!(remote(&accesses, &homes(Some(0), Some(2)), &nodes), ([Some(7), Some(11)], None));
    assert_eq!(remote(&[], &homes(Some(0), Some(1)), &nodes), ([Some(0), Some(0)], None));
}

/// Not even the node of the page needs to be known there, nor the CPU.
#[test]
fn with_one_node_nothing_is_remote() {
    let accesses = [on(Some(0), 1, load(HEAP_START)), on(None, 1, store(STACK_START))];
    assert_eq!(remote(&accesses, &homes(None, Some(0)), &[node(0, &[0, 1])]), ([Some(0), Some(0)], None));
}

#[test]
fn what_is_not_known_is_null_with_the_reason() {
    let nodes = [node(0, &[0]), node(1, &[1])];
    let accesses = [on(Some(1), 7, load(HEAP_START)), on(Some(1), 1, store(STACK_START))];
    let (found, reason) = remote(&accesses, &homes(Some(0), None), &nodes);
    assert_eq!(found, [Some(7), None]);
    assert!(reason.unwrap().contains("of 1 mapping"));
    // One sample without its CPU, or with one of no node, and the sum is none.
    for cpu in [None, Some(9)] {
        let accesses = [accesses[0].clone(), on(cpu, 1, load(HEAP_START))];
        let (found, reason) = remote(&accesses, &homes(Some(0), Some(0)), &nodes);
        assert_eq!((found, reason.is_some()), ([None, Some(0)], true), "{cpu:?}");
    }
    let (found, reason) = remote(&accesses, &homes(Some(0), Some(1)), &[]);
    assert_eq!(found, [None, None]);
    assert!(reason.unwrap().contains("which NUMA node a CPU belongs to"));
    let before = AccessTotals { null_reason: Some("gone".to_owned()), ..homes(Some(0), Some(1)) };
    let both = remote(&accesses, &before, &[]).1.unwrap();
    assert!(both.starts_with("gone; remote"), "{both}");
    assert_eq!(remote(&[], &before, &[]).1, Some("gone".to_owned()), "nothing is missing of nothing");
}
