//! Targets of known behaviour, and what the estimator makes of them.

use super::*;

/// Deterministic noise in -1..1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

const RUN_NS: f64 = 30e9;

/// A target that is never idle: `call_ns` a call, scattering by `scatter`, with traps that take `alloc_ns` and `free_ns`
/// where calibration says 500.
struct Busy {
    call_ns: f64,
    scatter: f64,
    alloc_ns: f64,
    free_ns: f64,
}

impl Busy {
    fn part(&self, kind: Kind, noise: &mut Noise) -> Sample {
        let probes = |probed: bool| if probed { 1.0 } else { 0.0 };
        let (allocs, frees) = (probes(kind != Kind::Frees), probes(kind != Kind::Allocs));
        let own_ns = self.call_ns * (1.0 + self.scatter * noise.next());
        let calls = 2e6 / (own_ns + allocs * self.alloc_ns + frees * self.free_ns);
        Sample {
            kind,
            cpu_ns: 2e6,
            elapsed_ns: 2e6,
            alloc_traps_ns: 500.0 * calls * allocs,
            free_traps_ns: 500.0 * calls * frees,
            alloc_count: calls * allocs,
            alloc_bytes: calls * allocs * 100.0,
            free_count: calls * frees,
            freed_bytes: calls * frees * 96.0,
        }
    }

    fn windows(&self, count: usize, seed: u64) -> Vec<Sample> {
        let mut noise = Noise(seed);
        let mut window = |_| [Kind::Allocs, Kind::Both, Kind::Frees].map(|kind| self.part(kind, &mut noise));
        (0..count).flat_map(&mut window).collect()
    }

    /// The whole run, in which the windows were: what traps took there came on top.
    fn run(&self, samples: &[Sample]) -> Run {
        let sums = Strata::of(samples).all();
        let paid_ns = (self.alloc_ns * sums.alloc_traps_ns + self.free_ns * sums.free_traps_ns) / 500.0;
        Run { cpu_ns: RUN_NS + paid_ns, elapsed_ns: RUN_NS + paid_ns }
    }

    fn calls(&self) -> f64 {
        RUN_NS / self.call_ns
    }
}

const STEADY: Busy = Busy { call_ns: 1000.0, scatter: 0.0, alloc_ns: 620.0, free_ns: 410.0 };

fn estimate(samples: &[Sample], run: Run, calibration_sd: f64) -> Result<Estimate, Unusable> {
    super::estimate(samples, run, Factors::new(samples, calibration_sd))
}

fn off_pct(total: Total, truth: f64) -> f64 {
    100.0 * (total.value / truth - 1.0).abs()
}

#[test]
fn a_steady_target_is_found_exactly_even_with_a_wrong_calibration() {
    let windows = STEADY.windows(40, 1);
    let estimated = estimate(&windows, STEADY.run(&windows), 0.2).unwrap();
    assert!(off_pct(estimated.alloc_count, STEADY.calls()) < 0.1, "{estimated:?}");
    assert!(off_pct(estimated.alloc_bytes, 100.0 * STEADY.calls()) < 0.1, "{estimated:?}");
    assert!(off_pct(estimated.free_count.unwrap(), STEADY.calls()) < 0.1, "{estimated:?}");
    let factors = Factors::new(&windows, 0.2);
    assert!((factors.alloc.value - 1.24).abs() < 0.01, "{factors:?}");
    assert!((factors.free.value - 0.82).abs() < 0.01, "{factors:?}");
}

#[test]
fn the_interval_covers_the_truth() {
    let target = Busy { scatter: 0.3, ..STEADY };
    let covered = (0..200u64).filter(|seed| {
        let windows = target.windows(40, seed * 7919 + 13);
        let estimated = estimate(&windows, target.run(&windows), 0.2).unwrap();
        off_pct(estimated.alloc_count, target.calls()) <= estimated.alloc_count.ci95_pct
    });
    let covered = covered.count();
    assert!((184..200).contains(&covered), "{covered} of 200: the interval is too narrow, or says nothing");
}

#[test]
fn calibration_alone_serves_where_frees_are_not_probed() {
    let target = Busy { alloc_ns: 500.0, ..STEADY };
    let only_allocs: Vec<_> =
        target.windows(40, 1).into_iter().filter(|sample| sample.kind == Kind::Allocs).collect();
    let estimated = estimate(&only_allocs, target.run(&only_allocs), 0.05).unwrap();
    assert!(off_pct(estimated.alloc_count, target.calls()) < 0.1);
    assert!(estimated.alloc_count.ci95_pct > 1.0, "the calibration's own error must show: {estimated:?}");
    assert_eq!(estimated.free_count, None);
}

/// What a target paced from outside does in a window of `elapsed_ns`: its calls whatever they cost.
fn paced(calls: f64, elapsed_ns: f64, call_ns: f64, trap_ns: f64) -> [Sample; 3] {
    [Kind::Allocs, Kind::Both, Kind::Frees].map(|kind| {
        let probes = |probed: bool| if probed { calls } else { 0.0 };
        let (allocs, frees) = (probes(kind != Kind::Frees), probes(kind != Kind::Allocs));
        Sample {
            kind,
            cpu_ns: calls * call_ns + (allocs + frees) * trap_ns,
            elapsed_ns,
            alloc_traps_ns: 500.0 * allocs,
            free_traps_ns: 500.0 * frees,
            alloc_count: allocs,
            alloc_bytes: 1000.0 * allocs,
            free_count: frees,
            freed_bytes: 1000.0 * frees,
        }
    })
}

