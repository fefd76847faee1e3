//! Exact mode against the truth of single-threaded programs: per call, per size, per site, over time.

use crate::harness::live::{self, Measured};
use crate::harness::report::{Totals, assert_sites, assert_sizes, site_totals, whole};
use crate::harness::workload::Start;
use crate::or_skip;

const EXACT: [&str; 3] = ["--exact", "--collect", "allocations"];

/// Totals and sizes equal the truth, and every named site its part.
fn assert_exact(measured: &Measured) {
    let (truth, report) = (&measured.truth, measured.allocations());
    assert_eq!(Totals::of_report(report), Totals::of_truth(&truth.total));
    assert_sizes(report, &truth.total);
    let own: Vec<_> =
        truth.parts.iter().filter(|part| part.name.as_deref() != Some("inside_libc")).cloned().collect();
    assert_sites(report, &own);
}

/// Each entry point of the allocator in a run of its own, so that a miscount names its culprit.
fn one_phase(phase: &str) {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("malloc_sizes.c")).args(&["300", phase]).spawn();
    let measured = live::measure(workload, &EXACT);
    assert_exact(&measured);
}

#[test]
fn malloc_and_free_of_ten_sizes() {
    one_phase("malloc");
}

#[test]
fn calloc_counts_the_product() {
    one_phase("calloc");
}

#[test]
fn realloc_of_null_is_an_allocation() {
    one_phase("realloc_null");
}

#[test]
fn realloc_that_moves_is_a_free_and_an_allocation() {
    one_phase("realloc_grow");
}

#[test]
fn realloc_in_place_is_neither() {
    one_phase("realloc_inplace");
}

#[test]
fn realloc_that_shrinks() {
    one_phase("realloc_shrink");
}

#[test]
fn realloc_to_zero_is_a_free() {
    one_phase("realloc_zero");
}

#[test]
fn aligned_entry_points() {
    one_phase("aligned");
}

#[test]
fn pvalloc_counts_what_was_asked_for() {
    one_phase("pvalloc");
}

/// strdup and reallocarray: the allocator's immediate caller is libc, the calls count all the same.
#[test]
fn calls_from_inside_libc_count_once() {
    one_phase("libc");
}

#[test]
fn free_of_null_counts_nothing() {
    one_phase("free_null");
}

#[test]
fn failing_calls_count_nothing() {
    one_phase("failing");
}

#[test]
fn every_entry_point_together() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("malloc_sizes.c")).spawn();
    assert_exact(&live::measure(workload, &EXACT));
}

/// The cheapest level of detail counts calls and bytes as exactly; what it can't give is null with its reason.
#[test]
fn counts_alone_are_as_exact() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("sites.c")).spawn();
    let measured = live::measure(workload, &["--exact", "--collect", "allocations", "--detail", "counts"]);
    let (report, total) = (measured.allocations(), &measured.truth.total);
    assert_eq!(report.alloc_count.map(whole), Some(total.alloc_count));
    assert_eq!(report.alloc_bytes.map(whole), Some(total.alloc_bytes));
    assert_eq!(report.free_count.map(whole), Some(total.free_count));
    assert!(report.live_bytes.is_none() && report.peak_live_bytes.is_none());
    assert!(report.null_reason.as_ref().is_some_and(|reason| reason.len() > 10), "{:?}", report.null_reason);
}

#[test]
fn the_peak_its_sites_and_temporaries() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("peak.c")).spawn();
    let measured = live::measure(workload, &EXACT);
    let (report, truth) = (measured.allocations(), &measured.truth);
    assert_exact(&measured);
    assert_eq!(report.peak_live_bytes, Some(truth.total.peak_live_bytes));
    assert_eq!(report.temporary_count, Some(truth.total.temporary_count));
    for part in &truth.parts {
        let name = part.name.as_deref().unwrap();
        let site = site_totals(report, name);
        let got = (site.peak_live_bytes, site.temporary_count);
        assert_eq!(got, (part.peak_live_bytes, part.temporary_count), "{name}: at the peak, temporary");
    }
}

/// 200 blocks that lived at least 50 ms, 2000 that were freed at once; the program itself says how many of those
/// took long because it was not running.
#[test]
fn two_populations_of_lifetimes() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("peak.c")).arg("lifetimes").spawn();
    let measured = live::measure(workload, &EXACT);
    let truth = &measured.truth;
    let lifetimes = &measured.allocations().lifetimes;
    let count = |long: bool| {
        let of_kind = lifetimes
            .iter()
            .filter(|bucket| (u64::from(bucket.log2) >= truth.number("long_life_log2")) == long);
        of_kind.map(|bucket| whole(bucket.count)).sum::<u64>()
    };
    let slow = truth.number("short_that_took_long");
    let long = truth.number("long_lived_count");
    assert!(
        (long..=long + slow).contains(&count(true)),
        "{} long, of {long} and {slow}: {lifetimes:?}",
        count(true)
    );
    assert_eq!(count(true) + count(false), long + truth.number("short_lived_count"));
}

/// A start from the first instruction sees the same as an attachment, and keeps the command's exit code.
#[test]
fn a_command_from_its_first_instruction() {
    let _turn = or_skip!(live::turn());
    let program = or_skip!(Start::plain("sites.c")).path();
    let store = crate::harness::waytrace::Store::new();
    let program = program.to_str().unwrap();
    let finished =
        store.run(&["profile", "--exact", "--collect", "allocations", "--json", "--", program, "10"]);
    assert_eq!(finished.code, 0, "{finished:#?}");
    let report = finished.report();
    let truth =
        finished.stdout.lines().find_map(|line| line.strip_prefix("truth ")).expect("the program ran");
    let truth = crate::harness::truth::Truth::parse(truth);
    let allocations = report.allocations.unwrap();
    assert_sites(&allocations, &truth.parts);
    assert_eq!(allocations.alloc_count.map(whole), Some(truth.total.alloc_count));
    assert_eq!(report.run.exit_code, Some(0));
}
