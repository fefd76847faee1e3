//! Retention.

use std::time::Duration;

use waytrace_store::{PruneRule, RunId, Store};

use crate::fixture;
use crate::support::{Place, record, record_named};

const DAY: Duration = Duration::from_secs(86_400);
const STARTED: u64 = 1_700_000_000_000_000_000;

/// Runs 1 to `count`, each a day younger than the one before; the newest started a day before `NOW`.
fn daily(store: &Store, count: u64) -> u64 {
    for day in 0..count {
        let mut run = fixture::exact(&format!("day{day}"), 2);
        run.header.started_at_unix_ns = STARTED + day * DAY.as_nanos() as u64;
        record(store, &run);
    }
    STARTED + count * DAY.as_nanos() as u64
}

fn left(store: &Store) -> Vec<i64> {
    store.runs(None).unwrap().iter().map(|row| row.id.0).collect()
}

#[test]
fn rules_say_what_stays() {
    let all = PruneRule::default;
    let cases = [
        (all(), vec![5, 4, 3, 2, 1]),
        (PruneRule { older_than: Some(3 * DAY), ..all() }, vec![5, 4]),
        (PruneRule { keep: Some(3), ..all() }, vec![5, 4, 3]),
        (PruneRule { older_than: Some(2 * DAY), keep: Some(3), ..all() }, vec![5, 4, 3]),
        (PruneRule { older_than: Some(4 * DAY), keep: Some(1), ..all() }, vec![5, 4, 3]),
        (PruneRule { runs: vec![RunId(2), RunId(77)], ..all() }, vec![5, 4, 3, 1]),
        (PruneRule { runs: vec![RunId(5)], keep: Some(2), ..all() }, vec![4]),
        (PruneRule { max_bytes: Some(0), keep: Some(2), ..all() }, vec![5, 4]),
        (PruneRule { max_bytes: Some(0), ..all() }, vec![5]),
        (PruneRule { max_bytes: Some(u64::MAX), ..all() }, vec![5, 4, 3, 2, 1]),
    ];
    for (rule, expected) in cases {
        let place = Place::new();
        let mut store = place.open();
        let now = daily(&store, 5);
        let dry = store.prune(&PruneRule { dry_run: true, ..rule.clone() }, now).unwrap();
        assert_eq!(left(&store), [5, 4, 3, 2, 1], "dry run of {rule:?}");
        let pruned = store.prune(&rule, now).unwrap();
        assert_eq!(left(&store), expected, "{rule:?}");
        assert_eq!(pruned.runs, dry.runs, "{rule:?}");
        assert_eq!(pruned.runs.len(), 5 - expected.len());
    }
}

#[test]
fn the_file_shrinks_and_nothing_of_a_deleted_run_stays() {
    let place = Place::new();
    let mut store = place.open();
    record_named(&store, &["small"]);
    record(&store, &fixture::exact("large", 2000));
    let size = || std::fs::metadata(place.file()).unwrap().len();
    let rule = PruneRule { keep: Some(0), ..PruneRule::default() };
    let before_kept = left(&store).len();
    let pruned = store.prune(&PruneRule { runs: vec![RunId(2)], ..PruneRule::default() }, 0).unwrap();
    assert!(pruned.freed_bytes > 500_000, "freed {}", pruned.freed_bytes);
    assert!(size() < 400_000, "{} bytes left of {before_kept} runs", size());
    store.prune(&rule, u64::MAX).unwrap();
    let connection = rusqlite::Connection::open(place.file()).unwrap();
    let mut tables = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .unwrap();
    let names: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(names.len() >= 23, "{names:?}");
    for name in names {
        let rows: i64 =
            connection.query_row(&format!("SELECT count(*) FROM \"{name}\""), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{name}");
    }
}

#[test]
fn max_bytes_deletes_the_oldest_until_the_rest_fits() {
    let place = Place::new();
    let mut store = place.open();
    for name in ["a", "b", "c"] {
        record(&store, &fixture::exact(name, 2000));
    }
    let connection = rusqlite::Connection::open(place.file()).unwrap();
    let pages: u64 =
        connection.pragma_query_value(None, "page_count", |row| row.get::<_, u32>(0)).unwrap().into();
    let full = pages * 4096;
    let rule = PruneRule { max_bytes: Some(full * 3 / 4), ..PruneRule::default() };
    store.prune(&rule, u64::MAX).unwrap();
    assert_eq!(left(&store), [3, 2]);
}

#[test]
fn a_run_being_recorded_goes_only_by_name_and_ids_are_not_used_again() {
    let place = Place::new();
    let mut store = place.open();
    let header = fixture::header("live");
    let mut writer = store.begin_run(&header, &[]).unwrap();
    writer.append(&fixture::batch(0)).unwrap();
    let soon = header.started_at_unix_ns + 2 * fixture::INTERVAL_NS;
    let everything = PruneRule { keep: Some(0), max_bytes: Some(0), ..PruneRule::default() };
    assert!(store.prune(&everything, soon).unwrap().runs.is_empty());
    let later = soon + Duration::from_secs(60).as_nanos() as u64;
    assert_eq!(store.prune(&everything, later).unwrap().runs.len(), 1, "no sign of life for a minute");
    assert_eq!(record_named(&store, &["next"]), [RunId(2)]);
}
