//! Curves of points made up with known truths.

use waytrace_model::cache::{CacheId, WayMask};
use waytrace_model::cache_report::Interface;
use waytrace_model::sweep::{
    CacheMonitor, MissSource, Settled, SweepHeader, SweepPlan, SweepPoint, SweepTarget, SweptCache,
    ThreadCounts,
};
use waytrace_model::sweep_curve::{CurveOf, Curves};

use super::curves;

const WAY_BYTES: u64 = 1 << 20;
const WAYS: u32 = 12;

fn header(misses: Option<MissSource>) -> SweepHeader {
    SweepHeader {
        name: "s".to_owned(),
        started_at_unix_ns: 0,
        command: String::new(),
        simulated: false,
        interface: Interface::Resctrl,
        target: SweepTarget { pid: 1, comm: "c".to_owned(), cpus: Vec::new() },
        cache: SweptCache {
            resource: "L3".to_owned(),
            ids: vec![CacheId(0)],
            ways: WAYS,
            way_bytes: Some(WAY_BYTES),
            full_mask: WayMask::lowest(WAYS),
        },
        plan: SweepPlan {
            ways: (1..=WAYS).collect(),
            repeats: Some(3),
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
        misses,
    }
}

fn thread(instructions: u64, cycles: u64, references: u64, misses: u64) -> ThreadCounts {
    ThreadCounts {
        tid: 1,
        cpu: None,
        instructions: Some(instructions),
        cycles: Some(cycles),
        llc_references: Some(references),
        llc_misses: Some(misses),
        enabled_ns: 100,
        running_ns: 100,
    }
}

fn point(sweep: u32, ways: u32, own: ThreadCounts) -> SweepPoint {
    let position = u64::from(sweep) * 100 + u64::from(ways);
    SweepPoint {
        sweep,
        position,
        ways,
        mask: WayMask::lowest(ways),
        reference: false,
        at_ns: position * 1000,
        settle_ns: 1,
        settled: Settled::Occupancy,
        window_ns: 500_000_000,
        threads: vec![own],
        monitors: vec![CacheMonitor {
            cache_id: CacheId(0),
            occupancy_bytes: Some(u64::from(ways) * WAY_BYTES),
            total_bytes: Some(64_000),
            local_bytes: Some(32_000),
            missing: None,
        }],
        disturbed: false,
    }
}

/// Misses of a loop over five ways with a little noise, and cycles that follow from them.
fn looping(sweep: u32, ways: u32) -> SweepPoint {
    let misses = if ways < 5 { 100_000 - 100 * u64::from(sweep) } else { 1_000 + 10 * u64::from(sweep) };
    point(sweep, ways, thread(1_000_000, 500_000 + 10 * misses, 100_000, misses))
}

fn all(sweeps: u32, of: impl Fn(u32, u32) -> SweepPoint) -> Vec<SweepPoint> {
    (0..sweeps)
        .flat_map(|sweep| (1..=WAYS).map(move |ways| (sweep, ways)))
        .map(|(sweep, ways)| of(sweep, ways))
        .collect()
}

fn of(points: &[SweepPoint]) -> Curves {
    curves(&header(Some(MissSource::LlcEvents)), points)
}

#[test]
fn a_loop_has_its_cliff_its_knee_and_its_working_set() {
    let curves = of(&all(3, looping));
    assert_eq!(curves.ways.len(), 12);
    let four = &curves.ways[3];
    assert_eq!((four.ways, four.bytes, four.windows.len()), (4, Some(4 * WAY_BYTES), 3));
    let ratio = four.miss_ratio.unwrap();
    assert_eq!(ratio.value, (300_000 - 300) as f64 / 300_000.0);
    assert!(ratio.band().is_some_and(|(low, high)| low < 0.999 && high > 0.999));
    assert_eq!(four.mpki.unwrap().value, (100_000.0 - 100.0) / 1000.0);
    assert_eq!(curves.ways[4].ipc.unwrap().value, 3e6 / (3.0 * 500_000.0 + 10.0 * 3030.0));
    assert_eq!(four.occupancy_bytes.unwrap().value, (4 * WAY_BYTES) as f64);
    assert_eq!(four.bandwidth_bytes_per_s.unwrap().value, 128_000.0);
    let knee = curves.knee.unwrap();
    assert_eq!((knee.of, knee.ways, knee.bytes), (CurveOf::MissRatio, 5, Some(5 * WAY_BYTES)));
    assert_eq!((knee.ways_low, knee.ways_high), (Some(5), Some(5)));
    let set = curves.working_set.unwrap();
    assert_eq!((set.ways, set.above_ways, set.ways_low, set.ways_high), (5, Some(4), Some(5), Some(5)));
    assert!(!set.at_least);
    let peak = curves.near_peak_ipc.unwrap();
    assert_eq!((peak.of, peak.ways, peak.ways_low, peak.ways_high), (CurveOf::Ipc, 5, Some(5), Some(5)));
    assert_eq!(curves.notes, [""; 0]);
}

#[test]
fn streaming_needs_nothing_and_a_random_walk_over_more_than_the_cache_all_of_it() {
    let streaming = of(&all(3, |sweep, ways| point(sweep, ways, thread(1000, 1000, 100, 100))));
    assert_eq!(streaming.knee, None);
    assert_eq!(
        streaming.working_set.map(|set| (set.ways, set.above_ways, set.at_least)),
        Some((1, None, false))
    );
    assert_eq!(streaming.near_peak_ipc.map(|set| set.ways), Some(1));
    let random = of(&all(3, |sweep, ways| {
        point(
            sweep,
            ways,
            thread(1000, 1000, 1_000_000, 1_000_000 - u64::from(ways) * 50_000 + u64::from(sweep)),
        )
    }));
    assert_eq!(random.knee, None, "straight");
    assert_eq!(random.working_set.map(|set| (set.ways, set.at_least)), Some((12, true)));
}

#[test]
fn one_sweep_has_no_bands_and_says_so() {
    let curves = of(&all(1, looping));
    assert!(curves.ways.iter().all(|point| point.miss_ratio.unwrap().band().is_none()));
    assert_eq!(curves.working_set.map(|set| (set.ways, set.ways_low, set.ways_high)), Some((5, None, None)));
    assert_eq!(curves.knee.map(|knee| (knee.ways, knee.ways_low)), Some((5, None)));
    assert!(curves.notes.iter().any(|note| note.contains("no bands")), "{:?}", curves.notes);
}

#[test]
fn what_was_disturbed_or_never_settled_is_left_out() {
    let mut points = all(3, looping);
    points[0].disturbed = true;
    points[1].settled = Settled::Not;
    for point in points.iter_mut().filter(|point| point.ways == 9) {
        point.settled = Settled::Not;
    }
    points[3].threads.clear();
    points[3].monitors.clear();
    points.push(SweepPoint { reference: true, threads: vec![thread(1, 1, 1, 0)], ..looping(0, 12) });
    let curves = of(&points);
    let left_out = curves.left_out;
    assert_eq!((left_out.disturbed, left_out.unsettled, left_out.uncounted), (1, 1, 1));
    let windows: Vec<usize> = curves.ways.iter().map(|point| point.windows.len()).collect();
    assert_eq!(windows, [2, 2, 3, 2, 3, 3, 3, 3, 3, 3, 3, 3]);
    let unsettled: Vec<u32> =
        curves.ways.iter().filter(|point| point.unsettled).map(|point| point.ways).collect();
    assert_eq!(unsettled, [9]);
    assert!(curves.notes.iter().any(|note| note.contains("never settled")), "{:?}", curves.notes);
}

#[test]
fn memory_traffic_is_no_miss_ratio() {
    let curves = curves(&header(Some(MissSource::MemoryTraffic)), &all(3, looping));
    let point = &curves.ways[0];
    assert_eq!((point.miss_ratio, point.miss_ratio_isotonic), (None, None));
    // 64,000 bytes are 1000 lines, of 1000 thousand instructions.
    assert_eq!(point.mpki.unwrap().value, 1.0);
    assert!(curves.notes.iter().any(|note| note.contains("memory traffic")), "{:?}", curves.notes);
    assert_eq!(curves.working_set.map(|set| (set.of, set.ways)), Some((CurveOf::Mpki, 1)));
}

#[test]
fn without_misses_there_are_curves_of_ipc() {
    let curves = curves(&header(None), &all(3, looping));
    assert_eq!((curves.ways[0].miss_ratio, curves.ways[0].mpki, curves.working_set), (None, None, None));
    assert_eq!(curves.knee.map(|knee| (knee.of, knee.ways)), Some((CurveOf::Ipc, 5)));
}

#[test]
fn a_curve_that_turns_back_is_pooled_beside_the_measured_points() {
    let odd = |sweep, ways| {
        let misses = [90, 80, 60, 70, 40, 30, 20, 10, 10, 10, 10, 10][ways as usize - 1] * 1000;
        point(sweep, ways, thread(1_000_000, 1_000_000, 100_000, misses))
    };
    let curves = of(&all(2, odd));
    let isotonic: Vec<f64> = curves.ways.iter().map(|point| point.miss_ratio_isotonic.unwrap()).collect();
    assert_eq!(isotonic[1..5], [0.8, 0.65, 0.65, 0.4]);
    assert_eq!(
        (curves.ways[2].miss_ratio.unwrap().value, curves.ways[3].miss_ratio.unwrap().value),
        (0.6, 0.7)
    );
}

/// A target that is slower with every sweep, whatever its ways: normalised, all windows have the IPC of the middle.
#[test]
fn drift_is_found_and_taken_out() {
    let slower = |sweep: u32| 1_000_000 + 100_000 * u64::from(sweep);
    let mut points = all(6, |sweep, ways| point(sweep, ways, thread(1_000_000, slower(sweep), 1000, 10)));
    for sweep in 0..6 {
        for at in [0, 50] {
            let own = point(sweep, WAYS, thread(1_000_000, slower(sweep), 1000, 10));
            let at_ns = (u64::from(sweep) * 100 + at) * 1000;
            points.push(SweepPoint { reference: true, position: 1000 + at_ns, at_ns, ..own });
        }
    }
    let curves = of(&points);
    let reference = curves.reference.unwrap();
    assert!(reference.drifts && reference.windows == 12 && reference.most_ipc == 1.0, "{reference:?}");
    let four = &curves.ways[3];
    let (raw, normalised) = (four.ipc.unwrap(), four.ipc_normalised.unwrap());
    assert!((normalised.value - reference.ipc).abs() < 0.005, "{normalised:?} {reference:?}");
    assert!(normalised.std.unwrap() < raw.std.unwrap() / 10.0, "{normalised:?} {raw:?}");
    assert!(curves.notes.iter().any(|note| note.contains("normalised")), "{:?}", curves.notes);
}

#[test]
fn threads_add_up_and_multiplexed_ones_are_scaled_and_marked() {
    let half = ThreadCounts { running_ns: 50, ..thread(500, 250, 100, 10) };
    let none = ThreadCounts { running_ns: 0, ..thread(0, 0, 0, 0) };
    let asleep = ThreadCounts { enabled_ns: 0, running_ns: 0, ..thread(0, 0, 0, 0) };
    let unknown = ThreadCounts { cycles: None, ..thread(99, 0, 0, 0) };
    let mut one = point(0, 3, thread(1000, 1000, 100, 80));
    one.threads.extend([half, none, asleep, unknown]);
    let curves = of(&[one]);
    let ways = &curves.ways[0];
    assert_eq!(ways.ipc.unwrap().value, 2000.0 / 1500.0);
    assert_eq!(ways.miss_ratio.unwrap().value, 100.0 / 300.0);
    assert_eq!(curves.multiplexed, 1);
}

#[test]
fn nothing_and_nonsense_make_no_curve_and_no_panic() {
    let empty = of(&[]);
    assert!(empty.ways.is_empty() && empty.knee.is_none() && empty.working_set.is_none());
    assert!(empty.notes.iter().any(|note| note.contains("nothing was counted")), "{:?}", empty.notes);
    let mut absurd = point(0, 0, thread(u64::MAX, u64::MAX, u64::MAX, u64::MAX));
    absurd.monitors[0].total_bytes = Some(u64::MAX);
    absurd.window_ns = 0;
    let mut header = header(Some(MissSource::LlcEvents));
    header.cache.way_bytes = Some(u64::MAX);
    let odd = curves(&header, &[absurd.clone(), SweepPoint { ways: u32::MAX, ..absurd }]);
    assert_eq!((odd.ways.len(), odd.ways[0].bandwidth_bytes_per_s), (2, None));
}
