//! Allocation sites of two runs, paired by where they are.
//!
//! The caller of the allocator is what makes a site; the stack above it is only the most sampled one, and may differ
//! between runs that do the same. Sites pair by the whole stack first, then by the caller with its offset, then by
//! the caller's names alone, which survives a rebuild.

use std::collections::{HashMap, HashSet, VecDeque};

use serde::{Deserialize, Serialize};
use waytrace_model::allocation::Mode;
use waytrace_model::report::{AllocationReport, SiteReport};
use waytrace_model::stack::Frame;

use super::Side;
use super::change::{Change, Estimate, Verdict};

/// What became of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SiteStatus {
    /// Only in B.
    Added,
    /// Only in A.
    Removed,
    /// More bytes per second in B; where bytes are the same, more allocations.
    Grown,
    /// Fewer of them.
    Shrunk,
    /// The same in both.
    Same,
    /// Differs by no more than its 95 % interval: may be nothing.
    WithinInterval,
    /// An estimate without an interval.
    Unknown,
}

/// One site in two runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SiteDiff {
    /// What became of it.
    pub status: SiteStatus,
    /// Allocations per second.
    pub alloc_count_per_s: Change,
    /// Bytes asked for per second.
    pub alloc_bytes_per_s: Change,
    /// Live at the end, in bytes; exact mode only.
    pub live_bytes: Change,
    /// Frames as in B, or in A where B has no such site; innermost first.
    pub frames: Vec<Frame>,
}

/// Sites of both runs, largest change of bytes per second first.
pub(super) fn compare(a: (&AllocationReport, &Side), b: (&AllocationReport, &Side)) -> Vec<SiteDiff> {
    let mut diffs: Vec<SiteDiff> =
        pair(&a.0.sites, &b.0.sites).into_iter().map(|(in_a, in_b)| site(a, in_a, b, in_b)).collect();
    diffs.sort_by(|x, y| y.alloc_bytes_per_s.magnitude().total_cmp(&x.alloc_bytes_per_s.magnitude()));
    diffs
}

type Pair<'r> = (Option<&'r SiteReport>, Option<&'r SiteReport>);

fn pair<'r>(a: &'r [SiteReport], b: &'r [SiteReport]) -> Vec<Pair<'r>> {
    let mut left_a: Vec<&SiteReport> = a.iter().collect();
    let mut left_b: Vec<&SiteReport> = b.iter().collect();
    let mut pairs = pair_by(&mut left_a, &mut left_b, |site| site.frames.clone());
    pairs.extend(pair_by(&mut left_a, &mut left_b, |site| caller(site).to_vec()));
    pairs.extend(pair_by(&mut left_a, &mut left_b, |site| {
        caller(site).iter().map(|frame| (frame.label(), frame.module.clone())).collect::<Vec<_>>()
    }));
    pairs.extend(left_a.into_iter().map(|site| (Some(site), None)));
    pairs.extend(left_b.into_iter().map(|site| (None, Some(site))));
    pairs
}

/// Takes the sites with equal keys out of both lists, in order where several share one.
fn pair_by<'r, K: std::hash::Hash + Eq>(
    a: &mut Vec<&'r SiteReport>,
    b: &mut Vec<&'r SiteReport>,
    key: impl Fn(&SiteReport) -> K,
) -> Vec<Pair<'r>> {
    let mut by_key: HashMap<K, VecDeque<&SiteReport>> = HashMap::new();
    for site in b.iter() {
        by_key.entry(key(site)).or_default().push_back(site);
    }
    let mut pairs = Vec::new();
    let mut taken: HashSet<*const SiteReport> = HashSet::new();
    a.retain(|in_a| {
        let found = by_key.get_mut(&key(in_a)).and_then(VecDeque::pop_front);
        pairs.extend(found.map(|in_b| (Some(*in_a), Some(in_b))));
        taken.extend(found.map(std::ptr::from_ref));
        found.is_none()
    });
    b.retain(|site| !taken.contains(&std::ptr::from_ref(*site)));
    pairs
}

/// The innermost function with what was inlined into it.
fn caller(site: &SiteReport) -> &[Frame] {
    let physical = site.frames.iter().position(|frame| !frame.inlined).map_or(site.frames.len(), |at| at + 1);
    &site.frames[..physical]
}

fn site(
    a: (&AllocationReport, &Side),
    in_a: Option<&SiteReport>,
    b: (&AllocationReport, &Side),
    in_b: Option<&SiteReport>,
) -> SiteDiff {
    let count = |run, site| rate(run, site, |s| s.alloc_count, |r| (r.alloc_count, r.alloc_count_ci95_pct));
    let bytes = |run, site| rate(run, site, |s| s.alloc_bytes, |r| (r.alloc_bytes, r.ci95_pct));
    let live = |run: &AllocationReport, site: Option<&SiteReport>| {
        let bytes = site.map_or(run.live_bytes.map(|_| 0), |site| site.live_bytes);
        bytes.map(|bytes| Estimate::exact(bytes as f64))
    };
    let alloc_count_per_s = Change::between(count(a, in_a), count(b, in_b));
    let alloc_bytes_per_s = Change::between(bytes(a, in_a), bytes(b, in_b));
    SiteDiff {
        status: status(in_a, in_b, &alloc_bytes_per_s, &alloc_count_per_s),
        alloc_count_per_s,
        alloc_bytes_per_s,
        live_bytes: Change::between(live(a.0, in_a), live(b.0, in_b)),
        frames: in_b.or(in_a).map(|site| site.frames.clone()).unwrap_or_default(),
    }
}

fn status(
    in_a: Option<&SiteReport>,
    in_b: Option<&SiteReport>,
    bytes: &Change,
    count: &Change,
) -> SiteStatus {
    let verdict = if bytes.verdict == Verdict::Same { count.verdict } else { bytes.verdict };
    match (verdict, in_a.is_some(), in_b.is_some()) {
        (Verdict::WithinInterval, ..) => SiteStatus::WithinInterval,
        (_, false, _) => SiteStatus::Added,
        (_, _, false) => SiteStatus::Removed,
        (Verdict::Up, ..) => SiteStatus::Grown,
        (Verdict::Down, ..) => SiteStatus::Shrunk,
        (Verdict::Same, ..) => SiteStatus::Same,
        (Verdict::Unknown, ..) => SiteStatus::Unknown,
    }
}

/// A site's rate. One that a run does not have allocated nothing there.
///
/// Reports give an interval for the total only. A site with the share `s` of it was sampled in proportion, and the
/// relative error of a sampled sum goes with one over the root of its share: `ci / sqrt(s)`.
fn rate(
    (run, side): (&AllocationReport, &Side),
    site: Option<&SiteReport>,
    of_site: impl Fn(&SiteReport) -> f64,
    of_run: impl Fn(&AllocationReport) -> (Option<f64>, Option<f64>),
) -> Option<Estimate> {
    let Some(value) = site.map(of_site) else { return Some(Estimate::exact(0.0)) };
    let estimate = match (run.mode, of_run(run)) {
        (Some(Mode::Exact), _) => Estimate::exact(value),
        (_, (Some(total), Some(ci95_pct))) if value > 0.0 && total > 0.0 => {
            let share = (value / total).min(1.0);
            Estimate::with_interval_pct(value, Some(ci95_pct / share.sqrt()))
        }
        _ => Estimate::with_interval_pct(value, None),
    };
    estimate.per_second_of(side.duration_ns)
}
