//! Targets whose files are not where their names say: other mount and PID namespaces, deleted programs.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;
use waytrace_tests::build::Variant;

use crate::harness::live::{self, Profile};
use crate::harness::report::{assert_sites, callers, some_whole};
use crate::harness::skip;
use crate::harness::waytrace::{self, Store};
use crate::harness::workload::Start;
use crate::or_skip;

const EXACT: [&str; 3] = ["--exact", "--collect", "allocations"];

/// Copies `$0` to a tmpfs that only this mount namespace has, and becomes the copy.
const INTO_A_TMPFS: &str = "mount -t tmpfs none /mnt && cp \"$0\" /mnt/hidden && exec /mnt/hidden 100";

/// The only child of a process.
fn child_of(pid: u32) -> u32 {
    let path = format!("/proc/{pid}/task/{pid}/children");
    fs::read_to_string(path).unwrap().trim().parse().expect("one child")
}

fn can_unshare() -> Result<(), String> {
    skip::program("unshare", "util-linux")?;
    let tried =
        Command::new("unshare").args(["-m", "-p", "-f", "mount", "-t", "tmpfs", "none", "/mnt"]).status();
    let works = tried.is_ok_and(|status| status.success());
    works.then_some(()).ok_or("no namespace can be made here".to_owned())
}

/// The process is known inside by another pid, and its program exists only there.
#[test]
fn a_target_in_namespaces_of_its_own() {
    let _turn = or_skip!(live::turn());
    or_skip!(can_unshare());
    let program = or_skip!(Start::plain("sites.c")).path();
    let start = Start::program(Path::new("unshare"));
    let start = start.args(&["-m", "-p", "-f", "--kill-child", "sh", "-c", INTO_A_TMPFS]).arg(&program);
    let mut workload = start.spawn();
    let pid = child_of(workload.pid()).to_string();
    let mut profile = Profile::start(&["--pid", &pid, "--exact", "--collect", "allocations"]);
    profile.running.await_attached();
    workload.go();
    let truth = workload.truth();
    let measured = live::conclude(profile, truth);
    assert_sites(measured.allocations(), &measured.truth.parts);
    assert_eq!(measured.report.target.tgid.to_string(), pid);
    assert!(workload.quit().success());
}

/// As after an upgrade: the file is gone, the process goes on with what it has mapped.
fn deleted(variant: Variant) {
    let _turn = or_skip!(live::turn());
    let program = or_skip!(Start::variant("sites.c", variant)).path();
    let folder = TempDir::new().unwrap();
    let copy = folder.path().join("replaced");
    fs::copy(program, &copy).unwrap();
    let workload = Start::program(&copy).spawn();
    fs::remove_file(&copy).unwrap();
    let measured = live::measure(workload, &EXACT);
    let (report, total) = (measured.allocations(), &measured.truth.total);
    assert_eq!(some_whole(report.alloc_count), total.alloc_count, "{}", callers(report));
    assert_eq!(some_whole(report.alloc_bytes), total.alloc_bytes);
}

#[test]
fn a_program_deleted_while_it_runs() {
    deleted(Variant::Plain);
}

#[test]
fn a_static_program_deleted_while_it_runs() {
    deleted(Variant::Static);
}

/// A target that is stopped, as a debugger would have it, can be attached to all the same.
#[test]
fn a_stopped_target_is_measured_once_it_goes_on() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(Start::plain("sites.c")).spawn();
    let signal = |signal| {
        // SAFETY: kill has no memory preconditions; the workload has not been waited for.
        assert_eq!(unsafe { libc::kill(workload.pid() as i32, signal) }, 0);
    };
    signal(libc::SIGSTOP);
    let profile = Profile::attach(&workload, &EXACT);
    sleep(Duration::from_millis(300));
    signal(libc::SIGCONT);
    workload.go();
    let truth = workload.truth();
    let measured = live::conclude(profile, truth);
    assert_sites(measured.allocations(), &measured.truth.parts);
    assert!(workload.quit().success());
}

/// What stops `profile` in a PID namespace of its own, `doctor` says beforehand.
#[test]
fn doctor_knows_a_pid_namespace_as_profile_does() {
    let _turn = or_skip!(live::turn());
    or_skip!(can_unshare());
    let store = Store::new();
    let (binary, path) = (waytrace::binary(), store.arg());
    for args in [vec!["doctor"], vec!["profile", "--db", &path, "--", "true"]] {
        let mut inside = Command::new("unshare");
        inside.args(["-p", "-f", "-m", "--mount-proc"]).arg(&binary).args(&args);
        let refused = waytrace::Running::start(&mut inside).finish();
        assert_eq!((refused.code, refused.complaints().len()), (2, 1), "{refused:#?}");
        assert!(refused.stderr.contains("PID namespace") && refused.stderr.contains("--pid=host"));
    }
    assert_eq!(store.run_count(), 0);
}
