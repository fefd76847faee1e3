//! Recordings by a script in waytrace's place: limits, failures, ends.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use waytrace_model::monitor::RecordingLink;
use waytrace_model::report::SiteReport;
use waytrace_model::stack::Frame;

use super::sites::named;
use super::{Error, Kind, RecordConfig, Recorded, Recorder, Refused, Request};

struct Scene {
    recorder: Recorder,
    results: Receiver<Recorded>,
    place: TempDir,
    target: Child,
}

impl Scene {
    /// With a script that is called as waytrace would be; `$LOG` is a file of its own.
    fn new(script: &str, max_per_hour: u32) -> Self {
        let place = TempDir::new().unwrap();
        let exe = place.path().join("waytrace");
        let log = place.path().join("log");
        std::fs::write(&exe, format!("#!/bin/sh\nLOG={}\n{script}\n", log.display())).unwrap();
        std::fs::set_permissions(&exe, std::fs::Permissions::from_mode(0o755)).unwrap();
        let db = place.path().join("runs.db");
        let config = RecordConfig { exe, db, seconds: 3, max_per_hour, exact: true };
        let (recorder, results) = Recorder::start(config).unwrap();
        let target = Command::new("sleep").arg("1000").spawn().unwrap();
        Self { recorder, results, place, target }
    }

    fn request(&self) -> Request {
        Request {
            target: "redis".to_owned(),
            pid: self.target.id(),
            prefix: "alert",
            why: "leak".to_owned(),
            kind: Kind::All,
            seconds: None,
        }
    }

    fn result(&self) -> Recorded {
        self.results.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.place.path().join("log")).unwrap_or_default()
    }

    fn await_log(&self, needle: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        while !self.log().contains(needle) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(self.log().contains(needle), "{}", self.log());
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.target.kill().unwrap();
        self.target.wait().unwrap();
    }
}

#[test]
fn a_recording_is_a_profile_of_the_process_with_a_name() {
    let scene = Scene::new("echo \"$@\" > $LOG; i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done", 10);
    let ticket = scene.recorder.request(scene.request()).unwrap();
    let recorded = scene.result();
    assert_eq!(recorded.ticket, ticket);
    let RecordingLink::Run(name) = &recorded.link else { panic!("{recorded:?}") };
    assert!(name.starts_with("alert-leak-redis-"), "{name}");
    let db = scene.place.path().join("runs.db");
    let pid = scene.target.id();
    let expected = format!("profile --pid {pid} --duration 3s --name {name} --db {} --exact\n", db.display());
    assert_eq!(scene.log(), expected);
    assert!(recorded.cpu_ns > 0);
    assert_eq!(scene.recorder.cpu_ns(), recorded.cpu_ns);
    assert_eq!(scene.recorder.state().made, 1);
}

#[test]
fn there_are_so_many_an_hour_and_so_many_wait() {
    let scene = Scene::new("echo x >> $LOG; while [ ! -e $LOG.go ]; do sleep 0.01; done", 6);
    scene.recorder.request(scene.request()).unwrap();
    scene.await_log("x");
    for _ in 0..4 {
        scene.recorder.request(scene.request()).unwrap();
    }
    assert_eq!(scene.recorder.request(scene.request()), Err(Refused::Full { waiting: 4 }));
    assert_eq!(scene.log(), "x\n", "one at a time");
    std::fs::write(scene.place.path().join("log.go"), "").unwrap();
    for _ in 0..5 {
        assert!(matches!(scene.result().link, RecordingLink::Run(_)));
    }
    scene.recorder.request(scene.request()).unwrap();
    let refused = scene.recorder.request(scene.request()).unwrap_err();
    let Refused::TooMany { most: 6, next } = refused else { panic!("{refused}") };
    assert!(next > Duration::from_secs(3000), "{next:?}");
    scene.result();
    let state = scene.recorder.state();
    assert_eq!((state.made, state.refused, state.waiting), (6, 2, 0));
}

#[test]
fn a_profile_that_fails_says_why() {
    for (script, reason) in [
        ("echo 'attached' >&2; echo 'waytrace: no such process' >&2; exit 2", "no such process"),
        ("exit 3", "ended with code 3"),
        ("kill -9 $$", "ended with code 137"),
        ("head -c 100000 /dev/zero | tr '\\0' '\\n' >&2; echo end >&2; exit 1", "end"),
    ] {
        let scene = Scene::new(script, 10);
        scene.recorder.request(scene.request()).unwrap();
        assert_eq!(scene.result().link, RecordingLink::Failed(reason.to_owned()));
        assert_eq!(scene.recorder.state().failed, 1);
    }
    let scene = Scene::new("", 10);
    std::fs::remove_file(scene.place.path().join("waytrace")).unwrap();
    scene.recorder.request(scene.request()).unwrap();
    let RecordingLink::Failed(reason) = scene.result().link else { panic!() };
    assert!(reason.contains("cannot start"), "{reason}");
}

#[test]
fn what_cannot_be_recorded_is_refused() {
    let scene = Scene::new("", 10);
    let mut ended = Command::new("true").spawn().unwrap();
    let pid = ended.id();
    ended.wait().unwrap();
    let gone = Request { pid, ..scene.request() };
    assert_eq!(scene.recorder.request(gone), Err(Refused::Gone { pid }));
    for seconds in [0, 3601] {
        let request = Request { seconds: Some(seconds), ..scene.request() };
        assert_eq!(scene.recorder.request(request), Err(Refused::Length { seconds, most: 3600 }));
    }
}

