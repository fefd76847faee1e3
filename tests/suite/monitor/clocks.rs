//! Clocks that go wrong: windows go on, none is lost or made up, and metrics say what happened.
//!
//! The clocks of the machine stay as they are; a preloaded library answers the monitor.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;

use waytrace_model::monitor::{HostWindow, Metric};
use waytrace_tests::build::{self, BuildError, Variant};

use super::{ANY_COST, Monitor, stored, total};
use crate::harness::live;
use crate::harness::waytrace::{Running, Store, command};
use crate::harness::workload::{Start, Workload};
use crate::or_skip;

const HOUR: i64 = 3600;

/// The clocks that a monitor sees.
struct Clocks {
    ahead: File,
    path: PathBuf,
    library: PathBuf,
}

impl Clocks {
    fn new(store: &Store) -> Result<Self, String> {
        let library = match build::workload("set_clocks.c", Variant::Library) {
            Err(error @ BuildError::NoTool { .. }) => return Err(error.to_string()),
            other => other.unwrap(),
        };
        let path = store.folder().join("clocks");
        let clocks = Self { ahead: File::create(&path).unwrap(), path, library };
        clocks.set(0, 0);
        Ok(clocks)
    }

    /// Seconds by which they go ahead: the wall clock, and that which counts sleep.
    fn set(&self, wall_s: i64, boot_s: i64) {
        for (seconds, at) in [(wall_s, 0), (boot_s, 8)] {
            self.ahead.write_all_at(&(seconds * 1_000_000_000).to_ne_bytes(), at).unwrap();
        }
    }

    fn seen_by(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("SET_CLOCKS", &self.path);
    }

    fn watch(&self, workload: &Workload, store: &Store) -> Monitor {
        let pid = workload.pid().to_string();
        let args = ["--pid", &pid, "--window", "300ms", "--listen", "127.0.0.1:0", "--db", &store.arg()];
        Monitor::start_with(&[&args[..], &ANY_COST].concat(), |command| self.seen_by(command))
    }
}

/// CPU time of a process's threads as the kernel tells everybody, nanoseconds.
fn cpu_ns(workload: &Workload) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", workload.pid())).unwrap();
    let texts = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap());
    texts.map(|text| text.split(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

/// Every window is there once, and none is longer than anybody waited.
fn are_whole(windows: &[HostWindow]) {
    assert!(windows.iter().zip(0..).all(|(window, index)| window.index == index), "a gap");
    let longest_ns = windows.iter().map(|window| window.length_ns).max().unwrap();
    assert!(longest_ns < 600_000_000_000, "{longest_ns}");
}

#[test]
fn a_wall_clock_that_is_set_costs_nothing() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(Start::plain("churn.c")).args(&["120", "20000", "64"]).spawn();
    let store = Store::new();
    let clocks = or_skip!(Clocks::new(&store));
    workload.go();
    let mut cpu = vec![cpu_ns(&workload)];
    let mut monitor = clocks.watch(&workload, &store);
    cpu.push(cpu_ns(&workload));
    monitor.await_windows(3);
    assert_eq!(monitor.metric("waytrace_clock_steps_total"), Some(0.0));
    for (count, ahead_s) in [(1.0, 2 * HOUR), (2.0, -HOUR), (3.0, 0)] {
        clocks.set(ahead_s, 0);
        monitor.await_metric("waytrace_clock_steps_total", |steps| steps == count);
        monitor.await_windows(3);
    }
    for (name, value) in [
        ("waytrace_suspended_seconds_total", 0.0),
        ("waytrace_alerts_active", 0.0),
        ("waytrace_history_up", 1.0),
        ("waytrace_history_dropped_windows_total", 0.0),
    ] {
        assert_eq!(monitor.metric(name), Some(value), "{name}");
    }
    cpu.push(cpu_ns(&workload));
    let windows = monitor.stop();
    cpu.push(cpu_ns(&workload));
    are_whole(&windows);
    let starts = || windows.iter().map(|window| window.start_unix_ns);
    assert!(
        starts().max().unwrap() - starts().min().unwrap() > 10_000_000_000_000,
        "it was set by three hours"
    );
    assert!(windows.is_sorted_by(|a, b| a.start_boot_ns < b.start_boot_ns));
    // What ran before the first window and after the last is in none; the kernel's own account may be a tick old.
    let told = total(&windows, &format!("pid-{}", workload.pid())).get(Metric::Cpu).unwrap();
    let (least, most) = (cpu[2] - cpu[1] - 1e7, cpu[3] - cpu[0] + 1e7);
    assert!((least..=most).contains(&told), "{told}, in truth {least} to {most}");
    assert_eq!(stored(&store.path()), windows.len() as u64, "every window is kept");
    let listed = store.run(&["list", "--since", "5h", "--json"]);
    assert_eq!(listed.code, 0, "{listed:#?}");
    workload.kill();
}

/// `CLOCK_MONOTONIC` stands still while a machine sleeps, the others do not.
#[test]
fn a_machine_that_slept_has_a_gap_and_no_alert() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(Start::plain("churn.c")).args(&["120", "20000", "64"]).spawn();
    let store = Store::new();
    let clocks = or_skip!(Clocks::new(&store));
    workload.go();
    let mut monitor = clocks.watch(&workload, &store);
    monitor.await_windows(3);
    clocks.set(HOUR, HOUR);
    monitor.await_metric("waytrace_suspended_seconds_total", |slept| (3599.0..3660.0).contains(&slept));
    monitor.await_windows(3);
    for name in ["waytrace_clock_steps_total", "waytrace_alerts_active"] {
        assert_eq!(monitor.metric(name), Some(0.0), "{name}");
    }
    let windows = monitor.stop();
    are_whole(&windows);
    assert_eq!(stored(&store.path()), windows.len() as u64);

    let target = format!("pid-{}", workload.pid());
    let mut show = command(&["show", "--db", &store.arg(), &target, "--since", "90m", "--json"]);
    clocks.seen_by(&mut show);
    let shown = Running::start(&mut show).finish().json();
    let gaps = shown["range"]["gaps"].as_array().unwrap_or_else(|| panic!("{shown:#}"));
    // Before it there is the half hour in which nobody watched yet.
    let slept = |gap: &&serde_json::Value| {
        let [from, to] = ["from_unix_ns", "to_unix_ns"].map(|end| gap[end].as_u64().unwrap());
        gap["why"] == "not-watched" && (3_500_000_000_000..3_700_000_000_000).contains(&(to - from))
    };
    assert_eq!(gaps.iter().filter(slept).count(), 1, "{gaps:#?}");
    workload.kill();
}
