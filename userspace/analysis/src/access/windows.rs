//! Working sets over time: the distinct memory among the samples of each window.

use waytrace_model::access::{Access, Region};
use waytrace_model::access_report::WorkingSet;
use waytrace_model::run::Window;

use super::lines::{LINES_PER_PAGE, covered};
use super::spaces::Spaces;
use super::table::TableSet;

/// Working sets in the making. Memory grows with the distinct lines of each window.
#[derive(Debug)]
pub struct Windows {
    spaces: Spaces,
    /// Where each window starts, ascending.
    starts: Vec<u64>,
    /// Lines with their process, by window.
    lines: Vec<TableSet<(u32, u64)>>,
}

impl Windows {
    /// For windows in order of their starts, and the mappings samples lie in.
    pub fn new(windows: &[Window], regions: &[Region]) -> Self {
        Self {
            spaces: Spaces::of(regions),
            starts: windows.iter().map(|window| window.start_ns).collect(),
            lines: vec![TableSet::default(); windows.len()],
        }
    }

    /// Counts one sample in the window that had begun last when it was taken; the first has what came before.
    pub fn add(&mut self, access: &Access) {
        let begun = self.starts.partition_point(|start_ns| *start_ns <= access.at_ns);
        let process = self.spaces.process(access.region);
        if let Some(lines) = self.lines.get_mut(begun.saturating_sub(1)) {
            lines.extend(covered(access).map(|(line, _)| (process, line)));
        }
    }

    /// One for each window.
    pub fn finish(self) -> Vec<WorkingSet> {
        self.lines.into_iter().map(|lines| working_set(&lines)).collect()
    }
}

fn working_set(lines: &TableSet<(u32, u64)>) -> WorkingSet {
    let pages: TableSet<(u32, u64)> =
        lines.iter().map(|(process, line)| (*process, line / LINES_PER_PAGE)).collect();
    WorkingSet { pages: pages.len() as u64, lines: lines.len() as u64 }
}
