//! The terminal summary: stored text, width, and honesty.

use waytrace_model::access_report::Kept;
use waytrace_model::counter::Unit;
use waytrace_model::report::PhaseTotals;
use waytrace_report::terminal::summary;

use crate::{accesses, fixture};

#[test]
fn exact_run() {
    insta::assert_snapshot!(summary(&fixture::run(300, true).report, 80));
}

#[test]
fn budgeted_run() {
    insta::assert_snapshot!(summary(&fixture::run(300, false).report, 80));
}

#[test]
fn empty_run() {
    insta::assert_snapshot!(summary(&fixture::empty().report, 80));
}

#[test]
fn sampled_accesses() {
    let mut report = accesses::with_accesses(fixture::run(300, true)).report;
    // What comes before is stored above.
    report.allocations = None;
    report.counters.clear();
    insta::assert_snapshot!(summary(&report, 80));
}

#[test]
fn code_without_symbols_is_named_by_its_module() {
    let mut report = accesses::with_accesses(fixture::run(3, true)).report;
    let frame = &mut report.accesses.as_mut().unwrap().functions[0].frames[0];
    (frame.function, frame.offset) = (None, 0);
    let text = summary(&report, 80);
    assert!(text.contains("    redis-server, no symbol  ") && !text.contains("+0x0"), "{text}");
}

#[test]
fn samples_without_an_access_say_why() {
    let mut report = accesses::with_accesses(fixture::run(3, true)).report;
    let own = report.accesses.as_mut().unwrap();
    (own.loads, own.stores, own.resolved, own.confirmed_ratio) = (0, 0, 0, None);
    own.null_reason = Some("the target is a 32-bit process".into());
    let text = summary(&report, 80);
    assert!(text.contains("12.5k samples, 0.0% resolved, none checked"), "{text}");
    assert!(text.contains("not known  the target is a 32-bit process"), "{text}");
    assert!(
        text.contains("unresolved mostly (2.4%): a branch depends on a value that was not captured"),
        "{text}"
    );
    assert!(!text.contains("mappings,") && !text.contains("NaN"), "{text}");
}

#[test]
fn what_the_bound_left_is_said() {
    let mut report = accesses::with_accesses(fixture::run(3, true)).report;
    assert!(!summary(&report, 80).contains("kept"));
    let own = report.accesses.as_mut().unwrap();
    own.kept = Kept { samples: 523_000, of: 4_200_000, factor: 8, ..own.kept };
    let line = "  kept       523k of 4.20M accesses, drawn at random; each stands for 8\n";
    assert!(summary(&report, 80).contains(line), "{}", summary(&report, 80));
}

#[test]
fn no_line_leaves_its_width_whatever_the_target_is_called() {
    for width in [0, 60, 80, 132, 1000] {
        let text = summary(&accesses::hostile(fixture::hostile()).report, width);
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(widest <= width.clamp(60, 160), "width {width}: {widest}\n{text}");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}') && !text.contains('\0'), "{text}");
    }
}

#[test]
fn phases_have_a_line_where_they_were_asked_for() {
    let mut report = fixture::run(3, true).report;
    assert!(!summary(&report, 80).contains("phases"));
    let (event, unit) = ("ref-cycles".to_owned(), Unit::Cycles);
    report.phases = Some(PhaseTotals { event, unit, period: 20_000_000, count: 40, cpu_ns: 400_000_000 });
    let line = "phases       40 of 20.0M ref-cycles each (10.0ms of CPU time on average)\n";
    assert!(summary(&report, 80).contains(line), "{}", summary(&report, 80));
    report.phases = report.phases.map(|phases| PhaseTotals { count: 0, cpu_ns: 0, ..phases });
    assert!(summary(&report, 80).contains("0 of 20.0M ref-cycles each (no thread lasted as long)"));
}

#[test]
fn absent_numbers_say_so() {
    let mut report = fixture::run(300, false).report;
    report.counters[3].value = None;
    let text = summary(&report, 80);
    assert!(text.contains("instructions               not counted"), "{text}");
    assert!(text.contains("live       not available"), "{text}");
    assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
}
