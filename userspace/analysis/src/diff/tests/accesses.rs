//! Shares of accesses compared.

use waytrace_model::access::Source;
use waytrace_model::access_report::{
    AccessReport, FunctionAccesses, Kept, RegionReport, SiteAccesses, WorkingSet,
};

use super::*;

/// Regions and sites by name with their loads; `resolved` samples in all.
fn report(resolved: u64, regions: &[(&str, u64)], sites: &[(&str, u64)]) -> AccessReport {
    let region = |(name, loads): &(&str, u64)| RegionReport {
        name: (*name).to_owned(),
        loads: *loads,
        ..RegionReport::default()
    };
    let site = |(name, loads): &(&str, u64)| SiteAccesses {
        frames: vec![frame(name, *loads)],
        loads: *loads,
        ..SiteAccesses::default()
    };
    AccessReport {
        source: Source::ForwardWalk,
        bias: String::new(),
        rate_hz: None,
        samples: resolved,
        kernel_samples: 0,
        resolved,
        unresolved: Default::default(),
        confirmed_ratio: None,
        checked: 0,
        throttled: 0,
        effective_samples: resolved as f64,
        kept: Kept::all(resolved, resolved, 0),
        loads: regions.iter().map(|(_, loads)| loads).sum(),
        stores: 0,
        working_set: WorkingSet::default(),
        aggregate: None,
        regions: regions.iter().map(region).collect(),
        sites: sites.iter().map(site).collect(),
        functions: Vec::new(),
        sharing: Vec::new(),
        tiers: Vec::new(),
        null_reason: None,
    }
}

fn diff(a: AccessReport, b: AccessReport) -> RunDiff {
    let of = |accesses| RunReport { accesses: Some(accesses), ..run(1, Vec::new(), None) };
    compare(&of(a), &of(b))
}

fn shown(diffs: &[ShareDiff]) -> Vec<(&str, Option<f64>, Option<f64>, Verdict)> {
    diffs.iter().map(|diff| (diff.name.as_str(), diff.share.a, diff.share.b, diff.share.verdict)).collect()
}

/// B has ten times the samples, and mappings elsewhere; what counts is the share. Two mappings of one name are one.
#[test]
fn shares_compare_by_name_whatever_the_number_of_samples() {
    let a = report(1000, &[("[heap]", 500), ("[anon]", 200), ("[anon]", 100), ("/data", 200)], &[]);
    let b = report(10_000, &[("[anon]", 3100), ("[heap]", 6900)], &[]);
    let found = diff(a, b).accesses.unwrap();
    let expected = [
        ("/data", Some(0.2), Some(0.0), Verdict::Down),
        ("[heap]", Some(0.5), Some(0.69), Verdict::Up),
        ("[anon]", Some(0.3), Some(0.31), Verdict::WithinInterval),
    ];
    assert_eq!(shown(&found.regions), expected);
    assert!(found.sites.is_empty());
    assert_eq!(found.store_ratio.verdict, Verdict::Same);
}

/// Of ten samples, a share that doubles may be nothing; of ten thousand it is not.
#[test]
fn few_samples_prove_little() {
    let verdict = |samples: u64| {
        let with = |tenths| {
            report(samples, &[("[heap]", samples * tenths / 10), ("x", samples * (10 - tenths) / 10)], &[])
        };
        let found = diff(with(2), with(4)).accesses.unwrap();
        found.regions.iter().find(|region| region.name == "[heap]").unwrap().share.verdict
    };
    assert_eq!((verdict(10), verdict(10_000)), (Verdict::WithinInterval, Verdict::Up));
}

/// Offsets differ between builds; what one run has not seen at all has a share of 0 there.
#[test]
fn sites_compare_by_their_names_if_both_runs_have_them() {
    let regions = [("[heap]", 10_000)];
    let a = report(10_000, &regions, &[("f", 6000), ("g", 1000)]);
    let b = report(10_000, &regions, &[("f", 3000), ("h", 1500)]);
    let found = diff(a.clone(), b).accesses.unwrap();
    let expected = [
        ("f", Some(0.6), Some(0.3), Verdict::Down),
        ("h", Some(0.0), Some(0.15), Verdict::Up),
        ("g", Some(0.1), Some(0.0), Verdict::Down),
    ];
    assert_eq!(shown(&found.sites), expected);
    assert!(diff(a, report(10, &regions, &[])).accesses.unwrap().sites.is_empty());
}

