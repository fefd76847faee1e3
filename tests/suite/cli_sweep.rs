//! `waytrace cache sweep` on simulated hosts that follow the real clock: a cliff where it is, the ways a sweep can end, and that all
//! is as before after each of them. How exact its figures are is tested with `waytrace-sweep`, where time stands still.

use std::time::{Duration, Instant};

use serde_json::Value;
use waytrace_simhost::faults::{Effect, Operation};
use waytrace_simhost::hosts;
use waytrace_simhost::model::program::{Program, Workload};
use waytrace_simhost::model::task::TaskSpec;

use crate::harness::simulated::{LOOP, STREAM, Simulated};
use crate::harness::waytrace::{Finished, Running, Store};
use crate::or_skip;

const DEADLINE: Duration = Duration::from_secs(60);

/// A host on which process 1000 goes round five of twelve ways, alone.
fn host(interface: &str) -> Result<Simulated, String> {
    let spec = hosts::twelve();
    let host = Simulated::of(&spec)?;
    {
        let mut model = host.mounted.host();
        model.machine.exit(STREAM);
        let workload = Workload::of(Program::Loop { bytes: 5 * spec.l3.way_bytes() });
        model.start(TaskSpec { tgid: LOOP, tid: LOOP, cpu: 0, workload });
        model.set_mounted(interface == "resctrl");
        model.step(200_000_000);
    }
    host.mounted.thaw();
    Ok(host)
}

/// Of a sweep of process 1000: one, or so many that it does not end by itself.
fn arguments<'a>(store: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["sweep", "--pid", "1000", "--db", store, "--repeats", "1", "--window", "60ms"], more].concat()
}

fn endless<'a>(store: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["sweep", "--pid", "1000", "--db", store, "--repeats", "10000", "--window", "60ms"], more].concat()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until the target has fewer than all ways.
fn until_under_way(host: &Simulated) {
    until("no mask was ever set", || {
        let model = host.mounted.host();
        let masks = &model.machine.control.l3[0];
        masks.iter().skip(1).any(|mask| *mask != 0xfff)
    });
}

/// Sweeps until `act` ends it, and checks that all is as before.
fn ended_by(interface: &str, act: impl FnOnce(&Simulated, &Running)) -> Option<(Finished, Value)> {
    let host = match host(interface) {
        Ok(host) => host,
        Err(reason) => {
            crate::harness::skip::say(&reason);
            return None;
        }
    };
    let before = host.state();
    let store = Store::new();
    let path = store.arg();
    let running = Running::start(
        &mut host.command(&endless(&path, &["--interface", interface, "--json", "--ways", "1-6"])),
    );
    until_under_way(&host);
    act(&host, &running);
    let finished = running.finish();
    if host.mounted.host().machine.tasks.contains_key(&LOOP) {
        assert_eq!(host.state(), before, "{finished:#?}");
    }
    let document = finished.json();
    Some((finished, document))
}

#[test]
fn a_loops_cliff_is_at_its_length() {
    for interface in ["resctrl", "msr"] {
        let host = or_skip!(host(interface));
        let before = host.state();
        let store = Store::new();
        let path = store.arg();
        let finished = host.cache(&arguments(
            &path,
            &["--interface", interface, "--ways", "3-7", "--json", "--name", "cliff"],
        ));
        assert_eq!(finished.code, 0, "{finished:#?}");
        assert_eq!(host.state(), before, "{finished:#?}");
        let document = finished.json();
        assert_eq!(
            (&document["sweep"]["simulated"], &document["end"]["reason"], &document["end"]["restored"]),
            (&Value::Bool(true), &Value::from("completed"), &Value::Bool(true))
        );
        let ways = document["curves"]["ways"].as_array().unwrap();
        let ratios: Vec<(u64, bool)> = ways
            .iter()
            .map(|point| {
                (point["ways"].as_u64().unwrap(), point["miss_ratio"]["value"].as_f64().unwrap() > 0.5)
            })
            .collect();
        assert_eq!(
            ratios,
            [(3, true), (4, true), (5, false), (6, false), (7, false), (12, false)],
            "{interface}: {document:#}"
        );
        assert_eq!(document["curves"]["working_set"]["ways"], 5);
    }
}

#[test]
fn a_person_reads_a_table_that_says_it_is_simulated() {
    let host = or_skip!(host("resctrl"));
    let store = Store::new();
    let path = store.arg();
    let finished = host.cache(&arguments(&path, &["--ways", "4,5", "--other-class", "--pressure", "2MiB"]));
    assert_eq!(finished.code, 0, "{finished:#?}");
    for needle in ["simulated", "12 ways", "miss ratio", "working set: 5 ways", "all was restored"] {
        assert!(finished.stdout.to_lowercase().contains(&needle.to_lowercase()), "{needle}: {finished:#?}");
    }
}

#[test]
fn ctrl_c_and_sigterm_end_it_well() {
    for (interface, signal) in [("resctrl", libc::SIGINT), ("msr", libc::SIGTERM)] {
        let Some((finished, document)) = ended_by(interface, |_, running| running.signal(signal)) else {
            return;
        };
        assert_eq!(finished.code, 1, "{finished:#?}");
        assert_eq!(document["end"]["reason"], "interrupted");
        assert!(finished.stderr.contains("kept"), "{finished:#?}");
    }
}

