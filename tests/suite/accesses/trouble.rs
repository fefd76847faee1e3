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
    let profile = Profile::attach(&workload, &["--collect", "accesses", "--freq", "8000", "--follow-forks"]);
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
    let mut profile = Profile::start(&["--pid", &pid, "--collect", "accesses", "--freq", "8000"]);
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

/// Code made at run time, signals, memory that comes and goes, and what a walk cannot follow: each is resolved or counted
/// by its reason, and what is resolved lies where the program accesses memory.
#[test]
fn code_that_is_hard_to_follow_is_followed_or_counted() {
    let _turn = or_skip!(live::turn());
    let expected: [(&str, Option<&str>); 7] = [
        ("generated", None),
        ("rewriting", Some("self_modifying_code")),
        ("signals", None),
        ("remapping", Some("system_call")),
        ("x87", Some("unknown_branch")),
        ("gather", Some("masked_access")),
        ("huge_rep", None),
    ];
    for (pattern, reason) in expected {
        if pattern == "gather" && !std::is_x86_feature_detected!("avx2") {
            println!("SKIP: gather: no AVX2");
            continue;
        }
        let mut workload = or_skip!(Start::plain("access_trouble.c")).args(&[pattern, "1"]).spawn();
        let profile = Profile::attach(&workload, &["--collect", "accesses", "--freq", "8000"]);
        workload.go();
        workload.truth();
        let report = check(profile);
        let sampled = accesses(&report);
        assert!(sampled.samples > 50 && sampled.resolved > 0, "{pattern}: {sampled:#?}");
        match reason {
            Some(reason) => assert!(sampled.unresolved.contains_key(reason), "{pattern}: {sampled:#?}"),
            None => assert!(sampled.resolved * 10 >= sampled.samples * 8, "{pattern}: {sampled:#?}"),
        }
        assert!(workload.quit().success(), "{pattern}: the target did not survive");
    }
}
