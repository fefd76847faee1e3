//! Stored way sweeps by the command line: listed, shown, compared, drawn, exported and deleted. Their points are made here, so that the curves
//! are known: a loop that fits into five of eight ways.

use std::fs;

use serde_json::Value;
use waytrace_model::cache::{CacheId, WayMask};
use waytrace_model::cache_report::Interface;
use waytrace_model::run::{Host, RunHeader, TargetInfo};
use waytrace_model::sweep::{
    CacheMonitor, EndReason, MissSource, Settled, SweepEnd, SweepHeader, SweepPlan, SweepPoint, SweepTarget,
    SweptCache, ThreadCounts,
};

use crate::golden::breaches;
use crate::harness::waytrace::{Finished, Store};

const CONTRACT: &str = include_str!("../golden/show-json-sweep.contract");
const DIFF_CONTRACT: &str = include_str!("../golden/diff-json-sweeps.contract");
const WAYS: u32 = 8;

fn header(name: &str) -> SweepHeader {
    SweepHeader {
        name: name.to_owned(),
        started_at_unix_ns: 1_700_000_000_000_000_000,
        command: "waytrace cache sweep --pid 7".to_owned(),
        simulated: true,
        interface: Interface::Resctrl,
        target: SweepTarget { pid: 7, comm: "looper".to_owned(), cpus: Vec::new() },
        cache: SweptCache {
            resource: "L3".to_owned(),
            ids: vec![CacheId(0)],
            ways: WAYS,
            way_bytes: Some(1 << 20),
            full_mask: WayMask::lowest(WAYS),
        },
        plan: SweepPlan {
            ways: (1..=WAYS).collect(),
            repeats: Some(3),
            window_ns: 100_000_000,
            settle_cap_ns: 1_000_000_000,
            every_ns: None,
            reference_every: WAYS,
            pressure_bytes: None,
            others_confined: false,
            seed: 1,
            max_slowdown: None,
            slo: None,
        },
        misses: Some(MissSource::LlcEvents),
    }
}

/// Ways the loop fits into.
const FITS: u32 = 5;

/// 10⁵ instructions with 10⁴ references; of these 90 % miss with fewer ways than `fits`, else 10 %, and each costs 10 cycles.
fn point(sweep: u32, ways: u32, reference: bool, fits: u32) -> SweepPoint {
    let misses = if ways < fits { 9_000 } else { 1_000 };
    let position = u64::from(sweep * (WAYS + 1) + if reference { 0 } else { ways });
    SweepPoint {
        sweep,
        position,
        ways,
        mask: WayMask::lowest(ways),
        reference,
        at_ns: position * 200_000_000,
        settle_ns: 100_000_000,
        settled: Settled::Occupancy,
        window_ns: 100_000_000,
        threads: vec![ThreadCounts {
            tid: 7,
            cpu: None,
            instructions: Some(100_000),
            cycles: Some(50_000 + 10 * misses),
            llc_references: Some(10_000),
            llc_misses: Some(misses),
            enabled_ns: 100,
            running_ns: 100,
        }],
        monitors: vec![CacheMonitor {
            cache_id: CacheId(0),
            occupancy_bytes: Some(u64::from(ways) << 20),
            total_bytes: Some(64_000),
            local_bytes: Some(64_000),
            missing: None,
        }],
        disturbed: false,
    }
}

/// A store with a whole sweep `looper-sweep-1`.
fn swept() -> Store {
    let store = Store::new();
    sweep_into(&store, &header(""), FITS);
    store
}

/// Adds a whole sweep.
fn sweep_into(store: &Store, header: &SweepHeader, fits: u32) {
    let database = waytrace_store::Store::open(Some(&store.path())).unwrap();
    let id = database.begin_sweep(header).unwrap();
    for sweep in 0..3 {
        database.add_sweep_point(id, &point(sweep, WAYS, true, fits)).unwrap();
        for ways in 1..=WAYS {
            database.add_sweep_point(id, &point(sweep, ways, false, fits)).unwrap();
        }
    }
    let end = SweepEnd {
        reason: EndReason::Completed,
        detail: None,
        restored: true,
        left: Vec::new(),
        own_cpu_ns: 1,
        elapsed_ns: 5_400_000_000,
    };
    database.end_sweep(id, &end).unwrap();
}

