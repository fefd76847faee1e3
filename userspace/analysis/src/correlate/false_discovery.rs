//! Significance among many tests: Benjamini & Hochberg's adjusted p-values.

/// For each test the expected share of false discoveries among those with a `p` as small or smaller; `None` for those without.
/// Holds for independent tests and for positively dependent ones (Benjamini & Yekutieli, Ann. Stat. 29, 2001).
pub fn adjusted(p: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut order: Vec<(f64, usize)> = p.iter().zip(0..).filter_map(|(p, at)| p.map(|p| (p, at))).collect();
    order.sort_by(|one, other| one.0.total_cmp(&other.0));
    let tests = order.len() as f64;
    let mut adjusted = vec![None; p.len()];
    let mut least = 1.0_f64;
    for (before, (p, at)) in order.into_iter().enumerate().rev() {
        least = least.min(p * tests / (before + 1) as f64);
        if let Some(adjusted) = adjusted.get_mut(at) {
            *adjusted = Some(least);
        }
    }
    adjusted
}
