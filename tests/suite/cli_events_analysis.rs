//! `waytrace events aggregate`, `correlate`, `show`, `compare` and `rank` on measurements of known truth: stored ones, and files
//! in gz/autoperf's columns.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use waytrace_model::measured::{Epoch, EpochEnd, EventCount, Scope, Slot, SlotCount};
use waytrace_store::Store;

use crate::harness::measurement;
use crate::harness::waytrace::{Finished, run};

const SLOT_NS: u64 = 250_000_000;
const SLOTS: u32 = 40;

/// Numbers that go with no time of their own: a congruential generator's (Knuth, "MMIX").
fn noise(seed: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(seed), |x| {
        Some(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    })
    .skip(3)
    .map(|x| x >> 54)
}

/// `fast` and `twice` go together, `against` against them, `other` with none; `never` does not occur, `once` once, and
/// `turns` is multiplexed. One run of events has the first three, the next the rest.
const EVENTS: [&str; 7] = ["fast", "twice", "against", "other", "never", "once", "turns"];

fn value(event: usize, slot: u32, repetition: u32, scale: u64) -> u64 {
    let at = |seed| noise(seed + u64::from(repetition)).nth(slot as usize).unwrap();
    match event {
        0 => at(1) * scale,
        1 => 2 * at(1) + 3,
        2 => 5_000 - at(1),
        3 => at(1_000) + 7,
        5 if slot == 11 => 1,
        6 => 100,
        _ => 0,
    }
}

fn store(dir: &TempDir, name: &str, repetitions: u32, scale: u64) -> PathBuf {
    let path = dir.path().join("runs.db");
    let scope = Scope::Command { command: vec!["true".to_owned()] };
    let mut header = measurement::header(name, scope, &EVENTS, SLOT_NS);
    header.plan.repeat = repetitions;
    header.plan.runs = vec![vec![0, 1, 2], vec![3, 4, 5, 6]];
    let mut store = Store::open(Some(&path)).unwrap();
    let id = store.begin_measurement(&mut header, "test").unwrap();
    let mut position = 0;
    for repetition in 1..=repetitions {
        for (run, events) in (0..).zip(&header.plan.runs) {
            store.add_epoch(id, &epoch(position, run, repetition, events, scale), &[]).unwrap();
            position += 1;
        }
    }
    path
}

/// All on CPU 0; what is 0 and whole is left out.
fn epoch(position: u64, run: u32, repetition: u32, events: &[u32], scale: u64) -> Epoch {
    let (mut counts, mut by_slot) = (Vec::new(), Vec::new());
    for event in events {
        let count = |value: u64, slots: u64| EventCount {
            event: *event,
            place: 0,
            value,
            time_enabled_ns: SLOT_NS * slots,
            time_running_ns: if *event == 6 { SLOT_NS * slots / 2 } else { SLOT_NS * slots },
        };
        let values = (0..SLOTS).map(|slot| (slot, value(*event as usize, slot, repetition, scale)));
        counts.push(count(values.clone().map(|(_, value)| value).sum(), u64::from(SLOTS)));
        let there = values.filter(|(_, value)| *value > 0);
        by_slot.extend(there.map(|(slot, value)| SlotCount { slot, count: count(value, 1) }));
    }
    let slot = |number: u64| Slot { start_ns: number * SLOT_NS, end_ns: (number + 1) * SLOT_NS };
    Epoch {
        position,
        attempt: 1,
        run,
        repetition,
        started_at_unix_ns: 1 + position * 1_000_000_000,
        duration_ns: SLOT_NS * u64::from(SLOTS),
        ended_by: EpochEnd::Exit,
        exit_code: Some(0),
        slots: (0..u64::from(SLOTS)).map(slot).collect(),
        counts,
        by_slot,
    }
}

fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn events(args: &[&str]) -> Finished {
    let finished = run(&[&["events"], args].concat());
    assert_eq!(finished.code, 0, "{finished:#?}");
    finished
}

fn list<'j>(json: &'j Value, field: &str) -> &'j Vec<Value> {
    json[field].as_array().unwrap()
}

