//! More processes than news of them have room for.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use tempfile::TempDir;
use waytrace_model::monitor::{HostWindow, Metric};

use super::found::copy_of;
use super::{Monitor, of};
use crate::harness::live;
use crate::or_skip;

/// Runs a program so many times, by two threads.
fn run_many(program: &Path, count: usize) {
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..count / 2 {
                    assert!(Command::new(program).status().unwrap().success());
                }
            });
        }
    });
}

/// Processes of a target that windows tell of; one that begins in a window and ends in the next is in both.
fn seen(windows: &[HostWindow], target: &str) -> f64 {
    of(windows, target).filter_map(|window| window.values.get(Metric::Processes)).sum()
}

fn lost(windows: &[HostWindow], kind: &str) -> f64 {
    windows.iter().filter_map(|window| window.loss.0.get(kind)).sum::<u64>() as f64
}

struct Storm {
    _folder: TempDir,
    short: PathBuf,
    long: PathBuf,
}

impl Storm {
    fn new(name: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let (short, long) = (folder.path().join(name), folder.path().join("long").join(name));
        std::fs::create_dir(folder.path().join("long")).unwrap();
        copy_of("/bin/true", folder.path(), name);
        copy_of("/bin/sleep", &folder.path().join("long"), name);
        Self { _folder: folder, short, long }
    }

    fn start_long(&self) -> Child {
        Command::new(&self.long).arg("120").stdin(Stdio::null()).spawn().unwrap()
    }
}

#[test]
fn thousands_of_short_lives_are_counted_or_said_to_be_lost() {
    const COUNT: usize = 5000;
    let _turn = or_skip!(live::turn());
    let storm = Storm::new("wt-thousands");
    let mut monitor = Monitor::start(&["--comm", "wt-thousands", "--window", "500ms"]);
    monitor.await_windows(1);
    run_many(&storm.short, COUNT);
    monitor.await_windows(2);
    let windows = monitor.stop();
    let (seen, lost) = (seen(&windows, "wt-thousands"), lost(&windows, "ring_full"));
    let count = COUNT as f64;
    assert!(seen + lost >= count, "{seen} are told and {lost} lost");
    // Two at a time, so no more than two are in two windows.
    assert!(seen <= count + 2.0 * windows.len() as f64, "{seen} in {} windows", windows.len());
    let (first, last) = (&windows[0].own, &windows[windows.len() - 1].own);
    assert!(last.open_files <= first.open_files + 8, "{first:?} {last:?}");
}

/// While it is stopped nobody empties the ring: 1 MiB, which some 4,400 processes fill. The kernel side has places for 8,192 processes; those of
/// processes whose end finds no room must be given back, or soon there would be none for newcomers.
#[test]
fn a_storm_that_overflows_the_ring_is_said_and_made_up_for() {
    const COUNT: usize = 14_000;
    let _turn = or_skip!(live::turn());
    let storm = Storm::new("wt-storm");
    let mut monitor = Monitor::start(&["--comm", "wt-storm", "--window", "500ms", "--listen", "127.0.0.1:0"]);
    monitor.await_windows(2);
    monitor.signal(libc::SIGSTOP);
    run_many(&storm.short, COUNT);
    // Nothing tells of it: there is no room any more.
    let mut survivor = storm.start_long();
    monitor.signal(libc::SIGCONT);
    monitor.await_metric("waytrace_lost_total{kind=\"ring_full\"}", |lost| lost > 0.0);
    let told = monitor.metric("waytrace_lost_total{kind=\"ring_full\"}").unwrap();
    monitor.await_windows(2);

    // It is as good as before.
    const AFTER: usize = 100;
    let before = monitor.metric("waytrace_windows_total").unwrap();
    run_many(&storm.short, AFTER);
    monitor.await_metric("waytrace_windows_total", |windows| windows >= before + 2.0);
    let windows = monitor.stop();
    survivor.kill().unwrap();
    survivor.wait().unwrap();

    assert_eq!(lost(&windows, "ring_full"), told, "it is lost once");
    assert_eq!(lost(&windows, "targets_full"), 0.0);
    let stormy = windows.iter().position(|window| !window.loss.0.is_empty()).unwrap();
    assert!(windows.iter().skip(stormy + 1).all(|window| window.loss.0.is_empty()), "no more after that");
    let told_by_then = seen(&windows[..=stormy], "wt-storm");
    assert!(told_by_then + told >= COUNT as f64, "{told_by_then} are told and {told} lost");
    let has_survivor = |window: &HostWindow| {
        let processes = window.targets.iter().flat_map(|target| &target.processes);
        processes.map(|process| process.pid).any(|pid| pid == survivor.id())
    };
    // It is the least busy of thousands in the first, of which the busiest are told one by one.
    let (quiet, after) = windows.split_at(before as usize);
    let quiet = &quiet[stormy + 1..];
    assert!(!quiet.is_empty() && quiet.iter().all(has_survivor), "no later than one window after");
    let seen = seen(after, "wt-storm") - after.len() as f64;
    assert!((AFTER as f64..=AFTER as f64 + 2.0 * after.len() as f64).contains(&seen), "{seen} of {AFTER}");
}
