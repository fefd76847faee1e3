//! Tests: published and countable p-values, effects known beforehand, chance kept at bay.

use super::*;
use crate::spread::Random;

fn of(before: &[f64], after: &[f64]) -> Change {
    changes(&[Sides { before, after }], 1).remove(0)
}

#[test]
fn few_values_are_counted_exactly() {
    // The most extreme of C(8, 4) = 70 choices, on both ends; of C(6, 3) = 20.
    let four = of(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0]);
    assert_eq!((four.p, four.delta), (Some(2.0 / 70.0), Some(1.0)));
    let three = of(&[5.0, 6.0, 7.0], &[1.0, 2.0, 3.0]);
    assert_eq!((three.p, three.delta), (Some(2.0 / 20.0), Some(-1.0)));
    // Ranks of the second 2, 4: sums as far from 5 as 6 are 3, 4, 6, 7 of 3, 4, 5, 5, 6, 7.
    assert_eq!(of(&[1.0, 3.0], &[2.0, 4.0]).p, Some(4.0 / 6.0));
    let ties = of(&[1.0, 1.0], &[1.0, 2.0]);
    // Ranks 2, 2, 2, 4: any choice is as far from the middle.
    assert_eq!((ties.p, ties.delta), (Some(1.0), Some(0.5)));
    assert_eq!(of(&[3.0; 5], &[3.0; 5]).p, Some(1.0));
}

/// Ten and ten apart: u is 0, and z is (50 − 0.5) / √175, of which the two-sided p is 1.827e-4, as R's wilcox.test gives it.
#[test]
fn many_values_are_approximated_as_elsewhere() {
    let before: Vec<f64> = (0..10).map(f64::from).collect();
    let after: Vec<f64> = (10..20).map(f64::from).collect();
    let p = of(&before, &after).p.unwrap();
    assert!((p - 1.827e-4).abs() < 1e-7, "{p}");
    assert_eq!(of(&[3.0; 30], &[3.0; 30]).p, Some(1.0));
}

#[test]
fn the_effect_is_what_was_put_in() {
    let before = [100.0, 102.0, 98.0, 101.0, 99.0, 100.0];
    let after = before.map(|value| value * 1.5);
    let change = of(&before, &after);
    let ratio = change.ratio.unwrap();
    assert!((ratio.ratio - 1.5).abs() < 1e-12);
    assert!(ratio.ci95_low.unwrap() > 1.45 && ratio.ci95_high.unwrap() < 1.55, "{ratio:?}");
    assert_eq!(change.delta, Some(1.0));
    assert_eq!((change.before.unwrap().median, change.after.unwrap().max), (100.0, 153.0));
}

#[test]
fn what_is_missing_is_missing() {
    let empty = of(&[], &[1.0, f64::NAN]);
    assert_eq!((empty.before, empty.ratio, empty.delta, empty.p, empty.q), (None, None, None, None, None));
    assert_eq!(empty.after.unwrap().max, 1.0, "what is no number does not count");
    assert_eq!(of(&[0.0, 0.0], &[1.0, 2.0]).ratio, None, "nothing is a multiple of nothing");
}

/// Of 400 events, ten changed. Chance alone gives some 18 below 5 %; adjusted, at most a few besides the ten remain.
#[test]
fn changes_are_told_from_chance() {
    let mut random = Random::new(17);
    let mut values = |shift: f64| -> Vec<f64> { (0..8).map(|_| shift + random.below(1000) as f64).collect() };
    let sets: Vec<(Vec<f64>, Vec<f64>)> =
        (0..400).map(|at| (values(0.0), values(if at < 10 { 2000.0 } else { 0.0 }))).collect();
    let sides: Vec<Sides<'_>> = sets.iter().map(|(before, after)| Sides { before, after }).collect();
    let changes = changes(&sides, 1);
    let below =
        |of: fn(&Change) -> Option<f64>| changes.iter().filter(|change| of(change).unwrap() < 0.05).count();
    assert!(changes[..10].iter().all(|change| change.q.unwrap() < 0.01));
    assert!(below(|change| change.p) >= 20, "{}", below(|change| change.p));
    assert!((10..=13).contains(&below(|change| change.q)), "{}", below(|change| change.q));
}