/// A run that was just begun.
fn run_header(name: &str) -> RunHeader {
    RunHeader {
        name: name.to_owned(),
        started_at_unix_ns: 1_600_000_000_000_000_000,
        started_at_ns: 0,
        interval_ns: 1_000_000_000,
        command: "waytrace profile".to_owned(),
        host: Host::default(),
        target: TargetInfo::default(),
        budget_pct: None,
        phases: None,
    }
}

fn succeeded(finished: &Finished) -> &Finished {
    assert_eq!(finished.code, 0, "{finished:#?}");
    finished
}

#[test]
fn show_json_keeps_its_contract_and_knows_the_curve() {
    let shown = swept().run(&["show", "last", "--json"]);
    let document = succeeded(&shown).json();
    assert_eq!(breaches(CONTRACT, &document, true), Vec::<String>::new());
    let curves = &document["curves"];
    let ratios: Vec<&Value> =
        curves["ways"].as_array().unwrap().iter().map(|point| &point["miss_ratio"]["value"]).collect();
    assert_eq!(ratios, [0.9, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1]);
    assert_eq!(curves["ways"][4]["ipc"]["value"], 1000.0 / 600.0);
    for (read_off, ways) in [("knee", 5), ("working_set", 5), ("near_peak_ipc", 5)] {
        assert_eq!(curves[read_off]["ways"], ways, "{read_off}: {curves:#}");
    }
    assert_eq!(document["points"].as_array().unwrap().len(), 27);
    assert_eq!(document["sweep"]["simulated"], true);
}

#[test]
fn list_and_show_are_tables_that_say_what_is_simulated() {
    let store = swept();
    let listed = store.run(&["list"]);
    let row = succeeded(&listed).stdout.lines().find(|line| line.starts_with("looper-sweep-1")).unwrap();
    for cell in ["2023-11-14 22:13:20", "5.40s", "completed", "looper", "L3 (simulated)", "27"] {
        assert!(row.contains(cell), "{cell}: {row}");
    }
    let rows = store.run(&["list", "--sweeps", "--json"]);
    let rows: Value = serde_json::from_str(&succeeded(&rows).stdout).unwrap();
    assert_eq!((&rows[0]["name"], &rows[0]["sweeps"]), (&"looper-sweep-1".into(), &3.into()));
    let shown = store.run(&["show", "looper"]);
    for needle in ["SIMULATED", "working set: 5 ways (5.00MiB), more than 4 ways", "all was restored"] {
        assert!(succeeded(&shown).stdout.contains(needle), "{needle}: {}", shown.stdout);
    }
}

#[test]
fn the_page_and_the_picture_stand_alone() {
    let store = swept();
    let (page, plot) = (store.folder().join("page.html"), store.folder().join("plot.svg"));
    let files = ["-o", page.to_str().unwrap(), "--plot", plot.to_str().unwrap()];
    let made = store.run(&[&["report", "last"][..], &files].concat());
    succeeded(&made);
    let (page, plot) = (fs::read_to_string(page).unwrap(), fs::read_to_string(plot).unwrap());
    for drawn in [&page, &plot] {
        assert!(
            drawn.contains("<svg") && drawn.contains("SIMULATED") && drawn.contains("knee, working set: 5")
        );
        assert!(!drawn.contains("http://") || drawn.matches("http://").count() == 1, "the namespace alone");
    }
}

#[test]
fn datamimes_files_are_written_with_what_they_cannot_hold() {
    let store = swept();
    let folder = store.folder().join("out/deep");
    let args = ["export", "last", "--format", "datamime"];
    let nowhere = store.run(&args);
    assert!(nowhere.code == 2 && nowhere.stderr.contains("-o"), "{nowhere:#?}");
    let made = store.run(&[&args[..], &["-o", folder.to_str().unwrap()]].concat());
    assert!(succeeded(&made).stderr.contains("simulated"), "{made:#?}");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(read("looper-sweep-1_mrc_7"), "90 90 90\n".repeat(4) + &"10 10 10\n".repeat(4));
    let ipc = 1000.0 / 600.0;
    assert!(read("looper-sweep-1_ipc_7").ends_with(&format!("{ipc} {ipc} {ipc}\n")));
    assert_eq!(read("target_configs.yml"), "tsc_freq_mhz: 1000\n");
    assert_eq!(read("looper-sweep-1_counters_7.csv").lines().count(), 28);
}

