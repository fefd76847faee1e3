//! A disk that fills up in the middle of a run.

use waytrace_model::run::EndedBy;
use waytrace_store::{Store, StoreError};

use crate::fixture;
use crate::support::Mount;

#[test]
fn what_was_committed_before_the_disk_filled_is_readable() {
    let directory = tempfile::tempdir().unwrap();
    let Some(_mount) = Mount::tiny(directory.path(), 2048) else {
        eprintln!("SKIP: mounting needs root");
        return;
    };
    let path = directory.path().join("runs.db");
    let store = Store::open(Some(&path)).unwrap();
    let run = fixture::exact("full", 1);
    let mut writer = store.begin_run(&run.header, &run.events).unwrap();
    let mut stored = 0;
    let error = loop {
        assert!(stored < 100_000, "a 2 MiB disk never filled");
        match writer.append(&fixture::batch(stored)) {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    assert!(stored > 10, "only {stored} windows fitted");
    let finished = writer.finish(&run.epilogue);
    drop(store);

    let store = Store::open_existing(Some(&path)).unwrap();
    let report = store.report(store.find("full").unwrap()).unwrap();
    assert_eq!(report.run.windows, stored);
    assert_eq!(report.counters[0].value, Some(80_000_000 * stored));
    let expected = if finished.is_ok() { EndedBy::TargetExit } else { EndedBy::Unfinished };
    assert_eq!(report.run.ended_by, expected);
}

#[test]
fn a_run_that_cannot_begin_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let Some(_mount) = Mount::tiny(directory.path(), 4096) else {
        eprintln!("SKIP: mounting needs root");
        return;
    };
    let path = directory.path().join("runs.db");
    let store = Store::open(Some(&path)).unwrap();
    let filler = directory.path().join("filler");
    let _ = std::fs::write(&filler, vec![0; 8 << 20]);
    let mut header = fixture::header("big");
    header.target.cmdline = "x".repeat(200_000);
    let error = store.begin_run(&header, &[]).unwrap_err();
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
    std::fs::remove_file(&filler).unwrap();
    assert_eq!(store.runs(None).unwrap(), []);
    assert!(store.begin_run(&header, &[]).is_ok(), "works again once there is room");
}
