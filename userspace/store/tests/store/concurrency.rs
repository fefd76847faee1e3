//! Several waytraces on one file.

use std::sync::atomic::{AtomicBool, Ordering};

use waytrace_store::{Store, StoreError};

use crate::fixture;
use crate::support::{Place, record, record_named};

#[test]
fn readers_see_whole_windows_while_a_run_is_written() {
    let place = Place::new();
    let store = place.open();
    let run = fixture::exact("live", 200);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            record(&store_at(&place), &run);
            done.store(true, Ordering::Release);
        });
        let mut looks = 0;
        while !done.load(Ordering::Acquire) || looks == 0 {
            let reader = Store::open_existing(Some(&place.file())).unwrap();
            if let Ok(id) = reader.find("live") {
                let report = reader.report(id).unwrap();
                let windows = report.run.windows;
                assert_eq!(report.counters[0].value.unwrap_or(0), windows * 80_000_000);
                looks += 1;
            }
        }
    });
    assert_eq!(store.run(store.find("live").unwrap()).unwrap().windows, 200);
}

fn store_at(place: &Place) -> Store {
    Store::open(Some(&place.file())).unwrap()
}

#[test]
fn many_can_make_the_database_and_record_at_once() {
    for _ in 0..5 {
        let place = Place::new();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| record(&store_at(&place), &fixture::exact("", 3)));
            }
        });
        let rows = place.open().runs(None).unwrap();
        let mut names: Vec<_> = rows.iter().map(|row| row.name.clone()).collect();
        names.sort();
        assert_eq!(names, (1..=8).map(|n| format!("server-{n}")).collect::<Vec<_>>());
        assert!(rows.iter().all(|row| row.windows == 3 && row.alloc_count == Some(300.0)));
    }
}

#[test]
fn a_writer_whose_run_is_deleted_is_told() {
    let place = Place::new();
    let mut store = place.open();
    record_named(&store, &["other"]);
    let run = fixture::exact("gone", 2);
    let mut writer = store.begin_run(&run.header, &run.events).unwrap();
    writer.append(&run.batches[0]).unwrap();
    let rule = waytrace_store::PruneRule { runs: vec![writer.id()], ..Default::default() };
    assert_eq!(store.prune(&rule, 0).unwrap().runs.len(), 1);
    let error = writer.append(&run.batches[1]).unwrap_err();
    assert!(matches!(error, StoreError::RunGone { run: 2, .. }), "{error}");
    assert!(matches!(writer.finish(&run.epilogue), Err(StoreError::RunGone { .. })));
    assert_eq!(store.runs(None).unwrap().len(), 1);
}
