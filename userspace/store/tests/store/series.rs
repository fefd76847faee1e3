//! Series of repetitions.

use std::time::Duration;

use waytrace_model::bench::{Matrix, Repetition, RepetitionEnd, SeriesHeader};
use waytrace_store::{PruneRule, RunId, Store, StoreError};

use crate::fixture;
use crate::support::{Place, record};

fn header(name: &str, started_at_unix_ns: u64) -> SeriesHeader {
    let matrix = r#"{"repeat": 2, "seed": 9, "workload": [{"name": "w", "command": ["true"], "env": {"A": "b"}}],
        "mode": [{"name": "dry", "profile": false, "cpus": "0"},
                 {"name": "far", "collect": ["allocations"], "freq": 300.5, "memory_policy": "interleave",
                  "frequency": {"khz": 5}}]}"#;
    let matrix: Matrix = serde_json::from_str(matrix).unwrap();
    SeriesHeader {
        name: name.to_owned(),
        started_at_unix_ns,
        command: "waytrace bench w.toml".to_owned(),
        seed: 9,
        matrix,
        skipped: [("far".to_owned(), "one node".to_owned())].into(),
    }
}

fn repetition(position: u64, run_id: Option<i64>) -> Repetition {
    Repetition {
        workload: "w".to_owned(),
        mode: "dry".to_owned(),
        repetition: 1,
        position,
        run_id,
        started_at_unix_ns: 77,
        wall_ns: 4,
        user_ns: 3,
        system_ns: 2,
        max_rss_bytes: run_id.map(|_| 1),
        ended_by: RepetitionEnd::Timeout,
        exit_code: 137,
        problem: Some("slow".to_owned()),
    }
}

#[test]
fn what_goes_in_comes_out() {
    let place = Place::new();
    let store = place.open();
    let run = record(&store, &fixture::exact("", 2)).0;
    let id = store.begin_series(&header("s", 5)).unwrap();
    store.begin_series(&header("t", 6)).unwrap();
    let rows = [repetition(0, None), repetition(3, Some(run))];
    // Out of order, as a resumed series adds them.
    for row in rows.iter().rev() {
        store.add_repetition(id, row).unwrap();
    }
    let series = store.series("s").unwrap();
    assert_eq!((series.id, series.header, series.repetitions.as_slice()), (id, header("s", 5), &rows[..]));
    assert_eq!(store.series("last").unwrap().header.name, "t");
    assert!(store.add_repetition(id, &rows[0]).is_err(), "a position is taken once");
    store.add_repetition(id, &repetition(4, Some(99))).unwrap();
    assert_eq!(store.series("s").unwrap().repetitions[2].run_id, None, "its run was deleted meanwhile");
}

#[test]
fn mistakes_name_the_series() {
    let place = Place::new();
    let store = place.open();
    let error = store.series("s").unwrap_err();
    assert!(error.to_string().contains("waytrace bench"), "{error}");
    store.begin_series(&header("s", 5)).unwrap();
    let error = store.begin_series(&header("s", 5)).unwrap_err();
    assert!(matches!(&error, StoreError::SeriesTaken { name, .. } if name == "s"), "{error}");
    assert!(matches!(store.begin_series(&header("last", 5)), Err(StoreError::BadName { .. })));
    let error = store.series("u").unwrap_err();
    assert!(error.to_string().contains("there are: s"), "{error}");
}

fn run_ids(store: &Store) -> Vec<Option<i64>> {
    store.series("s").unwrap().repetitions.iter().map(|one| one.run_id).collect()
}

#[test]
fn figures_outlive_runs_and_series_go_by_age_after_their_runs() {
    let place = Place::new();
    let mut store = place.open();
    let mut run = fixture::exact("", 2);
    run.header.started_at_unix_ns = 1000;
    let runs = [record(&store, &run), record(&store, &run)];
    let id = store.begin_series(&header("s", 900)).unwrap();
    for (position, run) in runs.iter().enumerate() {
        store.add_repetition(id, &repetition(position as u64, Some(run.0))).unwrap();
    }
    let named = |run: RunId| PruneRule { runs: vec![run], ..PruneRule::default() };
    assert!(store.prune(&named(runs[0]), 2000).unwrap().series.is_empty());
    assert_eq!(run_ids(&store), [None, Some(runs[1].0)]);
    // Old enough by itself, but the newest run is kept.
    let older = |ns| PruneRule { older_than: Some(Duration::from_nanos(ns)), ..PruneRule::default() };
    let keep = PruneRule { keep: Some(1), ..older(10) };
    assert!(store.prune(&keep, 2000).unwrap().series.is_empty());
    let dry = store.prune(&PruneRule { dry_run: true, ..older(10) }, u64::MAX).unwrap();
    assert_eq!((dry.series, run_ids(&store).len()), (vec!["s".to_owned()], 2));
    store.prune(&named(runs[1]), 2000).unwrap();
    assert_eq!(run_ids(&store), [None, None]);
    assert!(store.prune(&older(1200), 2000).unwrap().series.is_empty(), "too young");
    assert_eq!(store.prune(&older(1000), 2000).unwrap().series, ["s"]);
    assert!(matches!(store.series("s"), Err(StoreError::NoSuchSeries { .. })));
}
