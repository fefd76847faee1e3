//! Kernels without `uprobe_multi` links (before Linux 6.6), where each probe is a perf event of its own: the numbers are the same.
//!
//! This machine's kernel has them; a library preloaded into waytrace refuses them as such a kernel does. The real thing is `cargo xtask test --debian`.

use std::ffi::{CStr, CString};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::NamedTempFile;
use waytrace_model::allocation::Mode;
use waytrace_model::monitor::Metric;
use waytrace_model::report::AllocationReport;
use waytrace_tests::build::{self, BuildError, Variant};

use crate::harness::live::{self, Measured, Profile, conclude};
use crate::harness::report::{Totals, assert_sizes, whole};
use crate::harness::waytrace::{Running, command};
use crate::harness::workload::{Start, Workload};
use crate::monitor::{Monitor, of, total};
use crate::or_skip;

struct OlderKernel {
    library: PathBuf,
    /// What it calls itself.
    release: NamedTempFile,
}

impl OlderKernel {
    fn new() -> Result<Self, String> {
        let library = match build::workload("without_multi.c", Variant::Library) {
            Err(error @ BuildError::NoTool { .. }) => return Err(error.to_string()),
            other => other.unwrap(),
        };
        let release = NamedTempFile::new().unwrap();
        std::fs::write(release.path(), "6.1.0\n").unwrap();
        Ok(Self { library, release })
    }

    /// Has a command see it, in a mount namespace of its own.
    fn under(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library);
        let release = CString::new(self.release.path().to_str().unwrap()).unwrap();
        let mount = move |from: &CStr, to: &CStr, flags: libc::c_ulong| {
            // SAFETY: the paths are C strings; no type and no data are asked for by these flags.
            let outcome =
                unsafe { libc::mount(from.as_ptr(), to.as_ptr(), std::ptr::null(), flags, std::ptr::null()) };
            if outcome == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        };
        let enter = move || {
            // SAFETY: it changes this process alone, which has one thread.
            if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
                return Err(std::io::Error::last_os_error());
            }
            mount(c"none", c"/", libc::MS_REC | libc::MS_PRIVATE)?;
            mount(&release, c"/proc/sys/kernel/osrelease", libc::MS_BIND)
        };
        // SAFETY: only system calls are made between fork and exec.
        unsafe { command.pre_exec(enter) };
    }

    /// A profile of a workload's work.
    fn measure(&self, workload: &mut Workload, args: &[&str]) -> Measured {
        let pid = workload.pid().to_string();
        let args = [&["--pid", &pid, "--collect", "allocations"], args].concat();
        let mut profile = Profile::start_with(&args, |command| self.under(command));
        profile.running.await_attached();
        workload.go();
        let truth = workload.truth();
        conclude(profile, truth)
    }
}

fn off_pct(estimate: Option<f64>, truth: u64) -> f64 {
    100.0 * (estimate.expect("an estimate") / truth as f64 - 1.0)
}

#[test]
fn doctor_says_so() {
    let _turn = or_skip!(live::turn());
    let kernel = or_skip!(OlderKernel::new());
    let mut command = command(&["doctor", "--json"]);
    kernel.under(&mut command);
    let told = Running::start(&mut command).finish().json();
    let features = told["features"].as_array().unwrap();
    let budgeted = features.iter().find(|feature| feature["name"] == "allocations: budgeted").unwrap();
    assert!(budgeted.to_string().contains("the kernel has no uprobe_multi links"), "{budgeted}");
}

#[test]
fn every_call_is_counted() {
    let _turn = or_skip!(live::turn());
    let kernel = or_skip!(OlderKernel::new());
    let mut workload = or_skip!(Start::plain("malloc_sizes.c")).args(&["300"]).spawn();
    let measured = kernel.measure(&mut workload, &["--exact"]);
    assert_eq!(Totals::of_report(measured.allocations()), Totals::of_truth(&measured.truth.total));
    assert_sizes(measured.allocations(), &measured.truth.total);
    assert!(workload.quit().success());
}

#[test]
fn windows_estimate_what_there_was() {
    let _turn = or_skip!(live::turn());
    let kernel = or_skip!(OlderKernel::new());
    let mut workload = or_skip!(Start::plain("churn.c")).args(&["15", "50000", "256"]).spawn();
    let measured = kernel.measure(&mut workload, &[]);
    let report: &AllocationReport = measured.allocations();
    assert_eq!(report.mode, Some(Mode::Budgeted));
    let off = off_pct(report.alloc_count, measured.truth.number("alloc_count"));
    let width = report.alloc_count_ci95_pct.expect("an interval");
    assert!(off.abs() <= (3.0 * width).max(10.0) && width < 200.0, "{off:+.2} %, ±{width}");
    assert!(workload.quit().success());
}

#[test]
fn an_allocators_own_samples_are_taken_and_it_is_let_go() {
    let _turn = or_skip!(live::turn());
    let kernel = or_skip!(OlderKernel::new());
    let mut workload = or_skip!(Start::plain("otel_memory.c")).spawn();
    let measured = kernel.measure(&mut workload, &["--budget", "90%"]);
    let report = measured.allocations();
    assert_eq!(report.mode, Some(Mode::Sampled));
    assert_eq!(
        measured.truth.number("unwatched"),
        0,
        "it was told at every allocation that somebody listens"
    );
    assert_eq!(report.alloc_bytes.map(whole), Some(measured.truth.total.alloc_bytes));
    workload.go();
    assert_eq!(workload.expect("semaphores"), "0 0");
    assert!(workload.quit().success());
}

#[test]
fn monitor_tells_mappings_and_allocations() {
    let _turn = or_skip!(live::turn());
    let kernel = or_skip!(OlderKernel::new());
    let mut mapper = or_skip!(Start::plain("mappings.c")).spawn();
    let mut churner = or_skip!(Start::plain("churn.c")).args(&["6", "20000", "64"]).spawn();
    let pids = [&mapper, &churner].map(|workload| workload.pid().to_string());
    let args = ["--pid", &pids[0], "--pid", &pids[1], "--window", "1s", "--target-slowdown", "10%"];
    let mut monitor = Monitor::start_with(&[&args[..], &crate::monitor::ANY_COST].concat(), |command| {
        kernel.under(command);
    });
    monitor.await_windows(1);
    mapper.go();
    churner.go();
    let truth = mapper.truth();
    churner.truth();
    monitor.await_windows(1);
    let windows = monitor.stop();
    let sums = total(&windows, &format!("pid-{}", pids[0]));
    assert_eq!(sums.get(Metric::MmapBytes), Some(truth.number("mmap_bytes") as f64));
    assert_eq!(sums.get(Metric::MunmapBytes), Some(truth.number("munmap_bytes") as f64));
    let churned = format!("pid-{}", pids[1]);
    let counts = of(&windows, &churned).filter_map(|window| window.values.get(Metric::AllocCount));
    assert!(counts.fold(0.0, f64::max) > 5_000.0, "{windows:#?}");
    let absent = windows.iter().flat_map(|window| &window.collectors);
    let refused =
        absent.filter(|share| share.reason.as_ref().is_some_and(|why| why.contains("cannot place a probe")));
    assert_eq!(refused.count(), 0);
}
