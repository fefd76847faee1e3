//! Tests: coefficients and p-values known beforehand, chance among related samples, clusters made on purpose.

use super::*;
use crate::spread::Random;

fn whole(values: &[f64]) -> Series {
    values.iter().copied().map(Some).collect()
}

fn one(x: &[f64], y: &[f64], method: Method) -> Correlation {
    Matrix::of(&[whole(x), whole(y)], method).get(0, 1).unwrap()
}

/// About normal: the sum of twelve even ones.
fn noise(random: &mut Random) -> f64 {
    (0..12).map(|_| random.below(1 << 30) as f64 / f64::from(1 << 30)).sum::<f64>() - 6.0
}

/// Each sample is `memory` of the one before, and noise.
fn series(random: &mut Random, samples: usize, memory: f64) -> Vec<f64> {
    let mut last = 0.0;
    let next = |_| {
        last = memory * last + noise(random);
        last
    };
    (0..samples).map(next).collect()
}

#[test]
fn coefficients_are_the_known_ones() {
    let (x, y) = ([1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 1.0, 4.0, 3.0, 5.0]);
    // Σ of products of deviations is 8, of squares 10 and 10; d² of the ranks are 1, 1, 1, 1, 0.
    assert!((one(&x, &y, Method::Pearson).coefficient - 0.8).abs() < 1e-12);
    assert!((one(&x, &y, Method::Spearman).coefficient - 0.8).abs() < 1e-12);
    let bent = x.map(|x: f64| x.exp());
    assert!((one(&x, &bent, Method::Spearman).coefficient - 1.0).abs() < 1e-12);
    assert!(one(&x, &bent, Method::Pearson).coefficient < 0.95);
    assert!((one(&x, &x.map(|x| -3.0 * x), Method::Pearson).coefficient + 1.0).abs() < 1e-12);
    assert_eq!(ranks(&[5.0, 1.0, 5.0, 0.0]), [3.5, 2.0, 3.5, 1.0]);
}

#[test]
fn gaps_are_left_out_pair_by_pair() {
    let x: Series = vec![Some(1.0), None, Some(2.0), Some(9.0), Some(3.0)];
    let y: Series = vec![Some(1.0), Some(7.0), Some(2.0), None, Some(3.0)];
    let short: Series = vec![Some(2.0), Some(1.0)];
    let matrix = Matrix::of(&[x, y, short, vec![None; 5]], Method::Pearson);
    assert!((matrix.get(0, 1).unwrap().coefficient - 1.0).abs() < 1e-12);
    assert!((matrix.get(1, 2).unwrap().coefficient + 1.0).abs() < 1e-12, "the first two samples");
    assert_eq!((matrix.get(0, 2), matrix.get(0, 3)), (None, None), "one sample, none");
    assert_eq!((matrix.get(1, 1), matrix.get(0, 9), matrix.size()), (None, None, 4));
}

#[test]
fn what_does_not_vary_correlates_with_nothing() {
    let matrix =
        Matrix::of(&[whole(&[0.1; 7]), whole(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])], Method::Pearson);
    assert_eq!(matrix.get(0, 1), None);
    let presence = Presence::of(&[Some(0.0), None, Some(0.0)]);
    assert_eq!(presence, Presence { samples: 2, nonzero: 0, constant: true });
    assert!(!Presence::of(&[Some(0.0), Some(1.0)]).constant);
}

/// Unrelated series are significant at 5 % in one case of twenty, also where each resembles itself from sample to sample.
/// By the number of samples alone, the latter would be in most cases.
#[test]
fn unrelated_series_are_seldom_significant() {
    let mut random = Random::new(11);
    for (memory, method) in [(0.0, Method::Pearson), (0.0, Method::Spearman), (0.9, Method::Pearson)] {
        let cases = 600;
        let mut found = 0;
        let mut naive = 0;
        for _ in 0..cases {
            let (x, y) = (series(&mut random, 200, memory), series(&mut random, 200, memory));
            let pair = one(&x, &y, method);
            found += u32::from(pair.p.unwrap() < 0.05);
            naive += u32::from(significance::of_correlation(pair.coefficient, 200.0).unwrap() < 0.05);
        }
        // Four standard deviations of a binomial of 600 and 0.05.
        assert!((9..=51).contains(&found), "{memory}: {found}");
        assert!(memory == 0.0 || naive > 200, "{naive}: the correction must be needed");
    }
}

#[test]
fn related_series_are_found_among_many_unrelated() {
    let mut random = Random::new(5);
    let hidden = series(&mut random, 120, 0.3);
    let mut all: Vec<Series> = (0..60).map(|_| whole(&series(&mut random, 120, 0.3))).collect();
    for at in [10, 50] {
        let follows = hidden.iter().map(|value| value + 0.5 * noise(&mut random)).collect::<Vec<_>>();
        all[at] = whole(&follows);
    }
    let matrix = Matrix::of(&all, Method::Pearson);
    let pairs = (0..60).flat_map(|row| (0..row).map(move |column| (row, column)));
    let found = |by: fn(Correlation) -> Option<f64>| {
        pairs.clone().filter(|(row, column)| by(matrix.get(*row, *column).unwrap()).unwrap() < 0.05).count()
    };
    assert!(matrix.get(10, 50).unwrap().q.unwrap() < 1e-6);
    assert!(found(|pair| pair.p) > 40, "unadjusted, one in twenty of 1770 is found");
    assert!(found(|pair| pair.q) <= 3, "adjusted, hardly more than the one there is");
}

/// The example of Benjamini & Hochberg 1995: 15 p-values, of which four are below i/15 · 0.05.
#[test]
fn false_discoveries_are_bounded_as_published() {
    let p = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
        0.6528, 0.7590, 1.0,
    ];
    let mut p: Vec<Option<f64>> = p.into_iter().map(Some).collect();
    p.insert(3, None);
    let q = adjusted(&p);
    assert_eq!(q[3], None);
    assert_eq!(q.iter().flatten().filter(|q| **q <= 0.05).count(), 4);
    assert!((q[0].unwrap() - 0.0015).abs() < 1e-12 && q[15] == Some(1.0));
    // A larger rank may lower it: 0.0278 · 15/6 is more than 0.0298 · 15/7.
    assert_eq!(q[6], q[7]);
    assert!((q[7].unwrap() - 0.0298 * 15.0 / 7.0).abs() < 1e-12);
}

#[test]
fn alike_series_stand_side_by_side() {
    let mut random = Random::new(3);
    let hidden: Vec<Vec<f64>> = (0..3).map(|_| series(&mut random, 100, 0.0)).collect();
    let mut all: Vec<Series> = (0..12)
        .map(|at| {
            let sign = if at % 2 == 0 { 1.0 } else { -1.0 };
            whole(
                &hidden[at % 3]
                    .iter()
                    .map(|value| sign * value + 0.2 * noise(&mut random))
                    .collect::<Vec<_>>(),
            )
        })
        .collect();
    all.insert(4, vec![Some(1.0); 100]);
    let order = order(&Matrix::of(&all, Method::Pearson));
    assert_eq!(order.last(), Some(&4), "what does not vary comes last");
    let families: Vec<usize> =
        order[..12].iter().map(|at| (if *at > 4 { at - 1 } else { *at }) % 3).collect();
    assert_eq!(families.chunk_by(|one, other| one == other).count(), 3, "{families:?}");
    let mut sorted = order;
    sorted.sort_unstable();
    assert_eq!(sorted, (0..13).collect::<Vec<_>>());
}
