//! Processes are found as they start, also those that live for a moment.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use waytrace_model::monitor::{HostWindow, Metric};

use super::{Monitor, of, total};
use crate::harness::live;
use crate::or_skip;

/// A program under a name that nothing else has.
pub fn copy_of(program: &str, folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    fs::copy(program, &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn processes(windows: &[HostWindow], target: &str) -> f64 {
    of(windows, target).filter_map(|window| window.values.get(Metric::Processes)).sum()
}

/// Each is there for a millisecond or two, in one window only: so processes of all windows add up to their number.
#[test]
fn short_lived_processes_are_all_seen() {
    let _turn = or_skip!(live::turn());
    let folder = TempDir::new().unwrap();
    let short = copy_of("/bin/true", folder.path(), "wt-short");
    let mut monitor = Monitor::start(&["--comm", "wt-short", "--window", "500ms"]);
    for _ in 0..300 {
        assert!(Command::new(&short).status().unwrap().success());
    }
    monitor.await_windows(2);
    let windows = monitor.stop();
    // One that begins in a window and ends in the next is in both.
    let seen = processes(&windows, "wt-short");
    assert!((300.0..=300.0 + windows.len() as f64).contains(&seen), "{seen}");
    assert!(total(&windows, "wt-short").get(Metric::Cpu).unwrap() > 300.0 * 50_000.0);
    assert!(windows[0].missing.is_empty() || windows[0].missing == ["wt-short"]);
}

#[test]
fn one_that_starts_later_is_found_and_one_that_is_not_there_is_missing() {
    let _turn = or_skip!(live::turn());
    let folder = TempDir::new().unwrap();
    let late = copy_of("/bin/sleep", folder.path(), "wt-late");
    let mut monitor = Monitor::start(&["--comm", "wt-late", "--window", "300ms"]);
    monitor.await_windows(2);
    let mut child = Command::new(&late).arg("60").stdin(Stdio::null()).spawn().unwrap();
    monitor.await_windows(3);
    child.kill().unwrap();
    child.wait().unwrap();
    monitor.await_windows(3);
    let windows = monitor.stop();
    let there: Vec<bool> = windows.iter().map(|window| window.missing.is_empty()).collect();
    assert!(!there[0] && !there[1] && there.contains(&true) && !there[there.len() - 1], "{there:?}");
    let process = &of(&windows, "wt-late").next().unwrap().processes[0];
    assert_eq!((process.pid, process.comm.as_str()), (child.id(), "wt-late"));
}

/// A shell's children belong to its target where that takes children, also grandchildren of other names.
#[test]
fn children_belong_to_their_target() {
    let _turn = or_skip!(live::turn());
    let folder = TempDir::new().unwrap();
    let shell = copy_of("/bin/dash", folder.path(), "wt-shell");
    let child = copy_of("/bin/true", folder.path(), "wt-child");
    let script = format!("for i in $(seq 40); do {}; done", child.display());
    let mut monitor = Monitor::start(&["--comm", "wt-shell", "--children", "--window", "500ms"]);
    assert!(Command::new(&shell).args(["-c", &script]).status().unwrap().success());
    monitor.await_windows(2);
    let windows = monitor.stop();
    // 40 children, the shell, and the shell's own fork for `seq`.
    let seen = processes(&windows, "wt-shell");
    assert!((42.0..=42.0 + 2.0 * windows.len() as f64).contains(&seen), "{seen}");
}

#[test]
fn the_whole_machine_is_told_by_command() {
    let _turn = or_skip!(live::turn());
    let folder = TempDir::new().unwrap();
    let named = copy_of("/bin/sleep", folder.path(), "wt-any");
    let mut child = Command::new(&named).arg("60").stdin(Stdio::null()).spawn().unwrap();
    let mut monitor = Monitor::start(&["--machine", "--window", "400ms"]);
    monitor.await_windows(2);
    let own = monitor.pid();
    let windows = monitor.stop();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(of(&windows, "wt-any").next().is_some());
    let pids = windows.iter().flat_map(|window| &window.targets).flat_map(|target| &target.processes);
    assert!(pids.map(|process| process.pid).all(|pid| pid != own), "it does not watch itself");
}
