//! Which memory a program touches, how often, and whether it reads or writes it.

use super::{Range, accesses, ranges, sampled, samples, weight};
use crate::harness::live;
use crate::harness::workload::Start;
use crate::or_skip;

/// How far a share may be off: two points, and what chance does to a share of so many samples (four standard deviations).
fn tolerance(share: f64, samples: f64) -> f64 {
    0.02 + 4.0 * (share * (1.0 - share) / samples).sqrt()
}

/// Samples each pattern of a workload and compares shares of regions, and of stores, with what it says of itself.
fn check(file: &str, patterns: &[&str]) {
    let _turn = or_skip!(live::turn());
    for pattern in patterns {
        let measured = sampled(or_skip!(Start::plain(file)), pattern, &[]);
        let report = accesses(&measured.report);
        let (samples, ranges) = (samples(&measured.store), ranges(&measured.truth));
        assert!(report.samples > 200, "{pattern}: {report:#?}");
        assert_eq!(samples.len() as u64, report.resolved, "{pattern}");
        let resolved = report.resolved as f64 / report.samples as f64;
        assert!(resolved >= 0.95, "{pattern}: {resolved} resolved, {:?}", report.unresolved);
        // Few checks, and a machine with other work: the bench holds this against 0.95.
        assert!(report.confirmed_ratio.is_none_or(|ratio| ratio >= 0.8), "{pattern}: {report:#?}");
        let truth: f64 = ranges.iter().map(|range| range.loads + range.stores).sum();
        let all = weight(samples.iter());
        for range in &ranges {
            let share = (range.loads + range.stores) / truth;
            let seen = weight(samples.iter().filter(|sample| range.has(sample))) / all;
            let allowed = tolerance(share, samples.len() as f64);
            assert!((seen - share).abs() <= allowed, "{pattern}, {}: {seen} of {share}", range.name);
        }
        // An address is in a mapping of the process: there is a region for each sample.
        let named = report.regions.iter().map(|region| region.loads + region.stores).sum::<u64>();
        assert_eq!(named, report.loads + report.stores, "{pattern}");
        let others = weight(samples.iter().filter(|sample| !ranges.iter().any(|range| range.has(sample))));
        assert!(others / all <= 0.02 + tolerance(0.0, 1.0), "{pattern}: {others} of {all} elsewhere");
        // It takes longer to return than to call, and half of a recursion is longer than a walk: its two halves are
        // weighted by time.
        if *pattern == "stack" {
            continue;
        }
        let stores = ranges.iter().map(|range| range.stores).sum::<f64>() / truth;
        let seen = weight(samples.iter().filter(|sample| sample.is_store)) / all;
        let allowed = 0.03 + tolerance(stores, samples.len() as f64);
        assert!((seen - stores).abs() <= allowed, "{pattern}: {seen} stores of {stores}");
    }
}

#[test]
fn accesses_to_arrays_have_the_shares_the_program_gives_them() {
    check("access_arrays.c", &["seq", "stride", "chase", "hotcold", "two_arrays"]);
}

/// Of two thousand samples, if nothing holds them up, a thousand at most are kept.
#[test]
fn a_bounded_run_has_the_same_shares() {
    let _turn = or_skip!(live::turn());
    let start = or_skip!(Start::plain("access_arrays.c"));
    let measured = sampled(start, "two_arrays", &["--max-samples", "1000"]);
    let report = accesses(&measured.report);
    let (samples, ranges) = (samples(&measured.store), ranges(&measured.truth));
    let kept = report.kept;
    assert_eq!((kept.of, kept.samples), (report.resolved, samples.len() as u64));
    assert!(kept.samples <= 1000 && (kept.factor > 1) == (kept.of > 1000), "{kept:?}");
    let truth: f64 = ranges.iter().map(|range| range.loads + range.stores).sum();
    for range in &ranges {
        let share = (range.loads + range.stores) / truth;
        let seen = weight(samples.iter().filter(|sample| range.has(sample))) / weight(samples.iter());
        let allowed = tolerance(share, samples.len() as f64);
        assert!((seen - share).abs() <= allowed, "{}: {seen} of {share}", range.name);
    }
    // Remote is what a machine with one node has none of; with several it depends on where the program ran.
    if measured.report.host.numa_nodes.len() == 1 {
        assert!(report.regions.iter().all(|region| region.remote == Some(0)), "{report:#?}");
    }
}

#[test]
fn accesses_by_all_kinds_of_instructions_are_found() {
    check("access_code.c", &["stack", "pointers", "rep", "vector_sse", "switch_table", "indirect"]);
}

#[test]
fn accesses_of_virtual_calls_are_found() {
    check("access_virtual.cpp", &["virtual"]);
}

#[test]
fn unoptimised_code_keeps_its_variables_in_memory_and_is_followed_all_the_same() {
    let _turn = or_skip!(live::turn());
    let start = or_skip!(Start::variant("access_arrays.c", waytrace_tests::build::Variant::Unoptimised));
    let measured = sampled(start, "chase", &[]);
    let report = accesses(&measured.report);
    assert!(report.resolved as f64 >= 0.95 * report.samples as f64, "{:?}", report.unresolved);
    let nodes = &ranges(&measured.truth)[0];
    let seen = samples(&measured.store).iter().filter(|sample| nodes.has(sample)).count();
    assert!(seen > 0 && (seen as u64) < report.resolved, "{seen} of {}", report.resolved);
}

#[test]
fn threads_are_told_apart_and_so_are_their_stacks() {
    let _turn = or_skip!(live::turn());
    let measured = sampled(or_skip!(Start::plain("access_threads.c")), "threads", &[]);
    let samples = samples(&measured.store);
    let own: Vec<Range> = ranges(&measured.truth);
    let mut tids: Vec<u32> = samples.iter().map(|sample| sample.tid).collect();
    tids.sort_unstable();
    tids.dedup();
    assert_eq!(tids.len(), 4, "{tids:?}");
    for range in &own {
        let users: std::collections::BTreeSet<u32> =
            samples.iter().filter(|sample| range.has(sample)).map(|sample| sample.tid).collect();
        assert!(users.len() <= 1, "{} is one thread's, not of {users:?}", range.name);
    }
    let regions = &accesses(&measured.report).regions;
    for tid in tids {
        assert!(regions.iter().any(|region| region.name == format!("[stack:{tid}]")), "{regions:#?}");
    }
}