#[test]
fn aggregated_values_are_those_measured_and_are_read_again() {
    let dir = TempDir::new().unwrap();
    let (db, file) = (store(&dir, "two", 2, 1), dir.path().join("results.csv"));
    let report = events(&["aggregate", "two", "--db", arg(&db), "-o", arg(&file), "--json"]).json();
    // Six events that are whole, 40 intervals, 2 repetitions, and all 80 values of the other.
    assert_eq!(
        (&report["rows"], &report["events"], &report["repetitions"]),
        (&480.into(), &6.into(), &2.into())
    );
    assert_eq!(report["multiplexed"], serde_json::json!([{"event": "turns", "values": 80}]));
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("EVENT_NAME,INDEX,TIME,SOCKET,CORE,CPU,NODE,UNIT,SAMPLE_VALUE,REPETITION\n"));
    assert!(text.contains(&format!("\nfast,4,1.25,0,0,0,0,software,{},2\n", value(0, 4, 2, 1))), "{text}");
    assert!(text.contains("\nonce,11,3,0,0,0,0,software,1,1\n") && text.contains("\nnever,39,10,"));
    let again = dir.path().join("again.csv");
    events(&["aggregate", arg(&file), "-o", arg(&again)]);
    assert_eq!(fs::read_to_string(&again).unwrap(), text);
    let cut = events(&["aggregate", "two", "--db", arg(&db), "--from", "once", "-o", "-"]).stdout;
    // `once` occurs in the epochs of its own run only, in the 12th of 40 intervals.
    assert_eq!(cut.lines().filter(|line| line.starts_with("other,")).count(), 2 * 29, "{cut}");
    assert!(cut.contains(&format!("\nother,0,0.25,0,0,0,0,software,{},1\n", value(3, 11, 1, 1))), "{cut}");
    assert!(!cut.contains("fast,") && !cut.contains("once,"));
}

