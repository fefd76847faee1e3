//! Accesses by the site that allocated what they lie in: hot, cold and never touched.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use waytrace_model::access::{Access, Block, Footprint};
use waytrace_model::access_report::SiteAccesses;
use waytrace_model::allocation::Site;
use waytrace_model::stack::Frame;

use super::lines::{LINE_BYTES, Place};
use super::sums::Sums;
use super::table::{Table, TableSet};

/// Accesses to known blocks.
#[derive(Debug, Default)]
pub(super) struct Sites {
    /// By site and mapping.
    sums: Table<(u32, Option<u32>), Sums>,
    /// Distinct blocks with their mapping: an address is given out again and again.
    blocks: TableSet<(Option<u32>, Block)>,
}

/// The sites of all threads with the same caller.
#[derive(Debug, Default)]
pub(super) struct Merged<'s> {
    /// The lowest key of its sites, which orders them.
    id: u32,
    pub(super) frames: &'s [Frame],
    /// By mapping, in a fixed order.
    pub(super) sums: BTreeMap<Option<u32>, Sums>,
    /// Bytes of the blocks seen, by mapping.
    pub(super) seen_bytes: BTreeMap<Option<u32>, u64>,
    blocks_seen: u64,
    pub(super) live_bytes: Option<u64>,
    pub(super) untouched_bytes: Option<u64>,
}

impl Sites {
    pub(super) fn add(&mut self, access: &Access) {
        let Some(block) = access.block else { return };
        self.sums.entry((block.site, access.region)).or_default().add(access);
        self.blocks.insert((access.region, block));
    }

    /// The sites that have accesses or live bytes, by key; none where blocks were not looked for.
    pub(super) fn merged<'s>(&self, sites: &'s [Site], footprints: &[Footprint]) -> Vec<Merged<'s>> {
        if self.blocks.is_empty() && footprints.is_empty() {
            return Vec::new();
        }
        let by_id: HashMap<u32, &[Frame]> =
            sites.iter().map(|site| (site.id, site.frames.as_slice())).collect();
        let footprints: HashMap<u32, &Footprint> = footprints.iter().map(|one| (one.site, one)).collect();
        let mut merged: HashMap<&[Frame], Merged<'s>> = HashMap::new();
        for site in sites {
            let new = || Merged { id: site.id, frames: &site.frames, ..Merged::default() };
            let merge = merged.entry(&site.frames).or_insert_with(new);
            merge.id = merge.id.min(site.id);
            let footprint = footprints.get(&site.id);
            let live_bytes = site.live_bytes.or(footprint.map(|one| one.live_bytes));
            add_known(&mut merge.live_bytes, live_bytes);
            add_known(&mut merge.untouched_bytes, footprint.map(|one| one.untouched_bytes));
        }
        for ((site, region), sums) in &self.sums {
            if let Some(merge) = by_id.get(site).and_then(|frames| merged.get_mut(frames)) {
                merge.sums.entry(*region).or_default().merge(*sums);
            }
        }
        for (region, block) in &self.blocks {
            if let Some(merge) = by_id.get(&block.site).and_then(|frames| merged.get_mut(frames)) {
                merge.blocks_seen += 1;
                let bytes = merge.seen_bytes.entry(*region).or_default();
                *bytes = bytes.saturating_add(block.size_bytes);
            }
        }
        let says_something =
            |site: &Merged<'_>| site.blocks_seen > 0 || site.live_bytes.is_some_and(|b| b > 0);
        let mut merged: Vec<Merged<'s>> = merged.into_values().filter(says_something).collect();
        merged.sort_by_key(|site| site.id);
        merged
    }

    /// The site of a block that reaches into each of `lines`; of several, that of the lowest block.
    pub(super) fn allocators_of(&self, lines: &[Place]) -> HashMap<Place, u32> {
        let mut sorted = lines.to_vec();
        sorted.sort_unstable();
        let mut found: HashMap<Place, (u64, u64, u32)> = HashMap::new();
        for (region, block) in &self.blocks {
            let last = block.address.saturating_add(block.size_bytes.saturating_sub(1));
            let lines = block.address / LINE_BYTES..=last / LINE_BYTES;
            let from = sorted.partition_point(|place| *place < (*region, *lines.start()));
            let within = |place: &&Place| place.0 == *region && lines.contains(&place.1);
            for place in sorted.get(from..).unwrap_or_default().iter().take_while(within) {
                let this = (block.address, block.size_bytes, block.site);
                found.entry(*place).and_modify(|lowest| *lowest = this.min(*lowest)).or_insert(this);
            }
        }
        found.into_iter().map(|(place, (_, _, site))| (place, site)).collect()
    }
}

impl Merged<'_> {
    /// Accesses in all mappings.
    pub(super) fn total(&self) -> Sums {
        self.sums.values().fold(Sums::default(), |mut all, sums| {
            all.merge(*sums);
            all
        })
    }
}

/// Most accessed first, then the larger.
pub(super) fn report(merged: &[Merged<'_>]) -> Vec<SiteAccesses> {
    let live = |site: &&Merged<'_>| site.live_bytes.is_some_and(|bytes| bytes > 0);
    let accesses: f64 = merged.iter().filter(live).map(|site| site.total().total() as f64).sum();
    let bytes: f64 = merged.iter().filter_map(|site| site.live_bytes).map(|bytes| bytes as f64).sum();
    let mut reports: Vec<SiteAccesses> = merged
        .iter()
        .map(|site| {
            let sums = site.total();
            let heat = |live: u64| sums.total() as f64 / accesses * (bytes / live as f64);
            SiteAccesses {
                frames: site.frames.to_vec(),
                loads: sums.loads,
                stores: sums.stores,
                blocks_seen: site.blocks_seen,
                seen_bytes: site.seen_bytes.values().fold(0, |sum, bytes| sum.saturating_add(*bytes)),
                live_bytes: site.live_bytes,
                untouched_bytes: site.untouched_bytes,
                heat: site.live_bytes.filter(|live| *live > 0 && accesses > 0.0).map(heat),
            }
        })
        .collect();
    reports.sort_by_cached_key(|site| {
        let labels: Vec<String> = site.frames.iter().map(Frame::label).collect();
        (Reverse(site.loads.saturating_add(site.stores)), Reverse(site.live_bytes), labels)
    });
    reports
}

fn add_known(sum: &mut Option<u64>, value: Option<u64>) {
    if let Some(value) = value {
        *sum = Some(sum.unwrap_or(0).saturating_add(value));
    }
}
