//! Sweeps with known curves compared.

use waytrace_model::cache::{CacheId, WayMask};
use waytrace_model::cache_report::Interface;
use waytrace_model::sweep::{
    CacheMonitor, EndReason, Settled, SweepEnd, SweepHeader, SweepPlan, SweepPoint, SweepTarget, SweptCache,
    ThreadCounts,
};

use super::*;
use crate::spread::Random;

/// What a made-up sweep is of.
#[derive(Clone, Copy)]
struct Made {
    ways: u32,
    way_bytes: Option<u64>,
    /// Ways a loop fits into.
    loop_ways: u32,
    misses: MissSource,
    simulated: bool,
    sweeps: u32,
    /// Percent by which windows differ.
    noise: u64,
    /// Percent more misses where it does not fit.
    more: u64,
    seed: u64,
}

const USUAL: Made = Made {
    ways: 8,
    way_bytes: Some(1 << 20),
    loop_ways: 5,
    misses: MissSource::LlcEvents,
    simulated: false,
    sweeps: 5,
    noise: 4,
    more: 0,
    seed: 1,
};

fn header(made: Made) -> SweepHeader {
    SweepHeader {
        name: format!("sweep-{}", made.seed),
        started_at_unix_ns: 0,
        command: String::new(),
        simulated: made.simulated,
        interface: Interface::Resctrl,
        target: SweepTarget { pid: 1, comm: "c".to_owned(), cpus: Vec::new() },
        cache: SweptCache {
            resource: "L3".to_owned(),
            ids: vec![CacheId(0)],
            ways: made.ways,
            way_bytes: made.way_bytes,
            full_mask: WayMask::lowest(made.ways),
        },
        plan: SweepPlan {
            ways: (1..=made.ways).collect(),
            repeats: Some(made.sweeps),
            window_ns: 1,
            settle_cap_ns: 1,
            every_ns: None,
            reference_every: 4,
            pressure_bytes: None,
            others_confined: false,
            seed: 1,
            max_slowdown: None,
            slo: None,
        },
        misses: Some(made.misses),
    }
}

/// Of 1000 references 400 miss where the loop does not fit, else 50, and each miss costs 10 cycles.
fn point(made: Made, sweep: u32, ways: u32, random: &mut Random) -> SweepPoint {
    let base = if ways < made.loop_ways { 40_000 * (100 + made.more) / 100 } else { 5_000 };
    let misses = base * (1000 - 5 * made.noise + random.below(10 * made.noise as usize + 1) as u64) / 1000;
    let of_pmu = made.misses == MissSource::LlcEvents;
    SweepPoint {
        sweep,
        position: u64::from(sweep * 100 + ways),
        ways,
        mask: WayMask::lowest(ways),
        reference: false,
        at_ns: 0,
        settle_ns: 1,
        settled: Settled::Occupancy,
        window_ns: 1_000_000,
        threads: vec![ThreadCounts {
            tid: 1,
            cpu: None,
            instructions: Some(1_000_000),
            cycles: Some(500_000 + 10 * misses),
            llc_references: of_pmu.then_some(100_000),
            llc_misses: of_pmu.then_some(misses),
            enabled_ns: 1,
            running_ns: 1,
        }],
        monitors: vec![CacheMonitor {
            cache_id: CacheId(0),
            occupancy_bytes: None,
            total_bytes: Some(64 * misses),
            local_bytes: None,
            missing: None,
        }],
        disturbed: false,
    }
}

fn report(made: Made) -> SweepReport {
    let mut random = Random::new(made.seed);
    let header = header(made);
    let mut points = Vec::new();
    for sweep in 0..made.sweeps {
        points.extend((1..=made.ways).map(|ways| point(made, sweep, ways, &mut random)));
    }
    let end = SweepEnd {
        reason: EndReason::Completed,
        detail: None,
        restored: true,
        left: Vec::new(),
        own_cpu_ns: 0,
        elapsed_ns: 1,
    };
    let curves = crate::curve::curves(&header, &points);
    SweepReport { schema_version: 1, id: 1, sweep: header, end: Some(end), curves, points }
}

fn diff(a: Made, b: Made) -> SweepDiff {
    sweeps(&report(a), &report(Made { seed: b.seed + 1000, ..b })).unwrap()
}

#[test]
fn a_larger_loop_misses_more_where_it_no_longer_fits_and_nowhere_else() {
    let diff = diff(USUAL, Made { loop_ways: 7, ..USUAL });
    assert_eq!((diff.shares.len(), diff.only_a, diff.only_b, diff.by_bytes), (8, 0, 0, true));
    for share in &diff.shares {
        let (misses, ipc) = (share.miss_ratio.unwrap(), share.ipc.unwrap());
        assert_eq!(share.bytes, Some(u64::from(share.ways_a) << 20));
        let changed = (5..7).contains(&share.ways_a);
        let beyond_chance = (misses.verdict, ipc.verdict) == (Verdict::Up, Verdict::Down);
        let within = [misses.verdict, ipc.verdict] == [Verdict::WithinInterval; 2];
        assert_eq!((beyond_chance, within), (changed, !changed), "{share:?}");
        let truth = if changed { 0.35 } else { 0.0 };
        assert!(misses.ci95_low.unwrap() <= truth && truth <= misses.ci95_high.unwrap(), "{share:?}");
        assert_eq!(misses.difference, misses.b - misses.a);
    }
    let set = diff.working_set;
    assert_eq!(
        (set.difference_ways, set.difference_bytes, set.verdict),
        (Some(2), Some(2 << 20), Verdict::Up)
    );
    assert_eq!((diff.knee.verdict, diff.near_peak_ipc.difference_ways), (Verdict::Up, Some(2)));
    assert_eq!(diff.notes, Vec::<String>::new());
}

