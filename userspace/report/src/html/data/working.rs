//! The working set per point: the largest of the windows inside it, since sets of windows cannot be added up.

use serde::Serialize;
use waytrace_model::access_report::WorkingSet;
use waytrace_model::detail::WindowDetail;

use super::points::Points;

const PAGE_BYTES: u64 = 4096;
const LINE_BYTES: u64 = 64;

/// Columns over the points, bytes. A missing value was not measured.
#[derive(Serialize)]
pub struct Working {
    pages: Vec<Option<u64>>,
    lines: Vec<Option<u64>>,
}

impl Working {
    /// `None` where no window has one.
    pub fn of(windows: &[WindowDetail], points: &Points) -> Option<Self> {
        windows.iter().find(|window| window.working_set.is_some())?;
        let largest = |of: fn(WorkingSet) -> u64| {
            let point = |chunk: &[WindowDetail]| chunk.iter().filter_map(|own| own.working_set).map(of).max();
            windows.chunks(points.merged).map(point).collect()
        };
        Some(Self {
            pages: largest(|own| own.pages.saturating_mul(PAGE_BYTES)),
            lines: largest(|own| own.lines.saturating_mul(LINE_BYTES)),
        })
    }
}
