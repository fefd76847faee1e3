//! Working sets of windows.

use waytrace_model::run::Window;

use super::*;

fn windows() -> [Window; 3] {
    // The second ends late; between it and the third is a gap.
    [(0, 0, 100), (1, 100, 190), (2, 200, 300)].map(|(index, start_ns, end_ns)| Window {
        index,
        start_ns,
        end_ns,
    })
}

fn sets(accesses: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut sets = Windows::new(&windows(), &totals().regions);
    for (at_ns, address) in accesses {
        sets.add(&Access { at_ns: *at_ns, ..load(*address) });
    }
    sets.finish().into_iter().map(|set| (set.pages, set.lines)).collect()
}

#[test]
fn each_window_counts_its_own_whatever_the_order() {
    let page = |n: u64| HEAP_START + 4096 * n;
    let accesses =
        [(250, page(0)), (0, page(0)), (99, page(0) + 64), (100, page(0)), (150, page(0) + 4), (99, page(3))];
    assert_eq!(sets(&accesses), [(2, 3), (1, 1), (1, 1)]);
}

#[test]
fn a_window_begins_with_its_first_nanosecond() {
    assert_eq!(sets(&[(100, HEAP_START)]), [(0, 0), (1, 1), (0, 0)]);
    assert_eq!(sets(&[(99, HEAP_START)]), [(1, 1), (0, 0), (0, 0)]);
}

#[test]
fn an_address_in_two_processes_is_two() {
    let mut regions = totals().regions;
    regions[1].tgid = 2;
    let mut sets = Windows::new(&windows(), &regions);
    for region in [HEAP, STACK] {
        sets.add(&Access { region: Some(region), ..load(HEAP_START) });
    }
    assert_eq!(sets.finish()[0], WorkingSet { pages: 2, lines: 2 });
}

#[test]
fn gaps_and_what_lies_outside_belong_to_the_window_before() {
    assert_eq!(sets(&[(195, HEAP_START), (900, HEAP_START)]), [(0, 0), (1, 1), (1, 1)]);
    let mut late = Windows::new(&windows()[1..], &[]);
    late.add(&load(HEAP_START));
    assert_eq!(late.finish()[0].lines, 1, "what came before the first window");
    let mut none = Windows::new(&[], &[]);
    none.add(&load(HEAP_START));
    assert!(none.finish().is_empty());
}
