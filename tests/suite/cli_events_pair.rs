//! `waytrace events pair`: where programs run, how often antagonists start, and that nobody outlives waytrace.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::skip;
use crate::harness::waytrace::{Finished, Running, Store, command};

/// `mark` writes down where it may run, and its NUM_THREADS; `quick` ends at once, again and again.
const MANIFEST: &str = "
    [experiment]
    configurations = ['Full-cores', 'L1-SMT']
    profile_only_a = ['mark']
    [program1]
    name = 'mark'
    binary = 'sh'
    arguments = ['-c', 'echo $(grep Cpus_allowed_list: /proc/self/status) $NUM_THREADS >> marks; sleep 0.3']
    antagonist_arguments = ['-c', 'echo $(grep Cpus_allowed_list: /proc/self/status) >> beside; exec sleep 1000']
    [program2]
    name = 'quick'
    binary = 'true'
";

fn write(store: &Store, text: &str) -> String {
    let path = store.folder().join("pairs.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn pair(store: &Store, text: &str, args: &[&str]) -> Finished {
    let (file, db) = (write(store, text), store.arg());
    let mut all = vec!["events", "pair", &file, "--db", &db, "--warmup", "0"];
    all.extend(args);
    crate::harness::waytrace::run(&all)
}

/// Two CPUs that share no thread are the least that a pair takes.
fn machine_has_two_cores(finished: &Finished) -> bool {
    let alone = finished.stderr.contains("can do none of the configurations");
    if alone {
        skip::say("no two cores here");
    }
    !alone
}

fn lines(store: &Store, name: &str) -> Vec<String> {
    let text = fs::read_to_string(store.folder().join(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn of<'v>(report: &'v Value, beside: Option<&str>) -> &'v Value {
    let cells = report["cells"].as_array().unwrap();
    let is_it = |cell: &&Value| {
        cell["program"] == "mark"
            && cell["antagonist"].as_str() == beside
            && cell["configuration"] == "Full-cores"
    };
    cells.iter().find(is_it).unwrap_or_else(|| panic!("no cell beside {beside:?}: {report}"))
}

/// gz/autoperf's keys that mean nothing here are not taken in silence.
#[test]
fn keys_without_effect_are_said() {
    let store = Store::new();
    let keys = "binary = 'true'\n    breakpoints = ['0x4000', 'main.c:7']\n    checkpoints = ['a']\n    use_watch_repeat = true";
    let planned = pair(&store, &MANIFEST.replace("binary = 'true'", keys), &["--dry-run"]);
    for key in ["breakpoints", "checkpoints", "use_watch_repeat"] {
        let note = format!("[program2]: `{key}` has no effect: ");
        assert!(planned.stderr.contains(&note), "{key}: {planned:#?}");
    }
    assert!(!pair(&store, MANIFEST, &["--dry-run"]).stderr.contains("no effect"));
}

#[test]
fn programs_run_in_their_seats_and_antagonists_again_and_again() {
    let store = Store::new();
    let csv = store.folder().join("matrix.csv");
    let svg = store.folder().join("matrix.svg");
    let files = ["--csv", csv.to_str().unwrap(), "--svg", svg.to_str().unwrap(), "--json", "--repeat", "2"];
    let finished = pair(&store, MANIFEST, &files);
    if !machine_has_two_cores(&finished) {
        return;
    }
    assert_eq!(finished.code, 0, "{finished:#?}");
    let report = finished.json();
    let runs = report["runs"].as_array().unwrap();
    let configurations = if report["skipped"].get("L1-SMT").is_some() { 1 } else { 2 };
    assert_eq!(runs.len(), configurations * 2 * 3, "alone, beside itself and beside the other, twice each");
    // What each says itself is what the store says: every measured run left a line with its CPUs and their number.
    let said = lines(&store, "marks");
    assert_eq!(said.len(), runs.len() + 1, "one of them to warm up: {said:?}");
    for run in runs {
        let cpus = run["cpus"].as_str().unwrap();
        assert!(said.iter().any(|line| line.split(' ').nth(1) == Some(cpus)), "{cpus}: {said:?}");
    }
    assert!(said.iter().all(|line| line.split(' ').nth(2).unwrap().parse::<u32>().unwrap() > 0), "{said:?}");
    for run in runs.iter().filter(|run| run["antagonist"] == "mark") {
        let cpus = run["antagonist_cpus"].as_str().unwrap();
        assert!(lines(&store, "beside").iter().any(|line| line.ends_with(cpus)), "{cpus}");
        assert_ne!(run["cpus"], run["antagonist_cpus"]);
        assert_eq!(run["restarts"], 0, "it sleeps on");
    }
    let (alone, quick) = (of(&report, None), of(&report, Some("quick")));
    assert_eq!(
        (&alone["slowdown"]["ratio"], &alone["n"], &alone["restarts"]),
        (&1.0.into(), &2.into(), &0.into())
    );
    assert!(quick["restarts"].as_u64().unwrap() >= 2, "it ends at once: {quick}");
    assert_eq!(fs::read_to_string(csv).unwrap().lines().count(), 1 + configurations * 3);
    assert!(fs::read_to_string(svg).unwrap().contains("Full-cores"));
    let again = pair(&store, MANIFEST, &["--json", "--repeat", "2", "--resume"]);
    assert_eq!(
        (again.code, again.json()),
        (0, report),
        "nothing is left to run, and the figures are the same"
    );
}

#[test]
fn a_dry_run_names_places_and_runs_nothing() {
    let store = Store::new();
    let finished = pair(&store, MANIFEST, &["--dry-run", "--seed", "1"]);
    if !machine_has_two_cores(&finished) {
        return;
    }
    assert_eq!(finished.code, 0, "{finished:#?}");
    assert!(finished.stdout.contains("quick") && finished.stdout.contains("(alone)"), "{finished:#?}");
    assert!(!store.path().exists() && lines(&store, "marks").is_empty());
    let none = pair(&store, MANIFEST, &["--dry-run", "--base", "99"]);
    assert!(none.code == 2 && none.stderr.contains("--base 99 leaves nothing to run"), "{none:#?}");
}

/// A measured program that hangs, one that fails, and an antagonist that does.
#[test]
fn failures_are_recorded_and_the_rest_goes_on() {
    let store = Store::new();
    let text = "
        [experiment]
        configurations = ['Full-cores']
        profile_only_b = ['bad']
        [program1]
        name = 'bad'
        binary = 'sh'
        arguments = ['-c', 'exit 3']
        [program2]
        name = 'hang'
        binary = 'sh'
        arguments = ['-c', 'sleep 1000; true']
    ";
    let finished = pair(&store, text, &["--json", "--repeat", "1", "--timeout", "200ms"]);
    if !machine_has_two_cores(&finished) {
        return;
    }
    assert_eq!(finished.code, 1, "{finished:#?}");
    let report = finished.json();
    let runs = report["runs"].as_array().unwrap();
    let one = |program: &str, beside: Option<&str>| {
        runs.iter().find(|run| run["program"] == program && run["antagonist"].as_str() == beside).unwrap()
    };
    assert_eq!(
        (&one("bad", None)["exit_code"], &one("hang", None)["ended_by"]),
        (&3.into(), &"timeout".into())
    );
    let spoilt = one("hang", Some("bad"));
    assert!(spoilt["problem"].as_str().unwrap().contains("`bad` failed with exit code 3"), "{spoilt}");
    assert_eq!(spoilt["wall_ns"], Value::Null);
    assert_eq!(runs.len(), 4);
}

/// The manifest's shells note down the processes they start; `sleep` is a grandchild of waytrace.
const LASTING: &str = "
    [experiment]
    configurations = ['Full-cores']
    alone = false
    profile_only_a = ['long']
    profile_only_b = ['beside']
    [program1]
    name = 'long'
    binary = 'sh'
    arguments = ['-c', 'if [ -e warm ]; then sleep 1000 & echo $! >> pids; wait; fi; touch warm']
    [program2]
    name = 'beside'
    binary = 'sh'
    arguments = ['-c', 'sleep 1000 & echo $! >> pids; wait']
";

fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.contains("(sleep)") && !stat.contains(") Z ")
}

/// Neither Ctrl-C nor `kill -9` leaves anybody behind.
#[test]
fn nobody_outlives_waytrace() {
    for signal in [libc::SIGINT, libc::SIGKILL] {
        let store = Store::new();
        let (file, db) = (write(&store, LASTING), store.arg());
        let running = Running::start(&mut command(&["events", "pair", &file, "--db", &db, "--warmup", "0"]));
        let deadline = Instant::now() + Duration::from_secs(60);
        while lines(&store, "pids").len() < 2 {
            if Instant::now() >= deadline {
                let finished = running.finish();
                assert!(!machine_has_two_cores(&finished), "{finished:#?}");
                return;
            }
            sleep(Duration::from_millis(20));
        }
        running.signal(signal);
        let finished = running.finish();
        let pids = lines(&store, "pids");
        let deadline = Instant::now() + Duration::from_secs(20);
        while pids.iter().any(|pid| is_alive(pid)) {
            assert!(Instant::now() < deadline, "{pids:?} are left after signal {signal}: {finished:#?}");
            sleep(Duration::from_millis(20));
        }
    }
}
