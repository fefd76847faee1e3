//! Nothing is left behind: the target's code is its file's again, the target never stops, the store opens clean.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use waytrace_model::run::EndedBy;

use crate::harness::live::{self, Profile};
use crate::harness::memory::changed_code_bytes;
use crate::harness::pipes::DEADLINE;
use crate::harness::report::site_totals;
use crate::harness::workload::{Start, Workload};
use crate::or_skip;

const EXACT: [&str; 1] = ["--exact"];

/// A target that works for as long as the test needs it.
fn busy_target() -> Result<Workload, String> {
    let mut workload = Start::plain("churn.c")?.args(&["600", "20000", "mix", "2", "100"]).spawn();
    let (changed, compared) = changed_code_bytes(workload.pid());
    assert!(changed == 0 && compared > 100_000, "{changed} of {compared} bytes differ before the run");
    workload.go();
    Ok(workload)
}

/// Attaches and makes sure that probes are in the target's code.
fn attached(workload: &Workload, args: &[&str]) -> Profile {
    let profile = Profile::attach(workload, args);
    let (changed, _) = changed_code_bytes(workload.pid());
    assert!(changed > 0, "attached, and no byte of the target's code has changed");
    profile
}

/// CPU time of the whole process in clock ticks: grows as long as the target works.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_comm = stat.rsplit(')').next().unwrap();
    let field = |n: usize| after_comm.split_whitespace().nth(n).unwrap().parse::<u64>().unwrap();
    field(11) + field(12)
}

fn assert_working(workload: &mut Workload) {
    assert!(workload.is_running(), "the target has ended");
    let before = cpu_ticks(workload.pid());
    let deadline = Instant::now() + DEADLINE;
    while cpu_ticks(workload.pid()) == before {
        assert!(Instant::now() < deadline, "the target does nothing any more");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_targets_code_is_restored_after_a_run() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(busy_target());
    let profile = attached(&workload, &EXACT);
    let (finished, _store) = profile.stop();
    assert_eq!(finished.code, 0, "{finished:#?}");
    assert_eq!(changed_code_bytes(workload.pid()).0, 0, "bytes of code differ after the run");
    assert_working(&mut workload);
}

/// `kill -9` gives waytrace no chance to tidy up: the kernel must.
fn killed(args: &[&str]) {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(busy_target());
    let profile = attached(&workload, args);
    sleep(Duration::from_millis(800)); // so that there are windows in the store
    profile.running.signal(libc::SIGKILL);
    let Profile { running, store } = profile;
    assert_eq!(running.finish().code, -libc::SIGKILL);
    let deadline = Instant::now() + DEADLINE;
    while changed_code_bytes(workload.pid()).0 > 0 {
        assert!(Instant::now() < deadline, "bytes of the target's code still differ");
        sleep(Duration::from_millis(50));
    }
    assert_working(&mut workload);
    assert_eq!(store.run_count(), 1);
    let shown = store.run(&["show", "last", "--json"]);
    assert_eq!(shown.code, 0, "{shown:#?}");
    assert_eq!(shown.json()["run"]["ended_by"], Value::from("unfinished"), "{shown:#?}");
}

#[test]
fn killed_in_exact_mode() {
    killed(&["--exact"]);
}

#[test]
fn killed_in_exact_mode_following_forks() {
    killed(&["--exact", "--follow-forks"]);
}

/// In budgeted mode there are probes only now and then, so the target's code is looked at only afterwards.
#[test]
fn killed_in_budgeted_mode() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(busy_target());
    for _ in 0..5 {
        let profile = Profile::attach(&workload, &[]);
        sleep(Duration::from_millis(300));
        profile.running.signal(libc::SIGKILL);
        assert_eq!(profile.running.finish().code, -libc::SIGKILL);
    }
    let deadline = Instant::now() + DEADLINE;
    while changed_code_bytes(workload.pid()).0 > 0 {
        assert!(Instant::now() < deadline, "bytes of the target's code still differ");
        sleep(Duration::from_millis(50));
    }
    assert_working(&mut workload);
}

#[test]
fn a_target_killed_mid_run() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(busy_target());
    let profile = attached(&workload, &EXACT);
    sleep(Duration::from_millis(500));
    workload.kill();
    let finished = profile.running.finish();
    assert_eq!(finished.code, 0, "{finished:#?}");
    let report = finished.report();
    assert_eq!(report.run.ended_by, EndedBy::TargetExit);
    assert!(report.allocations.unwrap().alloc_count.unwrap() > 0.0);
    assert_eq!(profile.store.run_count(), 1);
}

#[test]
fn sigterm_ends_a_run_as_cleanly_as_ctrl_c() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(busy_target());
    let profile = attached(&workload, &EXACT);
    profile.running.signal(libc::SIGTERM);
    let finished = profile.running.finish();
    assert_eq!(finished.code, 0, "{finished:#?}");
    assert_eq!(finished.report().run.ended_by, EndedBy::Interrupt);
    assert_eq!(changed_code_bytes(workload.pid()).0, 0);
    assert_working(&mut workload);
}

/// Two runs at once on one target: each leaves the other's probes alone, and the last one leaves none.
#[test]
fn two_runs_on_one_target() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(busy_target());
    let (first, second) = (attached(&workload, &EXACT), attached(&workload, &EXACT));
    let (finished, _store) = first.stop();
    assert_eq!(finished.code, 0, "{finished:#?}");
    assert!(changed_code_bytes(workload.pid()).0 > 0, "the second run has lost its probes");
    let (finished, _store) = second.stop();
    assert_eq!(finished.code, 0, "{finished:#?}");
    assert_eq!(changed_code_bytes(workload.pid()).0, 0);
    assert_working(&mut workload);
}

/// A full ring or map: what found no room is counted under its name, what the kernel counts stays exact.
fn flooded(options: &[&str], expected_loss: &str) {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(Start::plain("churn.c")).args(&["3", "0", "64", "2", "5000"]).spawn();
    let mut args = vec!["--exact", "--collect", "allocations"];
    args.extend(options);
    let profile = Profile::attach(&workload, &args);
    workload.go();
    let truth = workload.truth();
    let (finished, _store) = profile.stop();
    let report = finished.report();
    let allocations = report.allocations.unwrap();
    let counted = site_totals(&allocations, "churn_alloc").alloc_count;
    assert_eq!(counted, truth.number("alloc_count"), "{:?}", report.loss);
    assert!(report.loss.0.contains_key(expected_loss), "{:?}", report.loss);
    assert!(finished.code <= 1, "{}", finished.stderr);
}

#[test]
fn a_full_ring_is_counted() {
    flooded(&["--min-size", "1B", "--ring", "64KiB"], "ring_full");
}

#[test]
fn a_full_map_of_live_blocks_is_counted() {
    flooded(&["--max-live", "1000"], "live_full");
}
