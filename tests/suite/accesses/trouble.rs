//! Targets that cannot be followed to the end: what is not known is counted with its reason, and nothing breaks.

use super::accesses;
use crate::harness::live::{self, Profile};
use crate::harness::workload::Start;
use crate::or_skip;

/// Everything adds up, whatever the target did.
fn check(profile: Profile) -> waytrace_model::report::RunReport {
    let (finished, _store) = profile.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let report = finished.report();
    let sampled = accesses(&report);
    let unresolved: u64 = sampled.unresolved.values().sum();
    assert_eq!(sampled.resolved + unresolved, sampled.samples, "{sampled:#?}");
    report
}

#[test]
fn processes_that_come_and_go_are_sampled_as_long_as_they_live() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(Start::plain("forks.c")).spawn();
    let profile = Profile::attach(&workload, &["--collect", "accesses", "--freq", "2000", "--follow-forks"]);
    workload.go();
    workload.truth();
    check(profile);
    assert!(workload.is_running());
}

#[test]
fn a_program_that_is_replaced_is_followed_into_the_new_one() {
    let _turn = or_skip!(live::turn());
    let shell =
        "while :; do i=$((i+1)); [ $i -lt 200000 ] || exec sh -c 'while :; do j=$((j+1)); done'; done";
    let mut child = std::process::Command::new("sh").args(["-c", shell]).spawn().unwrap();
    let pid = child.id().to_string();
    let mut profile = Profile::start(&["--pid", &pid, "--collect", "accesses", "--freq", "2000"]);
    profile.running.await_attached();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let report = check(profile);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(accesses(&report).resolved > 0, "{report:#?}");
}

#[test]
fn a_process_that_sleeps_has_no_samples_and_that_is_no_error() {
    let _turn = or_skip!(live::turn());
    let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let pid = child.id().to_string();
    let mut profile = Profile::start(&["--pid", &pid, "--collect", "accesses"]);
    profile.running.await_attached();
    let report = check(profile);
    child.kill().unwrap();
    child.wait().unwrap();
    let sampled = accesses(&report);
    assert_eq!((sampled.samples, sampled.confirmed_ratio), (0, None));
}