/// As functions of either run; a module without symbols by its name.
#[test]
fn functions_and_thread_stacks_compare_by_name() {
    let with = |functions: &[(Frame, u64)], stack: &str| {
        let all = functions.iter().map(|(_, loads)| loads).sum();
        let function = |(frame, loads): &(Frame, u64)| FunctionAccesses {
            frames: vec![frame.clone()],
            loads: *loads,
            ..FunctionAccesses::default()
        };
        let mut report = report(all, &[(stack, all)], &[]);
        report.functions = functions.iter().map(function).collect();
        report
    };
    let module = Frame { module: Some("app".to_owned()), ..Frame::default() };
    let a = with(&[(frame("f", 1), 6000), (frame("f", 2), 1000), (module.clone(), 3000)], "[stack:10]");
    let b = with(&[(frame("f", 3), 500), (module, 500)], "[stack:77]");
    let found = diff(a, b).accesses.unwrap();
    let expected = [("app", Some(0.3), Some(0.5), Verdict::Up), ("f", Some(0.7), Some(0.5), Verdict::Down)];
    assert_eq!(shown(&found.functions), expected);
    assert_eq!(shown(&found.regions), [("[stack:TID]", Some(1.0), Some(1.0), Verdict::Same)]);
}

/// Loads are what is not stores; how much memory was seen depends on how long one looks.
#[test]
fn directions_have_a_verdict_and_working_sets_have_none() {
    let with = |stores, pages| AccessReport {
        stores,
        loads: 10_000 - stores,
        working_set: WorkingSet { pages, lines: 2 * pages },
        ..report(10_000, &[], &[])
    };
    let found = diff(with(2000, 10), with(3000, 20)).accesses.unwrap();
    let verdicts = [found.load_ratio, found.store_ratio, found.working_set_pages, found.working_set_lines];
    let verdicts = verdicts.map(|change| (change.a, change.b, change.verdict));
    let expected = [
        (Some(0.8), Some(0.7), Verdict::Down),
        (Some(0.2), Some(0.3), Verdict::Up),
        (Some(10.0), Some(20.0), Verdict::Unknown),
        (Some(20.0), Some(40.0), Verdict::Unknown),
    ];
    assert_eq!((verdicts, found.comparable), (expected, true));
}

/// A million accesses of which a hundred were kept prove as little as a hundred.
#[test]
fn intervals_are_those_of_what_was_kept() {
    let with = |heap| AccessReport {
        effective_samples: 100.0,
        ..report(1_000_000, &[("[heap]", heap), ("x", 1_000_000 - heap)], &[])
    };
    let found = diff(with(500_000), with(600_000)).accesses.unwrap();
    assert_eq!(found.regions[0].share.verdict, Verdict::WithinInterval);
}

#[test]
fn sources_with_another_bias_get_no_verdict() {
    let other = AccessReport { source: Source::IntelPebs, ..report(9000, &[("[heap]", 9000)], &[]) };
    let found = diff(report(9000, &[("[heap]", 10), ("x", 8990)], &[]), other).accesses.unwrap();
    assert!(!found.comparable);
    assert!(found.regions.iter().all(|region| region.share.verdict == Verdict::Unknown));
}

#[test]
fn without_accesses_nothing_is_known() {
    let none = diff(report(0, &[("[heap]", 0)], &[]), report(9, &[("[heap]", 9)], &[])).accesses.unwrap();
    assert_eq!(shown(&none.regions), [("[heap]", None, Some(1.0), Verdict::Unknown)]);
    assert!(compare(&run(1, Vec::new(), None), &run(1, Vec::new(), None)).accesses.is_none());
    let other = AccessReport { source: Source::Imported, ..report(9, &[], &[]) };
    assert_eq!(
        diff(report(9, &[], &[]), other).notes,
        ["source of access samples differs: forward-walk and imported"]
    );
}
