//! A profile of a workload from before its work to after it. Live tests take turns: one traced target at a time.

use std::fs::File;
use std::process::Command;

use waytrace_model::allocation::Mode;
use waytrace_model::report::{AllocationReport, RunReport};

use super::truth::Truth;
use super::waytrace::{self, Finished, Running, Store};
use super::workload::Workload;

/// The right to trace, given back when dropped.
pub struct Turn(#[expect(dead_code, reason = "the lock is held as long as the file is open")] Option<File>);

/// Waits for this test's turn; a benchmark that runs a test has it already, and says so by `WAYTRACE_TURN=held`.
///
/// # Errors
/// The reason why nothing can be traced here.
pub fn turn() -> Result<Turn, String> {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        return Err("tracing needs root".to_owned());
    }
    let doctor = waytrace::run(&["doctor", "--json"]);
    if doctor.code != 0 {
        return Err(format!("`waytrace doctor` says profile cannot run here: {}", doctor.stdout));
    }
    if std::env::var("WAYTRACE_TURN").is_ok_and(|turn| turn == "held") {
        return Ok(Turn(None));
    }
    let file = File::create(waytrace_tests::paths::target_dir().join("live.lock")).unwrap();
    file.lock().unwrap();
    Ok(Turn(Some(file)))
}

/// A profile under way, with the store it writes to.
pub struct Profile {
    pub running: Running,
    pub store: Store,
}

impl Profile {
    /// `waytrace profile <args> --json`, not waiting for anything.
    pub fn start(args: &[&str]) -> Self {
        Self::start_with(args, |_| ())
    }

    /// The same with a say in how the command is started.
    pub fn start_with(args: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        let store = Store::new();
        let mut command = waytrace::command(&["profile", "--json", "--db", &store.arg()]);
        command.args(args);
        prepare(&mut command);
        Self { running: Running::start(&mut command), store }
    }

    /// Attaches to a workload.
    pub fn attach(workload: &Workload, args: &[&str]) -> Self {
        let pid = workload.pid().to_string();
        let mut all = vec!["--pid", &pid];
        all.extend(args);
        let mut profile = Self::start(&all);
        profile.running.await_attached();
        profile
    }

    /// Ends the run as Ctrl-C does.
    pub fn stop(self) -> (Finished, Store) {
        self.running.interrupt();
        (self.running.finish(), self.store)
    }
}

/// What the workload said and what waytrace said.
pub struct Measured {
    pub truth: Truth,
    pub report: RunReport,
    pub finished: Finished,
    pub store: Store,
}

impl Measured {
    pub fn allocations(&self) -> &AllocationReport {
        self.report
            .allocations
            .as_ref()
            .unwrap_or_else(|| panic!("no allocations: {:#?}", self.report.collectors))
    }
}

/// Attaches, lets the workload work, asks it for its truth, stops, and lets it end. The run must be complete.
pub fn measure(mut workload: Workload, args: &[&str]) -> Measured {
    let profile = Profile::attach(&workload, args);
    workload.go();
    let truth = workload.truth();
    let measured = conclude(profile, truth);
    assert!(workload.is_running(), "the target did not survive");
    assert!(workload.quit().success());
    measured
}

/// Losses that leave stacks shorter and counts whole.
const STACK_LOSSES: [&str; 2] = ["walk_truncated", "stack_missing"];

/// Stops a profile and takes its report, which must be complete; where every call is seen, without a lost count.
pub fn conclude(profile: Profile, truth: Truth) -> Measured {
    let (finished, store) = profile.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let report = finished.report();
    let is_exact =
        report.allocations.as_ref().is_none_or(|allocations| allocations.mode == Some(Mode::Exact));
    let lost = report.loss.0.keys().find(|kind| is_exact && !STACK_LOSSES.contains(&kind.as_str()));
    assert_eq!(lost, None, "{:?}", report.loss);
    Measured { truth, report, finished, store }
}