fn repeat(window: [Sample; 3], count: usize) -> Vec<Sample> {
    std::iter::repeat_n(window, count).flatten().collect()
}

/// One call every 500 us of a target that sleeps in between; every trap costs it 3 us instead of the calibrated 0.5.
#[test]
fn a_paced_target_keeps_its_rate_per_elapsed_time() {
    let windows = repeat(paced(100.0, 50e6, 2e3, 3e3), 20);
    let run = Run { cpu_ns: 60e3 * 2e3 + 20.0 * 400.0 * 3e3, elapsed_ns: RUN_NS };
    let estimated = estimate(&windows, run, 0.2).unwrap();
    assert!(off_pct(estimated.alloc_count, 60e3) < 0.1, "{estimated:?}");
}

/// Traps take most of the time of a target that is never idle, and few windows cannot tell what one takes: calibration stands, with its interval.
#[test]
fn few_windows_of_a_busy_target_stay_with_calibration() {
    for (alloc_ns, free_ns, most_off_pct) in [(500.0, 500.0, 5.0), (620.0, 410.0, 12.0)] {
        let target = Busy { call_ns: 850.0, scatter: 0.1, alloc_ns, free_ns };
        let off = (0..100u64).map(|seed| {
            let windows = target.windows(3, seed * 7919 + 13);
            let estimated = estimate(&windows, target.run(&windows), 0.2).unwrap();
            estimated.alloc_count.value / target.calls() - 1.0
        });
        let off_pct = 100.0 * (off.sum::<f64>() / 100.0).abs();
        assert!(off_pct < most_off_pct, "{off_pct} % with traps of {alloc_ns} and {free_ns} ns");
    }
}

/// 100 calls each 100 ms of 3 us each, traps that cost three times what calibration says, and few windows at random times: the mean of
/// many estimates is the truth, whichever total is taken each time.
#[test]
fn few_windows_of_bursts_are_right_on_average() {
    let mut noise = Noise(5);
    let (run_ns, part_ns, period_ns) = (2e9, 40e6, 100e6);
    let mut sum = 0.0;
    let turns = 4000;
    for _ in 0..turns {
        let mut samples = Vec::new();
        for _ in 0..4 {
            let mut since_burst_ns = (noise.next() + 1.0) / 2.0 * period_ns;
            for kind in [Kind::Allocs, Kind::Both, Kind::Frees] {
                let has_burst = since_burst_ns + part_ns >= period_ns;
                since_burst_ns = (since_burst_ns + part_ns) % period_ns;
                let calls = if has_burst { 100.0 } else { 0.0 };
                let probed = if kind == Kind::Frees { 0.0 } else { calls };
                samples.push(Sample {
                    kind,
                    cpu_ns: calls * 3e3 + probed * 3e3,
                    elapsed_ns: part_ns,
                    alloc_traps_ns: probed * 1e3,
                    free_traps_ns: 0.0,
                    alloc_count: probed,
                    alloc_bytes: probed * 1000.0,
                    free_count: 0.0,
                    freed_bytes: 0.0,
                });
            }
        }
        let paid_ns: f64 = samples.iter().map(|sample| 3.0 * sample.alloc_traps_ns).sum();
        let run = Run { cpu_ns: 2000.0 * 3e3 + paid_ns, elapsed_ns: run_ns };
        sum += estimate(&samples, run, 0.2).map_or(0.0, |estimate| estimate.alloc_count.value);
    }
    let mean = sum / f64::from(turns);
    assert!((1900.0..2100.0).contains(&mean), "{mean} of 2000 calls");
}

/// 200 k calls a second of 20 ns each: probed, nearly all of its time are traps, but it has time to spare.
#[test]
fn a_paced_target_swamped_by_traps_keeps_its_rate_per_elapsed_time() {
    let windows = repeat(paced(400.0, 2e6, 20.0, 500.0), 40);
    let run = Run { cpu_ns: 6e6 * 20.0 + 40.0 * 1600.0 * 500.0, elapsed_ns: RUN_NS };
    let estimated = estimate(&windows, run, 0.2).unwrap();
    assert!(off_pct(estimated.alloc_count, 6e6) < 0.1, "{estimated:?}");
}

#[test]
fn what_cannot_be_known_is_said() {
    let flat_out = Busy { call_ns: 5.0, ..STEADY };
    let windows = flat_out.windows(40, 1);
    let run = flat_out.run(&windows);
    assert_eq!(estimate(&[], run, 0.1), Err(Unusable::NoWindows));
    assert_eq!(estimate(&windows, run, 0.1), Err(Unusable::Swamped));
}

#[test]
fn a_target_that_does_not_allocate_is_zero() {
    let windows = repeat(paced(0.0, 1e6, 0.0, 0.0).map(|part| Sample { cpu_ns: 1e6, ..part }), 5);
    let run = Run { cpu_ns: RUN_NS, elapsed_ns: RUN_NS };
    let estimated = estimate(&windows, run, 0.1).unwrap();
    assert_eq!((estimated.alloc_count.value, estimated.alloc_count.ci95_pct), (0.0, 0.0));
}