#[test]
fn parquet_is_read_by_others() {
    let dir = TempDir::new().unwrap();
    let (db, file) = (store(&dir, "one", 1, 1), dir.path().join("results.parquet"));
    events(&["aggregate", "one", "--db", arg(&db), "-o", arg(&file)]);
    let python = std::env::var("WAYTRACE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = "import sys, pyarrow.parquet as p; t = p.read_table(sys.argv[1]).to_pylist(); \
        print(len(t), sum(r['SAMPLE_VALUE'] for r in t if r['EVENT_NAME'] == 'fast'), t[0]['CPU'], t[0]['UNIT'])";
    let read = std::process::Command::new(python).args(["-c", script, arg(&file)]).output();
    let read = read.ok().filter(|read| !String::from_utf8_lossy(&read.stderr).contains("No module named"));
    let Some(read) = read else {
        return crate::harness::skip::say(
            "pyarrow is not installed; WAYTRACE_PYTHON may name a python3 that has it",
        );
    };
    let sum: u64 = (0..SLOTS).map(|slot| value(0, slot, 1, 1)).sum();
    assert_eq!(String::from_utf8_lossy(&read.stdout), format!("240 {sum}.0 0 software\n"), "{read:?}");
}

#[test]
fn known_correlations_are_found_and_silent_events_told() {
    let dir = TempDir::new().unwrap();
    let db = store(&dir, "known", 2, 1);
    for method in ["pearson", "spearman"] {
        let report = events(&["correlate", "known", "--db", arg(&db), "--method", method, "--json"]).json();
        let pair = |a: &str, b: &str| {
            let is = |pair: &&Value| (pair["a"] == a && pair["b"] == b) || (pair["a"] == b && pair["b"] == a);
            list(&report, "pairs").iter().find(is).unwrap().clone()
        };
        assert!(pair("fast", "twice")["coefficient"].as_f64().unwrap() > 0.999, "{report:#}");
        assert!(pair("fast", "against")["coefficient"].as_f64().unwrap() < -0.999);
        assert!(pair("fast", "against")["q"].as_f64().unwrap() < 1e-6);
        assert!(pair("fast", "other")["q"].as_f64().unwrap() > 0.05);
        let silent: Vec<(&str, &str)> = list(&report, "left_out")
            .iter()
            .map(|one| (one["event"].as_str().unwrap(), one["reason"].as_str().unwrap()))
            .collect();
        assert_eq!(silent, [("never", "zero"), ("once", "sparse"), ("turns", "unmeasured")]);
        let order: Vec<&str> = list(&report, "events").iter().map(|name| name.as_str().unwrap()).collect();
        assert!(order[0] == "other" || order[3] == "other", "alike ones side by side: {order:?}");
    }
    let [svg, html, csv, pairs] = ["m.svg", "m.html", "m.csv", "p.csv"].map(|name| dir.path().join(name));
    let text = events(&[
        "correlate",
        "known",
        "--db",
        arg(&db),
        "-o",
        arg(&svg),
        "-o",
        arg(&html),
        "-o",
        arg(&csv),
        "--pairs",
        arg(&pairs),
    ]);
    assert!(text.stdout.contains("3 of 6 pairs go together"), "{text:#?}");
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    assert!(read(&svg).contains("data:image/png;base64,") && read(&html).contains("id=\"cells\""));
    assert_eq!((read(&csv).lines().count(), read(&pairs).lines().count()), (5, 7));
}

#[test]
fn one_event_is_shown_over_time() {
    let dir = TempDir::new().unwrap();
    let (db, svg) = (store(&dir, "shown", 2, 1), dir.path().join("fast.svg"));
    let report = events(&["show", "FAST", "shown", "--db", arg(&db), "-o", arg(&svg), "--json"]).json();
    let lines = list(&report, "lines");
    assert_eq!((lines.len(), list(&lines[1], "points").len()), (2, 40));
    // Four intervals make a second.
    assert_eq!(lines[1]["points"][4]["value"], (4 * value(0, 4, 2, 1)) as f64);
    assert!(
        fs::read_to_string(&svg).unwrap().contains("fast of shown")
            || fs::read_to_string(&svg).unwrap().contains("FAST of shown")
    );
    let flagged = events(&["show", "turns", "shown", "--db", arg(&db)]).stdout;
    assert!(flagged.contains("80 values left out: the event was multiplexed"), "{flagged}");
    let described = events(&["show", "page-faults", arg(&rows(&dir, "f.csv", &["page-faults"], 8))]).stdout;
    assert!(described.contains("MEDIAN"), "{described}");
}

/// A file of gz/autoperf's columns in which each event is noise of its own.
fn rows(dir: &TempDir, name: &str, events: &[&str], slots: usize) -> PathBuf {
    let mut text = "EVENT_NAME,INDEX,TIME,SOCKET,CORE,CPU,NODE,UNIT,SAMPLE_VALUE\n".to_owned();
    for (seed, event) in (77..).step_by(1000).zip(events) {
        for (slot, value) in noise(seed).take(slots).enumerate() {
            writeln!(text, "{event},{slot},{},0,0,0,0,cpu,{value}", (slot + 1) as f64 * 0.25).unwrap();
        }
    }
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

/// Repetitions of noise of their own, in which one event is three times as frequent in the second measurement.
#[test]
fn a_known_shift_is_told_from_chance() {
    let dir = TempDir::new().unwrap();
    let db = store(&dir, "before", 8, 1);
    store(&dir, "after", 8, 3);
    let csv = dir.path().join("changes.csv");
    let report =
        events(&["compare", "before", "after", "--db", arg(&db), "--csv", arg(&csv), "--json"]).json();
    let rows = list(&report, "events");
    let row = |name: &str| rows.iter().find(|row| row["event"] == name).unwrap();
    assert_eq!(rows[0]["event"], "fast", "{report:#}");
    assert!((row("fast")["ratio"]["ratio"].as_f64().unwrap() - 3.0).abs() < 1e-9);
    assert!(row("fast")["q"].as_f64().unwrap() < 0.01 && row("fast")["delta"] == 1.0);
    assert!(["twice", "against", "other"].iter().all(|name| row(name)["q"].as_f64().unwrap() > 0.9));
    assert_eq!(report["zero"], serde_json::json!(["never"]));
    assert_eq!((&report["unit"], &report["multiplexed"]), (&"per execution".into(), &16.into()));
    assert_eq!(fs::read_to_string(&csv).unwrap().lines().count(), 1 + rows.len());
}

/// Four general counters, and six events of which two can be on the first only.
fn catalogue(dir: &TempDir) -> PathBuf {
    let top = dir.path().join("events");
    fs::create_dir(&top).unwrap();
    fs::write(
        top.join("mapfile.csv"),
        "Family-model,Version,Filename,EventType\nTestVendor-6-1,V1,/core.json,core\n",
    )
    .unwrap();
    let event = |name: &str, counter: &str| {
        format!(r#"{{"EventName":"{name}","EventCode":"0x01","Counter":"{counter}"}}"#)
    };
    let all: Vec<String> =
        [("A", "0"), ("B", "0"), ("C", "0,1,2,3"), ("D", "0,1,2,3"), ("E", "0,1,2,3"), ("F", "0,1,2,3")]
            .map(|(name, counter)| event(name, counter))
            .into();
    fs::write(top.join("core.json"), format!("[{}]", all.join(","))).unwrap();
    top
}

/// Three repetitions of each of four runs in two classes: A tells them apart and C as A does, up to scale; D does by itself, and B has
/// D's noise with less between the classes; E is A's noise, and F always the same.
#[test]
fn labelled_runs_are_told_apart_by_one_run_of_events() {
    let dir = TempDir::new().unwrap();
    let top = catalogue(&dir);
    let mut labels = "class,run\n".to_owned();
    for (run, class) in ["calm", "busy", "calm", "busy"].iter().enumerate() {
        let mut text = "EVENT_NAME,INDEX,TIME,CPU,UNIT,SAMPLE_VALUE,REPETITION\n".to_owned();
        for repetition in 0..3 {
            let shift = if *class == "busy" { 90 } else { 0 };
            let (one, two) = ([0, 8, 4][repetition] + run, [5, 5, 0][repetition] + 2 * (run / 2));
            let values = [
                ("A", shift + one),
                ("B", shift / 5 + two),
                ("C", 1000 - 2 * (shift + one)),
                ("D", shift / 2 + two),
                ("E", one),
                ("F", 7),
            ];
            for (event, value) in values {
                writeln!(text, "{event},0,0.25,0,cpu,{value},{}", repetition + 1).unwrap();
            }
        }
        let path = dir.path().join(format!("{run}.csv"));
        fs::write(&path, text).unwrap();
        writeln!(labels, "{class},{}", arg(&path)).unwrap();
    }
    let file = dir.path().join("labels.csv");
    fs::write(&file, labels).unwrap();
    let own = ["rank", "--labels", arg(&file), "--cpu", "TestVendor-6-1", "--catalogue", arg(&top)];
    let ranked = events(&[&own[..], &["--cache", "/nonexistent", "--json"]].concat()).json();
    let names: Vec<_> = list(&ranked, "events").iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert!(names == ["a", "d"] || names == ["c", "d"], "{ranked:#}");
    assert!(list(&ranked, "events").iter().all(|row| row["auc"] == 1.0 && row["q"].as_f64().unwrap() < 0.05));
    assert_eq!(ranked["alike"], serde_json::json!(["e", "f"]));
    let classes = list(&ranked, "classes");
    assert_eq!((&classes[0]["name"], &classes[0]["repetitions"]), (&"busy".into(), &6.into()));
}

#[test]
fn the_best_of_a_list_that_fit_one_run_are_taken() {
    let dir = TempDir::new().unwrap();
    let top = catalogue(&dir);
    let features = dir.path().join("features.csv");
    fs::write(
        &features,
        ",rank,feature\n0,1,AVG.B\n1,2,STD.B\n2,3,MAX.A\n3,4,C\n4,5,SHEEP\n5,6,F\n6,7,D\n7,8,E\n",
    )
    .unwrap();
    let ranked = |args: &[&str]| {
        let own = [
            "rank",
            "--cpu",
            "TestVendor-6-1",
            "--catalogue",
            arg(&top),
            "--cache",
            "/nonexistent",
            "--json",
        ];
        events(&[&own, args].concat()).json()
    };
    let names = |report: &Value| -> Vec<String> {
        list(report, "events").iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    let report = ranked(&["--list", arg(&features)]);
    assert_eq!(names(&report), ["b", "c", "f", "d"]);
    assert_eq!(
        (&report["unknown"], &report["passed_over"]),
        (&serde_json::json!(["sheep"]), &serde_json::json!(["a", "e"]))
    );
    // Unsupervised: e is f doubled, so that one of them tells all of both.
    let file = rows(&dir, "r.csv", &["C", "D", "F"], 60);
    let doubled: String = fs::read_to_string(&file)
        .unwrap()
        .lines()
        .filter_map(|line| Some((line.strip_prefix("F,")?, line.rsplit_once(',')?)))
        .map(|(rest, (_, value))| {
            format!("E,{},{}\n", rest.rsplit_once(',').unwrap().0, 2 * value.parse::<u64>().unwrap())
        })
        .collect();
    fs::write(&file, fs::read_to_string(&file).unwrap() + &doubled).unwrap();
    let chosen = ranked(&[arg(&file)]);
    let picked = names(&chosen);
    assert_eq!(picked.len(), 3, "{chosen:#}");
    assert!(picked[0] == "e" || picked[0] == "f", "{picked:?}");
    assert!(chosen["events"][2]["explained_ratio"].as_f64().unwrap() > 0.999);
    assert_eq!(names(&ranked(&[arg(&file), "--limit", "1"])).len(), 1);
}

#[test]
fn bad_input_is_refused_with_the_mend() {
    let dir = TempDir::new().unwrap();
    let db = arg(&store(&dir, "there", 1, 1)).to_owned();
    let write = |name: &str, text: &str| {
        fs::write(dir.path().join(name), text).unwrap();
        arg(&dir.path().join(name)).to_owned()
    };
    let foreign = write("foreign.csv", "a,b\n1,2\n");
    let comma = write("comma.csv", "EVENT_NAME,INDEX,TIME,SAMPLE_VALUE\na,0,\"0,25\",1\n");
    let empty = write("empty.csv", "EVENT_NAME,INDEX,TIME,SAMPLE_VALUE\n");
    let out = arg(&dir.path().join("out.csv")).to_owned();
    let one = write("one.csv", "run,class\nnowhere,x\nthere,y\n");
    let alone = write("alone.csv", "run,class\nthere,x\n");
    let cases: [(&[&str], &str); 16] = [
        (&["rank", "--labels", &foreign, "--cache", "/nonexistent"], "`run,class`"),
        (&["rank", "--labels", &one, "--db", &db, "--cache", "/nonexistent"], "there are: there"),
        (&["rank", "--labels", &alone, "--db", &db, "--cache", "/nonexistent"], "labels of one class"),
        (&["aggregate", "sheep", "--db", &db, "-o", &out], "there are: there"),
        (&["aggregate", &foreign, "-o", &out], "no column EVENT_NAME"),
        (&["aggregate", &comma, "-o", &out], "line 2: `0,25` is no TIME"),
        (&["aggregate", &empty, "-o", &out], "has counted nothing yet"),
        (&["aggregate", "there", "--db", &db, "-o", &foreign], "--force replaces it"),
        (&["aggregate", "there", "--db", &db, "-o", &out, "--core", "shared"], "--cpus LIST"),
        (&["aggregate", "there", "--db", &db, "-o", "-", "--json"], "name a file by -o"),
        (&["correlate", "there", "--db", &db, "-o", "m.png"], ".svg, .html or .csv"),
        (&["correlate", "there", "--db", &db, "--from", "sheep"], "did not measure that event"),
        (&["show", "fas", "there", "--db", &db], "there are: fast"),
        (&["compare", "there", &empty, "--db", &db], "has counted nothing yet"),
        (&["rank", "--list", &empty, "--cache", "/nonexistent"], "names no event"),
        (&["rank", "there", "--db", &db, "--cache", "/nonexistent"], "--cpu"),
    ];
    for (args, needle) in cases {
        let finished = run(&[&["events"], args].concat());
        assert_eq!((finished.code, finished.stdout.as_str()), (2, ""), "{args:?}: {finished:#?}");
        assert!(finished.stderr.contains(needle), "{args:?}: {}", finished.stderr);
        assert!(!Path::new(&out).exists(), "{args:?}");
    }
}
