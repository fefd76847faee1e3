//! Tests: choices known beforehand, within what counters allow.

use super::*;
use crate::correlate::{Method, Series};
use crate::packing::{Item, Unit};

fn problem(counters: u32, masks: &[u64]) -> Problem {
    let unit = Unit { general: (1 << counters) - 1, ..Unit::default() };
    let item = |general: &u64| Item { general: *general, ..Item::default() };
    Problem { units: vec![unit], items: masks.iter().map(item).collect(), ..Problem::default() }
}

fn items(run: &Run) -> Vec<usize> {
    run.groups.iter().flat_map(|group| &group.placed).map(|placed| placed.item).collect()
}

/// Columns of a Hadamard matrix: no two correlate.
fn wave(number: u32) -> Vec<f64> {
    (0..16_u32).map(|at| if (at & number).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 }).collect()
}

/// Sums of waves: each with its share.
fn mix(parts: &[(u32, f64)]) -> Series {
    let at = |time: usize| parts.iter().map(|(number, share)| share * wave(*number)[time]).sum();
    (0..16).map(|time| Some(at(time))).collect()
}

#[test]
fn what_is_preferred_comes_first_if_it_fits() {
    let all = problem(2, &[1, 1, 3, 3, 0]);
    let of = |order: &[usize]| items(&by_preference(&all, order).unwrap());
    assert_eq!(of(&[0, 1, 2, 3]), [0, 2]);
    assert_eq!(of(&[3, 4, 2, 9, 0]), [2, 3]);
    assert_eq!(of(&[3, 3, 3, 3, 3, 3, 1]), [1, 3], "an item moves to make room for another");
    assert_eq!(of(&[]), Vec::<usize>::new());
}

#[test]
fn what_belongs_together_is_taken_together_or_not() {
    let mut all = problem(3, &[7, 7, 7, 7]);
    all.together = vec![vec![0, 1, 2]];
    assert_eq!(items(&by_preference(&all, &[3, 0, 1]).unwrap()), [3]);
    assert_eq!(items(&by_preference(&all, &[1, 3]).unwrap()), [0, 1, 2]);
}

/// Two families of four and of two, and an event like no other: one of each, the large family first.
#[test]
fn one_of_each_family_is_enough() {
    let series = [
        mix(&[(1, 1.0)]),
        mix(&[(2, 1.0)]),
        mix(&[(1, -3.0)]),
        mix(&[(3, 1.0)]),
        mix(&[(1, 0.5)]),
        mix(&[(2, 7.0)]),
        mix(&[(1, 2.0)]),
        vec![Some(4.0); 16],
    ];
    let matrix = Matrix::of(&series, Method::Pearson);
    let chosen = by_information(&problem(4, &[15; 8]), &matrix, 0.0).unwrap().chosen;
    assert_eq!(chosen.iter().map(|one| one.item).collect::<Vec<_>>(), [0, 1, 3]);
    for (one, (gain, explained)) in chosen.iter().zip([(4.0, 4.0), (2.0, 6.0), (1.0, 7.0)]) {
        assert!((one.gain_ratio - gain / 7.0).abs() < 1e-9, "{one:?}");
        assert!((one.explained_ratio - explained / 7.0).abs() < 1e-9, "{one:?}");
    }
}

/// Once ten copies of a wave are explained, four mixtures with it have 0.6² = 36 % left each, which they share: 1.44 in all, more
/// than the 1 of an event like no other.
#[test]
fn what_explains_most_in_others_comes_first() {
    let copies = (0..10).map(|_| mix(&[(1, 1.0)]));
    let mixtures = (0..4).map(|_| mix(&[(1, 0.8), (4, 0.6)]));
    let series: Vec<Series> = copies.chain(mixtures).chain([mix(&[(2, 1.0)])]).collect();
    let matrix = Matrix::of(&series, Method::Pearson);
    let chosen = by_information(&problem(3, &[7; 15]), &matrix, 0.0).unwrap().chosen;
    assert_eq!(chosen.iter().map(|one| one.item).collect::<Vec<_>>(), [0, 10, 14]);
    assert!((chosen[1].gain_ratio - 1.44 / 15.0).abs() < 1e-9, "{chosen:?}");
}

/// Where the best of the two families need the same counter, the second best of one takes its place.
#[test]
fn counters_decide_among_the_informative() {
    // Variance explained by the pure waves is most; the mixed ones share 0.8² = 64 % with theirs.
    let series = [mix(&[(1, 1.0)]), mix(&[(1, 0.8), (4, 0.6)]), mix(&[(2, 1.0)]), mix(&[(2, 0.8), (5, 0.6)])];
    let matrix = Matrix::of(&series, Method::Pearson);
    let of = |masks: &[u64]| {
        let chosen = by_information(&problem(2, masks), &matrix, 0.0).unwrap().chosen;
        chosen.iter().map(|one| one.item).collect::<Vec<_>>()
    };
    assert_eq!(of(&[3, 3, 3, 3]), [0, 2]);
    assert_eq!(of(&[1, 3, 1, 3]), [0, 3]);
}

#[test]
fn what_is_nearly_explained_can_be_left_out() {
    let series = [mix(&[(1, 1.0)]), mix(&[(1, 0.98), (2, (1.0 - 0.98_f64.powi(2)).sqrt())])];
    let matrix = Matrix::of(&series, Method::Pearson);
    let of = |least| by_information(&problem(2, &[3, 3]), &matrix, least).unwrap().chosen.len();
    // 1 − 0.98² = 0.0396 is left of the second.
    assert_eq!((of(0.03), of(0.05)), (2, 1));
}
