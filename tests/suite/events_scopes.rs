//! `waytrace events aggregate`, `correlate`, `show` and `compare` on what was running anyway: by process or by CPU, raw or normalised by
//! the pace of each epoch. The measurements are made here, so all their values are known.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use waytrace_model::measured::{Epoch, EpochEnd, EventCount, Scope, Slot, SlotCount};
use waytrace_store::Store;

use crate::harness::measurement;
use crate::harness::waytrace::{Finished, run};

const SLOT_NS: u64 = 250_000_000;
const SLOTS: u64 = 4;
const TGID: u32 = 4242;

/// The anchor, then the events that are measured beside it.
const EVENTS: [&str; 3] = ["task-clock", "calls", "faults"];

fn process() -> Scope {
    Scope::Process { tgid: TGID, comm: "server".to_owned(), start_time_ticks: 1 }
}

fn cgroup() -> Scope {
    Scope::Cgroup { path: "/sys/fs/cgroup/x".to_owned() }
}

/// One epoch of a second after the other, each of all events, at its pace; `None`: the anchor was multiplexed. In each interval
/// of an epoch of pace 1 an event counts what `value` says for the epoch and the interval.
fn measure(
    dir: &TempDir,
    name: &str,
    scope: Scope,
    paces: &[Option<u64>],
    value: impl Fn(u32, u64) -> u64,
) -> PathBuf {
    let path = dir.path().join("runs.db");
    let places = if matches!(scope, Scope::Process { .. }) { vec![TGID] } else { vec![0, 1] };
    let anchors = if scope == Scope::AllCpus { Vec::new() } else { vec![0] };
    let mut header = measurement::header(name, scope, &EVENTS, SLOT_NS);
    header.plan.epoch_ns = Some(SLOTS * SLOT_NS);
    header.plan.repeat = paces.len() as u32;
    header.plan.anchors = anchors;
    let mut store = Store::open(Some(&path)).unwrap();
    let id = store.begin_measurement(&mut header, "test").unwrap();
    for (position, pace) in (0..).zip(paces) {
        let mut epoch = Epoch {
            position,
            attempt: 1,
            run: 0,
            repetition: position as u32 + 1,
            started_at_unix_ns: 1 + position * SLOTS * SLOT_NS,
            duration_ns: SLOTS * SLOT_NS,
            ended_by: EpochEnd::Duration,
            exit_code: None,
            slots: (0..SLOTS).map(|at| Slot { start_ns: at * SLOT_NS, end_ns: (at + 1) * SLOT_NS }).collect(),
            counts: Vec::new(),
            by_slot: Vec::new(),
        };
        for event in 0..EVENTS.len() as u32 {
            for place in &places {
                let value = |slot| match event {
                    0 => 1000,
                    _ => value(event, position * SLOTS + slot),
                };
                let count = |value: u64, slots: u64| EventCount {
                    event,
                    place: *place,
                    value: value * pace.unwrap_or(1),
                    time_enabled_ns: slots * SLOT_NS,
                    time_running_ns: slots * SLOT_NS / if event == 0 && pace.is_none() { 2 } else { 1 },
                };
                epoch.counts.push(count((0..SLOTS).map(value).sum(), SLOTS));
                let slots = (0..SLOTS).filter(|slot| value(*slot) > 0);
                let slots = slots.map(|slot| SlotCount { slot: slot as u32, count: count(value(slot), 1) });
                epoch.by_slot.extend(slots);
            }
        }
        store.add_epoch(id, &epoch, &[]).unwrap();
    }
    path
}

/// Numbers that go with nothing: a congruential generator's (Knuth, "MMIX").
fn noise(event: u32, at: u64) -> u64 {
    let step = |x: u64| x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    100 + (step(step(step(at * 977 + u64::from(event) * 1_000_003))) >> 58)
}

fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn events(args: &[&str]) -> Finished {
    let finished = run(&[&["events"], args].concat());
    assert_eq!(finished.code, 0, "{finished:#?}");
    finished
}

/// Rows of an event: index, CPU and value.
fn rows(table: &str, event: &str) -> Vec<(u64, String, f64)> {
    let rows = table.lines().filter_map(|line| line.strip_prefix(event)?.strip_prefix(','));
    let row = |row: &str| {
        let cells: Vec<&str> = row.split(',').collect();
        (cells[0].parse().unwrap(), cells[4].to_owned(), cells[7].parse().unwrap())
    };
    rows.map(row).collect()
}

#[test]
fn a_process_has_no_cpus_and_its_epochs_one_clock() {
    let dir = TempDir::new().unwrap();
    let db =
        measure(&dir, "server", process(), &[Some(1), Some(1), Some(2)], |event, _| u64::from(event) * 10);
    let table = |options: &[&str]| {
        let all = [&["aggregate", "server", "--db", arg(&db), "-o", "-"], options].concat();
        events(&all).stdout
    };
    let raw = rows(&table(&[]), "calls");
    let indices: Vec<u64> = raw.iter().map(|(index, ..)| *index).collect();
    assert_eq!(indices, (0..12).collect::<Vec<u64>>(), "intervals since the beginning");
    assert!(raw.iter().all(|(_, cpu, _)| cpu.is_empty()), "{raw:?}");
    let values = |rows: &[(u64, String, f64)]| rows.iter().map(|(.., value)| *value).collect::<Vec<_>>();
    assert_eq!(values(&raw), [[10.0; 4], [10.0; 4], [20.0; 4]].concat());
    assert_eq!(values(&rows(&table(&["--normalised"]), "calls")), [10.0; 12]);
    assert_eq!(values(&rows(&table(&["--normalised", "--from", "2s"]), "faults")), [20.0; 4]);
    let refused = run(&[
        "events",
        "aggregate",
        "server",
        "--db",
        arg(&db),
        "-o",
        "-",
        "--core",
        "shared",
        "--cpus",
        "0",
    ]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("was counted by process, not by CPU"), "{refused:#?}");
    let shown = events(&["show", "calls", "server", "--db", arg(&db), "--json", "--normalised"]).json();
    let points = shown["lines"][0]["points"].as_array().unwrap();
    assert!(points.iter().all(|point| point["value"] == 40.0), "four intervals make a second: {shown:#}");
}

