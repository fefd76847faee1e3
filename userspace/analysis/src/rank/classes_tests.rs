//! Tests: classes of observations whose tellers are known.

use proptest::prelude::*;

use super::*;
use crate::packing::{Item, Unit};

/// Six observations of each class.
fn classes(count: usize) -> Vec<usize> {
    (0..count * 6).map(|at| at / 6).collect()
}

/// Three patterns within a class, without correlation: sums 0, products 0.
const NOISE: [[f64; 6]; 3] =
    [[1.0, -1.0, 1.0, -1.0, 0.0, 0.0], [1.0, 1.0, -1.0, -1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0, -2.0, -2.0]];

/// The mean of each class, and a pattern within them with its size.
fn event(means: &[f64], noise: usize, size: f64) -> Series {
    means.iter().flat_map(|mean| NOISE[noise].map(|value| Some(mean + size * value))).collect()
}

fn problem(masks: &[u64]) -> Problem {
    let unit = Unit { general: 15, ..Unit::default() };
    let item = |general: &u64| Item { general: *general, ..Item::default() };
    Problem { units: vec![unit], items: masks.iter().map(item).collect(), ..Problem::default() }
}

fn chosen(masks: &[u64], series: &[Series], count: usize, least: f64) -> Vec<usize> {
    let found = by_classes(&problem(masks), series, &classes(count), least, 0.05).unwrap();
    found.chosen.iter().map(|one| one.item).collect()
}

/// Two classes six apart, with four times 1 around each: of 108 + 8 of variation 108 are between.
#[test]
fn what_an_event_tells_is_what_it_was_made_to() {
    let series = [event(&[0.0, 6.0], 0, 1.0), event(&[3.0, 3.0], 0, 1.0), event(&[6.0, 0.0], 0, 0.0)];
    let all = told(&series, &classes(2));
    let first = all[0].unwrap();
    assert!(
        (first.eta_squared - 108.0 / 116.0).abs() < 1e-12 && (first.auc - 1.0).abs() < 1e-12,
        "{first:?}"
    );
    assert!(first.q.unwrap() < 1e-4);
    let nothing = all[1].unwrap();
    assert!(nothing.eta_squared.abs() < 1e-12 && (nothing.auc - 0.5).abs() < 1e-12, "{nothing:?}");
    assert!((all[2].unwrap().eta_squared - 1.0).abs() < 1e-12);
    // One of the six of a class on the other side: 35 of 36 pairs in order and one not.
    let mut ordered: Series = (0..12).map(|at| Some(f64::from(at))).collect();
    ordered.swap(5, 6);
    assert!((told(&[ordered], &classes(2))[0].unwrap().auc - 35.0 / 36.0).abs() < 1e-12);
}

#[test]
fn copies_are_left_out_and_independent_tellers_are_not() {
    let strong = event(&[0.0, 6.0], 0, 1.0);
    let copy: Series = strong.iter().map(|value| value.map(|value| 10.0 - 3.0 * value)).collect();
    let series =
        [copy, event(&[0.0, 4.0], 1, 1.0), strong, event(&[0.0, 0.0], 2, 1.0), event(&[0.0, 3.0], 2, 1.0)];
    // Which of the two is first is a matter of rounding.
    let chosen = chosen(&[15; 5], &series, 2, 0.05);
    assert!(chosen == [0, 1, 4] || chosen == [2, 1, 4], "{chosen:?}");
}

/// Three classes: what tells all from each other comes before what tells one from the others.
#[test]
fn counters_decide_among_the_tellers() {
    let series =
        [event(&[0.0, 9.0, 18.0], 0, 1.0), event(&[0.0, 0.0, 9.0], 1, 1.0), event(&[0.0, 4.0, 8.0], 2, 1.0)];
    assert_eq!(chosen(&[15; 3], &series, 3, 0.05), [0, 1, 2]);
    assert_eq!(chosen(&[1, 1, 2], &series, 3, 0.05), [0, 2]);
}

/// Where nothing varies within the classes, what has the same means up to scale is a copy.
#[test]
fn events_that_only_depend_on_the_class_are_told_by_their_means() {
    let series =
        [event(&[0.0, 1.0, 2.0], 0, 0.0), event(&[5.0, 3.0, 1.0], 0, 0.0), event(&[0.0, 2.0, 0.0], 0, 0.0)];
    assert_eq!(chosen(&[15; 3], &series, 3, 0.05), [0, 2]);
}

#[test]
fn what_lacks_a_class_or_never_varies_tells_nothing() {
    let mut lacking = event(&[0.0, 6.0], 0, 1.0);
    lacking.iter_mut().take(6).for_each(|value| *value = None);
    let all = told(&[lacking, event(&[7.0, 7.0], 0, 0.0), vec![None; 12]], &classes(2));
    assert_eq!(all, [None, None, None]);
    assert!(chosen(&[15], &[event(&[1.0], 0, 1.0)], 1, 0.05).is_empty(), "one class");
}

proptest! {
    /// Whatever is measured: figures in their ranges, and eta² does not depend on unit and zero.
    #[test]
    fn figures_are_in_range(values in proptest::collection::vec(-1e6..1e6_f64, 12), scale in 0.1..10.0_f64) {
        let series: Series = values.iter().copied().map(Some).collect();
        let other: Series = values.iter().map(|value| Some(value * scale + 5.0)).collect();
        let all = told(&[series, other], &classes(2));
        for told in all.iter().flatten() {
            prop_assert!((0.0..=1.0).contains(&told.eta_squared) && (0.5..=1.0).contains(&told.auc));
            prop_assert!(told.p.is_some_and(|p| (0.0..=1.0).contains(&p)));
        }
        if let [Some(one), Some(other)] = all.as_slice() {
            prop_assert!((one.eta_squared - other.eta_squared).abs() < 1e-6);
        }
    }
}
