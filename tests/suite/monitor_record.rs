//! Recordings by the shipped binary: a python program that leaks, recorded as an alert would, blamed on what leaks.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use tempfile::TempDir;
use waytrace_model::monitor::RecordingLink;
use waytrace_model::report::RunReport;
use waytrace_monitor::record::{Kind, RecordConfig, Recorded, Recorder, Request, named_sites};
use waytrace_store::Store;

use crate::harness::live::turn;
use crate::harness::pipes::DEADLINE;
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

/// A recorder, and somebody to record.
struct Scene {
    place: TempDir,
    leak: Leak,
    recorder: Recorder,
    results: Receiver<Recorded>,
}

impl Scene {
    /// With recordings of so many seconds.
    fn new(seconds: u32, exact: bool) -> Self {
        let place = TempDir::new().unwrap();
        let config =
            RecordConfig { exe: binary(), db: place.path().join("runs.db"), seconds, max_per_hour: 2, exact };
        let (recorder, results) = Recorder::start(config).unwrap();
        Self { place, leak: Leak::start(), recorder, results }
    }

    fn pid(&self) -> u32 {
        self.leak.0.id()
    }

    fn db(&self) -> PathBuf {
        self.place.path().join("runs.db")
    }

    fn request(&self, kind: Kind) {
        let (target, why) = ("leak.py".to_owned(), "leak".to_owned());
        let request = Request { target, pid: self.pid(), prefix: "alert", why, kind, seconds: None };
        self.recorder.request(request).unwrap();
    }

    /// Waits for what was requested, and gives what is stored of it.
    fn recorded(&self) -> (Recorded, RunReport) {
        let recorded = self.results.recv_timeout(DEADLINE).unwrap();
        let RecordingLink::Run(name) = &recorded.link else { panic!("{recorded:?}") };
        let store = Store::open_existing(Some(&self.db())).unwrap();
        let report = store.report(store.find(name).unwrap()).unwrap();
        (recorded, report)
    }
}

#[test]
fn a_recording_of_a_leak_is_stored_and_names_its_site() {
    or_skip!(skip::program("python3", "python3"));
    let _turn = or_skip!(turn());
    let scene = Scene::new(4, true);
    scene.request(Kind::All);
    let (recorded, report) = scene.recorded();
    assert!(recorded.cpu_ns > 0);
    assert_eq!(report.target.tgid, scene.pid());
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
    let scene = Scene::new(4, false);
    for kind in [Kind::Heap, Kind::Allocs, Kind::Accesses] {
        let pprof = scene.recorder.profile_pprof(scene.pid(), 2, kind);
        let pprof = pprof.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!(pprof.get(..2), Some(&[0x1f, 0x8b][..]), "{kind:?}");
    }
    assert!(!scene.db().exists(), "the database of recordings is not touched");
    assert!(scene.recorder.cpu_ns() > 0);
}

/// The run that is cut short is whole to its last window.
#[test]
fn a_recording_that_is_cut_short_is_kept() {
    or_skip!(skip::program("python3", "python3"));
    let _turn = or_skip!(turn());
    let scene = Scene::new(600, true);
    scene.request(Kind::Heap);
    let has_begun = || {
        let store = Store::open_existing(Some(&scene.db())).ok()?;
        store.runs(Some(1)).ok()?.pop().filter(|run| run.windows > 3)
    };
    for _ in 0..600 {
        if has_begun().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    scene.recorder.stop(Duration::from_secs(30));
    let (_, report) = scene.recorded();
    assert!(report.allocations.unwrap().live_bytes.is_some());
}
