//! Runs whose accesses are known, and the sums they must come to.

use std::collections::BTreeMap;

use waytrace_model::access::{AccessKind, Block, Code, Footprint, Precise, Region, Source};
use waytrace_model::access_report::{LineAccesses, WorkingSet};
use waytrace_model::stack::Frame;

use super::*;

mod heat;
mod nodes;
mod oracle;
mod sharing;
mod tiers;
mod windows;

pub(super) const HEAP: u32 = 1;
pub(super) const STACK: u32 = 2;
pub(super) const HEAP_START: u64 = 0x10_0000;
pub(super) const STACK_START: u64 = 0x7000_0000;

pub(super) fn access(tid: u32, address: u64, kind: AccessKind) -> Access {
    Access {
        at_ns: 0,
        tid,
        cpu: None,
        address,
        width_bytes: Some(8),
        kind,
        code: None,
        region: Some(if address >= STACK_START { STACK } else { HEAP }),
        block: None,
        weight: 1,
        precise: None,
    }
}

pub(super) fn load(address: u64) -> Access {
    access(1, address, AccessKind::Load)
}

pub(super) fn store(address: u64) -> Access {
    access(1, address, AccessKind::Store)
}

/// An access at `offset` within a block of `site`.
pub(super) fn in_block(address: u64, size_bytes: u64, site: u32, offset: u64) -> Access {
    Access { block: Some(Block { address, size_bytes, site }), ..load(address + offset) }
}

pub(super) fn region(id: u32, name: &str, start: u64, bytes: u64) -> Region {
    Region { id, tgid: 1, name: name.to_owned(), start, end: start + bytes, ..Region::default() }
}

pub(super) fn frame(function: &str) -> Frame {
    Frame { function: Some(function.to_owned()), module: Some("app".to_owned()), ..Frame::default() }
}

pub(super) fn site(id: u32, tid: u32, caller: &str, live_bytes: u64) -> Site {
    Site { id, tid, live_bytes: Some(live_bytes), frames: vec![frame(caller)], ..Site::default() }
}

/// A heap of 1 MiB and a stack of 64 KiB.
pub(super) fn totals() -> AccessTotals {
    AccessTotals {
        source: Source::ForwardWalk,
        rate_hz: Some(300.0),
        samples: 12,
        kernel_samples: 3,
        resolved: 10,
        unresolved: BTreeMap::from([("syscall".to_owned(), 2)]),
        checked: 0,
        confirmed: 0,
        throttled: 0,
        regions: vec![
            region(HEAP, "[heap]", HEAP_START, 1 << 20),
            region(STACK, "[stack]", STACK_START, 1 << 16),
        ],
        code: Vec::new(),
        footprints: Vec::new(),
        null_reason: None,
    }
}

pub(super) fn report(accesses: &[Access], totals: &AccessTotals, sites: &[Site]) -> AccessReport {
    let mut summary = Summary::default();
    accesses.iter().for_each(|access| summary.add(access));
    summary.finish(totals, sites, &[])
}

#[test]
fn totals_pass_through_and_ratios_need_something_to_divide() {
    let none = report(&[], &totals(), &[]);
    assert_eq!((none.samples, none.kernel_samples, none.resolved), (12, 3, 10));
    assert_eq!((none.unresolved["syscall"], none.confirmed_ratio), (2, None));
    assert!(none.bias.contains("CPU time"), "{}", none.bias);
    assert_eq!((none.loads, none.working_set), (0, WorkingSet::default()));
    let checked = AccessTotals { checked: 8, confirmed: 6, ..totals() };
    assert_eq!(report(&[], &checked, &[]).confirmed_ratio, Some(0.75));
}

/// Two pages and four lines: the third sample straddles lines, the fourth pages; the last repeats the first.
#[test]
fn pages_and_lines_count_once_and_straddling_counts_both() {
    let accesses = [
        store(HEAP_START),
        load(HEAP_START + 56),
        load(HEAP_START + 60),
        load(HEAP_START + 4092),
        load(HEAP_START + 1),
    ];
    let heap = report(&accesses, &totals(), &[]);
    assert_eq!(heap.working_set, WorkingSet { pages: 2, lines: 4 });
    assert_eq!((heap.regions[0].working_set, heap.regions[0].name.as_str()), (heap.working_set, "[heap]"));
    assert_eq!(heap.regions[1].working_set, WorkingSet::default());
    assert_eq!((heap.loads, heap.stores), (4, 1));
}

