//! Ranks of values.

/// From 1; equal values share the mean of theirs (Kendall 1948). In the order of the values.
pub(crate) fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<(f64, usize)> = values.iter().copied().zip(0..).collect();
    order.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut ranked: Vec<(usize, f64)> = Vec::with_capacity(values.len());
    for alike in order.chunk_by(|one, other| one.0 == other.0) {
        let mean = ranked.len() as f64 + (alike.len() + 1) as f64 / 2.0;
        ranked.extend(alike.iter().map(|(_, place)| (*place, mean)));
    }
    ranked.sort_unstable_by_key(|(place, _)| *place);
    ranked.into_iter().map(|(_, rank)| rank).collect()
}
