//! Allocation activity per point: rates, live bytes and the mapped balance.

use serde::Serialize;
use waytrace_model::allocation::AllocationWindow;
use waytrace_model::detail::WindowDetail;

use super::points::{Points, seconds};
use super::rounded;

/// Columns over the points. A missing value was not measured, which is not zero.
#[derive(Serialize)]
pub struct Activity {
    /// Bytes asked for, per second.
    bytes: Vec<Option<f64>>,
    /// Allocations per second.
    calls: Vec<Option<f64>>,
    /// Bytes given back, per second.
    freed: Vec<Option<f64>>,
    /// Frees per second.
    frees: Vec<Option<f64>>,
    /// Live bytes at the point's end.
    live: Vec<Option<u64>>,
    /// Bytes mapped minus bytes unmapped since the run started, at the point's end.
    mapped: Vec<i64>,
    /// Share of the point during which the probes counted.
    probed_ratio: Vec<f64>,
}

impl Activity {
    /// `None` where the collector did not run.
    pub fn of(windows: &[WindowDetail], points: &Points) -> Option<Self> {
        windows.iter().find(|window| window.allocations.is_some())?;
        let rates = |value: fn(&AllocationWindow) -> Option<f64>| {
            windows.chunks(points.merged).map(|chunk| rate(chunk, value)).collect()
        };
        let live = |chunk: &[WindowDetail]| {
            chunk.iter().rev().find_map(|window| window.allocations.and_then(|activity| activity.live_bytes))
        };
        Some(Self {
            bytes: rates(|activity| activity.alloc_bytes),
            calls: rates(|activity| activity.alloc_count),
            freed: rates(|activity| activity.freed_bytes),
            frees: rates(|activity| activity.free_count),
            live: windows.chunks(points.merged).map(live).collect(),
            mapped: balance(windows, points),
            probed_ratio: windows.chunks(points.merged).map(probed_ratio).collect(),
        })
    }
}

/// Over the windows that have a value only: an unprobed window says nothing about the rate.
fn rate(chunk: &[WindowDetail], value: fn(&AllocationWindow) -> Option<f64>) -> Option<f64> {
    let known =
        || chunk.iter().filter_map(|window| Some((value(window.allocations.as_ref()?)?, seconds(window))));
    let lasted: f64 = known().map(|(_, seconds)| seconds).sum();
    (lasted > 0.0).then(|| rounded(known().map(|(value, _)| value).sum::<f64>() / lasted))
}

fn balance(windows: &[WindowDetail], points: &Points) -> Vec<i64> {
    let change = |window: &WindowDetail| {
        let activity = window.allocations.unwrap_or_default();
        (activity.mmap_bytes as i64).saturating_sub(activity.munmap_bytes as i64)
    };
    let mut sum = 0i64;
    let mut add = |chunk: &[WindowDetail]| {
        sum = chunk.iter().map(change).fold(sum, i64::saturating_add);
        sum
    };
    windows.chunks(points.merged).map(&mut add).collect()
}

fn probed_ratio(chunk: &[WindowDetail]) -> f64 {
    let ratios = chunk.iter().filter_map(|window| window.allocations).map(|activity| activity.probed_ratio);
    rounded(ratios.sum::<f64>() / chunk.len().max(1) as f64)
}
