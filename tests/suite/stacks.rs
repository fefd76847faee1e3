//! Call sites and the stacks below them: the immediate caller always, full stacks with and without frame pointers.

use waytrace_model::report::SiteReport;
use waytrace_tests::build::Variant;

use crate::harness::live::{self, Measured};
use crate::harness::report::{assert_sites, callers, sites_in, whole};
use crate::harness::workload::Start;
use crate::or_skip;

/// Enough bytes for many samples.
const ROUNDS: u64 = 5000;

fn measured_sites(variant: Variant) -> Result<Measured, String> {
    let workload = Start::variant("sites.c", variant)?.arg(ROUNDS.to_string()).spawn();
    Ok(live::measure(workload, &["--exact", "--collect", "allocations"]))
}

fn functions(site: &SiteReport) -> Vec<&str> {
    site.frames.iter().map(|frame| frame.function.as_deref().unwrap_or("?")).collect()
}

/// Every call has the right immediate caller, and its source file and line where debug information has them.
fn check(variant: Variant) {
    let _turn = or_skip!(live::turn());
    let measured = or_skip!(measured_sites(variant));
    let report = measured.allocations();
    assert_sites(report, &measured.truth.parts);
    let frame = &sites_in(report, "site_3")[0].frames[0];
    assert!(frame.file.as_deref().is_some_and(|file| file.ends_with("sites.c")), "{frame:?}");
    assert!(frame.line.is_some(), "{frame:?}");
    let stacks = report.stacks;
    assert!(stacks.sampled_count > 0, "no stack was sampled");
    assert!(stacks.own_code_count * 10 >= stacks.sampled_count * 9, "{stacks:?}");
}

#[test]
fn callers_and_stacks_with_frame_pointers() {
    check(Variant::FramePointers);
}

#[test]
fn callers_and_stacks_without_frame_pointers() {
    check(Variant::Plain);
}

#[test]
fn callers_and_stacks_of_a_static_program() {
    check(Variant::Static);
}

/// The most frequent path above a leaf that two functions share goes through the one that calls it more often.
#[test]
fn the_most_frequent_path_is_the_right_one() {
    let _turn = or_skip!(live::turn());
    let measured = or_skip!(measured_sites(Variant::Plain));
    let report = measured.allocations();
    let site = sites_in(report, "shared_leaf");
    assert!(!site.is_empty(), "{}", callers(report));
    let path = functions(site[0]);
    assert_eq!(
        path.get(..5),
        Some(["shared_leaf", "shared_middle", "path_two", "one_round", "main"].as_slice())
    );
}

/// 200 frames deep: the caller and its count are right whatever becomes of the stack, and what is cut off is counted.
#[test]
fn deep_recursion_keeps_its_site() {
    let _turn = or_skip!(live::turn());
    let measured = or_skip!(measured_sites(Variant::FramePointers));
    let report = measured.allocations();
    let site = sites_in(report, "recursion_end");
    assert_eq!(site.iter().map(|site| whole(site.alloc_count)).sum::<u64>(), ROUNDS, "{}", callers(report));
    let path = functions(site[0]);
    let depth = path.iter().filter(|function| **function == "recurse").count() as u64;
    let whole_stack = path.contains(&"main") && depth == measured.truth.number("recursion_depth") + 1;
    let truncated = measured.report.loss.0.contains_key("walk_truncated")
        || report.stacks.complete_count < report.stacks.sampled_count;
    assert!(whole_stack || truncated, "{depth} frames, and nothing is said to be missing");
}

/// Without symbols a site is its module and offset, and no less exact.
#[test]
fn a_stripped_program_has_sites_by_offset() {
    let _turn = or_skip!(live::turn());
    let measured = or_skip!(measured_sites(Variant::Stripped));
    let report = measured.allocations();
    let parts = &measured.truth.parts;
    let mut expected: Vec<_> = parts.iter().map(|part| (part.alloc_count, part.alloc_bytes)).collect();
    let mut got: Vec<_> =
        report.sites.iter().map(|site| (whole(site.alloc_count), whole(site.alloc_bytes))).collect();
    expected.sort_unstable();
    got.sort_unstable();
    assert_eq!(got, expected, "{}", callers(report));
    for site in &report.sites {
        let frame = &site.frames[0];
        assert_eq!(frame.module.as_deref(), Some("sites-stripped"), "{frame:?}");
        assert!(frame.function.is_none() && frame.offset > 0, "{frame:?}");
    }
}

/// With every call's stack at hand, the share of each path is exact, not sampled.
#[test]
fn every_stack_is_counted_by_frame_pointer() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::variant("sites.c", Variant::FramePointers)).arg("100").spawn();
    let measured = live::measure(workload, &["--detail", "stacks", "--collect", "allocations"]);
    assert_sites(measured.allocations(), &measured.truth.parts);
    let folded = measured.store.run(&["export", "last", "--format", "folded"]);
    assert_eq!(folded.code, 0, "{folded:#?}");
    let bytes_through = |function: &str| -> u64 {
        let lines =
            folded.stdout.lines().filter(|line| line.contains(function) && line.contains("shared_leaf"));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
    };
    assert_eq!((bytes_through("path_one"), bytes_through("path_two")), (100 * 1440, 7 * 100 * 1440));
}
