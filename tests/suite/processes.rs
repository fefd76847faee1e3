//! More than one process: forks, exec, a second allocator loaded mid-run; and the other ways to name a target.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use waytrace_model::run::EndedBy;

use crate::harness::live::{self, Profile};
use crate::harness::report::{assert_sites, callers, site_totals, some_whole};
use crate::harness::workload::Start;
use crate::or_skip;

const EXACT: [&str; 3] = ["--exact", "--collect", "allocations"];
const EXACT_FORKS: [&str; 4] = ["--exact", "--collect", "allocations", "--follow-forks"];

#[test]
fn children_are_left_alone_unless_asked_for() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("forks.c")).args(&["8", "20"]).spawn();
    let measured = live::measure(workload, &EXACT);
    let parent = measured.truth.part("parent_work");
    assert_eq!(some_whole(measured.allocations().alloc_count), parent.alloc_count);
    assert_eq!(some_whole(measured.allocations().alloc_bytes), parent.alloc_bytes);
}

#[test]
fn followed_children_add_their_own() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("forks.c")).args(&["8", "20"]).spawn();
    let measured = live::measure(workload, &EXACT_FORKS);
    let (report, total) = (measured.allocations(), &measured.truth.total);
    assert_eq!(some_whole(report.alloc_count), total.alloc_count, "{}", callers(report));
    assert_eq!(some_whole(report.alloc_bytes), total.alloc_bytes);
    assert_eq!(some_whole(report.free_count), total.free_count);
    let child = measured.truth.part("child_work");
    assert_eq!(site_totals(report, "child_work").alloc_count, child.alloc_count);
}

#[test]
fn two_thousand_forks() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("forks.c")).args(&["2000", "2"]).spawn();
    let measured = live::measure(workload, &EXACT_FORKS);
    assert_eq!(some_whole(measured.allocations().alloc_count), measured.truth.total.alloc_count);
    assert_eq!(measured.truth.number("children"), 2000);
}

/// Both programs' allocations count, before and after, though the process changed its whole image.
#[test]
fn a_target_that_executes_another_program() {
    let _turn = or_skip!(live::turn());
    let second = or_skip!(Start::plain("sites.c")).path();
    let mut workload = or_skip!(Start::plain("exec.c")).arg("40").arg(&second).arg("30").spawn();
    let profile = Profile::attach(&workload, &EXACT);
    workload.go();
    workload.expect("step");
    workload.go();
    workload.expect("ready");
    workload.go();
    let truth = workload.truth();
    let measured = live::conclude(profile, truth);
    let report = measured.allocations();
    assert_eq!(site_totals(report, "before_exec").alloc_count, 40, "{}", callers(report));
    for part in &measured.truth.parts {
        let name = part.name.as_deref().unwrap();
        assert_eq!(site_totals(report, name).alloc_count, part.alloc_count, "{name}: {}", callers(report));
    }
    assert!(workload.quit().success());
}

/// Becoming a static program is another allocator altogether; probes follow as soon as waytrace has read the image.
#[test]
fn a_target_that_becomes_static() {
    let _turn = or_skip!(live::turn());
    let second = or_skip!(Start::variant("sites.c", waytrace_tests::build::Variant::Static)).path();
    let mut workload = or_skip!(Start::plain("exec.c")).arg("40").arg(&second).arg("30").spawn();
    let profile = Profile::attach(&workload, &EXACT);
    workload.go();
    workload.expect("step");
    workload.go();
    workload.expect("ready");
    // Not a timing: without the wait the work could be over before any tool had seen the new image.
    sleep(Duration::from_secs(2));
    workload.go();
    let truth = workload.truth();
    let measured = live::conclude(profile, truth);
    assert_sites(measured.allocations(), &measured.truth.parts);
    assert!(workload.quit().success());
}

fn second_allocator(library: &Path, prefix: &str) {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(Start::plain("dlopen.c")).arg(library).arg("100").arg(prefix).spawn();
    let profile = Profile::attach(&workload, &EXACT);
    workload.go();
    workload.expect("step");
    // As above: the new library must be seen before it is used.
    sleep(Duration::from_secs(2));
    workload.go();
    let truth = workload.truth();
    let measured = live::conclude(profile, truth);
    assert_sites(measured.allocations(), &measured.truth.parts);
    assert!(workload.quit().success());
}

fn library(name: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from("/usr/lib/x86_64-linux-gnu").join(name);
    path.exists().then_some(path).ok_or(format!("no {name} on this machine"))
}

#[test]
fn tcmalloc_loaded_mid_run() {
    second_allocator(&or_skip!(library("libtcmalloc_minimal.so.4")), "");
}

#[test]
fn mimalloc_loaded_mid_run() {
    second_allocator(&or_skip!(library("libmimalloc.so.2")), "");
}

#[test]
fn a_target_by_its_name() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(Start::plain("sites.c")).spawn();
    let mut profile = Profile::start(&["--comm", &workload.comm(), "--exact", "--collect", "allocations"]);
    profile.running.await_attached();
    workload.go();
    let truth = workload.truth();
    let measured = live::conclude(profile, truth);
    assert_eq!(measured.report.target.tgid, workload.pid());
    assert_sites(measured.allocations(), &measured.truth.parts);
}

/// A cgroup of its own, in whichever hierarchy this machine has; gone when dropped.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new() -> Result<Self, String> {
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
        let root = roots.iter().map(Path::new).find(|root| root.join("cgroup.controllers").exists());
        let path = root
            .ok_or("no cgroup v2 hierarchy is mounted")?
            .join(format!("waytrace-test-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("no cgroup can be made: {error}"))?;
        Ok(Self(path))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn every_process_of_a_cgroup() {
    let _turn = or_skip!(live::turn());
    let cgroup = or_skip!(Cgroup::new());
    let mut one = or_skip!(Start::plain("sites.c")).arg("10").spawn();
    let mut two = or_skip!(Start::plain("peak.c")).arg("curve").spawn();
    for pid in [one.pid(), two.pid()] {
        fs::write(cgroup.0.join("cgroup.procs"), pid.to_string()).unwrap();
    }
    let path = cgroup.0.to_str().unwrap();
    let mut profile = Profile::start(&["--cgroup", path, "--exact", "--collect", "allocations"]);
    profile.running.await_attached();
    one.go();
    let first = one.truth();
    two.go();
    let truth = two.truth();
    let measured = live::conclude(profile, truth);
    assert_sites(measured.allocations(), &first.parts);
    assert_sites(measured.allocations(), &measured.truth.parts);
    one.quit();
    two.quit();
}

/// The run ends with its last target, and what was seen until then is there.
#[test]
fn the_run_ends_with_its_target() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(Start::plain("sites.c")).spawn();
    let profile = Profile::attach(&workload, &EXACT);
    workload.go();
    let truth = workload.truth();
    assert!(workload.quit().success());
    let finished = profile.running.finish();
    assert_eq!(finished.code, 0, "{finished:#?}");
    let report = finished.report();
    assert_eq!(report.run.ended_by, EndedBy::TargetExit);
    assert_sites(report.allocations.as_ref().unwrap(), &truth.parts);
}