#[test]
fn the_end_of_the_target_ends_it() {
    for interface in ["resctrl", "msr"] {
        let ended = ended_by(interface, |host, _| host.mounted.host().machine.exit(LOOP));
        let Some((finished, document)) = ended else { return };
        assert_eq!(
            (finished.code, &document["end"]["reason"]),
            (1, &Value::from("target-exited")),
            "{finished:#?}"
        );
        assert_eq!(document["end"]["restored"], true, "{finished:#?}");
    }
}

#[test]
fn a_failure_and_the_guard_end_it() {
    let fault = |host: &Simulated, _: &Running| {
        host.fault("sys/fs/resctrl/*/schemata", Operation::Write, Effect::Fail(libc::EIO));
    };
    let Some((finished, document)) = ended_by("resctrl", fault) else { return };
    assert_eq!((finished.code, &document["end"]["reason"]), (1, &Value::from("failed")), "{finished:#?}");
    let host = or_skip!(host("resctrl"));
    let before = host.state();
    let store = Store::new();
    let path = store.arg();
    // With fewer than five ways it loses three quarters.
    let finished = host.cache(&arguments(&path, &["--ways", "1-4", "--max-slowdown", "20%"]));
    assert!(finished.code == 1 && finished.stderr.contains("ended by the guard"), "{finished:#?}");
    assert_eq!(host.state(), before);
}

#[test]
fn kill_9_leaves_nothing_changed() {
    for interface in ["resctrl", "msr"] {
        let host = or_skip!(host(interface));
        let before = host.state();
        let store = Store::new();
        let path = store.arg();
        let running = Running::start(&mut host.command(&endless(&path, &["--interface", interface])));
        until_under_way(&host);
        running.signal(libc::SIGKILL);
        running.finish();
        until("the watchdog did not restore", || host.state() == before);
    }
}

#[test]
fn a_second_sweep_is_refused() {
    let host = or_skip!(host("resctrl"));
    let store = Store::new();
    let path = store.arg();
    let first = Running::start(&mut host.command(&endless(&path, &[])));
    until_under_way(&host);
    let second = host.cache(&arguments(&path, &[]));
    assert_eq!((second.code, second.stdout.as_str()), (2, ""), "{second:#?}");
    assert!(second.complaints().len() == 1 && second.stderr.contains("is at it"), "{second:#?}");
    first.interrupt();
    first.finish();
}

#[test]
fn what_cannot_begin_is_refused_in_one_line() {
    let host = or_skip!(host("resctrl"));
    let before = host.state();
    let store = Store::new();
    let path = store.arg();
    for (more, needle) in [
        (&["--ways", "13"][..], "from 1 to 12 ways"),
        (&["--ways", "0-2"], "no mask can have 0 ways"),
        (&["--slo", "speed > 1"], "`speed` is no metric"),
        (&["--slo", "ipc > "], "no value of ipc"),
        (&["--cpus", "0"], "--interface msr"),
        (&["--interface", "msr"], "resctrl is mounted"),
        (&["--settle-cap", "0s"], "--settle-cap is 0"),
    ] {
        let finished = host.cache(&arguments(&path, more));
        assert_eq!((finished.code, finished.stdout.as_str()), (2, ""), "{finished:#?}");
        assert!(
            finished.complaints().len() == 1 && finished.stderr.contains(needle),
            "{needle}: {finished:#?}"
        );
    }
    let gone = host.cache(&["sweep", "--pid", "77", "--db", &path]);
    assert!(gone.code == 2 && gone.stderr.contains("no process 77"), "{gone:#?}");
    assert_eq!(host.state(), before);
}

#[test]
fn a_divided_cache_is_not_swept() {
    for interface in ["resctrl", "msr"] {
        let (host, store) = (or_skip!(Simulated::named("divided")), Store::new());
        host.mounted.host().set_mounted(interface == "resctrl");
        let before = host.state();
        let refused = host.cache(&arguments(store.path().to_str().unwrap(), &["--interface", interface]));
        assert_eq!((refused.code, refused.complaints().len()), (2, 1), "{refused:#?}");
        assert!(refused.stderr.contains("divided into 2 NUMA nodes"), "{refused:#?}");
        assert_eq!(host.state(), before, "{interface}");
    }
}

#[test]
fn without_cache_allocation_the_reason_is_told() {
    let bare = tempfile::tempdir().unwrap();
    std::fs::create_dir(bare.path().join("proc")).unwrap();
    std::fs::write(bare.path().join("proc/cpuinfo"), "flags\t: fpu\nmodel name\t: Old CPU\n").unwrap();
    let store = Store::new();
    let root = bare.path().to_str().unwrap();
    let finished = crate::harness::waytrace::run(&[
        "cache",
        "sweep",
        "--pid",
        "1",
        "--db",
        &store.arg(),
        "--host-root",
        root,
    ]);
    assert_eq!((finished.code, finished.stdout.as_str()), (2, ""), "{finished:#?}");
    assert!(
        finished.complaints().len() == 1 && finished.stderr.contains("Old CPU has neither"),
        "{finished:#?}"
    );
}
