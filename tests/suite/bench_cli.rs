//! `waytrace bench`: a matrix of commands with known ends, its rows, links and order, and going on after Ctrl-C.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::harness::live;
use crate::harness::report::assert_sites;
use crate::harness::skip;
use crate::harness::truth::Truth;
use crate::harness::waytrace::{Finished, Running, Store, command};
use crate::harness::workload::Start;
use crate::or_skip;

const DRY: &str = "
    repeat = 2
    warmup = 0
    seed = 4
    [[workload]]
    name = 'true'
    command = ['true']
    [[workload]]
    name = 'spin'
    command = ['sh', '-c', 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done']
    [[mode]]
    name = 'dry'
    profile = false
";

const PROFILED: &str = "
    [[mode]]
    name = 'exact'
    exact = true
    collect = ['allocations']
";

fn write(store: &Store, text: &str) -> String {
    let path = store.folder().join("matrix.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn bench(store: &Store, text: &str, args: &[&str]) -> Finished {
    let file = write(store, text);
    let mut all = vec!["bench", &file];
    all.extend(args);
    store.run(&all)
}

fn stat(store: &Store) -> Value {
    let finished = store.run(&["list", "--stat", "matrix", "--json"]);
    assert_eq!(finished.code, 0, "{finished:#?}");
    finished.json()
}

fn array<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().unwrap()
}

/// Positions, workloads, modes and repetitions of what was measured.
fn rows(stat: &Value) -> Vec<(u64, String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let row = |one: &Value| {
        let (position, repetition) = (one["position"].as_u64().unwrap(), one["repetition"].as_u64().unwrap());
        (position, text(&one["workload"]), text(&one["mode"]), repetition)
    };
    array(stat, "repetitions").iter().map(row).collect()
}

/// No test of root, of the kernel, or of anything but the clock: a dry mode runs anywhere.
#[test]
fn a_dry_series_needs_no_rights_and_leaves_no_runs() {
    let store = Store::new();
    let finished = bench(&store, DRY, &["--json"]);
    assert_eq!(finished.code, 0, "{finished:#?}");
    let stat = stat(&store);
    assert_eq!(finished.json(), stat, "the figures at the end are those of list");
    assert_eq!((store.run_count(), array(&stat, "repetitions").len()), (0, 4));
    assert_eq!((stat["seed"].as_u64(), stat["name"].as_str()), (Some(4), Some("matrix")));
    for cell in array(&stat, "cells") {
        assert_eq!((&cell["n"], &cell["failed"], &cell["baseline"]), (&2.into(), &0.into(), &Value::Null));
        for quantity in ["wall_ns", "user_ns", "system_ns"] {
            let of = |key: &str| cell[quantity][key].as_f64().unwrap();
            assert!(of("min") <= of("median") && of("median") <= of("max"), "{cell}");
            assert!((of("mean") - f64::midpoint(of("min"), of("max"))).abs() < 1.0, "of two: {cell}");
            assert!((of("std") - (of("max") - of("min")) / 2.0_f64.sqrt()).abs() < 1.0, "of two: {cell}");
        }
    }
    let table = store.run(&["list", "--stat"]);
    assert!(
        table.code == 0 && table.stdout.contains("max rss") && table.stdout.contains("spin"),
        "{table:#?}"
    );
}

#[test]
fn one_repetition_has_figures_without_deviation() {
    let store = Store::new();
    let two = format!("interleave = true\n{DRY}[[mode]]\nname = 'pinned'\nprofile = false\ncpus = '0'\n");
    assert_eq!(bench(&store, &two, &["--repeat", "1"]).code, 0);
    let stat = stat(&store);
    let pinned = array(&stat, "cells").iter().find(|cell| cell["mode"] == "pinned").unwrap();
    assert_eq!((&pinned["n"], &pinned["baseline"]), (&1.into(), &"dry".into()));
    assert_eq!(pinned["wall_ns"]["std"], Value::Null);
    let ratio = &pinned["wall_ns"]["against_baseline"];
    assert!(ratio["ratio"].as_f64().unwrap() > 0.0, "{ratio}");
    assert_eq!((&ratio["ci95_low"], &ratio["ci95_high"]), (&Value::Null, &Value::Null));
}

/// Where it was put, and nowhere else: the command says where it runs.
#[test]
fn a_command_runs_where_its_mode_says() {
    let store = Store::new();
    let said = store.folder().join("cpus");
    let text = format!(
        "warmup = 0\n[[workload]]\nname = 'w'\ncommand = ['sh', '-c', 'grep Cpus_allowed_list: /proc/self/status > $OUT; \
         grep -c bind:0 /proc/self/numa_maps >> $OUT']\nenv = {{ OUT = '{}' }}\n\
         [[mode]]\nname = 'pinned'\nprofile = false\ncpus = '0'\nmemory_node = 0\n",
        said.display()
    );
    let finished = bench(&store, &text, &[]);
    if finished.stderr.contains("no NUMA node") {
        return skip::say("this kernel knows no NUMA nodes");
    }
    assert_eq!(finished.code, 0, "{finished:#?}");
    let said = fs::read_to_string(said).unwrap();
    let mut lines = said.lines();
    assert_eq!(lines.next().unwrap().split_whitespace().last(), Some("0"), "{said}");
    assert!(lines.next().unwrap().parse::<u32>().unwrap() > 0, "{said}");
}

/// Each repetition of a profiled mode is a run; those of a dry mode are none, and nothing is attached to them.
#[test]
fn profiled_repetitions_are_runs() {
    let _turn = or_skip!(live::turn());
    let store = Store::new();
    let finished = bench(&store, &format!("{DRY}{PROFILED}"), &[]);
    assert_eq!(finished.code, 0, "{finished:#?}");
    let stat = stat(&store);
    let rows = rows(&stat);
    let all: BTreeSet<_> = rows.iter().map(|row| (row.1.as_str(), row.2.as_str(), row.3)).collect();
    assert_eq!((rows.len(), all.len()), (8, 8));
    assert!(rows.iter().enumerate().all(|(index, row)| row.0 == index as u64), "{rows:?}");
    assert!(rows.iter().all(|row| (row.0 < 4) == (row.2 == "dry")), "modes stay together: {rows:?}");
    assert_eq!(store.run_count(), 4);
    for one in array(&stat, "repetitions") {
        assert_eq!((&one["exit_code"], &one["ended_by"]), (&0.into(), &"exit".into()), "{one}");
        if one["mode"] == "dry" {
            assert_eq!(one["run_id"], Value::Null, "{one}");
            continue;
        }
        let id = one["run_id"].as_i64().unwrap_or_else(|| panic!("no run: {one}")).to_string();
        let report = store.run(&["show", &id, "--json"]).report();
        let name = format!("matrix.{}.exact.{}", one["workload"].as_str().unwrap(), one["repetition"]);
        assert_eq!(report.run.name, name);
        let comm = if one["workload"] == "spin" { "sh" } else { "true" };
        assert_eq!(report.target.comm, comm, "the command itself is the target");
        assert_eq!(report.run.ended_by.as_str(), "target-exit");
        assert!(report.allocations.is_some(), "{:#?}", report.collectors);
        assert_eq!(store.run(&["export", &id, "--format", "json"]).code, 0);
    }
    let baselines: Vec<_> = array(&stat, "cells").iter().map(|cell| cell["baseline"].as_str()).collect();
    assert_eq!(baselines, [None, Some("dry"), None, Some("dry")]);
    // What the repetitions took outlives their runs.
    assert_eq!(store.run(&["prune", "--keep", "1"]).code, 0);
    let kept = self::stat(&store);
    assert_eq!(array(&kept, "cells"), array(&stat, "cells"));
    let linked = array(&kept, "repetitions").iter().filter(|one| !one["run_id"].is_null()).count();
    assert_eq!(linked, 1);
}

/// Held at its entry until the probes are in place, a command of a few milliseconds is measured call by call.
#[test]
fn every_call_of_a_short_command_is_seen() {
    let _turn = or_skip!(live::turn());
    let program = or_skip!(Start::plain("sites.c")).path();
    // Without anybody to tell it to go on, it works at once and does the same each time.
    let alone = Command::new(&program).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(alone.stdout).unwrap();
    let truth = Truth::parse(said.lines().find_map(|line| line.strip_prefix("truth ")).unwrap());
    let store = Store::new();
    let workload = format!("[[workload]]\nname = 'sites'\ncommand = ['{}']\n", program.display());
    let finished = bench(&store, &format!("{workload}{PROFILED}"), &[]);
    assert_eq!(finished.code, 0, "{finished:#?}");
    let report = store.run(&["show", "matrix.sites.exact.1", "--json"]).report();
    assert!(report.loss.0.is_empty(), "{:?}", report.loss);
    assert_sites(&report.allocations.unwrap(), &truth.parts);
}

/// A command that fails is recorded, counted apart, and ends nothing but the illusion of success.
#[test]
fn a_failing_command_does_not_end_the_series() {
    let store = Store::new();
    let text = "
        repeat = 2
        warmup = 0
        [[workload]]
        name = 'fails'
        command = ['sh', '-c', 'exit 3']
        [[workload]]
        name = 'hangs'
        command = ['sleep', '1000']
        timeout = '50ms'
        [[workload]]
        name = 'works'
        command = ['true']
        [[mode]]
        name = 'dry'
        profile = false
    ";
    let finished = bench(&store, text, &[]);
    assert_eq!(finished.code, 1, "{finished:#?}");
    let stat = stat(&store);
    let ends: BTreeSet<_> = array(&stat, "repetitions")
        .iter()
        .map(|one| (one["workload"].as_str(), one["ended_by"].as_str(), one["exit_code"].as_i64()))
        .collect();
    let expected = [
        (Some("fails"), Some("exit"), Some(3)),
        (Some("hangs"), Some("timeout"), Some(137)),
        (Some("works"), Some("exit"), Some(0)),
    ];
    assert_eq!(ends, BTreeSet::from(expected));
    let counts: Vec<_> = array(&stat, "cells").iter().map(|cell| (&cell["n"], &cell["failed"])).collect();
    let (none, two) = (Value::from(0), Value::from(2));
    assert_eq!(counts, [(&none, &two), (&none, &two), (&two, &none)]);
    assert_eq!(array(&stat, "cells")[0]["wall_ns"], Value::Null);
}

/// Ctrl-C in the third repetition: two are kept, the third is taken back, and `--resume` measures it and the rest in the
/// order the series began with.
#[test]
fn an_interrupted_series_goes_on() {
    let store = Store::new();
    let gate = store.folder().join("gate");
    let text = format!(
        "repeat = 5\nwarmup = 0\n[[workload]]\nname = 'w'\n\
         command = ['sh', '-c', 'echo >> {gate}; while [ -e {gate}.shut ] && [ $(wc -l < {gate}) = 3 ]; do sleep 0.01; done']\n\
         [[mode]]\nname = 'dry'\nprofile = false\n",
        gate = gate.display()
    );
    let shut = gate.with_extension("shut");
    fs::write(&shut, "").unwrap();
    let file = write(&store, &text);
    let running = Running::start(&mut command(&["bench", &file, "--db", &store.arg()]));
    while lines(&gate) < 3 {
        sleep(Duration::from_millis(5));
    }
    running.interrupt();
    let finished = running.finish();
    assert_eq!(finished.code, 1, "{finished:#?}");
    assert!(finished.stderr.contains("--resume"), "{finished:#?}");
    let before = stat(&store);
    assert_eq!(rows(&before).iter().map(|row| row.0).collect::<Vec<_>>(), [0, 1]);
    fs::remove_file(shut).unwrap();

    let again = bench(&store, &text, &[]);
    assert_eq!(again.code, 2, "{again:#?}");
    assert!(again.stderr.contains("already has a series named `matrix`; --resume"), "{again:#?}");
    let other = bench(&store, &text.replace("name = 'w'", "name = 'v'"), &["--resume"]);
    assert!(other.code == 2 && other.stderr.contains("another matrix"), "{other:#?}");
    let more = bench(&store, &text, &["--resume", "--repeat", "9"]);
    assert!(more.code == 2 && more.stderr.contains("--repeat 5"), "{more:#?}");
    let planned = bench(&store, &text, &["--resume", "--dry-run"]);
    assert_eq!(planned.stdout.lines().count(), 1 + 3, "{planned:#?}");

    let resumed = bench(&store, &text, &["--resume"]);
    assert_eq!(resumed.code, 0, "{resumed:#?}");
    let after = stat(&store);
    assert_eq!(rows(&after).iter().map(|row| row.0).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(
        rows(&after).iter().map(|row| row.3).collect::<BTreeSet<_>>(),
        BTreeSet::from([1, 2, 3, 4, 5])
    );
    assert_eq!(array(&after, "repetitions")[..2], *array(&before, "repetitions"), "what was kept is kept");
    assert_eq!(after["seed"], before["seed"]);
}

/// Ctrl-C while waytrace is attached: the run of the repetition under way goes with it.
#[test]
fn an_interrupted_profile_leaves_no_run() {
    let _turn = or_skip!(live::turn());
    let store = Store::new();
    let pid_file = store.folder().join("pid");
    let file = write(&store, &format!("{}{PROFILED}", endless(&pid_file)));
    let running = Running::start(&mut command(&["bench", &file, "--db", &store.arg()]));
    let pid = await_pid(&pid_file);
    running.interrupt();
    let finished = running.finish();
    assert_eq!((finished.code, store.run_count()), (1, 0), "{finished:#?}");
    assert!(is_gone(pid), "the command was ended");
    assert_eq!(rows(&stat(&store)), []);
}

/// `kill -9` leaves nobody behind.
#[test]
fn a_killed_series_takes_its_command_along() {
    let store = Store::new();
    let pid_file = store.folder().join("pid");
    let dry = "[[mode]]\nname = 'dry'\nprofile = false\n";
    let file = write(&store, &format!("{}{dry}", endless(&pid_file)));
    let running = Running::start(&mut command(&["bench", &file, "--db", &store.arg()]));
    let pid = await_pid(&pid_file);
    running.signal(libc::SIGKILL);
    assert_eq!(running.finish().code, -libc::SIGKILL);
    while !is_gone(pid) {
        sleep(Duration::from_millis(5));
    }
    assert_eq!(bench(&store, &fs::read_to_string(file).unwrap(), &["--resume", "--dry-run"]).code, 0);
}

/// A workload that says who it is and does not end.
fn endless(pid_file: &Path) -> String {
    let script = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000", pid_file.display());
    format!("warmup = 0\n[[workload]]\nname = 'w'\ncommand = ['sh', '-c', '{script}']\n")
}

fn await_pid(path: &Path) -> u32 {
    while !path.exists() {
        sleep(Duration::from_millis(5));
    }
    fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

/// Ended, if perhaps not yet waited for by whoever adopted it.
fn is_gone(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat"));
    status.map_or(true, |text| text.rsplit(')').next().is_some_and(|rest| rest.trim().starts_with('Z')))
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

#[test]
fn a_dry_run_runs_nothing() {
    let store = Store::new();
    let planned = bench(&store, DRY, &["--dry-run"]);
    assert_eq!((planned.code, planned.stdout.lines().count()), (0, 1 + 4), "{planned:#?}");
    assert!(!store.path().exists());
    assert_eq!(planned.stdout, bench(&store, DRY, &["--dry-run"]).stdout, "the seed decides");
}

#[test]
fn mistakes_name_the_mend_and_run_nothing() {
    let store = Store::new();
    let ran = store.folder().join("ran");
    let good = DRY.replace("['true']", &format!("['touch', '{}']", ran.display()));
    let mode = |line: &str| format!("{good}{line}\n");
    let cases = [
        (good.replace("repeat", "repaet"), "did you mean `repeat`"),
        (mode("cpus = '4000'"), "CPU 4000 is not online"),
        (mode("memory_node = 900"), "no NUMA node 900"),
        (mode("frequency = { khz = 1 }"), "mode `dry`"),
        (mode("memory_nodes = '900'\noptional = true"), "none of the modes"),
        (good.replace("'dry'", "'d.r.y'"), "cannot name a mode"),
        (mode("").replace("profile = false", "exact = 7"), "expected a boolean"),
    ];
    for (text, expected) in cases {
        let finished = bench(&store, &text, &[]);
        assert_eq!((finished.code, finished.stdout.as_str()), (2, ""), "{expected}: {finished:#?}");
        let complaints = finished.complaints();
        let last = complaints.last().unwrap();
        assert!(last.contains(expected) && last.contains("waytrace: "), "{expected}: {finished:#?}");
    }
    assert!(!ran.exists() && !store.path().exists());
    let absent = store.run(&["bench", "no-such.toml"]);
    assert!(absent.code == 2 && absent.stderr.contains("no-such.toml"), "{absent:#?}");
    let unknown = store.run(&["list", "--stat", "nothing"]);
    assert_eq!(unknown.code, 2, "{unknown:#?}");
}

/// A mode of which the collector does not exist is found before anything runs.
#[test]
fn a_profiled_mode_is_tried_first() {
    let _turn = or_skip!(live::turn());
    let store = Store::new();
    let ran = store.folder().join("ran");
    let text = DRY.replace("['true']", &format!("['touch', '{}']", ran.display()));
    let finished = bench(&store, &format!("{text}{PROFILED}").replace("'allocations'", "'stamps'"), &[]);
    assert_eq!(finished.code, 2, "{finished:#?}");
    assert!(finished.stderr.contains("mode `exact`"), "{finished:#?}");
    assert!(!ran.exists());
    assert_eq!(store.run(&["list", "--stat", "matrix"]).code, 2, "no series was begun");
}

/// An optional mode that cannot be is left out, with its reason in the series.
#[test]
fn an_optional_mode_is_skipped_with_its_reason() {
    let store = Store::new();
    let text = format!("{DRY}[[mode]]\nname = 'far'\nprofile = false\nmemory_node = 900\noptional = true\n");
    let finished = bench(&store, &text, &[]);
    assert_eq!(finished.code, 0, "{finished:#?}");
    assert!(
        finished.stderr.contains("skipped") && finished.stderr.contains("no NUMA node 900"),
        "{finished:#?}"
    );
    let stat = stat(&store);
    assert!(stat["skipped"]["far"].as_str().unwrap().contains("no NUMA node 900"), "{stat}");
    assert_eq!(array(&stat, "cells").len(), 2);
}
