//! What sampled accesses say of a run: fed one by one, as there may be millions, and finished with what the run's end knows.
//!
//! A sample costs constant work. Memory grows with the distinct lines, pages and blocks among the samples, not with their
//! number. Everything is weighted by what a sample stands for, and none of it depends on the order of the samples. What is
//! not here: whether the samples can be trusted, which their source says ([`waytrace_model::access::Source::bias`]).

mod functions;
mod heat;
mod lines;
mod moments;
mod nodes;
mod regions;
mod sharing;
mod sites;
mod spaces;
mod sums;
mod table;
mod tiers;
mod windows;

use waytrace_model::access::{Access, AccessTotals};
use waytrace_model::access_heat::{HeatCell, HeatWindow};
use waytrace_model::access_report::{AccessReport, Kept};
use waytrace_model::allocation::Site;
use waytrace_model::run::NumaNode;

use crate::interval::SampleSize;
use functions::Functions;
use heat::Heat;
use lines::Lines;
use nodes::ByCpu;
use regions::Regions;
use sites::Sites;
use spaces::Spaces;
use sums::Sums;

pub use sharing::{MOST_LINES, REPEATED};
pub use windows::Windows;

/// Accesses being summed up.
#[derive(Debug, Default)]
pub struct Summary {
    all: Sums,
    size: SampleSize,
    lines: Lines,
    regions: Regions,
    by_cpu: ByCpu,
    functions: Functions,
    sites: Sites,
    heat: Heat,
}

impl Summary {
    /// Counts one sample.
    pub fn add(&mut self, access: &Access) {
        self.all.add(access);
        self.size.add(access.weight, (access.tid, access.at_ns));
        self.lines.add(access);
        self.regions.add(access);
        self.by_cpu.add(access);
        self.functions.add(access);
        self.sites.add(access);
    }

    /// Adds a window of what was counted in the kernel; its cells are added one by one.
    pub fn add_window(&mut self, window: &HeatWindow, interval_ns: u64) {
        self.heat.add_window(window, interval_ns);
    }

    /// Adds a page or line counted in the kernel.
    pub fn add_cell(&mut self, cell: &HeatCell) {
        self.heat.add_cell(cell);
    }

    /// Samples counted.
    pub fn samples(&self) -> u64 {
        self.size.samples()
    }

    /// Everything derived from the samples, all of which were kept, on a machine with these `nodes`. Keys `totals` and `sites`
    /// do not name are counted, but in no list.
    pub fn finish(mut self, totals: &AccessTotals, sites: &[Site], nodes: &[NumaNode]) -> AccessReport {
        let sampled = self.all;
        self.all = self.heat.sums().unwrap_or(self.all);
        self.regions.follow(&self.heat, &totals.regions);
        let spaces = Spaces::of(&totals.regions);
        let seen = self.lines.seen(&spaces);
        let merged = self.sites.merged(sites, &totals.footprints);
        let sharing = sharing::suspects(&self.lines, &seen.shared, &totals.regions, &self.sites, sites);
        let remote = self.by_cpu.remote(&totals.regions, nodes);
        let (regions, no_remote) =
            self.regions.report(&totals.regions, &seen.by_region, (&remote, &self.heat));
        let reasons = totals.null_reason.clone().into_iter().chain(nodes::null_reason(no_remote, nodes));
        let null_reason = reasons.reduce(|all, more| format!("{all}; {more}"));
        let tiers = tiers::steps(&totals.regions, &self.regions, &merged, self.all.total(), self.size);
        AccessReport {
            source: totals.source,
            bias: totals.source.bias().to_owned(),
            rate_hz: totals.rate_hz,
            samples: totals.samples,
            kernel_samples: totals.kernel_samples,
            resolved: totals.resolved,
            unresolved: totals.unresolved.clone(),
            confirmed_ratio: (totals.checked > 0).then(|| totals.confirmed as f64 / totals.checked as f64),
            checked: totals.checked,
            throttled: totals.throttled,
            effective_samples: self.size.effective().min(totals.resolved as f64),
            kept: Kept::all(self.size.samples(), sampled.loads, sampled.stores),
            loads: self.all.loads,
            stores: self.all.stores,
            working_set: self.heat.seen(seen.all),
            aggregate: self.heat.report(),
            regions,
            sites: sites::report(&merged),
            functions: self.functions.report(&totals.code),
            sharing,
            tiers,
            null_reason,
        }
    }
}

#[cfg(test)]
mod tests;
