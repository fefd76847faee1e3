//! Recordings by the shipped binary: a python program that leaks, recorded as an alert would, blamed on what leaks.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use waytrace_model::monitor::RecordingLink;
use waytrace_monitor::record::{Kind, RecordConfig, Recorder, Request, named_sites};
use waytrace_store::Store;

use crate::harness::live::turn;
use crate::harness::skip;
use crate::harness::waytrace::binary;
use crate::or_skip;

/// Beside the leak, ten times as many bytes that live for a moment.
const LEAK: &str = "import time
kept = []
print('ready', flush=True)
while True:
    kept.append(bytearray(100_000))
    for _ in range(10):
        bytes(50_000) + bytes(50_000)
    time.sleep(0.1)
";

struct Leak(Child);

impl Leak {
    fn start() -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", LEAK]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self(child)
    }
}

impl Drop for Leak {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_recording_of_a_leak_is_stored_and_names_its_site() {
    or_skip!(skip::program("python3", "python3"));
    let _turn = or_skip!(turn());
    let place = TempDir::new().unwrap();
    let db = place.path().join("runs.db");
    let config = RecordConfig { exe: binary(), db: db.clone(), seconds: 4, max_per_hour: 2, exact: true };
    let (recorder, results) = Recorder::start(config).unwrap();
    let leak = Leak::start();
    let request = Request {
        target: "leak.py".to_owned(),
        pid: leak.0.id(),
        why: "leak".to_owned(),
        kind: Kind::All,
        seconds: None,
    };
    recorder.request(request).unwrap();
    let recorded = results.recv_timeout(Duration::from_secs(120)).unwrap();
    let RecordingLink::Run(name) = &recorded.link else { panic!("{recorded:?}") };
    assert!(recorded.cpu_ns > 0);

    let store = Store::open_existing(Some(&db)).unwrap();
    let report = store.report(store.find(name).unwrap()).unwrap();
    assert_eq!(report.target.tgid, leak.0.id());
    let allocations = report.allocations.as_ref().unwrap();
    let (live, allocated) = (allocations.live_bytes.unwrap(), allocations.alloc_bytes.unwrap());
    assert!(live >= 1_000_000, "ten blocks of 100,000 bytes a second remain: {live}");
    assert!(allocated >= 4.0 * live as f64, "most is freed: {allocated} {live}");
    // What is live is a part of all, and the first named site has nearly all of it.
    let named = named_sites(&report, 3);
    assert!(named[0].contains(" live: "), "{named:?}");
    let most = allocations.sites.iter().filter_map(|site| site.live_bytes).max().unwrap();
    assert!(most as f64 >= 0.9 * live as f64, "{named:?}");
    // Python's objects all come from one caller of malloc, so which of its stacks is shown is a matter of samples.
    assert!(named[0].contains("_PyObject_Malloc"), "{named:?}");
}

#[test]
fn a_pprof_of_a_process_is_gzip_and_leaves_nothing() {
    or_skip!(skip::program("python3", "python3"));
    let _turn = or_skip!(turn());
    let place = TempDir::new().unwrap();
    let db = place.path().join("runs.db");
    let config = RecordConfig { exe: binary(), db: db.clone(), seconds: 4, max_per_hour: 2, exact: false };
    let (recorder, _results) = Recorder::start(config).unwrap();
    let leak = Leak::start();
    for kind in [Kind::Heap, Kind::Allocs, Kind::Accesses] {
        let pprof =
            recorder.profile_pprof(leak.0.id(), 2, kind).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!(pprof.get(..2), Some(&[0x1f, 0x8b][..]), "{kind:?}");
    }
    assert!(!db.exists(), "the database of recordings is not touched");
    assert!(recorder.cpu_ns() > 0);
}

/// The run that is cut short is whole to its last window.
#[test]
fn a_recording_that_is_cut_short_is_kept() {
    or_skip!(skip::program("python3", "python3"));
    let _turn = or_skip!(turn());
    let place = TempDir::new().unwrap();
    let db = place.path().join("runs.db");
    let config = RecordConfig { exe: binary(), db: db.clone(), seconds: 600, max_per_hour: 2, exact: true };
    let (recorder, results) = Recorder::start(config).unwrap();
    let leak = Leak::start();
    let request = Request {
        target: "leak.py".to_owned(),
        pid: leak.0.id(),
        why: "leak".to_owned(),
        kind: Kind::Heap,
        seconds: None,
    };
    recorder.request(request).unwrap();
    let has_begun = || {
        let store = Store::open_existing(Some(&db)).ok()?;
        store.runs(Some(1)).ok()?.pop().filter(|run| run.windows > 3)
    };
    for _ in 0..600 {
        if has_begun().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    recorder.stop(Duration::from_secs(30));
    let recorded = results.recv_timeout(Duration::from_secs(5)).unwrap();
    let RecordingLink::Run(name) = &recorded.link else { panic!("{recorded:?}") };
    let store = Store::open_existing(Some(&db)).unwrap();
    let report = store.report(store.find(name).unwrap()).unwrap();
    assert!(report.allocations.unwrap().live_bytes.is_some());
}
