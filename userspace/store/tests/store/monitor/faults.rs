//! Locked, full, damaged, removed, and watched by others meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use waytrace_store::{MonitorWriter, Retention, Store, StoreError};

use super::*;
use crate::support::Mount;

#[test]
fn a_locked_database_is_an_error_and_the_window_can_be_written_later() {
    let place = Place::new();
    let mut writer = begin(&place);
    writer.append(&window(0)).unwrap();
    let holder = Connection::open(place.file()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    for _ in 0..2 {
        let error = writer.append(&window(1)).unwrap_err();
        assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    }
    holder.execute_batch("ROLLBACK").unwrap();
    writer.append(&window(1)).unwrap();
    assert_eq!(place.open().target_history("db", START, START + HOUR).unwrap().windows, 2);
}

#[test]
fn a_second_monitor_is_refused() {
    let place = Place::new();
    let first = begin(&place);
    let error = begun(&place).unwrap_err();
    assert!(matches!(error, StoreError::Monitored { .. }), "{error}");
    drop(first);
    assert!(begun(&place).is_ok());
}

#[test]
fn a_full_disk_keeps_what_was_there_and_goes_on_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let Some(_mount) = Mount::tiny(directory.path(), 16_384) else {
        eprintln!("SKIP: mounting needs root");
        return;
    };
    let path = directory.path().join("runs.db");
    let mut writer = MonitorWriter::begin(&path, &session(START)).unwrap();
    for index in 0..20 {
        writer.append(&window(index)).unwrap();
    }
    let filler = directory.path().join("filler");
    let _ = std::fs::write(&filler, vec![0; 32 << 20]);
    let mut stored = 20;
    let error = loop {
        match writer.append(&window(stored)) {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 10_000, "a full disk never was");
    };
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
    std::fs::remove_file(&filler).unwrap();
    for index in stored..stored + 20 {
        writer.append(&window(index)).unwrap();
    }
    tend(&mut writer, &Retention::default());
    let store = Store::open_existing(Some(&path)).unwrap();
    let history = store.target_history("db", START, START + 24 * HOUR).unwrap();
    assert_eq!((history.windows, history.gaps.len()), (stored + 20, 1), "{:?}", history.gaps);
}

#[test]
fn damage_and_removal_are_noticed() {
    let place = Place::new();
    let mut writer = begin(&place);
    for index in 0..10 {
        writer.append(&window(index)).unwrap();
    }
    writer.check().unwrap();
    std::fs::rename(place.file(), place.file().with_extension("elsewhere")).unwrap();
    assert!(matches!(writer.check(), Err(StoreError::Absent { .. })));
    // Another database in its place is not the one that is written.
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", place.file().display()));
    }
    drop(place.open());
    assert!(matches!(writer.check(), Err(StoreError::Absent { .. })));
    drop(writer);

    let place = Place::new();
    let mut writer = begin(&place);
    for index in 0..100 {
        writer.append(&window(index)).unwrap();
    }
    Connection::open(place.file())
        .unwrap()
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    let mut bytes = std::fs::read(place.file()).unwrap();
    bytes[100..].fill(0xa5);
    std::fs::write(place.file(), bytes).unwrap();
    let error = writer.check().unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(waytrace_store::is_ours(&place.file()));
    let error = begun_after(&place, writer).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

fn begun_after(place: &Place, writer: MonitorWriter) -> Result<MonitorWriter, StoreError> {
    drop(writer);
    begun(place)
}

#[test]
fn readers_see_whole_windows_while_a_monitor_writes() {
    let place = Place::new();
    let mut writer = begin(&place);
    writer.append(&window(0)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for index in 1..400 {
                writer.append(&window(index)).unwrap();
                writer.tend(&Retention { max_bytes: 200_000, ..Retention::default() }).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        let mut looks = 0;
        while !done.load(Ordering::Acquire) || looks == 0 {
            let reader = Store::open_existing(Some(&place.file())).unwrap();
            let history = reader.target_history("db", START, START + 24 * HOUR).unwrap();
            let cpu = history.metrics.iter().find(|one| one.metric == Metric::Cpu).unwrap();
            assert_eq!(cpu.total, Some(history.windows as f64 * 2e9));
            looks += 1;
        }
    });
}
