//! Which calls an allocator's samples came from: by their stacks.
//!
//! Equal stacks of a thread are summed up. Where a block is live its place in the kernel part's table leads to the stack it
//! came from; a place is used again, and what comes last counts, for the samples come in the order they were taken.

use std::collections::HashMap;

use waytrace_abi::allocation::WAYS;
use waytrace_abi::sample::Head;
use waytrace_model::allocation::Site;

use super::Concluded;
use super::depth::caller_depth;
use crate::names::Names;
use crate::stacks::Stacks;

/// Distinct stacks kept; what further ones stand for is divided among these.
const MAX_STACKS: usize = 100_000;
/// Places whose block's stack is known, at most: as many as the largest table has.
const MAX_PLACES: u32 = WAYS << 23;

/// Stacks of samples, with what each stands for.
#[derive(Debug, Default)]
pub struct Callers {
    places_of: HashMap<(u32, u32, Vec<u64>), usize>,
    sums: Vec<Sum>,
    blocks: HashMap<u32, Block>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    samples: u64,
    count: f64,
    bytes: f64,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    stack: usize,
    bytes: f64,
    count: f64,
}

impl Callers {
    /// Adds a sample.
    pub fn add(&mut self, head: &Head, addresses: Vec<u64>) {
        let bytes = head.weighted_bytes as f64;
        let count = bytes / head.size_bytes.max(1) as f64;
        let room = self.sums.len() < MAX_STACKS;
        let key = (head.tgid, head.tid, addresses);
        let stack = match self.places_of.get(&key) {
            Some(&stack) => stack,
            None if room => {
                self.sums.push(Sum::default());
                self.places_of.insert(key, self.sums.len() - 1);
                self.sums.len() - 1
            }
            None => {
                self.blocks.remove(&head.site);
                return;
            }
        };
        if let Some(sum) = self.sums.get_mut(stack) {
            sum.samples += 1;
            sum.count += count;
            sum.bytes += bytes;
        }
        if head.site < MAX_PLACES {
            self.blocks.insert(head.site, Block { stack, bytes, count });
        }
    }

    /// All addresses, by process.
    pub fn addresses(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.places_of
            .keys()
            .flat_map(|(tgid, _, addresses)| addresses.iter().map(|&address| (*tgid, address)))
    }
}

/// Bytes and blocks of a caller.
#[derive(Debug, Default)]
struct Caller {
    sum: Sum,
    live_count: f64,
    live_bytes: f64,
    stacks: HashMap<Vec<u64>, u64>,
}

