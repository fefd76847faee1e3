//! The heat map's samples as packed columns, small enough to mail and ready for typed arrays.

use std::collections::HashMap;

use serde::Serialize;
use waytrace_model::detail::RunDetail;

use super::frames::Frames;
use super::packed::Packed;
use super::sites::Sites;
use crate::heat::Heat as Picture;
use crate::heat::points::Point;
use crate::text::plain;

/// Times in the page are microseconds: a byte less for each sample than nanoseconds, and finer than any screen.
const TIME_UNIT_NS: u64 = 1000;

/// What the heat map is drawn from.
#[derive(Serialize)]
pub struct Heat {
    from_ns: u64,
    to_ns: u64,
    /// Somebody asked for a part of the time.
    is_cut: bool,
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
    /// Rank of who made it × 2, plus 1 for a store.
    what: Packed,
    /// Height, as the signed distance from the sample before by the same instruction.
    place: Packed,
    /// Events a sample stands for; absent where each stands for one.
    weight: Option<Packed>,
    /// Who made samples, most frequent first: positions in `code` and `threads`, and in `sites` plus 1.
    makers: [Vec<usize>; 3],
    /// Frame of each instruction; a last one for those that are not known.
    code: Vec<u32>,
    /// Name of each thread.
    threads: Vec<String>,
    /// Row of the site table of each site.
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
        let code = Ranks::of(list.iter().filter_map(|point| point.code));
        let threads = Ranks::of(list.iter().map(|point| point.tid));
        let by_site = Ranks::of(list.iter().filter_map(|point| point.site));
        let makers = Ranks::of(list.iter().map(maker));
        let mut columns = Columns::default();
        let mut last_us = 0;
        let mut last_place: HashMap<Option<u32>, u64> = HashMap::new();
        let mut shown = 0;
        for point in list {
            let Some(place) = picture.space.place(point.process, point.address) else { continue };
            let now_us = point.at_ns / TIME_UNIT_NS;
            columns.at.push(now_us - last_us);
            last_us = now_us;
            columns.what.push(makers.rank(maker(point)) as u64 * 2 + u64::from(point.is_store));
            // Heights are below 2^52.
            let last = last_place.insert(point.code, place).unwrap_or(0);
            columns.place.push_signed(place as i64 - last as i64);
            columns.weight.push(point.weight);
            shown += 1;
        }
        let weighted = list.iter().any(|point| point.weight != 1);
        Some(Self {
            from_ns: picture.from_ns,
            to_ns: picture.to_ns,
            is_cut: view.time_min_ns > 0 || view.time_max_ns.is_some(),
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
            weight: weighted.then_some(columns.weight),
            makers: [
                makers
                    .order
                    .iter()
                    .map(|(own, ..)| own.map_or(code.order.len(), |own| code.rank(own)))
                    .collect(),
                makers.order.iter().map(|(_, tid, _)| threads.rank(*tid)).collect(),
                makers.order.iter().map(|(.., own)| own.map_or(0, |own| by_site.rank(own) + 1)).collect(),
            ],
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
    weight: Packed,
}

/// Who made a sample: instruction, thread, site of the block.
type Maker = (Option<u32>, u32, Option<u32>);

fn maker(point: &Point) -> Maker {
    (point.code, point.tid, point.site)
}

/// Keys numbered by how often they occur: the most frequent have the shortest numbers.
struct Ranks<K> {
    order: Vec<K>,
    by_key: HashMap<K, usize>,
}

impl<K: Copy + Eq + Ord + std::hash::Hash> Ranks<K> {
    fn of(keys: impl Iterator<Item = K>) -> Self {
        let mut counts: HashMap<K, u64> = HashMap::new();
        keys.for_each(|key| *counts.entry(key).or_default() += 1);
        let mut order: Vec<K> = counts.keys().copied().collect();
        order.sort_by_key(|key| (std::cmp::Reverse(counts.get(key).copied()), *key));
        let by_key = order.iter().enumerate().map(|(rank, key)| (*key, rank)).collect();
        Self { order, by_key }
    }

    /// What is not known comes after all that is.
    fn rank(&self, key: K) -> usize {
        self.by_key.get(&key).copied().unwrap_or(self.order.len())
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

fn code_frames(code: &Ranks<u32>, detail: &RunDetail, frames: &mut Frames) -> Vec<u32> {
    let by_id: HashMap<u32, _> = detail.code.iter().map(|own| (own.id, &own.frames)).collect();
    let unknown = frames.stand_in("instruction not known");
    let of = |id: &u32| by_id.get(id).and_then(|own| own.first()).map(|frame| frames.with_place(frame));
    let mut list: Vec<u32> = code.order.iter().map(of).map(|frame| frame.unwrap_or(unknown)).collect();
    list.push(unknown);
    list
}

fn thread_names(threads: &Ranks<u32>, detail: &RunDetail) -> Vec<String> {
    let names: HashMap<u32, &str> =
        detail.report.target.threads.iter().map(|thread| (thread.tid, thread.comm.as_str())).collect();
    let of = |tid: &u32| format!("{} {tid}", plain(names.get(tid).copied().unwrap_or_default()));
    threads.order.iter().map(of).map(|name| name.trim_start().to_owned()).collect()
}
