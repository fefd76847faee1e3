//! What is read off a curve: its knee, and the least number of ways that is enough.

use waytrace_model::sweep_curve::{CurveOf, Estimate};

/// Distance from the straight line, of the curve's height, below which it is called straight.
const LEAST_DISTANCE: f64 = 0.1;
/// Height of a curve of miss ratios below which it is called flat.
const LEAST_RATIO: f64 = 0.02;
/// The same of other curves, of their highest value.
const LEAST_SHARE: f64 = 0.05;

/// A number of ways with the value of an isotonic curve there.
pub(super) type Place = (u32, f64);

/// The place of a monotone curve farthest from the straight line between its ends, on the side of the better, and how far, of the
/// curve's height (Satopää et al., "Finding a 'Kneedle' in a Haystack", 2011, without its smoothing: the curve is isotonic
/// already). `None` of a flat curve, of a straight one, and of one that gets better all the faster up to its end.
pub(super) fn knee(curve: &[Place], of: CurveOf) -> Option<(u32, f64)> {
    let (first, last) = (*curve.first()?, *curve.last()?);
    let height = last.1 - first.1;
    let highest = first.1.abs().max(last.1.abs());
    let least = if of == CurveOf::MissRatio { LEAST_RATIO } else { LEAST_SHARE * highest };
    let gets_better = if of == CurveOf::Ipc { height > 0.0 } else { height < 0.0 };
    if !gets_better || height.abs() < least || last.0 <= first.0 {
        return None;
    }
    let wide = f64::from(last.0 - first.0);
    let distance = |place: &Place| (place.1 - first.1) / height - f64::from(place.0 - first.0) / wide;
    let farthest = curve.iter().map(|place| (place.0, distance(place)));
    // Of equal ones the first.
    farthest.fold(None, |best: Option<(u32, f64)>, own| match best {
        Some(best) if best.1 >= own.1 => Some(best),
        _ if own.1 >= LEAST_DISTANCE => Some(own),
        best => best,
    })
}

/// Whether the curve's ends differ by more than their bands: else it may be flat.
pub(super) fn is_sure(first: Option<Estimate>, last: Option<Estimate>) -> bool {
    let bands = first.and_then(|own| own.band()).zip(last.and_then(|own| own.band()));
    bands.is_none_or(|(first, last)| first.1 < last.0 || last.1 < first.0)
}

/// What is enough: at most so much, or at least so much.
#[derive(Debug, Clone, Copy)]
pub(super) enum Enough {
    AtMost(f64),
    AtLeast(f64),
}

impl Enough {
    fn is(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}

/// The least number of ways that is enough, and the next smaller one.
pub(super) fn least(curve: &[Place], enough: Enough) -> Option<(u32, Option<u32>)> {
    let at = curve.iter().position(|place| enough.is(place.1))?;
    let above = at.checked_sub(1).and_then(|before| curve.get(before)).map(|place| place.0);
    curve.get(at).map(|place| (place.0, above))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: &[f64]) -> Vec<Place> {
        (1..).zip(values.iter().copied()).collect()
    }

    #[test]
    fn knees_are_where_they_are_seen() {
        let of = |values: &[f64]| knee(&curve(values), CurveOf::MissRatio).map(|(ways, _)| ways);
        // A loop that fits into five ways: a cliff.
        assert_eq!(of(&[1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]), Some(5));
        // Two slopes that meet at four.
        assert_eq!(of(&[0.9, 0.6, 0.3, 0.1, 0.09, 0.08, 0.07, 0.06]), Some(4));
        // Halved by each way: y = 2^-x, whose distance is greatest where 0.5^x ln 2 meets the line's slope.
        assert_eq!(of(&[0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015_625, 0.007_812, 0.003_906]), Some(3));
        // Streaming, straight, and a cliff at the very end: none.
        assert_eq!(of(&[1.0; 8]), None);
        assert_eq!(of(&[0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]), None);
        assert_eq!(of(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]), None);
        assert_eq!(of(&[0.015, 0.001, 0.001]), None, "flat to a reader of miss ratios");
        assert_eq!((of(&[]), of(&[0.5])), (None, None));
    }

    #[test]
    fn ipc_has_a_knee_where_it_rises() {
        let (ways, distance) = knee(&curve(&[0.5, 1.0, 1.5, 1.5, 1.5]), CurveOf::Ipc).unwrap();
        assert_eq!((ways, distance), (3, 0.5));
        assert_eq!(knee(&curve(&[1.5, 1.0, 0.5]), CurveOf::Ipc), None);
        assert_eq!(knee(&curve(&[1.5, 1.0, 0.5, 0.5]), CurveOf::Mpki).map(|(ways, _)| ways), Some(3));
    }

    #[test]
    fn the_least_that_is_enough_is_found_with_what_is_not() {
        let curve = curve(&[0.9, 0.5, 0.2, 0.2]);
        assert_eq!(least(&curve, Enough::AtMost(0.21)), Some((3, Some(2))));
        assert_eq!(least(&curve, Enough::AtMost(0.95)), Some((1, None)));
        assert_eq!(least(&curve, Enough::AtLeast(0.2)), Some((1, None)));
        assert_eq!(least(&curve, Enough::AtMost(0.1)), None);
    }
}