#[test]
fn two_sweeps_are_compared_share_by_share() {
    let store = swept();
    sweep_into(&store, &header("wider"), FITS + 2);
    let shown = store.run(&["diff", "looper-sweep-1", "wider"]);
    for needle in [
        "A  looper-sweep-1, 2023-11-14T22:13:20.000Z, looper [7], L3 with 8 ways of 1.00MiB",
        "note: simulated",
        "MISS RATIO: beyond chance with 2 of 8 shares",
        "IPC: beyond chance with 2 of 8 shares",
        "+2 w",
    ] {
        assert!(succeeded(&shown).stdout.contains(needle), "{needle}: {}", shown.stdout);
    }
    let row: Vec<&str> = shown
        .stdout
        .lines()
        .find(|line| line.trim_start().starts_with("6 "))
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(row[..5], ["6", "6.00MiB", "0.100", "0.900", "+0.800"], "{}", shown.stdout);
    assert_eq!(row[row.len() - 2..], ["higher", "+800.0%"], "{}", shown.stdout);
    let json = store.run(&["diff", "looper-sweep-1", "last", "--json"]);
    let document = succeeded(&json).json();
    assert_eq!(breaches(DIFF_CONTRACT, &document, true), Vec::<String>::new());
    assert_eq!(document["working_set"]["difference_bytes"], 2 << 20);
    assert_eq!(
        (&document["shares"][5]["ipc"]["verdict"], &document["knee"]["verdict"]),
        (&"down".into(), &"up".into())
    );
    assert_eq!(document["shares"][0]["miss_ratio"]["verdict"], "within-interval");
}

#[test]
fn what_cannot_be_compared_is_refused_with_its_reason() {
    let store = swept();
    let mut real = header("real");
    real.simulated = false;
    sweep_into(&store, &real, FITS);
    let refused = store.run(&["diff", "looper-sweep-1", "real"]);
    assert!(refused.code == 2 && refused.stderr.contains("one is of a simulated host"), "{refused:#?}");
    let database = waytrace_store::Store::open(Some(&store.path())).unwrap();
    database.begin_run(&run_header("profiled"), &[]).unwrap();
    for args in [["diff", "profiled", "real"], ["diff", "real", "profiled"]] {
        let mixed = store.run(&args);
        let reason = "`profiled` is a run and `real` a way sweep";
        assert!(mixed.code == 2 && mixed.stderr.contains(reason), "{mixed:#?}");
    }
    let out = store.folder().join("out");
    let to_out = ["-o", out.to_str().unwrap()];
    for (args, needle) in [
        (&["export", "real", "--format", "csv"][..], "`real` is a way sweep, and this takes a run"),
        (&["prune", "--run", "real"], "prune --sweep"),
        (&["export", "profiled", "--format", "datamime", to_out[0], to_out[1]], "`profiled` is a run"),
        (&["prune", "--sweep", "profiled"], "prune --run"),
    ] {
        let refused = store.run(args);
        let lines = refused.stderr.lines().count();
        assert!(refused.code == 2 && lines == 1 && refused.stderr.contains(needle), "{refused:#?}");
    }
}

#[test]
fn what_is_missing_is_named_and_prune_deletes() {
    let store = swept();
    let missing = store.run(&["show", "nothing"]);
    assert!(missing.code == 2 && missing.stderr.contains("looper-sweep-1"), "{missing:#?}");
    let pruned = store.run(&["prune", "--sweep", "looper-sweep-1"]);
    assert!(succeeded(&pruned).stdout.contains("deleted sweep looper-sweep-1"), "{pruned:#?}");
    assert_eq!(store.run(&["show", "looper-sweep-1"]).code, 2);
}
