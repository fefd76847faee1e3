//! Databases that are damaged, newer, somewhere impossible, or on a disk that is full.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::disk::SmallDisk;
use crate::harness::live::{self, Profile};
use crate::harness::waytrace::{self, Finished, Running, Store};
use crate::harness::workload::{Start, Workload};
use crate::or_skip;

fn assert_refused(finished: &Finished, word: &str) {
    assert_eq!(finished.code, 2, "{finished:#?}");
    assert_eq!(finished.stdout, "", "{finished:#?}");
    assert_eq!(finished.complaints().len(), 1, "not one line: {finished:#?}");
    assert!(finished.stderr.contains(word), "no `{word}`: {finished:#?}");
}

/// Commands that open the store, on a target that could be profiled.
fn commands(workload: &Workload) -> Vec<Vec<String>> {
    let own = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect();
    let pid = workload.pid().to_string();
    vec![
        own(&["list"]),
        own(&["show", "last"]),
        own(&["export", "last", "--format", "json"]),
        own(&["prune", "--keep", "1"]),
        own(&["profile", "--pid", &pid, "--duration", "300ms"]),
    ]
}

#[test]
fn a_file_that_is_no_database() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("sites.c")).spawn();
    let store = Store::new();
    let garbage: Vec<u8> = (0..20_000_u32).map(|i| (i * 7 % 251) as u8).collect();
    for args in commands(&workload) {
        fs::write(store.path(), &garbage).unwrap();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        assert_refused(&store.run(&args), "runs.db");
        assert_eq!(
            fs::read(store.path()).unwrap(),
            garbage,
            "{args:?} wrote into a file that is not its own"
        );
    }
}

#[test]
fn a_database_of_a_newer_version() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("sites.c")).spawn();
    let store = Store::new();
    let made = store.run(&["profile", "--pid", &workload.pid().to_string(), "--duration", "300ms"]);
    assert_eq!(made.code, 0, "{made:#?}");
    let database = rusqlite::Connection::open(store.path()).unwrap();
    let version: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert!(version > 0, "the schema's version is in user_version");
    database.pragma_update(None, "user_version", version + 1).unwrap();
    drop(database);
    for args in commands(&workload) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        assert_refused(&store.run(&args), "newer");
    }
}

#[test]
fn a_place_where_no_file_can_be() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("sites.c")).spawn();
    let folder = TempDir::new().unwrap();
    for path in [folder.path().to_str().unwrap(), "/proc/no/such/runs.db"] {
        let pid = workload.pid().to_string();
        let finished = waytrace::run(&["profile", "--pid", &pid, "--duration", "300ms", "--db", path]);
        assert_refused(&finished, path);
    }
}

#[test]
fn a_disk_that_is_full_before_the_run() {
    let _turn = or_skip!(live::turn());
    let disk = or_skip!(SmallDisk::new("1m"));
    let workload = or_skip!(Start::plain("sites.c")).spawn();
    disk.fill();
    let path = disk.path().join("runs.db");
    let pid = workload.pid().to_string();
    let finished =
        waytrace::run(&["profile", "--pid", &pid, "--duration", "1s", "--db", path.to_str().unwrap()]);
    assert_refused(&finished, "runs.db");
    disk.empty();
    assert_eq!(waytrace::run_count(&path), 0);
}

/// The run ends by itself, says so, and what was stored before is intact; the target goes on.
#[test]
fn a_disk_that_fills_up_during_the_run() {
    let _turn = or_skip!(live::turn());
    let disk = or_skip!(SmallDisk::new("2m"));
    let mut workload = or_skip!(Start::plain("churn.c")).args(&["600", "20000", "mix", "1", "100"]).spawn();
    workload.go();
    let path = disk.path().join("runs.db");
    let path = path.to_str().unwrap();
    let pid = workload.pid().to_string();
    let mut command =
        waytrace::command(&["profile", "--pid", &pid, "--exact", "--duration", "60s", "--db", path]);
    let mut running = Running::start(&mut command);
    running.await_attached();
    sleep(Duration::from_millis(700)); // some windows first
    disk.fill();
    let finished = running.finish();
    assert_eq!(finished.code, 1, "{finished:#?}");
    assert!(finished.stderr.contains("runs.db"), "{finished:#?}");
    assert!(workload.is_running());
    disk.empty();
    let shown = waytrace::run(&["show", "last", "--json", "--db", path]);
    assert_eq!(shown.code, 0, "{shown:#?}");
    let ended_by = &shown.json()["run"]["ended_by"];
    assert!(["store-failure", "unfinished"].map(Value::from).contains(ended_by), "{ended_by}");
}