#[test]
fn unknown_widths_and_the_end_of_memory_are_survived() {
    let last = Access { width_bytes: Some(u16::MAX), region: None, ..load(u64::MAX - 63) };
    let narrow = Access { width_bytes: None, region: Some(77), ..load(0) };
    let none = Access { width_bytes: Some(0), region: None, weight: u64::MAX, ..store(0) };
    let more = Access { weight: u64::MAX, ..store(0) };
    let found = report(&[last, narrow, none, more], &totals(), &[]);
    assert_eq!(found.working_set, WorkingSet { pages: 2, lines: 2 });
    assert_eq!((found.loads, found.stores), (2, u64::MAX));
    let wide = Access { width_bytes: Some(u16::MAX), ..load(HEAP_START) };
    assert_eq!(report(&[wide], &totals(), &[]).working_set, WorkingSet { pages: 16, lines: 1024 });
}

/// The same address in two processes is two lines.
#[test]
fn processes_do_not_share_addresses() {
    let mut totals = totals();
    totals.regions[1] = Region { tgid: 2, ..region(STACK, "[heap]", HEAP_START, 1 << 20) };
    let of_child = Access { region: Some(STACK), ..load(HEAP_START) };
    let found = report(&[load(HEAP_START), of_child.clone()], &totals, &[]);
    assert_eq!(found.working_set, WorkingSet { pages: 2, lines: 2 });
    totals.regions[1].tgid = 1;
    let same = report(&[load(HEAP_START), of_child], &totals, &[]);
    assert_eq!(same.working_set, WorkingSet { pages: 1, lines: 1 });
    assert_eq!(same.regions.iter().map(|region| region.working_set.lines).sum::<u64>(), 2);
}

#[test]
fn regions_are_sorted_by_weight_and_latency_is_the_weighted_mean_of_loads() {
    let precise = |kind, latency_cycles, weight| Access {
        weight,
        precise: Some(Precise { latency_cycles, ..Precise::default() }),
        ..access(1, STACK_START, kind)
    };
    let accesses = [
        store(HEAP_START),
        load(HEAP_START),
        precise(AccessKind::Load, Some(10), 3),
        precise(AccessKind::Load, Some(50), 1),
        precise(AccessKind::Load, None, 100),
        precise(AccessKind::Store, Some(900), 1),
    ];
    let found = report(&accesses, &totals(), &[]);
    let names: Vec<_> = found.regions.iter().map(|r| (r.name.as_str(), r.loads, r.stores)).collect();
    assert_eq!(names, [("[stack]", 104, 1), ("[heap]", 1, 1)]);
    assert_eq!(found.regions[0].latency_cycles, Some(20.0));
    assert_eq!(found.regions[1].latency_cycles, None);
}

#[test]
fn functions_join_their_instructions_and_keep_their_lines_apart() {
    let at = |function: &str, offset, line| Frame {
        offset,
        file: Some("a.c".to_owned()),
        line: Some(line),
        ..frame(function)
    };
    let inlined = Frame { inlined: true, ..at("inner", 4, 30) };
    let mut totals = totals();
    totals.code = vec![
        Code { id: 1, frames: vec![at("f", 0, 10)] },
        Code { id: 2, frames: vec![at("f", 4, 11)] },
        Code { id: 3, frames: vec![at("f", 8, 11)] },
        Code { id: 4, frames: vec![inlined, at("f", 12, 12)] },
        Code {
            id: 5,
            frames: vec![Frame { module: Some("libx.so".to_owned()), offset: 77, ..Frame::default() }],
        },
        Code { id: 6, frames: Vec::new() },
        Code { id: 7, frames: vec![at("never", 0, 1)] },
    ];
    let by = |code, access: Access| Access { code: Some(code), ..access };
    let accesses = [
        by(1, load(HEAP_START)),
        by(2, store(HEAP_START)),
        by(3, load(HEAP_START)),
        by(4, load(HEAP_START)),
        by(4, load(HEAP_START)),
        by(5, store(HEAP_START)),
        by(6, load(HEAP_START)),
        by(99, load(HEAP_START)),
    ];
    let found = report(&accesses, &totals, &[]).functions;
    let shown: Vec<_> = found
        .iter()
        .map(|f| (f.frames.iter().map(Frame::label).collect::<Vec<_>>().join(" < "), f.loads, f.stores))
        .collect();
    let expected = [("f", 2, 1), ("inner < f", 2, 0), ("libx.so+0x0", 0, 1)];
    assert_eq!(shown, expected.map(|(name, loads, stores)| (name.to_owned(), loads, stores)));
    let line = |line, loads, stores| LineAccesses { file: "a.c".to_owned(), line, loads, stores };
    assert_eq!(found[0].lines, [line(11, 1, 1), line(10, 1, 0)]);
    assert_eq!(found[1].lines, [line(30, 2, 0)]);
    assert!(found[2].lines.is_empty());
    assert!(found[1].frames[0].inlined && !found[1].frames[1].inlined);
    assert!(found[0].frames[0].line.is_none() && found[0].frames[0].file.is_none());
}

