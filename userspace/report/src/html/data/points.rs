//! Windows merged into as many points as a screen has columns, so that a long run stays fluid.

use serde::Serialize;
use waytrace_model::detail::WindowDetail;

/// More than this many points no screen resolves.
const POINTS_MAX: usize = 1500;

/// The time axis of every timeline.
#[derive(Serialize)]
pub struct Points {
    /// Windows in one point (fewer in the last one).
    pub merged: usize,
    /// Windows of the run.
    pub windows: usize,
    start_ns: Vec<u64>,
    end_ns: Vec<u64>,
}

impl Points {
    pub fn of(windows: &[WindowDetail]) -> Self {
        let merged = windows.len().div_ceil(POINTS_MAX).max(1);
        let bounds = |of: fn(&[WindowDetail]) -> Option<u64>| windows.chunks(merged).filter_map(of).collect();
        Self {
            merged,
            windows: windows.len(),
            start_ns: bounds(|chunk| chunk.first().map(|window| window.window.start_ns)),
            end_ns: bounds(|chunk| chunk.last().map(|window| window.window.end_ns)),
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.start_ns.len()
    }
}

/// Seconds a window lasted.
pub fn seconds(window: &WindowDetail) -> f64 {
    window.window.end_ns.saturating_sub(window.window.start_ns) as f64 / 1e9
}
