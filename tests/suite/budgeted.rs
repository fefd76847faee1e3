//! The default mode: estimates that hold the truth, an interval that is sane, and reasons for what is not known.

use waytrace_model::allocation::Mode;
use waytrace_model::report::AllocationReport;

use crate::harness::live::{self, Measured};
use crate::harness::workload::Start;
use crate::or_skip;

fn off_pct(estimate: Option<f64>, truth: u64) -> f64 {
    let estimate = estimate.expect("an estimate");
    (estimate / truth as f64 - 1.0) * 100.0
}

fn assert_interval(what: &str, ci95_pct: Option<f64>, limit_pct: f64) -> f64 {
    let width = ci95_pct.unwrap_or_else(|| panic!("no interval for {what}"));
    assert!(width > 0.0 && width < limit_pct, "{what}: ±{width} %");
    width
}

/// Within three times the half-width of its own interval, six standard deviations: wide enough for a machine that others
/// use and whose speed changes in mid-run, narrow enough to find a part of the calls missing.
fn assert_consistent(what: &str, estimate: Option<f64>, ci95_pct: Option<f64>, truth: u64, limit_pct: f64) {
    let width = assert_interval(what, ci95_pct, limit_pct);
    let off_pct = off_pct(estimate, truth);
    assert!(off_pct.abs() <= 3.0 * width, "{what}: {estimate:?} ± {width} %, truly {truth}: {off_pct:+.2} %");
}

/// What windows can't give is null, and the reason is there.
fn assert_honest(report: &AllocationReport) {
    assert_eq!(report.mode, Some(Mode::Budgeted));
    assert!(
        report.live_bytes.is_none() && report.peak_live_bytes.is_none() && report.temporary_count.is_none()
    );
    assert!(report.lifetimes.is_empty());
    assert!(report.null_reason.as_ref().is_some_and(|reason| reason.len() > 10), "{:?}", report.null_reason);
}

fn assert_overhead(measured: &Measured) {
    let overhead = &measured.report.overhead;
    assert_eq!(overhead.budget_pct, Some(1.0));
    assert!(overhead.target_pct.is_some() && overhead.tool_cpu_pct.is_some(), "{overhead:?}");
    assert!(overhead.tool_rss_bytes.is_some_and(|bytes| bytes > 0), "{overhead:?}");
}

/// Work between the allocations makes it about a million pairs a second.
#[test]
fn a_busy_target_that_also_works() {
    estimated(&["20", "0", "mix", "1", "100", "250"], 60.0);
}

/// Tens of millions of pairs a second: a probed pair takes many times as long as another, and what the target would do
/// without probes drowns in their cost. Then there is no estimate, and the reason says so.
#[test]
fn a_target_that_allocates_flat_out() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("churn.c")).args(&["10", "0", "mix", "1", "100"]).spawn();
    let measured = live::measure(workload, &["--collect", "allocations"]);
    let report = measured.allocations();
    assert_honest(report);
    assert_overhead(&measured);
    let reason = report.null_reason.as_deref().unwrap_or_default();
    assert_eq!(report.alloc_count, None, "{reason}");
    assert!(reason.contains("little else than pay for the probes"), "{reason}");
}

/// The estimate may be wide where the machine or the budget is small, but it must know how wide.
fn estimated(args: &[&str], limit_pct: f64) {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("churn.c")).args(args).spawn();
    let measured = live::measure(workload, &["--collect", "allocations"]);
    let (report, truth) = (measured.allocations(), &measured.truth);
    let (count, bytes) = (truth.number("alloc_count"), truth.number("alloc_bytes"));
    assert_consistent("alloc_count", report.alloc_count, report.alloc_count_ci95_pct, count, limit_pct);
    assert_consistent("alloc_bytes", report.alloc_bytes, report.ci95_pct, bytes, limit_pct);
    assert_honest(report);
    assert_overhead(&measured);
}

#[test]
fn a_target_with_a_steady_rate_in_two_threads() {
    estimated(&["15", "200000", "mix", "2", "100"], 200.0);
}

#[test]
fn a_quiet_target_is_not_lost_between_windows() {
    estimated(&["15", "2000", "1000", "1", "0"], 200.0);
}
