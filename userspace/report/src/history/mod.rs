//! A target's history over a range: as text, as a page with charts, and as a long table.

mod chart;
mod csv;
mod page;
mod terminal;

pub use self::csv::csv;
pub use page::page;
pub use terminal::{alerts, quantity, span, text, time};

use waytrace_model::monitor::{Metric, TargetHistory};

/// Values by equal parts of the range's time, `None` where nothing was measured: rates of amounts, else means.
pub(crate) fn course(history: &TargetHistory, metric: Metric, parts: usize) -> Vec<Option<f64>> {
    let (from, to) = (history.range.from_unix_ns, history.range.to_unix_ns);
    let parts = parts.max(1);
    let length = (to.saturating_sub(from) as f64 / parts as f64).max(1.0);
    let mut sums = vec![(0.0, 0.0); parts];
    for point in &history.points {
        let Some(rate) = point.rate(metric) else { continue };
        // A step may be longer than a part: it fills all it reaches over.
        let at = |ns: u64| (ns.saturating_sub(from) as f64 / length) as usize;
        let end = point.start_unix_ns.saturating_add(point.step.ns().max(point.length_ns)).saturating_sub(1);
        let (first, last) = (at(point.start_unix_ns).min(parts - 1), at(end).min(parts - 1));
        let weight = point.covered_ns(metric).max(1) as f64;
        for sum in sums.iter_mut().take(last + 1).skip(first) {
            *sum = (sum.0 + rate * weight, sum.1 + weight);
        }
    }
    sums.into_iter().map(|(sum, weight)| (weight > 0.0).then(|| sum / weight)).collect()
}
