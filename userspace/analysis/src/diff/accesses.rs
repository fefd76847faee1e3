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
    /// Share of stores among all accesses, 0–1.
    pub store_ratio: Change,
    /// Mappings of either run by name, addresses being new in each run; largest change first.
    pub regions: Vec<ShareDiff>,
    /// Allocation sites of either run by the names of their frames, largest change first; empty unless both runs have them.
    pub sites: Vec<ShareDiff>,
}

/// A share of all accesses, in two runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShareDiff {
    /// The mapping, or the site's frames from the innermost on, joined by ` < `.
    pub name: String,
    /// Share of all accesses, 0–1, with the Wilson interval of as many samples as theirs are worth.
    pub share: Change,
}

/// Accesses by what they hit.
type Parts = BTreeMap<String, u64>;

/// Compares `b` with `a`.
pub(super) fn compare(a: &AccessReport, b: &AccessReport) -> AccessDiff {
    let sites = (by_site(a), by_site(b));
    let both_have_sites = !a.sites.is_empty() && !b.sites.is_empty();
    AccessDiff {
        store_ratio: Change::between(share(a, a.stores), share(b, b.stores)),
        regions: shares((a, &by_region(a)), (b, &by_region(b))),
        sites: if both_have_sites { shares((a, &sites.0), (b, &sites.1)) } else { Vec::new() },
    }
}

fn shares(a: (&AccessReport, &Parts), b: (&AccessReport, &Parts)) -> Vec<ShareDiff> {
    let of = |(report, parts): (&AccessReport, &Parts), name: &str| {
        share(report, parts.get(name).copied().unwrap_or(0))
    };
    let only_b = b.1.keys().filter(|name| !a.1.contains_key(*name));
    let mut diffs: Vec<ShareDiff> =
        a.1.keys()
            .chain(only_b)
            .map(|name| ShareDiff { name: name.clone(), share: Change::between(of(a, name), of(b, name)) })
            .collect();
    diffs.sort_by(|x, y| {
        y.share.magnitude().total_cmp(&x.share.magnitude()).then_with(|| x.name.cmp(&y.name))
    });
    diffs
}

/// A share of all accesses; not known where there are none.
fn share(report: &AccessReport, accesses: u64) -> Option<Estimate> {
    let all = report.loads.saturating_add(report.stores);
    let share = accesses as f64 / all as f64;
    (all > 0).then(|| Estimate::with_half_width(share, half_width(share, report.effective_samples)))
}

fn by_region(report: &AccessReport) -> Parts {
    summed(report.regions.iter().map(|region| (region.name.clone(), region.loads, region.stores)))
}

fn by_site(report: &AccessReport) -> Parts {
    summed(report.sites.iter().map(|site| {
        let labels: Vec<String> = site.frames.iter().map(Frame::label).collect();
        (labels.join(" < "), site.loads, site.stores)
    }))
}

fn summed(parts: impl Iterator<Item = (String, u64, u64)>) -> Parts {
    let mut by_name = Parts::new();
    for (name, loads, stores) in parts {
        let sum = by_name.entry(name).or_default();
        *sum = sum.saturating_add(loads).saturating_add(stores);
    }
    by_name
}
