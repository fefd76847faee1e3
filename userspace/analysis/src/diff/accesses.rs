//! Shares of accesses in two runs. Samples are no counts, so only shares compare.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use waytrace_model::access_report::AccessReport;
use waytrace_model::stack::Frame;

use super::change::{Change, Estimate};
use crate::interval::half_width;

/// Accesses compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccessDiff {
    /// Both runs' samples are of one source. Where they are not, one has another bias than the other, and no verdict is given.
    pub comparable: bool,
    /// Share of loads among all accesses, 0–1.
    pub load_ratio: Change,
    /// Share of stores among all accesses, 0–1.
    pub store_ratio: Change,
    /// Distinct pages of 4 KiB among the samples: a lower bound that grows with their number, so never a verdict.
    pub working_set_pages: Change,
    /// Distinct lines of 64 bytes among the samples, likewise.
    pub working_set_lines: Change,
    /// Mappings of either run by name, addresses and thread ids being new in each run; largest change first.
    pub regions: Vec<ShareDiff>,
    /// Functions of either run by the names of their frames, largest change first.
    pub functions: Vec<ShareDiff>,
    /// Allocation sites of either run by the names of their frames, largest change first; empty unless both runs have them.
    pub sites: Vec<ShareDiff>,
}

/// A share of all accesses, in two runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShareDiff {
    /// The mapping, or the frames of function or site from the innermost on, joined by ` < `.
    pub name: String,
    /// Share of all accesses, 0–1, with the Wilson interval of as many samples as theirs are worth.
    pub share: Change,
}

/// Accesses by what they hit.
type Parts = BTreeMap<String, u64>;

/// Compares `b` with `a`.
pub(super) fn compare(a: &AccessReport, b: &AccessReport) -> AccessDiff {
    let comparable = a.source == b.source;
    let pair = Pair { a, b, comparable };
    let both_have_sites = !a.sites.is_empty() && !b.sites.is_empty();
    AccessDiff {
        comparable,
        load_ratio: pair.share(a.loads, b.loads),
        store_ratio: pair.share(a.stores, b.stores),
        working_set_pages: lower_bounds(a.working_set.pages, b.working_set.pages),
        working_set_lines: lower_bounds(a.working_set.lines, b.working_set.lines),
        regions: pair.shares(by_region),
        functions: pair.shares(by_function),
        sites: if both_have_sites { pair.shares(by_site) } else { Vec::new() },
    }
}

/// Two runs whose shares are compared.
struct Pair<'r> {
    a: &'r AccessReport,
    b: &'r AccessReport,
    comparable: bool,
}

impl Pair<'_> {
    /// So many accesses of each, as shares.
    fn share(&self, of_a: u64, of_b: u64) -> Change {
        Change::between(self.estimate(self.a, of_a), self.estimate(self.b, of_b))
    }

    /// A share of all accesses; not known where there are none.
    fn estimate(&self, report: &AccessReport, accesses: u64) -> Option<Estimate> {
        let all = report.loads.saturating_add(report.stores);
        let share = accesses as f64 / all as f64;
        let known = || match self.comparable {
            true => Estimate::with_half_width(share, half_width(share, report.effective_samples)),
            false => Estimate::with_interval_pct(share, None),
        };
        (all > 0).then(known)
    }

    fn shares(&self, parts: fn(&AccessReport) -> Parts) -> Vec<ShareDiff> {
        let (a, b) = (parts(self.a), parts(self.b));
        let only_b = b.keys().filter(|name| !a.contains_key(*name));
        let in_run = |parts: &Parts, name: &str| parts.get(name).copied().unwrap_or(0);
        let mut diffs: Vec<ShareDiff> = a
            .keys()
            .chain(only_b)
            .map(|name| ShareDiff {
                name: name.clone(),
                share: self.share(in_run(&a, name), in_run(&b, name)),
            })
            .collect();
        diffs.sort_by(|x, y| {
            y.share.magnitude().total_cmp(&x.share.magnitude()).then_with(|| x.name.cmp(&y.name))
        });
        diffs
    }
}

fn lower_bounds(of_a: u64, of_b: u64) -> Change {
    let bound = |count: u64| Some(Estimate::with_interval_pct(count as f64, None));
    Change::between(bound(of_a), bound(of_b))
}

fn by_region(report: &AccessReport) -> Parts {
    summed(report.regions.iter().map(|region| {
        let is_stack = region.name.starts_with("[stack:");
        let name = if is_stack { "[stack:TID]".to_owned() } else { region.name.clone() };
        (name, region.loads, region.stores)
    }))
}

fn by_function(report: &AccessReport) -> Parts {
    summed(report.functions.iter().map(|own| (joined(&own.frames), own.loads, own.stores)))
}

fn by_site(report: &AccessReport) -> Parts {
    summed(report.sites.iter().map(|site| (joined(&site.frames), site.loads, site.stores)))
}

/// All code of a module without symbols is one function at offset 0.
fn joined(frames: &[Frame]) -> String {
    let label = |frame: &Frame| match (&frame.function, &frame.module) {
        (None, Some(module)) if frame.offset == 0 => module.clone(),
        _ => frame.label(),
    };
    frames.iter().map(label).collect::<Vec<_>>().join(" < ")
}

fn summed(parts: impl Iterator<Item = (String, u64, u64)>) -> Parts {
    let mut by_name = Parts::new();
    for (name, loads, stores) in parts {
        let sum = by_name.entry(name).or_default();
        *sum = sum.saturating_add(loads).saturating_add(stores);
    }
    by_name
}
