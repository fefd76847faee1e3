//! Isotonic regression: the values nearest to the measured ones, by weighted least squares, that never fall (or rise).
//!
//! Pool adjacent violators (Barlow, Bartholomew, Bremner & Brunk, "Statistical Inference under Order Restrictions", 1972).

/// Values and weights above 0 to values that never fall.
pub(super) fn rising(points: &[(f64, f64)]) -> Vec<f64> {
    // Blocks of equal value: their mean, weight and length.
    let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
    for &(value, weight) in points {
        let mut block = (value, weight, 1);
        while let Some(&(before, own, length)) = blocks.last() {
            if before <= block.0 {
                break;
            }
            blocks.pop();
            let both = own + block.1;
            block = ((before * own + block.0 * block.1) / both, both, length + block.2);
        }
        blocks.push(block);
    }
    blocks.iter().flat_map(|&(value, _, length)| std::iter::repeat_n(value, length)).collect()
}

/// The same to values that never rise.
pub(super) fn falling(points: &[(f64, f64)]) -> Vec<f64> {
    let negated: Vec<(f64, f64)> = points.iter().map(|&(value, weight)| (-value, weight)).collect();
    rising(&negated).into_iter().map(|value| -value).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_rises_is_left_and_what_falls_is_pooled_by_weight() {
        assert_eq!(rising(&[(1.0, 1.0), (2.0, 1.0), (2.0, 1.0)]), [1.0, 2.0, 2.0]);
        assert_eq!(rising(&[(4.0, 1.0), (1.0, 3.0), (5.0, 1.0)]), [1.75, 1.75, 5.0]);
        assert_eq!(falling(&[(1.0, 1.0), (3.0, 1.0), (0.0, 1.0)]), [2.0, 2.0, 0.0]);
        assert!(rising(&[]).is_empty());
    }

    fn badness(points: &[(f64, f64)], fit: &[f64]) -> f64 {
        points.iter().zip(fit).map(|((value, weight), own)| weight * (value - own).powi(2)).sum()
    }

    proptest! {
        #[test]
        fn no_other_monotone_values_are_nearer(
            points in prop::collection::vec((0.0..1.0f64, 0.1..9.0f64), 1..20),
            mut others in prop::collection::vec(0.0..1.0f64, 20),
        ) {
            let fit = rising(&points);
            prop_assert!(fit.windows(2).all(|pair| pair[0] <= pair[1]));
            others.sort_by(f64::total_cmp);
            prop_assert!(badness(&points, &fit) <= badness(&points, &others) + 1e-12);
        }
    }
}
