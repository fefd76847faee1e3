//! Accesses counted in the kernel: stores to watched words, of which the program says how many it made. They are counted to
//! the last one, however many of their records are left out.

use waytrace_model::access_report::AggregateReport;

use super::{Sample, accesses, samples, watched, weight};
use crate::golden;
use crate::harness::live::{self, Measured};
use crate::harness::workload::Start;
use crate::or_skip;

/// Has so many threads make so many rounds of stores to the words, `{first}` and `{second}` in the arguments.
fn stored(start: &Start, threads: u64, rounds: u64, args: &[&str]) -> (Measured, [u64; 2]) {
    let program = [threads, rounds].map(|number| number.to_string());
    let program = program.each_ref().map(String::as_str);
    let (measured, words) = watched(start, &program, "words ", &["first", "second"], args);
    (measured, words.try_into().unwrap())
}

fn aggregate(measured: &Measured) -> AggregateReport {
    accesses(&measured.report).aggregate.unwrap()
}

/// Sums of the stored pages, or lines, by window: start, address, loads, stores.
fn cells(measured: &Measured, is_line: bool) -> Vec<(u64, u64, u64, u64)> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = rusqlite::Connection::open_with_flags(measured.store.path(), flags).unwrap();
    let sql = "SELECT start_ns, address, loads, stores FROM access_heat WHERE is_line = ?1 ORDER BY start_ns, address";
    let mut statement = database.prepare(sql).unwrap();
    let number = |row: &rusqlite::Row<'_>, column| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let cell =
        |row: &rusqlite::Row<'_>| Ok((number(row, 0)?, number(row, 1)?, number(row, 2)?, number(row, 3)?));
    statement.query_map([is_line], cell).unwrap().map(Result::unwrap).collect()
}

#[test]
fn every_store_of_every_thread_is_counted_though_few_are_handed_on() {
    let _turn = or_skip!(live::turn());
    let start = or_skip!(Start::plain("access_watched.c"));
    let args = ["--write-event", "mem:{first}:w", "--period", "1", "--interval", "20ms"];
    let (measured, [first, _]) = stored(&start, 3, 20_000, &args);
    assert_eq!(golden::breaches(golden::ACCESSES, &measured.finished.json(), true), Vec::<String>::new());
    let (report, counted) = (accesses(&measured.report), aggregate(&measured));
    let truth = measured.truth.number("first");
    assert_eq!(truth, 60_000);
    assert_eq!((counted.counted, counted.stores, counted.samples), (truth, truth, truth), "{counted:?}");
    assert_eq!((report.stores, report.loads, report.samples, report.resolved), (truth, 0, truth, truth));
    assert_eq!((counted.pages, counted.lines, counted.unplaced, counted.evicted), (1, 1, 0, 0));
    assert_eq!(counted.window_ns, 20_000_000);
    let [region] = &report.regions[..] else { panic!("{:#?}", report.regions) };
    assert_eq!((region.stores, region.working_set.pages, region.working_set.lines), (truth, 1, 1));
    for (is_line, address) in [(false, first & !0xfff), (true, first & !0x3f)] {
        let cells = cells(&measured, is_line);
        assert!(cells.len() > 1 && cells.iter().all(|cell| cell.1 == address && cell.2 == 0), "{cells:?}");
        assert_eq!(cells.iter().map(|cell| cell.3).sum::<u64>(), truth);
    }
    // A trap takes some microseconds, and so many samples a second are handed on: many are not, whatever the machine.
    let samples = samples(&measured.store);
    assert_eq!(samples.len() as u64, counted.passed);
    println!("{} of {truth} handed on, {} ns per store", counted.passed, measured.truth.number("store_ns"));
    assert!(samples.iter().all(|sample: &Sample| sample.address == first && sample.is_store));
    // What is on the edge of two windows may weigh as the one before does.
    let weighed = weight(samples.iter());
    assert!((weighed - truth as f64).abs() <= 0.01 * truth as f64, "{weighed} of {truth}");
}

#[test]
fn two_words_are_told_apart_by_address_and_direction() {
    let _turn = or_skip!(live::turn());
    let start = or_skip!(Start::plain("access_watched.c"));
    let args = ["--read-event", "mem:{second}", "--write-event", "mem:{first}:w", "--period", "3"];
    let (measured, [first, second]) = stored(&start, 2, 3_000, &args);
    let (report, counted) = (accesses(&measured.report), aggregate(&measured));
    let (stores, loads) = (measured.truth.number("first"), measured.truth.number("second"));
    // A watch for reads takes stores along, and the program makes nothing else.
    assert_eq!((counted.stores, counted.loads, counted.unknown), (stores, loads, 0), "{counted:?}");
    assert_eq!((report.stores, report.loads), (stores, loads));
    assert_eq!((counted.pages, counted.lines), (2, 2));
    assert_eq!((report.working_set.pages, report.working_set.lines), (2, 2));
    let lines = cells(&measured, true);
    let of = |address: u64| {
        let own = lines.iter().filter(move |cell| cell.1 == address & !0x3f);
        own.fold((0, 0), |sum, cell| (sum.0 + cell.2, sum.1 + cell.3))
    };
    assert_eq!((of(first), of(second)), ((0, stores), (loads, 0)));
    // The events between two samples that are kept are still counted.
    assert!((samples(&measured.store).len() as u64) < counted.passed);
}
