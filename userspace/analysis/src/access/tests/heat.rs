//! What was counted in the kernel beside samples: which of the two is believed.

use waytrace_model::access_heat::HeatSums;
use waytrace_model::run::Window;

use super::*;

const INTERVAL_NS: u64 = 100;

fn sums(loads: u64, stores: u64, unknown: u64) -> HeatSums {
    HeatSums { loads, stores, unknown }
}

fn page(address: u64, sums: HeatSums) -> HeatCell {
    let region = Some(if address >= STACK_START { STACK } else { HEAP });
    HeatCell { tgid: 1, address, is_line: false, region, sums }
}

fn line(address: u64, sums: HeatSums) -> HeatCell {
    HeatCell { is_line: true, ..page(address, sums) }
}

fn counted(accesses: &[Access], all: HeatSums, cells: &[HeatCell]) -> AccessReport {
    let mut summary = Summary::default();
    accesses.iter().for_each(|access| summary.add(access));
    let window = HeatWindow { samples: 9, passed: 2, sums: all, ..HeatWindow::default() };
    summary.add_window(&window, INTERVAL_NS);
    cells.iter().for_each(|cell| summary.add_cell(cell));
    summary.finish(&totals(), &[], &[])
}

fn regions(report: &AccessReport) -> Vec<(&str, u64, u64, u64, u64)> {
    let numbers = |region: &waytrace_model::access_report::RegionReport| {
        (region.loads, region.stores, region.working_set.pages, region.working_set.lines)
    };
    report
        .regions
        .iter()
        .map(|region| (region.name.as_str(), numbers(region)))
        .map(|(name, (loads, stores, pages, lines))| (name, loads, stores, pages, lines))
        .collect()
}

#[test]
fn counts_take_the_place_of_samples() {
    let cells = [
        page(HEAP_START, sums(30, 5, 0)),
        page(HEAP_START + 4096, sums(0, 5, 0)),
        page(STACK_START, sums(60, 0, 0)),
        line(HEAP_START, sums(30, 5, 0)),
        line(HEAP_START + 4096, sums(0, 5, 0)),
        line(STACK_START, sums(20, 0, 0)),
        line(STACK_START + 64, sums(40, 0, 0)),
    ];
    let found = counted(&[load(HEAP_START), store(HEAP_START)], sums(90, 10, 0), &cells);
    assert_eq!((found.loads, found.stores), (90, 10));
    assert_eq!(found.working_set, WorkingSet { pages: 3, lines: 4 });
    assert_eq!(regions(&found), [("[stack]", 60, 0, 1, 2), ("[heap]", 30, 10, 2, 2)]);
    let own = found.aggregate.unwrap();
    assert_eq!((own.window_ns, own.samples, own.passed, own.counted), (100, 9, 2, 100));
    assert_eq!((own.pages, own.lines, own.unplaced, own.evicted), (3, 4, 0, 0));
    assert!((found.tiers.last().unwrap().access_ratio - 1.0).abs() < 1e-9, "{:?}", found.tiers);
}

#[test]
fn what_found_no_room_is_told_and_samples_say_where_it_was() {
    let cells = [page(HEAP_START, sums(30, 0, 0)), line(HEAP_START, sums(10, 0, 0))];
    let sampled = Access { weight: 50, ..load(STACK_START) };
    let found = counted(&[load(HEAP_START), sampled], sums(90, 10, 0), &cells);
    let own = found.aggregate.unwrap();
    assert_eq!((own.unplaced, own.evicted), (70, 90));
    // The sum is right; of mappings only samples know.
    assert_eq!((found.loads, found.stores), (90, 10));
    assert_eq!(regions(&found), [("[stack]", 50, 0, 1, 1), ("[heap]", 1, 0, 1, 1)]);
    assert_eq!(found.working_set, WorkingSet { pages: 2, lines: 2 });
}

#[test]
fn where_only_records_tell_the_direction_they_do() {
    let cells = [page(HEAP_START, sums(0, 0, 7)), line(HEAP_START + 64, sums(0, 0, 7))];
    let found = counted(&[Access { weight: 7, ..store(HEAP_START) }], sums(0, 0, 7), &cells);
    assert_eq!((found.loads, found.stores, found.aggregate.unwrap().unknown), (0, 7, 7));
    assert_eq!(regions(&found)[0], ("[heap]", 0, 7, 1, 1));
}

#[test]
fn nothing_counted_is_no_aggregate() {
    assert_eq!(report(&[load(HEAP_START)], &totals(), &[]).aggregate, None);
    let idle = counted(&[], sums(0, 0, 0), &[]);
    assert_eq!(idle.aggregate.map(|own| own.counted), Some(0));
}

#[test]
fn sums_saturate() {
    let cells = [page(HEAP_START, sums(u64::MAX, u64::MAX, 0)), page(HEAP_START, sums(u64::MAX, 1, 1))];
    let found = counted(&[], sums(u64::MAX, u64::MAX, 0), &cells);
    assert_eq!(found.aggregate.unwrap().counted, u64::MAX);
}

#[test]
fn windows_have_pages_whose_lines_are_not_known() {
    let window = |index: u64| Window { index, start_ns: 100 * index + 3, end_ns: 100 * index + 103 };
    let mut sets = Windows::new(&[window(0), window(1)], &totals().regions);
    sets.add(&Access { at_ns: 110, ..load(HEAP_START) });
    for cell in
        [page(HEAP_START, sums(1, 0, 0)), line(HEAP_START, sums(1, 0, 0)), page(STACK_START, sums(1, 0, 0))]
    {
        sets.add_cell(&cell, 150);
    }
    assert_eq!(sets.finish(), [WorkingSet::default(), WorkingSet { pages: 2, lines: 1 }]);
}
