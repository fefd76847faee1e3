//! An allocator that hands out its own samples (`otel_memory`): totals by weight equal what it says it told, it is told that
//! somebody listens, and who has no such allocator is measured as ever.

use waytrace_model::allocation::Mode;
use waytrace_model::report::AllocationReport;
use waytrace_tests::build::Variant;

use crate::harness::live::{self, Measured, Profile, conclude};
use crate::harness::report::{site_totals_of, whole};
use crate::harness::truth::Truth;
use crate::harness::waytrace::Store;
use crate::harness::workload::{Start, Workload};
use crate::or_skip;

const WORKLOAD: &str = "otel_memory.c";
const ALLOCATIONS: [&str; 2] = ["--collect", "allocations"];
/// Its samples come a thousand times as often for its CPU time as a service's do.
const GENEROUS: [&str; 4] = ["--collect", "allocations", "--budget", "90%"];
/// Its counts are in 1/65536.
const ONE: f64 = 65_536.0;

/// Measures one from before its work to after it; then nobody listens any more.
fn measure(mut workload: Workload) -> Measured {
    let profile = Profile::attach(&workload, &GENEROUS);
    workload.go();
    let truth = workload.truth();
    let measured = conclude(profile, truth);
    assert_eq!(semaphores(&mut workload), "0 0", "nobody listens after the run");
    assert!(workload.quit().success());
    measured
}

fn semaphores(workload: &mut Workload) -> String {
    workload.go();
    workload.expect("semaphores")
}

fn assert_told(report: &AllocationReport, truth: &Truth) {
    assert_eq!(report.mode, Some(Mode::Sampled), "{report:?}");
    assert_eq!(truth.number("unwatched"), 0, "it was told at every allocation that somebody listens");
    assert!(truth.number("samples") > 400, "{truth:?}");
    let total = &truth.total;
    assert_eq!(report.alloc_bytes.map(whole), Some(total.alloc_bytes));
    // JSON may cost the last bit.
    let fractions = |count: Option<f64>| count.map(|count| (count * ONE).round());
    assert_eq!(fractions(report.alloc_count), Some(truth.number("fractions") as f64));
    assert_eq!(fractions(report.free_count), Some(truth.number("freed_fractions") as f64));
    assert_eq!(report.freed_bytes.map(whole), Some(total.freed_bytes));
    assert_eq!(report.live_bytes, Some(total.live_bytes));
    assert_eq!(report.peak_live_bytes, Some(total.peak_live_bytes));
    assert!(report.temporary_count.is_none());
    let interval = report.ci95_pct.expect("an interval");
    assert!(interval > 0.0 && interval < 30.0, "{interval}");
    let sizes: f64 = report.sizes.iter().map(|bucket| bucket.bytes).sum();
    assert_eq!(whole(sizes), total.alloc_bytes);
    let lived: f64 = report.lifetimes.iter().map(|bucket| bucket.bytes).sum();
    assert_eq!(whole(lived), total.freed_bytes);
}

/// Whatever the compiler made of the arguments, and whatever lies between the program and the probe.
fn assert_sites(report: &AllocationReport, truth: &Truth) {
    for part in &truth.parts {
        let name = part.name.as_deref().unwrap();
        let found = site_totals_of(report, name);
        assert_eq!(found, (part.alloc_bytes, part.live_bytes), "{name}: {:#?}", report.sites);
    }
}

fn told_by(variant: Variant) {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::variant(WORKLOAD, variant)).spawn();
    let measured = measure(workload);
    assert_told(measured.allocations(), &measured.truth);
    assert_sites(measured.allocations(), &measured.truth);
    let allocations = |name: &str| name == "allocations";
    let collector = measured.report.collectors.iter().find(|collector| allocations(&collector.name));
    let reason = collector.and_then(|collector| collector.reason.as_deref());
    assert_eq!(reason, Some("source: otel_memory (the allocator's own samples)"));
    let probes = &measured.allocations().probes;
    assert_eq!(
        (probes.len(), probes.iter().all(|name| name.contains(":otel_memory:"))),
        (6, true),
        "{probes:?}"
    );
    let overhead = &measured.report.overhead;
    let told = measured.truth.number("samples") + measured.truth.number("freed_samples");
    assert_eq!(overhead.probe_hits_count, told);
}

#[test]
fn totals_and_sites_are_what_the_allocator_told() {
    told_by(Variant::Plain);
}

#[test]
fn arguments_are_found_in_unoptimised_code() {
    told_by(Variant::Unoptimised);
}

#[test]
fn a_static_program_of_musl_tells_as_well() {
    told_by(Variant::Musl);
}

/// Where no symbol names an allocator, nothing else could tell of allocations.
#[test]
fn a_static_program_without_symbols_tells_as_well() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::variant(WORKLOAD, Variant::StaticStripped)).spawn();
    let measured = measure(workload);
    assert_told(measured.allocations(), &measured.truth);
}