/// The sites of samples: totals per thread and caller, which is the first frame that is no allocator's. The stacks
/// themselves go to `stacks`, under their site. What no stack was taken of is divided among the sites in proportion.
pub fn sites(stacks: &mut Stacks, names: &Names, concluded: &Concluded) -> Vec<Site> {
    let callers = std::mem::take(&mut stacks.callers);
    let mut live = vec![(0.0, 0.0); callers.sums.len()];
    for block in concluded.places.iter().filter_map(|place| callers.blocks.get(place)) {
        if let Some(live) = live.get_mut(block.stack) {
            *live = (live.0 + block.count, live.1 + block.bytes);
        }
    }
    let mut found: HashMap<(u32, u32, u64), Caller> = HashMap::new();
    for ((tgid, tid, mut addresses), stack) in callers.places_of {
        let frames: Vec<_> = addresses.iter().map(|&address| names.frames(tgid, address)).collect();
        let outer = addresses.split_off(caller_depth(&frames).min(addresses.len().saturating_sub(1)));
        let caller = found.entry((tgid, tid, outer.first().copied().unwrap_or(0))).or_default();
        let sum = callers.sums.get(stack).copied().unwrap_or_default();
        let (live_count, live_bytes) = live.get(stack).copied().unwrap_or_default();
        caller.sum.samples += sum.samples;
        caller.sum.count += sum.count;
        caller.sum.bytes += sum.bytes;
        caller.live_count += live_count;
        caller.live_bytes += live_bytes;
        *caller.stacks.entry(outer).or_default() += sum.samples;
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_unstable_by(|(a, x), (b, y)| y.sum.bytes.total_cmp(&x.sum.bytes).then_with(|| a.cmp(b)));
    let total = |of: fn(&Caller) -> f64| found.iter().map(|(_, caller)| of(caller)).sum::<f64>();
    let totals = &concluded.totals;
    let factor = |known: f64, all: Option<f64>| all.filter(|_| known > 0.0).map_or(1.0, |all| all / known);
    let count_factor = factor(total(|caller| caller.sum.count), totals.alloc_count);
    let bytes_factor = factor(total(|caller| caller.sum.bytes), totals.alloc_bytes);
    let live_factor = factor(total(|caller| caller.live_bytes), totals.live_bytes.map(|live| live as f64));
    let mut sites: Vec<Site> = (1..)
        .zip(found)
        .map(|(id, ((tgid, tid, address), caller))| {
            stacks.tgids.insert(id, tgid);
            stacks.counts.extend(caller.stacks.into_iter().map(|(stack, samples)| ((id, stack), samples)));
            let known = totals.live_bytes.is_some();
            let alloc_bytes = caller.sum.bytes * bytes_factor;
            let alloc_count = caller.sum.count * count_factor;
            let live_bytes = (caller.live_bytes * live_factor).min(alloc_bytes);
            let live_count = (caller.live_count * live_factor).min(alloc_count);
            Site {
                id,
                tid,
                alloc_count,
                alloc_bytes,
                free_count: known.then(|| (alloc_count - live_count).round() as u64),
                freed_bytes: known.then(|| (alloc_bytes - live_bytes).round() as u64),
                live_bytes: known.then(|| live_bytes.round() as u64),
                frames: names.frames(tgid, address),
                ..Site::default()
            }
        })
        .collect();
    let mut sampled = names.stacks_of(stacks);
    for site in &mut sites {
        site.stacks = sampled.remove(&site.id).unwrap_or_default();
    }
    sites
}

#[cfg(test)]
mod tests {
    use waytrace_model::allocation::AllocationTotals;

    use super::*;
    use crate::kernel::SampleSums;

    fn sample(place: u32, weighted_bytes: u64) -> Head {
        Head { site: place, tgid: 7, tid: 8, size_bytes: 100, weighted_bytes, ..Head::default() }
    }

    #[test]
    fn equal_stacks_add_up_and_places_lead_to_the_latest() {
        let mut stacks = Stacks::default();
        stacks.callers.add(&sample(0, 1_000), vec![0x10, 0x30]);
        stacks.callers.add(&sample(1, 1_000), vec![0x10, 0x40]);
        // The first block's place is taken by one of another caller; a third block was not kept.
        stacks.callers.add(&sample(0, 4_000), vec![0x20, 0x30]);
        stacks.callers.add(&sample(u32::MAX, 500), vec![0x20, 0x30]);
        let totals = AllocationTotals {
            alloc_count: Some(130.0),
            alloc_bytes: Some(13_000.0),
            live_bytes: Some(5_000),
            ..AllocationTotals::default()
        };
        let concluded = Concluded { totals, sums: SampleSums::default(), cost_ns: 0.0, places: vec![0, 1] };
        let sites = sites(&mut stacks, &Names::default(), &concluded);
        // Of 13,000 bytes 6,500 had stacks: each stands for twice as much.
        let told: Vec<_> =
            sites.iter().map(|site| (site.alloc_bytes, site.alloc_count, site.live_bytes)).collect();
        assert_eq!(told, [(9_000.0, 90.0, Some(4_000)), (4_000.0, 40.0, Some(1_000))]);
        let samples: Vec<Vec<u64>> =
            sites.iter().map(|site| site.stacks.iter().map(|stack| stack.samples_count).collect()).collect();
        assert_eq!(samples, [vec![2], vec![1, 1]]);
        assert_eq!((sites[0].tid, sites[0].frames[0].offset), (8, 0x20));
    }
}
