//! Mann & Whitney's test of whether values of one set tend to be larger (Ann. Math. Stat. 18, 1947), and Cliff's delta, which
//! is the same statistic on a scale from -1 to 1.

use crate::correlate::{of_normal, ranks};

/// Ways to choose one side's places that are still counted one by one: those of eight and eight are 12,870.
const MOST_CHOICES: usize = 20_000;

/// Twice the sum of the second's ranks in both: whole even for shared ranks.
fn doubled_ranks(before: &[f64], after: &[f64]) -> Vec<u64> {
    let both: Vec<f64> = before.iter().chain(after).copied().collect();
    ranks(&both).into_iter().map(|rank| (2.0 * rank) as u64).collect()
}

/// Share of pairs with the second larger, less the share with it smaller. `None` where a side is empty.
pub(super) fn delta(before: &[f64], after: &[f64]) -> Option<f64> {
    let pairs = before.len() * after.len();
    let larger: usize = before.iter().map(|value| after.iter().filter(|other| *other > value).count()).sum();
    let smaller: usize = before.iter().map(|value| after.iter().filter(|other| *other < value).count()).sum();
    (pairs > 0).then(|| (larger as f64 - smaller as f64) / pairs as f64)
}

/// Two-sided p: exact for few values, ties included, by counting the choices of ranks at least as far from the middle; by
/// the normal distribution, corrected for ties and continuity, for many. `None` where a side is empty.
pub(super) fn p(before: &[f64], after: &[f64]) -> Option<f64> {
    if before.is_empty() || after.is_empty() {
        return None;
    }
    let doubled = doubled_ranks(before, after);
    let sum: u64 = doubled.iter().skip(before.len()).sum();
    let all: u64 = doubled.iter().sum();
    let expected = all as f64 * after.len() as f64 / doubled.len() as f64;
    let distance = (sum as f64 - expected).abs();
    if choices(doubled.len(), after.len()) <= MOST_CHOICES {
        return Some(exact(&doubled, after.len(), expected, distance));
    }
    Some(approximate(&doubled, before.len() as f64, after.len() as f64, distance))
}

/// Binomial coefficient, or more than can be counted.
fn choices(of: usize, chosen: usize) -> usize {
    let chosen = chosen.min(of - chosen.min(of));
    (1..=chosen)
        .try_fold(1_usize, |ways, step| Some(ways.checked_mul(of - chosen + step)? / step))
        .unwrap_or(usize::MAX)
}

/// Share of the choices of `chosen` ranks whose sum is at least `distance` from the expected one.
fn exact(doubled: &[u64], chosen: usize, expected: f64, distance: f64) -> f64 {
    // By how many were chosen: how many choices give each sum.
    let mut ways: Vec<std::collections::BTreeMap<u64, u64>> = vec![Default::default(); chosen + 1];
    if let Some(none) = ways.first_mut() {
        none.insert(0, 1);
    }
    for rank in doubled {
        for already in (0..chosen).rev() {
            let added: Vec<(u64, u64)> =
                ways.get(already).into_iter().flatten().map(|(sum, count)| (sum + rank, *count)).collect();
            if let Some(next) = ways.get_mut(already + 1) {
                added.into_iter().for_each(|(sum, count)| *next.entry(sum).or_insert(0) += count);
            }
        }
    }
    let sums = || ways.last().into_iter().flatten();
    let far = |sum: u64| (sum as f64 - expected).abs() >= distance - 1e-9;
    let (far, total) = sums().fold((0, 0), |(some, total), (sum, count)| {
        (some + if far(*sum) { *count } else { 0 }, total + count)
    });
    far as f64 / total as f64
}

/// `distance` is of doubled ranks, so half of it is the statistic's.
fn approximate(doubled: &[u64], before: f64, after: f64, distance: f64) -> f64 {
    let mut sorted = doubled.to_vec();
    sorted.sort_unstable();
    let cubes = sorted.chunk_by(|one, other| one == other).map(|tied| {
        let tied = tied.len() as f64;
        tied * tied * tied - tied
    });
    let n = before + after;
    let variance = before * after / 12.0 * (n + 1.0 - cubes.sum::<f64>() / (n * (n - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    of_normal((distance / 2.0 - 0.5).max(0.0) / variance.sqrt())
}
