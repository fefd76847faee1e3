//! Tests: real faults of the disk, and what becomes of the windows meanwhile.

use std::os::unix::fs::FileExt;
use std::process::Command;

use tempfile::TempDir;
use waytrace_model::monitor::{Metric, ProcessWindow, TargetWindow, Values};
use waytrace_store::Store;

use super::*;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_700_000_000 / 3600 * 3600 * SECOND;

fn window(index: u64) -> Arc<HostWindow> {
    let target = TargetWindow {
        target: "db".to_owned(),
        values: Values::from_iter([(Metric::Cpu, 2e9), (Metric::Rss, 1e6)]),
        processes: vec![ProcessWindow {
            pid: 42,
            start_boot_ns: 7,
            comm: "db".to_owned(),
            ..Default::default()
        }],
        ..TargetWindow::default()
    };
    Arc::new(HostWindow {
        index,
        start_unix_ns: START + index * 10 * SECOND,
        start_boot_ns: index * 10 * SECOND,
        length_ns: 10 * SECOND,
        targets: vec![target],
        ..HostWindow::default()
    })
}

fn config() -> HistoryConfig {
    let session = Session {
        started_at_unix_ns: START,
        window_ns: 10 * SECOND,
        command: "waytrace monitor".to_owned(),
        version: "0".to_owned(),
        host: waytrace_model::run::Host::default(),
    };
    HistoryConfig { check_every: Duration::from_millis(50), ..HistoryConfig::new(session) }
}

fn stored(path: &Path) -> u64 {
    let store = Store::open_existing(Some(path)).unwrap();
    store.target_history("db", START, START + 86_400 * SECOND).map_or(0, |history| history.windows)
}

/// Waits for a state; the deadline only ends a test that fails.
fn until(history: &History, what: impl Fn(&HistoryState) -> bool) -> HistoryState {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let state = history.state();
        if what(&state) {
            return state;
        }
        assert!(Instant::now() < deadline, "never came about: {state:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn hold(path: &Path) -> rusqlite::Connection {
    let holder = rusqlite::Connection::open(path).unwrap();
    holder.busy_timeout(Duration::from_secs(10)).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    holder
}

#[test]
fn what_was_handed_over_is_stored_at_the_end() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("runs.db");
    let history = History::start(&path, config()).unwrap();
    for index in 0..50 {
        history.append(window(index));
    }
    history.alert(&Alert {
        rule: "leak".to_owned(),
        target: "db".to_owned(),
        began_unix_ns: START,
        ..Alert::default()
    });
    let state = until(&history, |state| state.waiting == 0);
    assert!(state.ok && state.last_error.is_none() && state.bytes > 0 && state.written == 50, "{state:?}");
    history.append(window(50));
    assert_eq!(history.finish(Duration::from_secs(60)), 0);
    assert_eq!(stored(&path), 51);
    let overview =
        Store::open_existing(Some(&path)).unwrap().history_overview(START, START + 3600 * SECOND).unwrap();
    assert_eq!(overview.alerts.len(), 1);
    let connection = rusqlite::Connection::open(&path).unwrap();
    let ended: Option<i64> =
        connection.query_row("SELECT ended_at_unix_ns FROM monitor_session", [], |row| row.get(0)).unwrap();
    assert!(ended.is_some());
}

#[test]
fn windows_wait_for_a_lock_and_none_is_lost() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("runs.db");
    let history = History::start(&path, config()).unwrap();
    history.append(window(0));
    until(&history, |state| state.written == 1);
    let holder = hold(&path);
    for index in 1..40 {
        history.append(window(index));
    }
    let state = until(&history, |state| !state.ok);
    assert!(state.last_error.unwrap().contains("is locked by another process"));
    assert_eq!((state.waiting, state.dropped), (39, 0));
    holder.execute_batch("ROLLBACK").unwrap();
    let state = until(&history, |state| state.waiting == 0);
    assert!(state.ok && state.last_error.is_some(), "{state:?}");
    assert_eq!(history.finish(Duration::from_secs(60)), 0);
    assert_eq!(stored(&path), 40);
}

#[test]
fn too_many_waiting_drop_the_oldest_and_are_counted() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("runs.db");
    let history = History::start(&path, HistoryConfig { waiting_windows: 5, ..config() }).unwrap();
    let holder = hold(&path);
    history.append(window(0));
    until(&history, |state| !state.ok);
    for index in 1..21 {
        history.append(window(index));
    }
    let state = history.state();
    // One is in hand, five wait.
    assert_eq!((state.waiting, state.dropped), (6, 15));
    holder.execute_batch("ROLLBACK").unwrap();
    until(&history, |state| state.waiting == 0);
    drop(history);
    let store = Store::open_existing(Some(&path)).unwrap();
    let told = store.target_history("db", START, START + 210 * SECOND).unwrap();
    assert_eq!((told.windows, told.gaps.len()), (6, 1), "{:?}", told.gaps);
    assert_eq!(told.points[1].start_unix_ns, START + 160 * SECOND);
}

