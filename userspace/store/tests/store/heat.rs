//! Accesses counted in the kernel come with windows after theirs, in pieces, and add up.

use waytrace_model::access_heat::{HeatCell, HeatSums, HeatWindow};
use waytrace_model::access_report::WorkingSet;

use crate::fixture::accesses::HEAP_REGION;
use crate::fixture::{self, INTERVAL_NS};
use crate::support::{Place, record, record_without_end};

/// In the upper half of the address space, where no sample of the fixture falls.
const PAGE: u64 = 0xffff_ffff_0000_0000;

fn window(index: u64, stores: u64) -> HeatWindow {
    let sums = HeatSums { loads: 1, stores, unknown: 0 };
    let page = HeatCell { tgid: 7, address: PAGE, is_line: false, region: Some(HEAP_REGION), sums };
    let line = HeatCell { is_line: true, ..page };
    HeatWindow {
        start_ns: index * INTERVAL_NS,
        samples: 2,
        passed: 1,
        sums: HeatSums { loads: 1, stores: stores + 3, unknown: 0 },
        cells: vec![page, line],
    }
}

#[test]
fn pieces_of_a_window_add_up_and_are_reported() {
    let place = Place::new();
    let store = place.open();
    let mut run = fixture::exact("", 3);
    run.batches[1].heat = vec![window(0, 10)];
    run.batches[2].heat = vec![window(0, 20), window(2, 30)];
    let id = record(&store, &run);
    let detail = store.detail(id).unwrap();
    let report = detail.report.accesses.unwrap();
    let own = report.aggregate.unwrap();
    assert_eq!((own.window_ns, own.samples, own.passed), (INTERVAL_NS, 6, 3));
    assert_eq!((own.loads, own.stores, own.unknown, own.counted), (3, 69, 0, 72));
    assert_eq!((own.pages, own.lines, own.unplaced, own.evicted), (1, 1, 9, 9));
    assert_eq!((report.loads, report.stores), (3, 69));
    let connection = rusqlite::Connection::open(place.file()).unwrap();
    let mut statement = connection
        .prepare("SELECT start_ns, is_line, stores FROM access_heat ORDER BY start_ns, is_line")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let rows: Vec<(i64, bool, i64)> = rows.map(Result::unwrap).collect();
    let last_ns = 2 * INTERVAL_NS as i64;
    assert_eq!(rows, [(0, false, 30), (0, true, 30), (last_ns, false, 30), (last_ns, true, 30)]);
    // The window in between has only its samples.
    let without = store.detail(record(&store, &fixture::exact("", 3))).unwrap();
    assert_eq!(without.report.accesses.unwrap().aggregate, None);
    for (index, more) in [(0, 1), (1, 0), (2, 1)] {
        let [with, without] = [&detail.windows, &without.windows].map(|all| all[index].working_set.unwrap());
        let expected = WorkingSet { pages: without.pages + more, lines: without.lines + more };
        assert_eq!(with, expected, "window {index}");
    }
}

#[test]
fn a_killed_run_keeps_what_was_counted() {
    let place = Place::new();
    let store = place.open();
    let mut run = fixture::exact("cut", 3);
    run.batches[1].heat = vec![window(0, 10)];
    let id = record_without_end(&store, &run, 2);
    assert_eq!(store.report(id).unwrap().accesses.unwrap().aggregate.unwrap().stores, 13);
}
