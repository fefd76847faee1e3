//! Folded stacks and the SVG made of them.

use waytrace_report::flame::accesses::Weight;
use waytrace_report::{Error, folded, svg};

use crate::{accesses, fixture, text};

#[test]
fn folded_lines() {
    insta::assert_snapshot!(text(|out| folded::write(&fixture::run(3, true), out)));
}

#[test]
fn folded_bytes_are_the_exact_total() {
    let detail = fixture::run(3, true);
    let lines = text(|out| folded::write(&detail, out));
    let total: u64 = lines.lines().map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum();
    assert_eq!(Some(total as f64), detail.report.allocations.unwrap().alloc_bytes);
}

#[test]
fn hostile_names_stay_in_their_line() {
    let (plain, hostile) = (fixture::run(3, true), fixture::hostile());
    let lines = text(|out| folded::write(&hostile, out));
    let frames = |lines: &str| -> Vec<usize> {
        let mut counts: Vec<usize> = lines.lines().map(|line| line.matches(';').count()).collect();
        counts.sort_unstable();
        counts
    };
    assert_eq!(frames(&lines), frames(&text(|out| folded::write(&plain, out))));
}

#[test]
fn svg_is_drawn_and_escaped() {
    let drawing = text(|out| svg::write(&fixture::hostile(), out));
    assert!(drawing.starts_with("<?xml") && drawing.trim_end().ends_with("</svg>"));
    assert!(!drawing.contains("<script>alert(1)"), "a name became markup");
    assert!(drawing.contains("&lt;script&gt;alert(1)"));
    let exact = text(|out| svg::write(&fixture::run(3, true), out));
    assert!(exact.contains("readQueryFromClient"));
    let budgeted = text(|out| svg::write(&fixture::run(3, false), out));
    assert!(budgeted.contains("estimated"));
}

#[test]
fn nothing_to_draw_is_said() {
    assert_eq!(text(|out| folded::write(&fixture::empty(), out)), "");
    let error = svg::write(&fixture::empty(), &mut Vec::new()).unwrap_err();
    assert!(matches!(error, Error::NoStacks { .. }));
    assert!(error.to_string().contains("--collect allocations"), "{error}");
}

#[test]
fn accesses_fold_into_functions_and_their_mappings() {
    let detail = accesses::with_accesses(fixture::run(300, true));
    let lines = text(|out| folded::accesses(&detail, accesses::accesses(&detail), Weight::Accesses, out));
    let sums = accesses::sums(&detail, |own| Some((own.code, own.region)));
    assert_eq!(lines.lines().count(), sums.len());
    let (loads, stores) = sums[&(Some(100), Some(0))];
    assert!(lines.contains(&format!("dictFind;[heap] {}\n", loads + stores)), "{lines}");
    let drawing = text(|out| svg::accesses(&detail, accesses::accesses(&detail), Weight::Accesses, out));
    assert!(drawing.contains("dictFind") && drawing.contains("12.0k accesses sampled; forward-walk"));
}

#[test]
fn latencies_weigh_only_where_they_are_known() {
    let detail = accesses::with_accesses(fixture::run(300, true));
    let lines = text(|out| folded::accesses(&detail, accesses::precise(&detail), Weight::Latency, out));
    let cycles: u64 =
        lines.lines().map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum();
    assert_eq!(cycles, detail.report.accesses.as_ref().unwrap().loads * 40_000);
    let error =
        folded::accesses(&detail, accesses::accesses(&detail), Weight::Latency, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, Error::NoLatencies { .. }), "{error}");
    let none = fixture::run(3, true);
    let error =
        svg::accesses(&none, accesses::accesses(&none), Weight::Accesses, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("--collect accesses"), "{error}");
}

#[test]
fn hostile_accesses_stay_in_their_line() {
    let detail = accesses::hostile(fixture::hostile());
    let lines = text(|out| folded::accesses(&detail, accesses::accesses(&detail), Weight::Accesses, out));
    assert!(!lines.is_empty() && lines.lines().all(|line| line.matches(';').count() == 1), "{lines}");
    let drawing = text(|out| svg::accesses(&detail, accesses::accesses(&detail), Weight::Accesses, out));
    assert!(!drawing.contains("<script>alert(1)"), "a name became markup");
}