/// One of two processes of the same file is measured: the other one is not told to sample.
#[test]
fn another_process_of_the_program_is_left_alone() {
    let _turn = or_skip!(live::turn());
    let mut other = or_skip!(Start::plain(WORKLOAD)).args(&["400"]).spawn();
    let mut workload = or_skip!(Start::plain(WORKLOAD)).spawn();
    let profile = Profile::attach(&workload, &GENEROUS);
    workload.go();
    other.go();
    let truth = workload.truth();
    let others = other.truth();
    assert_eq!((others.number("unwatched"), others.number("watched")), (400, 0));
    let measured = conclude(profile, truth);
    assert_told(measured.allocations(), &measured.truth);
    assert_eq!(semaphores(&mut other), "0 0");
    assert_eq!(semaphores(&mut workload), "0 0");
}

/// Both are measured, and their numbers add up.
#[test]
fn two_processes_are_told_together() {
    let _turn = or_skip!(live::turn());
    let mut first = or_skip!(Start::plain(WORKLOAD)).spawn();
    let mut second = or_skip!(Start::plain(WORKLOAD)).spawn();
    let mut profile = Profile::start(&[&["--comm", "otel_memory"], &GENEROUS[..]].concat());
    profile.running.await_attached();
    first.go();
    second.go();
    let (one, two) = (first.truth(), second.truth());
    let bytes = one.total.alloc_bytes + two.total.alloc_bytes;
    let measured = conclude(profile, one);
    assert_eq!(measured.allocations().alloc_bytes.map(whole), Some(bytes));
    assert_eq!(measured.allocations().mode, Some(Mode::Sampled));
}

/// A started command is told from its first instruction on.
#[test]
fn a_command_is_told_from_its_start() {
    let _turn = or_skip!(live::turn());
    let program = or_skip!(Start::plain(WORKLOAD)).path();
    let store = Store::new();
    let program = program.to_str().unwrap();
    let finished = store.run(&[&["profile", "--json"], &GENEROUS[..], &["--", program]].concat());
    assert_eq!(finished.code, 0, "{finished:#?}");
    let truth =
        finished.stdout.lines().find_map(|line| line.strip_prefix("truth ")).expect("the program ran");
    assert_told(&finished.report().allocations.unwrap(), &Truth::parse(truth));
}

/// Who asks for probes, or for every call, gets them; who asks for samples of a program that has none is told so.
#[test]
fn the_source_is_chosen_by_name() {
    let _turn = or_skip!(live::turn());
    for (args, mode) in [
        (&["--alloc-source", "probes"][..], Mode::Budgeted),
        (&["--exact"], Mode::Exact),
        (&["--alloc-source", "usdt"], Mode::Sampled),
    ] {
        let mut workload = or_skip!(Start::plain(WORKLOAD)).args(&["100"]).spawn();
        let profile = Profile::attach(&workload, &[args, &ALLOCATIONS].concat());
        workload.go();
        let truth = workload.truth();
        assert_eq!(truth.number("watched") != 0, mode == Mode::Sampled, "{args:?}");
        assert_eq!(conclude(profile, truth).allocations().mode, Some(mode), "{args:?}");
    }
    let plain = or_skip!(Start::plain("sites.c")).spawn();
    let profile = Profile::start(&["--pid", &plain.pid().to_string(), "--alloc-source", "usdt"]);
    let finished = profile.running.finish();
    assert_ne!(finished.code, 0);
    assert!(finished.stderr.contains("otel_memory:alloc"), "{}", finished.stderr);
}

/// A program without these probes is measured by those of waytrace's own, as ever.
#[test]
fn a_program_without_samples_is_probed() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("sites.c")).spawn();
    let measured = live::measure(workload, &ALLOCATIONS);
    assert_eq!(measured.allocations().mode, Some(Mode::Budgeted));
    assert!(measured.allocations().probes.iter().any(|name| name.contains(":malloc+")));
}

/// An allocator that samples every call costs more than the budget: it is not watched all the time, and the run says so.
#[test]
fn the_budget_holds_for_an_allocator_that_samples_every_call() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(Start::plain(WORKLOAD)).args(&["20000000", "16", "flat-out"]).spawn();
    let profile = Profile::attach(&workload, &ALLOCATIONS);
    workload.go();
    let truth = workload.truth();
    let measured = conclude(profile, truth);
    let (report, truth) = (measured.allocations(), &measured.truth);
    assert!(truth.number("watched") != 0 && truth.number("unwatched") > 0, "{truth:?}");
    assert_eq!((report.mode, report.alloc_bytes, report.live_bytes), (Some(Mode::Sampled), None, None));
    let reason = report.null_reason.as_deref().unwrap_or_default();
    assert!(reason.contains("--alloc-source probes"), "{reason}");
    assert_eq!(semaphores(&mut workload), "0 0");
}