#[test]
fn bands_hold_the_truth_and_chance_seldom_passes_for_a_change() {
    let (mut held, mut false_alarms, mut compared) = (0, 0, 0);
    for seed in 0..60 {
        let diff = diff(
            Made { seed, noise: 20, sweeps: 3, ..USUAL },
            Made { seed, noise: 20, sweeps: 3, more: 10, ..USUAL },
        );
        for share in &diff.shares {
            let misses = share.miss_ratio.unwrap();
            let truth = if share.ways_a < 5 { 0.04 } else { 0.0 };
            compared += 1;
            held += u32::from(misses.ci95_low.unwrap() <= truth && truth <= misses.ci95_high.unwrap());
            let alarm = matches!(misses.verdict, Verdict::Up | Verdict::Down) && truth == 0.0;
            false_alarms += u32::from(alarm);
        }
    }
    assert!(held * 100 >= compared * 95, "{held} of {compared} hold the truth");
    assert!(false_alarms * 100 <= compared / 2 * 5, "{false_alarms} of {} are alarms", compared / 2);
}

#[test]
fn a_skewed_band_is_taken_from_the_side_it_lies_on() {
    let estimate = |value, low, high| {
        Some(Estimate { value, ci95_low: Some(low), ci95_high: Some(high), std: None, windows: 9 })
    };
    let own = Difference::between(estimate(0.5, 0.1, 0.53), estimate(0.6, 0.56, 0.9)).unwrap();
    // Downwards count B's lower and A's upper reach: 3, 4, 5.
    assert!((own.ci95_low.unwrap() - 0.05).abs() < 1e-12 && own.verdict == Verdict::Up, "{own:?}");
    assert!((own.ci95_high.unwrap() - 0.6).abs() < 1e-12, "{own:?}");
    let single = Some(Estimate { value: 0.1, ci95_low: None, ci95_high: None, std: None, windows: 1 });
    let own = Difference::between(estimate(0.5, 0.4, 0.6), single).unwrap();
    assert_eq!((own.ci95_low, own.verdict), (None, Verdict::Unknown));
    assert_eq!(Difference::between(None, single), None);
}

#[test]
fn shares_pair_by_bytes_where_ways_are_of_another_size() {
    let wide = Made { ways: 6, way_bytes: Some(2 << 20), loop_ways: 3, ..USUAL };
    let pairs = diff(USUAL, wide);
    let numbers: Vec<(u32, u32)> = pairs.shares.iter().map(|share| (share.ways_a, share.ways_b)).collect();
    assert_eq!(numbers, [(2, 1), (4, 2), (6, 3), (8, 4)]);
    assert_eq!((pairs.only_a, pairs.only_b), (4, 2));
    assert!(pairs.notes[0].contains("1.00MiB in A and 2.00MiB in B"), "{:?}", pairs.notes);
    // Five ways of 1 MiB are enough in A, three of 2 MiB in B, whose next smaller share is 4 MiB.
    let set = pairs.working_set;
    assert_eq!((set.difference_ways, set.difference_bytes, set.verdict), (None, Some(1 << 20), Verdict::Up));
    let unknown = diff(USUAL, Made { way_bytes: None, ..USUAL });
    assert!(!unknown.by_bytes && unknown.notes[0].contains("not known in both"), "{:?}", unknown.notes);
    assert_eq!((unknown.shares.len(), unknown.working_set.difference_ways), (8, Some(0)));
}

#[test]
fn unlike_measures_are_not_compared() {
    let diff = diff(USUAL, Made { misses: MissSource::MemoryTraffic, ..USUAL });
    assert_eq!(diff.misses, None);
    assert!(
        diff.shares
            .iter()
            .all(|share| share.mpki.is_none() && share.miss_ratio.is_none() && share.ipc.is_some())
    );
    assert!(diff.notes[0].contains("A has them from the PMU, B from memory traffic"), "{:?}", diff.notes);
    assert_eq!((diff.working_set.verdict, diff.near_peak_ipc.difference_ways), (Verdict::Unknown, Some(0)));
    let simulated = sweeps(&report(USUAL), &report(Made { simulated: true, ..USUAL }));
    assert_eq!(simulated.unwrap_err(), Unlike::Simulated);
    let mut level_2 = report(USUAL);
    level_2.sweep.cache.resource = "L2".to_owned();
    assert_eq!(sweeps(&report(USUAL), &level_2).unwrap_err(), Unlike::Level);
    level_2.sweep.cache.resource = "L3DATA".to_owned();
    assert!(sweeps(&report(USUAL), &level_2).is_ok());
}

#[test]
fn what_differed_otherwise_is_told() {
    let mut other = report(Made { seed: 2, ..USUAL });
    other.sweep.target.comm = "d".to_owned();
    other.sweep.plan.pressure_bytes = Some(1 << 20);
    other.end = None;
    other.curves.ways[0].unsettled = true;
    let diff = sweeps(&report(USUAL), &other).unwrap();
    let notes = diff.notes.join("\n");
    for needle in ["target differs: c and d", "none and 1.00MiB", "B did not come", "B: some numbers of ways"]
    {
        assert!(notes.contains(needle), "{needle}: {notes}");
    }
    assert!(diff.shares[0].unsettled && !diff.shares[1].unsettled);
}