#[test]
fn a_cgroup_and_all_cpus_are_counted_by_cpu() {
    let dir = TempDir::new().unwrap();
    let value = |event, _| u64::from(event) * 10;
    let db = measure(&dir, "group", cgroup(), &[Some(1), Some(3), Some(1)], value);
    measure(&dir, "all", Scope::AllCpus, &[Some(1), Some(3), Some(1)], value);
    for name in ["group", "all"] {
        let table = events(&["aggregate", name, "--db", arg(&db), "-o", "-"]).stdout;
        let rows = rows(&table, "calls");
        assert_eq!(rows.len(), 2 * 12);
        assert_eq!(rows.iter().map(|(_, cpu, _)| cpu.as_str()).collect::<BTreeSet<_>>(), ["0", "1"].into());
        let sum: f64 = rows.iter().map(|(.., value)| value).sum();
        assert_eq!(sum, f64::from(2 * 4 * (10 + 30 + 10)));
    }
    let own = ["--core", "exclusive", "--cpus", "1", "--normalised"];
    let table = events(&[&["aggregate", "group", "--db", arg(&db), "-o", "-"], &own[..]].concat()).stdout;
    let calls = rows(&table, "calls");
    assert_eq!(calls.len(), 12);
    assert!(calls.iter().all(|(_, cpu, value)| cpu == "1" && *value == 10.0), "{calls:?}");
    let refused = run(&["events", "aggregate", "all", "--db", arg(&db), "-o", "-", "--normalised"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("no pace to normalise by"), "{refused:#?}");
}

#[test]
fn an_epoch_whose_pace_is_not_known_is_left_out_and_counted() {
    let dir = TempDir::new().unwrap();
    let db = measure(&dir, "server", process(), &[Some(1), None, Some(2), Some(1)], |_, _| 5);
    let out = dir.path().join("out.csv");
    let all = ["aggregate", "server", "--db", arg(&db), "-o", arg(&out), "--json", "--force"];
    let raw = events(&all).json();
    assert_eq!((&raw["rows"], &raw["paceless"], &raw["normalised"]), (&44.into(), &0.into(), &false.into()));
    let normalised = events(&[&all[..], &["--normalised"]].concat());
    assert!(normalised.stderr.contains("1 epochs left out"), "{normalised:#?}");
    let report = normalised.json();
    assert_eq!((&report["rows"], &report["paceless"]), (&36.into(), &1.into()), "{report:#}");
}

/// Two events that have nothing in common but that all goes five times as fast in some epochs.
#[test]
fn what_only_drifts_together_does_not_correlate_normalised() {
    let dir = TempDir::new().unwrap();
    let paces: Vec<Option<u64>> = (0..15).map(|epoch| Some(if epoch % 3 == 2 { 5 } else { 1 })).collect();
    let db = measure(&dir, "server", process(), &paces, noise);
    let pair = |options: &[&str]| -> Value {
        let report = events(&[&["correlate", "server", "--db", arg(&db), "--json"], options].concat()).json();
        let is = |pair: &&Value| [&pair["a"], &pair["b"]].iter().all(|name| **name != "task-clock");
        report["pairs"].as_array().unwrap().iter().find(is).unwrap().clone()
    };
    assert!(pair(&[])["coefficient"].as_f64().unwrap() > 0.9);
    let normalised = pair(&["--normalised"]);
    assert!(normalised["coefficient"].as_f64().unwrap().abs() < 0.5, "{normalised}");
    assert!(normalised["p"].as_f64().unwrap() > 0.01, "{normalised}");
}

/// The second drifts in a third of its epochs, and has three times the faults; the calls are as they were.
#[test]
fn a_change_is_told_from_drift() {
    let dir = TempDir::new().unwrap();
    let steady = [Some(1); 9];
    let drifting: Vec<Option<u64>> = (0..9).map(|epoch| Some(if epoch % 3 == 0 { 4 } else { 1 })).collect();
    let db = measure(&dir, "before", process(), &steady, |event, at| noise(event, at / SLOTS));
    measure(&dir, "after", process(), &drifting, |event, at| {
        noise(event, at / SLOTS) * if event == 2 { 3 } else { 1 }
    });
    let compare = |options: &[&str]| {
        let all = [&["compare", "before", "after", "--db", arg(&db), "--json"], options].concat();
        events(&all).json()
    };
    let row = |report: &Value, name: &str| {
        let rows = report["events"].as_array().unwrap();
        rows.iter().find(|row| row["event"] == name).unwrap().clone()
    };
    let normalised = compare(&["--normalised"]);
    assert_eq!((&normalised["unit"], &normalised["normalised"]), (&"per second".into(), &true.into()));
    let ratio = |report: &Value, name: &str| row(report, name)["ratio"]["ratio"].as_f64().unwrap();
    assert!((ratio(&normalised, "calls") - 1.0).abs() < 1e-9, "{normalised:#}");
    assert_eq!(row(&normalised, "calls")["delta"], 0.0);
    assert!((ratio(&normalised, "faults") - 3.0).abs() < 1e-9);
    assert!(row(&normalised, "faults")["q"].as_f64().unwrap() < 0.01);
    let raw = compare(&[]);
    assert!(row(&raw, "calls")["delta"].as_f64().unwrap() > 0.0, "{raw:#}");
}
