//! Accesses counted in the kernel, put beside the samples: what is known of all of them, samples need not be asked for.

use waytrace_model::access_heat::{HeatCell, HeatSums, HeatWindow, LINE_BYTES, PAGE_BYTES};
use waytrace_model::access_report::{AggregateReport, WorkingSet};

use super::sums::Sums;
use super::table::{Table, TableSet};

/// Counts being summed up. Memory grows with the distinct pages and lines.
#[derive(Debug, Default)]
pub(super) struct Heat {
    window_ns: u64,
    samples: u64,
    passed: u64,
    all: HeatSums,
    pages: Places,
    lines: Places,
}

/// Pages, or lines.
#[derive(Debug, Default)]
struct Places {
    /// By process and number.
    seen: TableSet<(u32, u64)>,
    by_region: Table<u32, InRegion>,
    placed: HeatSums,
}

#[derive(Debug, Default)]
struct InRegion {
    sums: HeatSums,
    seen: TableSet<u64>,
}

impl Places {
    fn add(&mut self, cell: &HeatCell, number: u64) {
        self.seen.insert((cell.tgid, number));
        self.placed.add(&cell.sums);
        if let Some(region) = cell.region {
            let within = self.by_region.entry(region).or_default();
            within.sums.add(&cell.sums);
            within.seen.insert(number);
        }
    }

    fn in_region(&self, region: u32) -> u64 {
        self.by_region.get(&region).map_or(0, |within| within.seen.len() as u64)
    }
}

impl Heat {
    pub(super) fn add_window(&mut self, window: &HeatWindow, interval_ns: u64) {
        self.window_ns = interval_ns;
        self.samples = self.samples.saturating_add(window.samples);
        self.passed = self.passed.saturating_add(window.passed);
        self.all.add(&window.sums);
    }

    pub(super) fn add_cell(&mut self, cell: &HeatCell) {
        if cell.is_line {
            self.lines.add(cell, cell.address / LINE_BYTES);
        } else {
            self.pages.add(cell, cell.address / PAGE_BYTES);
        }
    }

    /// Loads and stores of all accesses, where every one's direction is known.
    pub(super) fn sums(&self) -> Option<Sums> {
        directed(&self.all).filter(|sums| sums.total() > 0)
    }

    /// Those of a mapping, where moreover no page is missing.
    pub(super) fn of_region(&self, region: u32) -> Option<Sums> {
        self.sums().filter(|_| self.pages.placed == self.all)?;
        self.pages.by_region.get(&region).map_or(Some(Sums::default()), |within| directed(&within.sums))
    }

    /// What was counted and what samples fell on: either may have found no room.
    pub(super) fn seen(&self, sampled: WorkingSet) -> WorkingSet {
        larger(sampled, self.pages.seen.len() as u64, self.lines.seen.len() as u64)
    }

    /// The same of a mapping.
    pub(super) fn seen_in(&self, region: u32, sampled: WorkingSet) -> WorkingSet {
        larger(sampled, self.pages.in_region(region), self.lines.in_region(region))
    }

    /// `None` where nothing was counted in the kernel.
    pub(super) fn report(&self) -> Option<AggregateReport> {
        (self.window_ns > 0).then(|| AggregateReport {
            window_ns: self.window_ns,
            samples: self.samples,
            passed: self.passed,
            counted: self.all.total(),
            loads: self.all.loads,
            stores: self.all.stores,
            unknown: self.all.unknown,
            pages: self.pages.seen.len() as u64,
            lines: self.lines.seen.len() as u64,
            unplaced: self.all.total().saturating_sub(self.pages.placed.total()),
            evicted: self.all.total().saturating_sub(self.lines.placed.total()),
        })
    }
}

fn directed(sums: &HeatSums) -> Option<Sums> {
    (sums.unknown == 0).then_some(Sums { loads: sums.loads, stores: sums.stores })
}

fn larger(sampled: WorkingSet, pages: u64, lines: u64) -> WorkingSet {
    WorkingSet { pages: sampled.pages.max(pages), lines: sampled.lines.max(lines) }
}
