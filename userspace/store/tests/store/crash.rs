//! `kill -9` in the middle of writing: at most the window being written is lost.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use waytrace_model::run::EndedBy;
use waytrace_store::Store;

use crate::fixture;
use crate::support::Place;

const VICTIM: &str = "WAYTRACE_TEST_VICTIM_DB";

/// Not a test of its own: the process that is killed. Says each window it has committed.
#[test]
fn victim() {
    let Some(path) = std::env::var_os(VICTIM) else { return };
    let store = Store::open(Some(Path::new(&path))).unwrap();
    let run = fixture::exact("killed", 0);
    let mut writer = store.begin_run(&run.header, &run.events).unwrap();
    for index in 0.. {
        writer.append(&fixture::batch(index)).unwrap();
        println!("committed {index}");
    }
}

#[test]
fn a_killed_writer_keeps_every_window_it_committed() {
    let place = Place::new();
    for committed in [0, 1, 50] {
        let _ = std::fs::remove_dir_all(place.file().parent().unwrap());
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::victim", "--nocapture"])
            .env(VICTIM, place.file())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let wanted = format!("committed {committed}");
        assert!(lines.into_iter().any(|line| line.ends_with(&wanted)), "the victim never got to {committed}");
        child.kill().unwrap();
        child.wait().unwrap();

        let store = Store::open_existing(Some(&place.file())).unwrap();
        let report = store.report(store.find("killed").unwrap()).unwrap();
        assert_eq!(report.run.ended_by, EndedBy::Unfinished);
        assert!(report.run.windows > committed, "{} windows", report.run.windows);
        assert_eq!(report.run.duration_ns, report.run.windows * fixture::INTERVAL_NS);
        assert_eq!(report.counters[0].value, Some(report.run.windows * 80_000_000), "no half window");
        drop(store);
        assert!(place.open().begin_run(&fixture::header("next"), &[]).is_ok());
    }
}
