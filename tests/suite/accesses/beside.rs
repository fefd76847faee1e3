//! A target that changes what walks have yet to read: they come true where the walker goes before it, on its CPU.

use std::fs;
use std::os::unix::process::CommandExt;

use waytrace_model::access_report::AccessReport;

use super::accesses;
use crate::harness::live::{self, Profile};
use crate::harness::workload::Start;
use crate::or_skip;

const SECONDS: &str = "8";

/// CPUs this process may use.
fn cpus() -> Vec<usize> {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let bounds = |range: &str| {
        let mut ends = range.split('-').map(|end| end.parse::<usize>().unwrap());
        let first = ends.next().unwrap();
        first..=ends.next().unwrap_or(first)
    };
    list.trim().split(',').flat_map(bounds).collect()
}

fn two_cpus() -> Result<[usize; 2], String> {
    match cpus()[..] {
        [first, second, ..] => Ok([first, second]),
        _ => Err("there is but one CPU".to_owned()),
    }
}

/// Has a thread, 0 for the calling one, run there alone. Async-signal-safe.
fn keep_on(tid: u32, cpu: usize) -> std::io::Result<()> {
    // SAFETY: a set of plain words, of which all zeros is the empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is ours and lives through both calls; no machine of these tests has more CPUs than it holds.
    let failed = unsafe {
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(tid as libc::pid_t, size_of_val(&set), &raw const set)
    };
    if failed == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Where waytrace is put, on another CPU than the target's.
#[derive(Clone, Copy, PartialEq)]
enum Put {
    /// As a whole, from the start.
    AllOfIt,
    /// Its walker, once that runs: it may run anywhere, but the scheduler would leave it where it is.
    Walker,
}

/// The report on a target, and the CPUs its walker may run on in the end.
fn watched(target_on: usize, other: usize, put: Put) -> Result<(AccessReport, String), String> {
    let mut workload = Start::plain("access_trouble.c")?.args(&["changing", SECONDS]).spawn();
    keep_on(workload.pid(), target_on).unwrap();
    let pid = workload.pid().to_string();
    let mut profile = Profile::start_with(&["--pid", &pid, "--collect", "accesses"], |command| {
        if put == Put::AllOfIt {
            // SAFETY: it makes one system call, and allocates nothing.
            unsafe { command.pre_exec(move || keep_on(0, other)) };
        }
    });
    profile.running.await_attached();
    if put == Put::Walker {
        keep_on(walker(profile.running.pid()).0, other).unwrap();
    }
    workload.go();
    workload.truth();
    let (_, allowed) = walker(profile.running.pid());
    let (finished, _store) = profile.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(workload.quit().success());
    Ok((accesses(&finished.report()).clone(), allowed))
}

/// The walker's thread, and the CPUs it may run on.
fn walker(pid: u32) -> (u32, String) {
    let statuses = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let mut statuses = statuses.map(|task| fs::read_to_string(task.unwrap().path().join("status")).unwrap());
    let walker = statuses.find(|status| status.starts_with("Name:\twalker\n")).unwrap();
    let field = |name| walker.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    (field("Pid:").parse().unwrap(), field("Cpus_allowed_list:").to_owned())
}

#[test]
fn the_walker_goes_where_memory_waits_for_it() {
    let _turn = or_skip!(live::turn());
    let [target_on, other] = or_skip!(two_cpus());
    let (report, allowed) = or_skip!(watched(target_on, other, Put::Walker));
    assert_eq!(allowed, target_on.to_string(), "{report:#?}");
    assert!(report.checked >= 40, "{report:#?}");
    // Some fail before it goes, and a busy machine may have a few fail after.
    assert!(report.confirmed_ratio.unwrap() > 0.88, "{report:#?}");
}

#[test]
fn a_walker_kept_off_the_targets_cpu_stays_away_and_says_how_it_fared() {
    let _turn = or_skip!(live::turn());
    let [target_on, other] = or_skip!(two_cpus());
    let (report, allowed) = or_skip!(watched(target_on, other, Put::AllOfIt));
    assert_eq!(allowed, other.to_string());
    assert!(report.checked >= 40, "{report:#?}");
    assert!(report.confirmed_ratio.unwrap() < 0.93, "{report:#?}");
}