/// Runs of a store can be listed, compared, exported, reported and deleted.
#[test]
fn every_view_of_two_runs() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("sites.c")).spawn();
    let pid = workload.pid().to_string();
    let store = Store::new();
    for name in ["first", "second"] {
        let made = store.run(&["profile", "--pid", &pid, "--exact", "--duration", "300ms", "--name", name]);
        assert_eq!(made.code, 0, "{made:#?}");
    }
    assert_eq!(store.run_count(), 2);
    let page = store.folder().join("out.html");
    let views: [&[&str]; 10] = [
        &["list"],
        &["show", "first"],
        &["show", "last", "--json"],
        &["diff", "first", "second"],
        &["diff", "first", "second", "--json"],
        &["export", "last", "--format", "csv"],
        &["export", "last", "--format", "json"],
        &["export", "last", "--format", "perfetto"],
        &["report", "last", "-o", page.to_str().unwrap()],
        &["prune", "--keep", "1"],
    ];
    for args in views {
        let finished = store.run(args);
        assert_eq!(finished.code, 0, "{args:?}: {finished:#?}");
    }
    assert!(fs::read_to_string(page).unwrap().contains("</html>"));
    assert_eq!(store.run_count(), 1);
}

/// `waytrace export … | head`: whoever reads has enough and goes. Here nobody reads from the start, so that
/// the outcome does not depend on who is faster.
#[test]
fn a_reader_that_went_away_is_no_error() {
    let _turn = or_skip!(live::turn());
    let store = live::measure(or_skip!(Start::plain("sites.c")).spawn(), &["--exact"]).store;
    let path = store.arg();
    let formats = ["csv", "json", "folded", "pprof", "perfetto", "svg"];
    let exports = formats.map(|format| vec!["export", "last", "--format", format]);
    let to_file = vec!["export", "last", "--format", "json", "-o", "/dev/stdout"];
    let views = [vec!["list"], vec!["show", "last"], vec!["report", "last", "-o", "-"], to_file];
    for args in exports.into_iter().chain(views) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = waytrace::command(&args);
        let child = command.args(["--db", &path]).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{args:?}");
        let quietly = ended.status.signal() == Some(libc::SIGPIPE);
        assert!(quietly, "{args:?}: {:?}", ended.status);
    }
}

/// Nobody reads what it says, and the run is measured to its end and kept.
#[test]
fn a_measurement_goes_on_without_its_reader() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("sites.c")).spawn();
    let (store, pid) = (Store::new(), workload.pid().to_string());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = waytrace::command(&["profile", "-vv", "--pid", &pid, "--duration", "300ms"]);
    command.args(["--db", &store.arg()]).stdout(writer.try_clone().unwrap()).stderr(writer);
    assert_eq!(command.status().unwrap().code(), Some(0));
    let kept = store.run(&["show", "last", "--json"]).report();
    assert_eq!(kept.run.ended_by, waytrace_model::run::EndedBy::Duration);
}

/// Neither the request nor a right is at fault: a foreign rule in the database forbids what waytrace does.
#[test]
fn what_nobody_could_have_mended_is_internal() {
    let _turn = or_skip!(live::turn());
    let store = live::measure(or_skip!(Start::plain("sites.c")).spawn(), &["--exact"]).store;
    let trigger = "CREATE TRIGGER no BEFORE DELETE ON run BEGIN SELECT RAISE(ABORT, 'not today'); END";
    rusqlite::Connection::open(store.path()).unwrap().execute_batch(trigger).unwrap();
    let failed = store.run(&["prune", "--run", "last"]);
    assert_eq!((failed.code, failed.complaints().len()), (3, 1), "{failed:#?}");
    assert!(failed.stderr.contains("not today") && failed.stderr.contains("runs.db"), "{failed:#?}");
    assert_eq!(store.run_count(), 1);
}

/// Without `--name` a second run of the same program is no clash.
#[test]
fn runs_without_a_name_are_told_apart() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("sites.c")).spawn();
    let pid = workload.pid().to_string();
    let store = Store::new();
    for _ in 0..3 {
        let made = store.run(&["profile", "--pid", &pid, "--duration", "200ms"]);
        assert_eq!(made.code, 0, "{made:#?}");
    }
    assert_eq!(store.run_count(), 3);
    let clash = store.run(&["profile", "--pid", &pid, "--duration", "200ms", "--name", "same"]);
    assert_eq!(clash.code, 0, "{clash:#?}");
    let clash = store.run(&["profile", "--pid", &pid, "--duration", "200ms", "--name", "same"]);
    assert_refused(&clash, "same");
    assert_eq!(store.run_count(), 4);
}

/// A run that is being written can be read, and a second one can be written beside it.
#[test]
fn the_store_is_readable_during_a_run() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(Start::plain("churn.c")).args(&["600", "1000", "mix", "1", "0"]).spawn();
    workload.go();
    let profile = Profile::attach(&workload, &["--exact"]);
    sleep(Duration::from_millis(500));
    assert_eq!(profile.store.run_count(), 1);
    let shown = profile.store.run(&["show", "last", "--json"]);
    assert_eq!(shown.code, 0, "{shown:#?}");
    assert_eq!(profile.stop().0.code, 0);
}
