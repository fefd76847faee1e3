//! Statistics against values worked out by hand.

use super::*;

#[test]
fn spreads_worked_out_by_hand() {
    // Mean 5, squared differences 9 + 1 + 1 + 1 + 0 + 0 + 4 + 16 = 32, over 7.
    let spread = Spread::of(&[4.0, 2.0, 4.0, 9.0, 4.0, 5.0, 5.0, 7.0]).unwrap();
    assert_eq!((spread.median, spread.min, spread.max, spread.mean), (4.5, 2.0, 9.0, 5.0));
    assert!((spread.std.unwrap() - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
    assert_eq!(Spread::of(&[3.0, 1.0, 2.0]).unwrap().median, 2.0);
    assert_eq!(Spread::of(&[2.0, 2.0]).unwrap().std, Some(0.0));
}

#[test]
fn the_median_is_in_the_middle() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    assert_eq!(median(&[]), None);
}

#[test]
fn one_repetition_has_no_deviation_and_no_interval() {
    let spread = Spread::of(&[7.0]).unwrap();
    assert_eq!(spread, Spread { median: 7.0, min: 7.0, max: 7.0, mean: 7.0, std: None });
    assert_eq!(Spread::of(&[]), None);
    for (values, base) in [(&[3.0][..], &[2.0, 2.0][..]), (&[3.0, 3.0], &[2.0]), (&[3.0], &[2.0])] {
        let ratio = Ratio::of(values, base, 1).unwrap();
        assert_eq!(ratio, Ratio { ratio: 1.5, ci95_low: None, ci95_high: None });
    }
    assert_eq!(Ratio::of(&[], &[1.0], 1), None);
    assert_eq!(Ratio::of(&[1.0, 2.0], &[0.0, 0.0], 1), None, "nothing is a multiple of nothing");
}

/// The median of seven resampled values is at most the k-th least with probability P(Bin(7, k/7) ≥ 4): 0.0102 for the
/// first, 0.108 for the second. So 2.5 % falls to the second, and by symmetry 97.5 % to the sixth.
#[test]
fn the_interval_of_seven_is_the_binomials() {
    let values = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0];
    for seed in 0..20 {
        let ratio = Ratio::of(&values, &[10.0; 5], seed).unwrap();
        assert_eq!(ratio, Ratio { ratio: 4.0, ci95_low: Some(2.0), ci95_high: Some(6.0) }, "{seed}");
        let inverse = Ratio::of(&[120.0, 120.0], &values, seed).unwrap();
        assert_eq!(inverse, Ratio { ratio: 3.0, ci95_low: Some(2.0), ci95_high: Some(6.0) }, "{seed}");
    }
}

/// Medians of two resampled values are the least, the mean and the greatest with 1/4, 1/2 and 1/4.
#[test]
fn the_interval_of_two_reaches_from_end_to_end() {
    let ratio = Ratio::of(&[2.0, 4.0], &[1.0, 1.0], 3).unwrap();
    assert_eq!(ratio, Ratio { ratio: 3.0, ci95_low: Some(2.0), ci95_high: Some(4.0) });
}

/// A base that is 0 in one value of two: a quarter of the resamples has no quotient, so no end is known.
#[test]
fn a_base_that_may_be_zero_has_no_interval() {
    let ratio = Ratio::of(&[2.0, 4.0], &[0.0, 2.0], 3).unwrap();
    assert_eq!(ratio, Ratio { ratio: 3.0, ci95_low: None, ci95_high: None });
}

#[test]
fn the_same_seed_gives_the_same_interval() {
    let (values, base) = ([1.0, 1.7, 2.9, 3.1, 8.0, 9.5], [1.0, 1.3, 2.2, 2.4, 2.6, 3.3]);
    assert_eq!(Ratio::of(&values, &base, 5), Ratio::of(&values, &base, 5));
}
