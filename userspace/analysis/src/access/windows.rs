//! Working sets over time: the distinct memory among the samples of each window, and what was counted of it in the kernel.

use waytrace_model::access::{Access, Region};
use waytrace_model::access_heat::{HeatCell, LINE_BYTES, PAGE_BYTES};
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
    /// Pages that are known without a line of theirs.
    pages: Vec<TableSet<(u32, u64)>>,
}

impl Windows {
    /// For windows in order of their starts, and the mappings samples lie in.
    pub fn new(windows: &[Window], regions: &[Region]) -> Self {
        Self {
            spaces: Spaces::of(regions),
            starts: windows.iter().map(|window| window.start_ns).collect(),
            lines: vec![TableSet::default(); windows.len()],
            pages: vec![TableSet::default(); windows.len()],
        }
    }

    /// Counts one sample in the window that had begun last when it was taken; the first has what came before.
    pub fn add(&mut self, access: &Access) {
        let (process, window) = (self.spaces.process(access.region), self.window(access.at_ns));
        if let Some(lines) = self.lines.get_mut(window) {
            lines.extend(covered(access).map(|(line, _)| (process, line)));
        }
    }

    /// Counts a page or line that was counted in the kernel, in a window around `at_ns`.
    pub fn add_cell(&mut self, cell: &HeatCell, at_ns: u64) {
        let (process, window) = (self.spaces.process(cell.region), self.window(at_ns));
        let (sets, bytes) =
            if cell.is_line { (&mut self.lines, LINE_BYTES) } else { (&mut self.pages, PAGE_BYTES) };
        if let Some(set) = sets.get_mut(window) {
            set.insert((process, cell.address / bytes));
        }
    }

    fn window(&self, at_ns: u64) -> usize {
        self.starts.partition_point(|start_ns| *start_ns <= at_ns).saturating_sub(1)
    }

    /// One for each window.
    pub fn finish(self) -> Vec<WorkingSet> {
        self.lines.into_iter().zip(self.pages).map(|(lines, pages)| working_set(&lines, pages)).collect()
    }
}

fn working_set(lines: &TableSet<(u32, u64)>, mut pages: TableSet<(u32, u64)>) -> WorkingSet {
    pages.extend(lines.iter().map(|(process, line)| (*process, line / LINES_PER_PAGE)));
    WorkingSet { pages: pages.len() as u64, lines: lines.len() as u64 }
}