/// The one under way is asked to finish, as by Ctrl-C; those that wait fail; afterwards nothing is taken.
#[test]
fn the_end_lets_a_recording_keep_its_data() {
    let scene =
        Scene::new("trap 'echo kept >> $LOG; exit 0' INT; echo x >> $LOG; while :; do sleep 0.01; done", 10);
    scene.recorder.request(scene.request()).unwrap();
    scene.await_log("x");
    scene.recorder.request(scene.request()).unwrap();
    scene.recorder.stop(Duration::from_secs(60));
    assert!(matches!(scene.result().link, RecordingLink::Run(_)));
    assert_eq!(scene.log(), "x\nkept\n");
    assert_eq!(scene.result().link, RecordingLink::Failed("monitoring ends".to_owned()));
    assert_eq!(scene.recorder.request(scene.request()), Err(Refused::Stopped));
}

#[test]
fn what_does_not_end_when_asked_is_killed() {
    let scene = Scene::new("trap '' INT; echo $$ > $LOG; while :; do sleep 0.01; done", 10);
    scene.recorder.request(scene.request()).unwrap();
    scene.await_log("\n");
    scene.recorder.stop(Duration::from_millis(100));
    let RecordingLink::Failed(reason) = scene.result().link else { panic!() };
    assert!(reason.contains("killed"), "{reason}");
    let log = scene.log();
    assert!(!Path::new("/proc").join(log.trim()).exists(), "neither running nor a zombie");
}

const EXPORTS: &str = "case $1 in
profile) echo \"$@\" >> $LOG; echo db > \"$9\" ;;
export) while [ $1 != --output ]; do shift; done; echo pprof > \"$2\"; stat -c %a $(dirname \"$2\") >> $LOG ;;
esac";

#[test]
fn a_pprof_is_made_and_nothing_is_left() {
    let scene = Scene::new(EXPORTS, 0);
    let pprof = scene.recorder.profile_pprof(scene.target.id(), 2, Kind::Heap).unwrap();
    assert_eq!(pprof, b"pprof\n");
    let log = scene.log();
    assert!(log.contains("--duration 2s --name pprof --db ") && log.ends_with("--exact\n700\n"), "{log}");
    let folder = log.split("--db ").nth(1).unwrap().split("/run.db").next().unwrap();
    assert!(!Path::new(folder).exists(), "{folder}");
}

#[test]
fn a_pprof_waits_for_nobody_and_tells_its_failure() {
    let scene = Scene::new(
        "echo x >> $LOG; while [ ! -e $LOG.go ]; do sleep 0.01; done; echo 'no probes' >&2; exit 2",
        10,
    );
    scene.recorder.request(scene.request()).unwrap();
    scene.await_log("x");
    let busy = scene.recorder.profile_pprof(scene.target.id(), 2, Kind::Allocs);
    assert!(matches!(busy, Err(Error::Busy)), "{busy:?}");
    std::fs::write(scene.place.path().join("log.go"), "").unwrap();
    scene.result();
    let failed = loop {
        // The thread gives the slot back a moment after it has told.
        match scene.recorder.profile_pprof(scene.target.id(), 2, Kind::Allocs) {
            Err(Error::Busy) => std::thread::sleep(Duration::from_millis(2)),
            other => break other,
        }
    };
    assert!(failed.unwrap_err().to_string().ends_with("no probes"));
}

#[test]
fn a_pprof_nobody_waits_for_ends_at_once() {
    let scene = Scene::new("trap '' INT; echo $$ > $LOG; while :; do sleep 0.01; done", 10);
    let log = scene.place.path().join("log");
    let has_begun = || std::fs::read_to_string(&log).is_ok_and(|log| log.ends_with('\n'));
    let failed = scene.recorder.profile_pprof_unless(scene.target.id(), 600, Kind::Heap, &has_begun);
    assert!(failed.unwrap_err().to_string().contains("killed"));
    assert!(!Path::new("/proc").join(scene.log().trim()).exists());
}

fn site(function: &str, alloc_bytes: f64, live_bytes: Option<u64>) -> SiteReport {
    let frame = |function: &str, line| Frame {
        function: Some(function.to_owned()),
        file: Some("/src/leak.c".to_owned()),
        line: Some(line),
        ..Frame::default()
    };
    SiteReport {
        alloc_count: 1.0,
        alloc_bytes,
        live_bytes,
        peak_live_bytes: None,
        temporary_count: None,
        frames: vec![frame(function, 12), frame("main", 30)],
        samples_count: 0,
    }
}

#[test]
fn a_leak_is_blamed_on_what_is_live() {
    let mib = 1 << 20;
    let sites = vec![
        site("parse", 1e9, Some(0)),
        site("cache", 2e8, Some(3 * mib)),
        site("grow", 1e8, Some(90 * mib)),
    ];
    let blamed = named(&sites, 2);
    assert_eq!(blamed, ["90.0MiB live: grow (leak.c:12) < main", "3.00MiB live: cache (leak.c:12) < main"]);
    let sites = vec![site("grow", 1024.0, None), site("parse", 4096.0, None)];
    let blamed = named(&sites, 1);
    assert_eq!(blamed, ["4.00KiB allocated: parse (leak.c:12) < main"]);
    assert!(named(&[], 5).is_empty());
}