#[test]
fn memory_bounds_what_waits_too() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("runs.db");
    let history = History::start(&path, HistoryConfig { waiting_bytes: 20_000, ..config() }).unwrap();
    let holder = hold(&path);
    for index in 0..100 {
        history.append(window(index));
    }
    let state = history.state();
    assert!(state.waiting > 2 && state.waiting < 40 && state.dropped > 60, "{state:?}");
    drop(holder);
}

#[test]
fn the_end_does_not_wait_for_a_lock() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("runs.db");
    let history = History::start(&path, config()).unwrap();
    let _holder = hold(&path);
    history.append(window(0));
    history.append(window(1));
    assert_eq!(history.finish(Duration::from_millis(700)), 2);
}

#[test]
fn a_full_disk_is_waited_for() {
    let folder = TempDir::new().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
        .arg(folder.path())
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        eprintln!("SKIP: mounting needs root");
        return;
    }
    let path = folder.path().join("runs.db");
    let history = History::start(&path, config()).unwrap();
    history.append(window(0));
    until(&history, |state| state.written == 1);
    let filler = folder.path().join("filler");
    let _ = std::fs::write(&filler, vec![0; 32 << 20]);
    let mut index = 1;
    // What is left in the log's last page takes some.
    while history.state().ok && index < 5000 {
        history.append(window(index));
        index += 1;
        std::thread::sleep(Duration::from_millis(2));
    }
    let state = until(&history, |state| !state.ok);
    assert!(state.last_error.unwrap().contains("no space left"));
    std::fs::remove_file(&filler).unwrap();
    let state = until(&history, |state| state.ok && state.waiting == 0);
    assert_eq!(state.dropped, 0);
    assert_eq!(history.finish(Duration::from_secs(60)), 0);
    assert_eq!(stored(&path), index);
    let _ = Command::new("umount").arg("-l").arg(folder.path()).status();
}

/// Overwrites all but the header, as a bad disk might.
fn damage(path: &Path) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len() as usize;
    file.write_all_at(&vec![0xa5; length - 100], 100).unwrap();
}

#[test]
fn a_damaged_database_is_put_aside_at_the_start() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("runs.db");
    let history = History::start(&path, config()).unwrap();
    history.append(window(0));
    assert_eq!(history.finish(Duration::from_secs(60)), 0);
    damage(&path);
    let history = History::start(&path, config()).unwrap();
    history.append(window(1));
    let state = until(&history, |state| state.written == 1);
    assert_eq!((state.set_aside, state.ok), (1, true));
    let aside = state.aside.unwrap();
    assert!(aside.file_name().unwrap().to_string_lossy().starts_with("runs.db.corrupt-2"), "{aside:?}");
    assert!(std::fs::metadata(&aside).unwrap().len() > 100_000);
    drop(history);
    assert_eq!(stored(&path), 1);
}

#[test]
fn damage_while_it_is_written_is_noticed_and_put_aside() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("runs.db");
    let history = History::start(&path, config()).unwrap();
    for index in 0..20 {
        history.append(window(index));
    }
    until(&history, |state| state.waiting == 0);
    // Into the file, so that the damage is not only to what the log replaces.
    let other = rusqlite::Connection::open(&path).unwrap();
    other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(other);
    damage(&path);
    until(&history, |state| state.set_aside == 1);
    history.append(window(20));
    until(&history, |state| state.ok && state.written == 21);
    assert_eq!(history.finish(Duration::from_secs(60)), 0);
    assert_eq!(stored(&path), 1);
}

#[test]
fn a_file_that_was_removed_is_made_again() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("runs.db");
    let history = History::start(&path, config()).unwrap();
    history.append(window(0));
    until(&history, |state| state.written == 1);
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
    }
    until(&history, |state| !state.ok);
    history.append(window(1));
    until(&history, |state| state.ok && state.written == 2);
    assert_eq!(history.finish(Duration::from_secs(60)), 0);
    assert_eq!(stored(&path), 1);
}

#[test]
fn files_of_others_are_left_alone() {
    let folder = TempDir::new().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "no database at all, ".repeat(100)).unwrap();
    let foreign = folder.path().join("other.db");
    rusqlite::Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
        .unwrap();
    for (path, word) in [(&text, "not an SQLite database"), (&foreign, "another program")] {
        let before = std::fs::read(path).unwrap();
        let error = History::start(path, config()).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(std::fs::read(path).unwrap(), before);
    }
    let path = folder.path().join("runs.db");
    let _first = History::start(&path, config()).unwrap();
    let error = History::start(&path, config()).unwrap_err();
    assert!(error.to_string().contains("another `waytrace monitor`"), "{error}");
}
