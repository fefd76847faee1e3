//! Bands against a truth known beforehand: how often they hold it.

use super::*;
use crate::spread::Random;

const WAYS: usize = 12;
/// Sweeps drawn for one figure of coverage.
const DRAWS: usize = 150;

/// A standard normal variable: the sum of twelve uniform ones, less their mean.
fn normal(random: &mut Random) -> f64 {
    (0..12).map(|_| random.below(1 << 20) as f64 / f64::from(1 << 20)).sum::<f64>() - 6.0
}

/// How the miss ratio of a window differs from the target's own.
#[derive(Clone, Copy)]
struct Target {
    /// Correlation of a phase with that of the next sweep.
    correlation: f64,
    /// Whether all windows of a sweep see the same phase.
    shared: bool,
    /// Standard deviation of the phases, of the ratio.
    phases: f64,
    /// Standard deviation of windows beside their phase.
    noise: f64,
    /// Standard deviation of the logarithm of a window's references.
    skew: f64,
}

fn truth(ways: usize) -> f64 {
    0.9 - 0.07 * ways as f64
}

fn draw(target: Target, sweeps: usize, random: &mut Random) -> Vec<Vec<Part>> {
    let mut cells = vec![Vec::new(); WAYS];
    let mut phases = [0.0; WAYS];
    let fresh = (1.0 - target.correlation * target.correlation).sqrt();
    for sweep in 0..sweeps {
        let common = normal(random);
        for (ways, cell) in cells.iter_mut().enumerate() {
            let drawn = if target.shared { common } else { normal(random) };
            let phase = &mut phases[ways];
            *phase = if sweep == 0 { drawn } else { target.correlation * *phase + fresh * drawn };
            let lower = (1e6 * (target.skew * normal(random)).exp()).round();
            let off = target.phases * *phase + target.noise * normal(random);
            let upper = (lower * truth(ways) * (1.0 + off)).clamp(0.0, lower).round();
            cell.push(Part { sweep: u32::try_from(sweep).unwrap(), upper, lower });
        }
    }
    cells
}

/// Share of bands that hold the truth, 0–1.
fn coverage(target: Target, sweeps: usize) -> f64 {
    let mut random = Random::new(sweeps as u64);
    let (mut held, mut all) = (0.0, 0.0);
    for _ in 0..DRAWS {
        let cells = draw(target, sweeps, &mut random);
        for (ways, estimate) in ratios(&cells, Kind::Share).iter().enumerate() {
            let (low, high) = estimate.unwrap().band().unwrap();
            held += f64::from(u8::from((low..=high).contains(&truth(ways))));
            all += 1.0;
        }
    }
    held / all
}

/// The least coverage of all numbers of sweeps, and with how many.
fn least_coverage(target: Target) -> (f64, usize) {
    let all = [2, 3, 4, 6, 10, 20].map(|sweeps| (coverage(target, sweeps), sweeps));
    all.into_iter().fold((1.0, 0), |least, own| if own.0 < least.0 { own } else { least })
}

#[test]
fn bands_of_2_to_20_sweeps_hold_the_truth_nine_times_of_ten() {
    let independent = Target { correlation: 0.0, shared: false, phases: 0.05, noise: 0.01, skew: 0.3 };
    let targets = [
        independent,
        Target { phases: 0.0, skew: 0.0, ..independent },
        Target { skew: 1.0, ..independent },
        Target { correlation: 0.5, ..independent },
    ];
    for (at, target) in targets.into_iter().enumerate() {
        let (least, sweeps) = least_coverage(target);
        assert!(least >= 0.90, "target {at}: {least} with {sweeps} sweeps");
    }
}

/// All windows of a sweep share their phase, so 150 sweeps tell no more than 150 draws: the coverage of one number of sweeps has a
/// standard error of 0.025.
#[test]
fn bands_hold_where_all_windows_of_a_sweep_share_a_phase() {
    let independent = Target { correlation: 0.0, shared: true, phases: 0.05, noise: 0.01, skew: 0.3 };
    for correlation in [0.0, 0.3, 0.5] {
        let target = Target { correlation, ..independent };
        let all = [2, 3, 4, 6, 10, 20].map(|sweeps| coverage(target, sweeps));
        assert!(all.iter().sum::<f64>() / 6.0 >= 0.90, "{correlation}: {all:?}");
        assert!(all.iter().all(|own| *own >= 0.83), "{correlation}: {all:?}");
    }
}

/// Of independent windows a plain t-interval is right, and nothing much wider is.
#[test]
fn bands_are_no_wider_than_they_need_be() {
    let target = Target { correlation: 0.0, shared: false, phases: 0.0, noise: 0.05, skew: 0.0 };
    let mut random = Random::new(3);
    for (sweeps, times) in [(5, 1.9), (20, 1.3)] {
        let (mut own, mut plain) = (0.0, 0.0);
        for _ in 0..30 {
            let cells = draw(target, sweeps, &mut random);
            for (cell, estimate) in cells.iter().zip(ratios(&cells, Kind::Share)) {
                let estimate = estimate.unwrap();
                let (low, high) = estimate.band().unwrap();
                let n = cell.len() as f64;
                own += high - low;
                plain += 2.0 * quantile(n - 1.0) * estimate.std.unwrap() / n.sqrt();
            }
        }
        assert!(own <= plain * times && own >= plain * 0.95, "{sweeps} sweeps: {}", own / plain);
    }
}

#[test]
fn one_window_has_no_band_and_windows_that_agree_have_that_of_counting() {
    let part = |sweep, upper, lower| Part { sweep, upper, lower };
    let of = |cell: Vec<Part>, kind| ratios(&[cell], kind)[0];
    let one = of(vec![part(0, 30.0, 100.0)], Kind::Share).unwrap();
    assert_eq!((one.value, one.band(), one.std, one.windows), (0.3, None, None, 1));
    // No miss among 200 references: Wilson's upper end is z² / (n + z²).
    let none = of(vec![part(0, 0.0, 100.0), part(1, 0.0, 100.0)], Kind::Share).unwrap();
    let (low, high) = none.band().unwrap();
    assert!(low == 0.0 && (high - 3.841_459 / 203.841_459).abs() < 1e-6, "{low} {high}");
    let all = of(vec![part(0, 100.0, 100.0), part(1, 100.0, 100.0)], Kind::Share).unwrap();
    assert_eq!(all.ci95_high, Some(1.0));
    let ipc = of(vec![part(0, 2.0, 1.0), part(1, 2.0, 1.0)], Kind::Quantity).unwrap();
    assert_eq!(ipc.band(), Some((2.0, 2.0)));
    assert_eq!(of(Vec::new(), Kind::Share), None);
    assert_eq!(of(vec![part(0, 1.0, 0.0)], Kind::Count), None);
}

/// A window with ten times the references weighs ten times as much: the ratio is that of the sums.
#[test]
fn it_is_a_ratio_of_sums_and_more_misses_than_references_are_kept() {
    let parts =
        vec![Part { sweep: 0, upper: 10.0, lower: 100.0 }, Part { sweep: 1, upper: 500.0, lower: 1000.0 }];
    assert_eq!(ratios(&[parts], Kind::Share)[0].unwrap().value, 510.0 / 1100.0);
    let parts = (0..3).map(|sweep| Part { sweep, upper: 110.0 + f64::from(sweep), lower: 100.0 }).collect();
    let more = ratios(&[parts], Kind::Share)[0].unwrap();
    assert!(more.value > 1.0 && more.ci95_high >= Some(more.value), "{more:?}");
}
