//! However it ends: what was measured is kept, and nothing is left in the target.

use std::thread::sleep;
use std::time::Duration;

use super::{Monitor, stored, windows};
use crate::harness::live;
use crate::harness::memory::changed_code_bytes;
use crate::harness::waytrace::{Store, command, run};
use crate::harness::workload::Start;
use crate::or_skip;

#[test]
fn a_service_manager_ends_it_and_all_windows_are_kept() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(Start::plain("churn.c")).args(&["30", "20000", "64"]).spawn();
    let store = Store::new();
    let pid = workload.pid().to_string();
    let mut monitor = Monitor::start(&["--pid", &pid, "--window", "500ms", "--db", &store.arg()]);
    workload.go();
    monitor.await_windows(4);
    let told = monitor.stop();
    assert_eq!(changed_code_bytes(workload.pid()).0, 0, "a probe is left");
    let kept = stored(&store.path());
    assert_eq!(kept, told.len() as u64, "every window that was told is kept");
}

#[test]
fn a_target_that_ends_is_missing_and_nothing_else() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("faults.c")).spawn();
    let pid = workload.pid().to_string();
    let mut monitor = Monitor::start(&["--pid", &pid, "--window", "200ms"]);
    monitor.await_windows(2);
    workload.kill();
    monitor.await_windows(3);
    let windows = monitor.stop();
    assert_eq!(windows.last().unwrap().missing, [format!("pid-{pid}")]);
}

#[test]
fn nobody_to_watch_is_one_clear_error() {
    let finished = run(&["monitor"]);
    assert_eq!(finished.code, 2);
    assert!(finished.stderr.contains("--pid") && finished.stderr.contains("--machine"), "{finished:#?}");
    let finished = run(&["monitor", "--machine", "--listen", "0.0.0.0:0"]);
    assert_eq!(finished.code, 2);
    assert_eq!(finished.complaints().len(), 1, "{finished:#?}");
}

/// A reader that goes does not end it.
#[test]
fn a_closed_pipe_does_not_end_it() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("faults.c")).spawn();
    let store = Store::new();
    let pid = workload.pid().to_string();
    let mut child = command(&["monitor", "--json", "--pid", &pid, "--window", "100ms", "--db", &store.arg()]);
    let mut child =
        child.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    sleep(Duration::from_secs(3));
    assert!(child.try_wait().unwrap().is_none(), "it has ended");
    // SAFETY: the child has not been waited for, so its id is its own.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    assert!(child.wait().unwrap().success());
    assert!(stored(&store.path()) >= 3);
}

#[test]
fn a_run_without_a_terminal_prints_only_windows() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("faults.c")).spawn();
    let pid = workload.pid().to_string();
    let mut monitor = Monitor::start(&["--pid", &pid, "--window", "100ms"]);
    monitor.await_windows(3);
    monitor.signal(libc::SIGINT);
    let finished = monitor.finish();
    assert_eq!(finished.code, 0);
    let windows = windows(&finished);
    assert!(windows.iter().zip(0..).all(|(window, index)| window.index == index), "no gaps");
}
