//! A history that cannot be written: windows wait, a metric says so, and nothing is missing when it can be again.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::{ANY_COST, Monitor, stored};
use crate::harness::disk::SmallDisk;
use crate::harness::live;
use crate::harness::waytrace::Store;
use crate::harness::workload::{Start, Workload};
use crate::or_skip;

fn watch(workload: &Workload, db: &Path) -> Monitor {
    let (pid, db) = (workload.pid().to_string(), db.to_str().unwrap());
    let args = ["--pid", &pid, "--window", "200ms", "--listen", "127.0.0.1:0", "--db", db];
    Monitor::start(&[&args[..], &ANY_COST].concat())
}

/// It says that it is in trouble, and goes on.
fn await_trouble(monitor: &mut Monitor) {
    monitor.await_metric("waytrace_history_up", |up| up == 0.0);
    monitor.await_metric("waytrace_history_waiting_windows", |waiting| waiting >= 3.0);
    monitor.await_windows(2);
}

/// It is over, with nothing given up.
fn await_recovery(monitor: &Monitor) {
    monitor.await_metric("waytrace_history_up", |up| up == 1.0);
    monitor.await_metric("waytrace_history_waiting_windows", |waiting| waiting <= 1.0);
    assert_eq!(monitor.metric("waytrace_history_dropped_windows_total"), Some(0.0));
    assert_eq!(monitor.metric("waytrace_alerts_active"), Some(0.0));
}

#[test]
fn a_full_disk_is_waited_for() {
    let _turn = or_skip!(live::turn());
    let disk = or_skip!(SmallDisk::new("4m"));
    let workload = or_skip!(Start::plain("faults.c")).spawn();
    let db = disk.path().join("history.db");
    let mut monitor = watch(&workload, &db);
    monitor.await_windows(3);
    disk.fill();
    await_trouble(&mut monitor);
    disk.empty();
    await_recovery(&monitor);
    let told = monitor.stop();
    assert_eq!(stored(&db), told.len() as u64);
}

#[test]
fn a_database_that_others_hold_is_waited_for() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("faults.c")).spawn();
    let store = Store::new();
    let mut monitor = watch(&workload, &store.path());
    monitor.await_windows(3);
    let other = rusqlite::Connection::open(store.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    await_trouble(&mut monitor);
    other.execute_batch("COMMIT").unwrap();
    await_recovery(&monitor);
    let told = monitor.stop();
    assert_eq!(stored(&store.path()), told.len() as u64);
}

/// Overwrites all but the header, as a bad disk might; not only what the log replaces.
fn damage(database: &Path) {
    let other = rusqlite::Connection::open(database).unwrap();
    let is_busy =
        || other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).unwrap();
    while is_busy() != 0 {
        std::thread::yield_now();
    }
    drop(other);
    let file = File::options().write(true).open(database).unwrap();
    let length = file.metadata().unwrap().len() as usize;
    file.write_all_at(&vec![0xa5; length - 100], 100).unwrap();
}

/// Found when it is read, or by the look at it once a minute.
#[test]
fn a_database_that_is_damaged_is_put_aside() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("faults.c")).spawn();
    let store = Store::new();
    let mut monitor = watch(&workload, &store.path());
    monitor.await_windows(3);
    damage(&store.path());
    monitor.await_metric("waytrace_history_errors_total", |errors| errors >= 1.0);
    await_recovery(&monitor);
    let begun = monitor.metric("waytrace_windows_total").unwrap();
    monitor.await_windows(3);
    let told = monitor.stop();
    let aside = fs::read_dir(store.folder()).unwrap().flatten();
    let aside = aside.filter(|entry| entry.file_name().to_string_lossy().starts_with("runs.db.corrupt-"));
    assert!(aside.count() >= 1, "what was there is kept");
    assert!(stored(&store.path()) >= told.len() as u64 - begun as u64);
}
