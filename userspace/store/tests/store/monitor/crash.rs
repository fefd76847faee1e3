//! `kill -9` a dozen times: the database opens, and the history has no gap but the window that was being written.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use waytrace_store::{MonitorWriter, Retention, Store};

use super::*;

const VICTIM: &str = "WAYTRACE_TEST_VICTIM_HISTORY";
const FIRST: &str = "WAYTRACE_TEST_VICTIM_FIRST";

/// Not a test of its own: the process that is killed. Says each window it has committed.
#[test]
fn victim() {
    let Some(path) = std::env::var_os(VICTIM) else { return };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let mut writer = MonitorWriter::begin(Path::new(&path), &session(START)).unwrap();
    let retention = Retention { windows: std::time::Duration::from_secs(300), ..Retention::default() };
    for index in first.. {
        writer.append(&window(index)).unwrap();
        println!("committed {index}");
        while writer.tend(&retention).unwrap() != waytrace_store::Tended::Nothing {}
    }
}

#[test]
fn killed_a_dozen_times_nothing_is_lost_or_twice() {
    let place = Place::new();
    drop(place.open());
    let mut next = 0;
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "monitor::crash::victim", "--nocapture"])
            .env(VICTIM, place.file())
            .env(FIRST, next.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // As many as no round before, so that each is killed elsewhere in what it does.
        let wanted = next + 5 + round * 7;
        let mut said = next;
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            if let Some(index) = line.rsplit_once("committed ").and_then(|(_, n)| n.parse::<u64>().ok()) {
                said = index + 1;
                if said >= wanted {
                    break;
                }
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(said >= wanted, "the victim never got to {wanted}");

        let store = Store::open_existing(Some(&place.file())).unwrap();
        let history = store.target_history("db", START, START + 24 * HOUR).unwrap();
        assert!(history.windows >= said, "round {round}: {} of {said}", history.windows);
        let inner: Vec<_> =
            history.gaps.iter().filter(|gap| gap.to_unix_ns < START + said * WINDOW).collect();
        assert!(inner.is_empty(), "round {round}: {inner:?}");
        let cpu = history.metrics.iter().find(|one| one.metric == Metric::Cpu).unwrap();
        assert_eq!(cpu.total, Some(history.windows as f64 * 2e9), "no half window, none twice");
        next = history.windows;
        let check: String = rusqlite::Connection::open(place.file())
            .unwrap()
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(check, "ok");
    }
}