/// Three callers: `hot` of two threads with 1,000 live bytes and six accesses, `cool` with 3,000 and two, `never` with
/// 4,000 and none; `gone` has accesses and nothing live.
#[test]
fn sites_join_over_threads_and_cold_ones_are_listed() {
    let sites =
        [site(7, 1, "hot", 400), site(3, 2, "hot", 600), site(9, 1, "cool", 3000), site(4, 1, "never", 4000)];
    let sites = [sites.as_slice(), &[site(5, 1, "gone", 0), site(6, 1, "idle", 0)]].concat();
    let (a, b, c) = (HEAP_START, HEAP_START + 0x1000, HEAP_START + 0x2000);
    let mut accesses: Vec<Access> = (0..4).map(|word| in_block(a, 64, 7, 8 * word)).collect();
    accesses.extend([0, 8].map(|offset| Access { kind: AccessKind::Store, ..in_block(b, 100, 3, offset) }));
    // The same address given out again is another block.
    accesses.extend([
        in_block(c, 32, 9, 0),
        in_block(c, 48, 9, 8),
        in_block(c, 16, 5, 0),
        in_block(c, 16, 999, 0),
    ]);
    let mut totals = totals();
    totals.footprints = vec![
        Footprint { site: 7, blocks: 2, live_bytes: 400, untouched_bytes: 100 },
        Footprint { site: 4, blocks: 1, live_bytes: 4000, untouched_bytes: 4000 },
    ];
    let found = report(&accesses, &totals, &sites).sites;
    let shown: Vec<_> = found
        .iter()
        .map(|s| (s.frames[0].label(), s.loads, s.stores, s.blocks_seen, s.seen_bytes, s.live_bytes))
        .collect();
    let expected = [
        ("hot", 4, 2, 2, 164, Some(1000)),
        ("cool", 2, 0, 2, 80, Some(3000)),
        ("gone", 1, 0, 1, 16, Some(0)),
        ("never", 0, 0, 0, 0, Some(4000)),
    ];
    assert_eq!(shown, expected.map(|(name, a, b, c, d, e)| (name.to_owned(), a, b, c, d, e)));
    let untouched: Vec<_> = found.iter().map(|site| site.untouched_bytes).collect();
    assert_eq!(untouched, [Some(100), None, None, Some(4000)]);
    // Of 8 accesses and 8,000 bytes.
    let heat: Vec<_> = found.iter().map(|site| site.heat).collect();
    assert_eq!(heat, [Some(6.0), Some(2.0 / 3.0), None, Some(0.0)]);
}

/// What was looked at when the run ended is known although nothing was seen to access it, and whether or not sites know
/// their live bytes themselves.
#[test]
fn footprints_alone_make_cold_sites() {
    let site = Site { live_bytes: None, ..site(1, 1, "f", 0) };
    let footprints = vec![Footprint { site: 1, blocks: 3, live_bytes: 300, untouched_bytes: 200 }];
    let found = report(&[load(HEAP_START)], &AccessTotals { footprints, ..totals() }, &[site]);
    let [cold] = found.sites.as_slice() else { panic!("one site: {:?}", found.sites) };
    assert_eq!((cold.live_bytes, cold.untouched_bytes, cold.heat), (Some(300), Some(200), None));
    assert!(found.tiers.iter().any(|step| step.name == "f" && step.bytes == 100), "{:?}", found.tiers);
}

/// Two callers that look alike, their sites given in any order.
#[test]
fn sites_alike_keep_one_order() {
    let at = |id, offset| Site { frames: vec![Frame { offset, ..frame("f") }], ..site(id, 1, "f", 64) };
    let sites = [at(5, 1), at(3, 2), at(0, 1)];
    let reversed: Vec<Site> = sites.iter().rev().cloned().collect();
    let offsets = |sites: &[Site]| -> Vec<u64> {
        let blocks = [in_block(HEAP_START, 64, 5, 0), in_block(HEAP_START, 64, 3, 0)];
        let sites = report(
            &blocks,
            &totals(),
            &sites.iter().map(|s| Site { live_bytes: None, ..s.clone() }).collect::<Vec<_>>(),
        );
        sites.sites.iter().map(|site| site.frames[0].offset).collect()
    };
    assert_eq!((offsets(&sites), offsets(&reversed)), (vec![1, 2], vec![1, 2]));
}

#[test]
fn where_no_block_is_known_no_site_is_called_cold() {
    let sites = [site(1, 1, "f", 4096)];
    let found = report(&[load(HEAP_START)], &totals(), &sites);
    assert!(found.sites.is_empty());
    assert!(found.tiers.iter().all(|step| step.start.is_some()));
}
