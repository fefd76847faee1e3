//! Allocation sites with their threads together, most bytes first.

use std::collections::HashMap;

use serde::Serialize;
use waytrace_model::allocation::{SampledStack, Site};
use waytrace_model::detail::RunDetail;
use waytrace_model::stack::Frame;

use super::frames::Frames;

const SITES_MAX: usize = 2000;
const STACKS_MAX: usize = 4;
const THREADS_MAX: usize = 8;

/// The site table.
#[derive(Serialize)]
pub struct Sites {
    list: Vec<Entry>,
    /// Sites that are not in the list, and their bytes.
    omitted: usize,
    omitted_bytes: f64,
    /// Row of each listed site of the run by its id, which traced allocations name.
    #[serde(skip)]
    rows: HashMap<u32, usize>,
}

#[derive(Default, Serialize)]
struct Entry {
    bytes: f64,
    calls: f64,
    live: Option<u64>,
    peak: Option<u64>,
    temporary: Option<u64>,
    samples: u64,
    /// Immediate caller, and what was inlined into it before it.
    caller: Vec<u32>,
    /// Most frequent stacks: samples, frames innermost first.
    stacks: Vec<(u64, Vec<u32>)>,
    /// Threads with most bytes: tid, bytes, calls.
    threads: Vec<(u32, f64, f64)>,
}

impl Sites {
    /// The sites of the run, those with the same caller as one.
    pub fn of(detail: &RunDetail, frames: &mut Frames) -> Self {
        let mut groups: Vec<Vec<&Site>> = Vec::new();
        let mut ids: HashMap<&[Frame], usize> = HashMap::new();
        let group_of: Vec<usize> = detail
            .sites
            .iter()
            .map(|site| {
                let id = *ids.entry(&site.frames).or_insert_with(|| {
                    groups.push(Vec::new());
                    groups.len() - 1
                });
                groups[id].push(site);
                id
            })
            .collect();
        let mut order: Vec<usize> = (0..groups.len()).collect();
        let bytes = |id: usize| groups[id].iter().map(|site| site.alloc_bytes).sum::<f64>();
        order.sort_by(|a, b| bytes(*b).total_cmp(&bytes(*a)));
        let mut row_of_group = vec![0; groups.len()];
        order.iter().enumerate().for_each(|(row, id)| row_of_group[*id] = row);
        let (listed, omitted) = order.split_at(order.len().min(SITES_MAX));
        Self {
            list: listed.iter().map(|id| entry(&groups[*id], frames)).collect(),
            omitted: omitted.len(),
            omitted_bytes: omitted.iter().map(|id| bytes(*id)).sum(),
            rows: detail
                .sites
                .iter()
                .zip(group_of)
                .map(|(site, id)| (site.id, row_of_group[id]))
                .filter(|(_, row)| *row < listed.len())
                .collect(),
        }
    }

    /// Row of a site of the run by its id, if it is listed.
    pub fn row(&self, site: u32) -> Option<usize> {
        self.rows.get(&site).copied()
    }
}

/// The sum of what is known; `None` if nothing is.
fn sum(group: &[&Site], value: fn(&Site) -> Option<u64>) -> Option<u64> {
    group.iter().filter_map(|site| value(site)).reduce(u64::saturating_add)
}

fn entry(group: &[&Site], frames: &mut Frames) -> Entry {
    let caller = group.first().map(|site| ids(&site.frames, frames)).unwrap_or_default();
    let mut threads: Vec<(u32, f64, f64)> = group
        .iter()
        .filter(|site| site.tid != 0)
        .map(|site| (site.tid, site.alloc_bytes, site.alloc_count))
        .collect();
    threads.sort_by(|a, b| b.1.total_cmp(&a.1));
    threads.truncate(THREADS_MAX);
    Entry {
        bytes: group.iter().map(|site| site.alloc_bytes).sum(),
        calls: group.iter().map(|site| site.alloc_count).sum(),
        live: sum(group, |site| site.live_bytes),
        peak: sum(group, |site| site.peak_live_bytes),
        temporary: sum(group, |site| site.temporary_count),
        samples: group.iter().flat_map(|site| &site.stacks).map(|stack| stack.samples_count).sum(),
        caller,
        stacks: stacks(group, frames),
        threads,
    }
}

/// The most frequent stacks, those of several threads counted together.
fn stacks(group: &[&Site], frames: &mut Frames) -> Vec<(u64, Vec<u32>)> {
    let mut merged: HashMap<&[Frame], u64> = HashMap::new();
    for SampledStack { samples_count, frames } in group.iter().flat_map(|site| &site.stacks) {
        *merged.entry(frames).or_default() += samples_count;
    }
    let mut ranked: Vec<(u64, Vec<u32>)> =
        merged.into_iter().map(|(stack, samples)| (samples, ids(stack, frames))).collect();
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    ranked.truncate(STACKS_MAX);
    ranked
}

fn ids(stack: &[Frame], frames: &mut Frames) -> Vec<u32> {
    stack.iter().map(|frame| frames.with_place(frame)).collect()
}
