//! Rank correlation: whether two measurements put the same things in the same order.
//!
//! Spearman's coefficient is Pearson's of the ranks; equal values share the mean of their ranks (Spearman 1904,
//! Kendall 1948 for ties).

/// Spearman's coefficient of pairs, -1 to 1; `None` with fewer than two of them, or if one side is all alike.
pub fn spearman(pairs: &[(f64, f64)]) -> Option<f64> {
    let (x, y): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
    pearson(&ranks(&x), &ranks(&y))
}

/// Ranks from 1, those of equal values averaged.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for alike in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let mean = before as f64 + (alike.len() + 1) as f64 / 2.0;
        for place in alike {
            ranks[*place] = mean;
        }
        before += alike.len();
    }
    ranks
}

fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    let count = x.len() as f64;
    let (mean_x, mean_y) = (x.iter().sum::<f64>() / count, y.iter().sum::<f64>() / count);
    let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| of(x - mean_x, y - mean_y)).sum()
    };
    let (xy, xx, yy) = (sum(&|x, y| x * y), sum(&|x, _| x * x), sum(&|_, y| y * y));
    (xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt())
}

/// What as many samples of the truth itself would show: draws `samples` from `truth` at random, so that the order of
/// what is rarely seen is as much chance as it is for any sampler. The same for the same truth.
pub fn perfect(truth: &[f64], samples: u64) -> Vec<f64> {
    let mut sums = Vec::with_capacity(truth.len());
    let mut total = 0.0;
    for value in truth {
        total += value;
        sums.push(total);
    }
    let mut drawn = vec![0.0; truth.len()];
    let mut state = 1;
    for _ in 0..samples {
        let at = uniform(&mut state) * total;
        if let Some(count) = drawn.get_mut(sums.partition_point(|sum| *sum <= at)) {
            *count += 1.0;
        }
    }
    drawn
}

/// splitmix64, as a number from 0 up to 1.
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_order_counts() {
        let of = |pairs: &[(f64, f64)]| spearman(pairs).unwrap();
        assert_eq!(of(&[(1.0, 1.0), (2.0, 10.0), (3.0, 1000.0)]), 1.0);
        assert_eq!(of(&[(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]), -1.0);
        // d = 0, 1, 1, 0: 1 - 6 * 2 / (4 * 15).
        assert!((of(&[(1.0, 1.0), (2.0, 3.0), (3.0, 2.0), (4.0, 4.0)]) - 0.8).abs() < 1e-12);
    }

    #[test]
    fn ties_share_their_mean_rank() {
        assert_eq!(ranks(&[5.0, 1.0, 5.0, 0.0]), [3.5, 2.0, 3.5, 1.0]);
        // Ranks 1.5 1.5 3 against 1 2 3: Pearson's 1.5 / sqrt(1.5 * 2).
        let tied = spearman(&[(0.0, 1.0), (0.0, 2.0), (9.0, 3.0)]).unwrap();
        assert!((tied - 1.5 / 3.0f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn no_order_is_no_number() {
        assert_eq!(spearman(&[]), None);
        assert_eq!(spearman(&[(1.0, 1.0)]), None);
        assert_eq!(spearman(&[(1.0, 1.0), (1.0, 2.0)]), None);
    }

    #[test]
    fn perfect_samples_follow_the_truth() {
        let drawn = perfect(&[0.0, 900.0, 100.0], 10_000);
        assert_eq!(drawn.iter().sum::<f64>(), 10_000.0);
        assert_eq!(drawn[0], 0.0);
        // 30 is the standard deviation.
        assert!((drawn[2] - 1000.0).abs() < 150.0, "{drawn:?}");
        assert_eq!(perfect(&[], 3), Vec::<f64>::new());
    }
}
