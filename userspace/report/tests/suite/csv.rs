//! The CSV table: stored text, sums, and rows that stay rows.

use waytrace_model::detail::RunDetail;
use waytrace_model::phase::{Phase, PhaseReading};
use waytrace_report::csv;

use crate::{accesses, fixture, text};

fn table(detail: &RunDetail) -> String {
    text(|out| csv::write(detail, out))
}

/// Fields of every row, by a parser of its own: quoted fields, doubled quotes.
fn rows(table: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut is_quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = table.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => row.push(std::mem::take(&mut field)),
            '\n' if !is_quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            other => field.push(other),
        }
    }
    rows
}

#[test]
fn three_windows() {
    insta::assert_snapshot!(table(&fixture::run(3, false)));
}

#[test]
fn sums_are_the_totals() {
    let detail = fixture::run(300, true);
    let rows = rows(&table(&detail));
    for counter in &detail.report.counters {
        let values =
            rows.iter().filter(|row| row[5] == counter.event).map(|row| row[7].parse::<u64>().unwrap());
        assert_eq!(Some(values.sum::<u64>()), counter.value, "{}", counter.event);
    }
}

#[test]
fn what_was_not_measured_has_no_row() {
    let detail = fixture::run(18, false);
    let rows = rows(&table(&detail));
    let of = |metric: &str| rows.iter().filter(|row| row[5] == metric).count();
    assert_eq!(of("probed_ratio"), 18);
    assert_eq!(of("alloc_bytes"), 16, "two windows of the fixture are not probed");
    assert_eq!(of("live_bytes"), 0, "budgeted mode does not know it");
    assert!(rows.iter().filter(|row| row[5] == "alloc_bytes").all(|row| row[8] == "true"));
}

#[test]
fn hostile_names_stay_in_their_field() {
    let rows = rows(&table(&fixture::hostile()));
    assert!(rows.iter().all(|row| row.len() == csv::COLUMNS.len()));
    assert!(rows.iter().any(|row| row[4] == fixture::HOSTILE && row[5] == fixture::HOSTILE));
}

#[test]
fn phases_follow_the_windows_in_rows_of_their_own() {
    let mut detail = fixture::run(2, true);
    let windows = rows(&table(&detail)).len();
    let tid = detail.report.target.threads[0].tid;
    let reading = PhaseReading { event: 0, value: 31, time_enabled_ns: 9, time_running_ns: 8 };
    detail.phases =
        vec![Phase { tid, index: 6, start_ns: 100, end_ns: 130, cpu_ns: 29, readings: vec![reading] }];
    let rows = rows(&table(&detail));
    assert!(rows[1..windows].iter().all(|row| !row[0].is_empty() && row[11].is_empty()));
    let comm = &detail.report.target.threads[0].comm;
    let (event, tid) = (&detail.events[0], tid.to_string());
    let unit = event.unit.as_str();
    let phases = [
        ["", "100", "130", &tid, comm, "cpu_ns", "ns", "29", "false", "", "", "6"],
        ["", "100", "130", &tid, comm, &event.name, unit, "31", "false", "9", "8", "6"],
    ];
    assert_eq!(rows[windows..], phases.map(|row| row.map(str::to_owned).to_vec()));
}

#[test]
fn an_empty_run_has_a_header_only() {
    assert_eq!(rows(&table(&fixture::empty())), [csv::COLUMNS.map(str::to_owned).to_vec()]);
}

#[test]
fn every_access_has_a_row() {
    let detail = accesses::with_accesses(fixture::run(300, true));
    let rows = rows(&text(|out| csv::accesses::write(&detail, accesses::accesses(&detail), out)));
    assert_eq!(rows[0], csv::accesses::COLUMNS.map(str::to_owned));
    assert_eq!(rows.len() as u64, accesses::COUNT + 1);
    let column = |name: &str| csv::accesses::COLUMNS.iter().position(|own| *own == name).unwrap();
    for (row, access) in rows[1..].iter().zip(accesses::accesses(&detail).flatten()) {
        assert_eq!(row[column("at_ns")], access.at_ns.to_string());
        assert_eq!(row[column("address")], format!("{:#x}", access.address));
        let region = detail.regions.iter().find(|own| Some(own.id) == access.region).unwrap();
        assert_eq!(row[column("region")], region.name);
        let site = detail.sites.iter().find(|own| Some(own.id) == access.block.map(|block| block.site));
        assert_eq!(row[column("block_site")], site.map(|own| own.frames[0].label()).unwrap_or_default());
        assert_eq!(row[column("latency_cycles")], "", "not known is empty");
    }
    let precise = text(|out| csv::accesses::write(&detail, accesses::precise(&detail).take(50), out));
    assert!(precise.contains(",load,1000,") && precise.contains(",40,L2,"), "{precise}");
}

#[test]
fn every_mapping_has_a_row() {
    let detail = accesses::with_accesses(fixture::run(300, true));
    let rows = rows(&text(|out| csv::regions::write(&detail, out)));
    assert_eq!(rows[0], csv::regions::COLUMNS.map(str::to_owned));
    let own = detail.report.accesses.as_ref().unwrap();
    let sum = |at: usize| rows[1..].iter().map(|row| row[at].parse::<u64>().unwrap()).sum::<u64>();
    assert_eq!((sum(4), sum(5)), (own.loads, own.stores));
    assert_eq!(rows[1][..3], ["[heap]", "4242", "0x558140000000"]);
}

#[test]
fn hostile_accesses_stay_in_their_row() {
    let detail = accesses::hostile(fixture::hostile());
    let written = rows(&text(|out| csv::accesses::write(&detail, accesses::accesses(&detail), out)));
    assert!(written.iter().all(|row| row.len() == csv::accesses::COLUMNS.len()));
    let written = rows(&text(|out| csv::regions::write(&detail, out)));
    assert!(written.iter().all(|row| row.len() == csv::regions::COLUMNS.len()));
    assert_eq!(written[1][0], fixture::HOSTILE);
}
