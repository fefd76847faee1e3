//! The heat map's samples as packed columns, small enough to mail and ready for typed arrays.

use std::collections::HashMap;

use serde::Serialize;
use waytrace_model::detail::RunDetail;

use super::frames::Frames;
use super::packed::Packed;
use super::sites::Sites;
use crate::heat::Heat as Picture;
use crate::text::plain;

/// Times in the page are microseconds: a byte less for each sample than nanoseconds, and finer than any screen.
const TIME_UNIT_NS: u64 = 1000;

/// What the heat map is drawn from.
#[derive(Serialize)]
pub struct Heat {
    from_ns: u64,
    to_ns: u64,
    /// No cell is narrower or lower than these.
    unit_ns: u64,
    block_bytes: u64,
    /// Samples in the columns, and how many were in view.
    shown: usize,
    count: u64,
    /// Height of everything, and the longest gap kept.
    height: u64,
    gap_bytes: u64,
    /// Stretches: process, first byte in hexadecimal, bytes, height of a byte.
    stretches: Vec<(u32, String, u64, u64)>,
    /// Mappings: label, full name, heights, bytes in huge pages, node.
    regions: Vec<(String, String, u64, u64, u64, Option<u32>)>,
    /// Microseconds after the sample before.
    at: Packed,
    /// Rank of the instruction × 2, plus 1 for a store.
    what: Packed,
    /// Height, as the signed distance from the sample before by the same instruction.
    place: Packed,
    /// Rank of the thread; of the block's site plus 1. Absent where there is but one.
    tid: Option<Packed>,
    site: Option<Packed>,
    /// Events a sample stands for; absent where each stands for one.
    weight: Option<Packed>,
    /// Frame of each instruction by rank; a last one for those that are not known.
    code: Vec<u32>,
    /// Name of each thread by rank.
    threads: Vec<String>,
    /// Row of the site table of each site by rank.
    sites: Vec<Option<usize>>,
    /// Traced blocks: which rectangle of the traced allocations, height, bytes.
    blocks: Vec<(usize, u64, u64)>,
}

impl Heat {
    /// The columns of `picture`; `None` where there is none.
    pub fn of(
        picture: Option<&Picture>,
        detail: &RunDetail,
        view: &crate::View,
        sites: &Sites,
        frames: &mut Frames,
    ) -> Option<Self> {
        let picture = picture?;
        let list = &picture.points.list;
        let code = Ranks::of(list.iter().map(|point| point.code));
        let threads = Ranks::of(list.iter().map(|point| Some(point.tid)));
        let by_site = Ranks::of(list.iter().map(|point| point.site));
        let mut columns = Columns::default();
        let mut last_us = 0;
        let mut last_place: HashMap<usize, u64> = HashMap::new();
        let mut shown = 0;
        for point in list {
            let Some(place) = picture.space.place(point.process, point.address) else { continue };
            let (now_us, rank) = (point.at_ns / TIME_UNIT_NS, code.rank(point.code));
            columns.at.push(now_us - last_us);
            last_us = now_us;
            columns.what.push(rank as u64 * 2 + u64::from(point.is_store));
            // Heights are below 2^52.
            columns.place.push_signed(place as i64 - last_place.insert(rank, place).unwrap_or(0) as i64);
            columns.tid.push(threads.rank(Some(point.tid)) as u64);
            columns.site.push(point.site.map_or(0, |site| by_site.rank(Some(site)) as u64 + 1));
            columns.weight.push(point.weight);
            shown += 1;
        }
        let weighted = list.iter().any(|point| point.weight != 1);
        Some(Self {
            from_ns: picture.from_ns,
            to_ns: picture.to_ns,
            unit_ns: view.time_unit_ns.max(TIME_UNIT_NS),
            block_bytes: 1 << view.block_bits.min(40),
            shown,
            count: picture.points.count,
            height: picture.space.height,
            gap_bytes: picture.space.gap_bytes,
            stretches: stretches(picture),
            regions: regions(picture),
            at: columns.at,
            what: columns.what,
            place: columns.place,
            tid: (threads.order.len() > 1).then_some(columns.tid),
            site: (!by_site.order.is_empty()).then_some(columns.site),
            weight: weighted.then_some(columns.weight),
            code: code_frames(&code, detail, frames),
            threads: thread_names(&threads, detail),
            sites: by_site.order.iter().map(|site| sites.row(*site)).collect(),
            blocks: picture
                .blocks
                .iter()
                .map(|block| (block.index, block.from, block.to - block.from))
                .collect(),
        })
    }
}

#[derive(Default)]
struct Columns {
    at: Packed,
    what: Packed,
    place: Packed,
    tid: Packed,
    site: Packed,
    weight: Packed,
}

/// Keys numbered by how often they occur: the most frequent have the shortest numbers.
struct Ranks {
    order: Vec<u32>,
    by_key: HashMap<u32, usize>,
}

impl Ranks {
    fn of(keys: impl Iterator<Item = Option<u32>>) -> Self {
        let mut counts: HashMap<u32, u64> = HashMap::new();
        keys.flatten().for_each(|key| *counts.entry(key).or_default() += 1);
        let mut order: Vec<u32> = counts.keys().copied().collect();
        order.sort_by_key(|key| (std::cmp::Reverse(counts.get(key).copied()), *key));
        let by_key = order.iter().enumerate().map(|(rank, key)| (*key, rank)).collect();
        Self { order, by_key }
    }

    /// What is not known comes after all that is.
    fn rank(&self, key: Option<u32>) -> usize {
        key.and_then(|key| self.by_key.get(&key).copied()).unwrap_or(self.order.len())
    }
}

fn stretches(picture: &Picture) -> Vec<(u32, String, u64, u64)> {
    let of =
        |own: &crate::heat::space::Stretch| (own.process, format!("{:x}", own.start), own.length, own.scale);
    picture.space.stretches.iter().map(of).collect()
}

fn regions(picture: &Picture) -> Vec<(String, String, u64, u64, u64, Option<u32>)> {
    let of = |own: &crate::heat::RegionSpan| {
        (own.label.clone(), own.name.clone(), own.from, own.to, own.huge_bytes, own.node)
    };
    picture.regions.iter().map(of).collect()
}

fn code_frames(code: &Ranks, detail: &RunDetail, frames: &mut Frames) -> Vec<u32> {
    let by_id: HashMap<u32, _> = detail.code.iter().map(|own| (own.id, &own.frames)).collect();
    let unknown = frames.stand_in("instruction not known");
    let of = |id: &u32| by_id.get(id).and_then(|own| own.first()).map(|frame| frames.with_place(frame));
    let mut list: Vec<u32> = code.order.iter().map(of).map(|frame| frame.unwrap_or(unknown)).collect();
    list.push(unknown);
    list
}

fn thread_names(threads: &Ranks, detail: &RunDetail) -> Vec<String> {
    let names: HashMap<u32, &str> =
        detail.report.target.threads.iter().map(|thread| (thread.tid, thread.comm.as_str())).collect();
    let of = |tid: &u32| format!("{} {tid}", plain(names.get(tid).copied().unwrap_or_default()));
    threads.order.iter().map(of).map(|name| name.trim_start().to_owned()).collect()
}
