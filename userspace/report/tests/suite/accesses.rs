//! Hand-made sampled accesses: a table looked up at random, a buffer written from end to end, blocks, stacks, huge pages.
//! Deterministic, and the report is made of sums that can be taken again.

use std::collections::BTreeMap;
use std::convert::Infallible;

use waytrace_model::access::{Access, AccessKind, Block, Code, Precise, Region, Source};
use waytrace_model::access_report::{
    AccessReport, FunctionAccesses, Kept, LineAccesses, RegionReport, SharedLine, SharedWord, SiteAccesses,
    TierStep, WorkingSet,
};
use waytrace_model::detail::RunDetail;
use waytrace_model::stack::Frame;

use crate::fixture::{HOSTILE, Noise, SITE_IDS, TGID, frame};

/// Samples of [`with_accesses`] whose access is known; as many again divided by 25 are unresolved.
pub const COUNT: u64 = 12_000;
const HEAP: u64 = 0x5581_4000_0000;
const BUFFER: u64 = 0x7f39_0000_0000;
const HUGE: u64 = 0x7f00_0000_0000;
const BLOCKS: u64 = 0x7f3a_0000_0000;
const STACK: u64 = 0x7ffd_1000_0000;
const DATA: u64 = 0x5581_3000_0000;
const LIBC: u64 = 0x7f3c_0000_0000;

/// Name, start, length, bytes in huge pages; a region's id is ten times its position.
const REGIONS: [(&str, u64, u64, u64); 7] = [
    ("[heap]", HEAP, 24 << 20, 0),
    ("[anon]", BUFFER, 8 << 20, 0),
    ("[anon]", BLOCKS, 0x5000_0000, 0),
    ("[stack]", STACK - (132 << 10), 132 << 10, 0),
    ("/usr/bin/redis-server", DATA, 2 << 20, 0),
    ("/usr/lib/x86_64-linux-gnu/libc.so.6", LIBC, 1 << 20, 0),
    ("[anon]", HUGE, 64 << 20, 48 << 20),
];

/// Function, file, line; a code's id is its position plus 100.
const CODE: [(&str, &str, &str, u32); 6] = [
    ("dictFind", "redis-server", "dict.c", 512),
    ("__memmove_avx_unaligned_erms", "libc.so.6", "", 0),
    ("sdscatlen", "redis-server", "sds.c", 460),
    ("call", "redis-server", "server.c", 3374),
    ("siphash", "redis-server", "siphash.c", 148),
    ("bioProcessBackgroundJobs", "redis-server", "bio.c", 230),
];

fn kind(is_store: bool) -> AccessKind {
    if is_store { AccessKind::Store } else { AccessKind::Load }
}

/// `count` accesses over `end_ns`, oldest first but for a few.
pub fn samples(count: u64, end_ns: u64) -> impl Iterator<Item = Result<Access, Infallible>> {
    let mut noise = Noise(23);
    (0..count).map(move |i| Ok(sample(&mut noise, i, count, end_ns)))
}

/// The accesses of a run made by [`with_accesses`].
pub fn accesses(detail: &RunDetail) -> impl Iterator<Item = Result<Access, Infallible>> {
    let count = if detail.report.accesses.is_some() { COUNT } else { 0 };
    samples(count, detail.report.run.duration_ns)
}

fn sample(noise: &mut Noise, i: u64, count: u64, end_ns: u64) -> Access {
    let step = (end_ns / count).max(1);
    let at_ns = step * i + noise.below(step * 2);
    let which = noise.below(100);
    let (region, code, address, is_store) = match which {
        0..40 => {
            let reach = 1 + noise.below(12);
            (0, 0, HEAP + noise.below(reach << 20), noise.below(10) == 0)
        }
        40..60 => {
            let sweep = (at_ns % (end_ns / 3).max(1)) as u128 * (8 << 20) / u128::from((end_ns / 3).max(1));
            (1, 1, BUFFER + sweep as u64 + noise.below(4096), true)
        }
        60..75 => {
            let born = (at_ns * 600 / end_ns.max(1)).saturating_sub(noise.below(12));
            let address = BLOCKS + (born % 40) * 0x4_0000 + (born % 3) * 0x2000_0000 + noise.below(4096);
            (2, 2, address, noise.below(2) == 0)
        }
        75..90 => (3, 3, STACK - 8 * (1 + noise.below(1500)), noise.below(5) < 2),
        90..95 => (4, 4, DATA + noise.below(64 << 10), false),
        95..97 => (5, 1, LIBC + noise.below(8 << 10), false),
        _ => (6, 5, HUGE + noise.below(1 + at_ns * (64 << 20) / end_ns.max(1)), true),
    };
    let born = address.wrapping_sub(BLOCKS) % 0x2000_0000 / 0x4_0000;
    let block = (region == 2).then(|| Block {
        address: address & !0xfff,
        size_bytes: 4096,
        site: SITE_IDS[(born % 4) as usize],
    });
    Access {
        at_ns: at_ns.min(end_ns.saturating_sub(1)),
        tid: if region == 6 { 4244 } else { TGID },
        cpu: Some((i % 2) as u32),
        address,
        width_bytes: Some(8),
        kind: kind(is_store),
        code: Some(100 + code),
        region: Some(region * 10),
        block,
        weight: 1,
        precise: None,
    }
}

/// The same accesses as a PMU would have told them: each stands for 1,000 events, and loads took 40 cycles.
pub fn precise(detail: &RunDetail) -> impl Iterator<Item = Result<Access, Infallible>> {
    accesses(detail).map(|access| {
        let latency_cycles = matches!(&access, Ok(own) if own.kind == AccessKind::Load).then_some(40);
        let precise = Precise { latency_cycles, served_by: Some("L2".into()), ..Precise::default() };
        access.map(|own| Access { weight: 1000, precise: Some(precise), ..own })
    })
}

/// Loads and stores of those accesses that `key` gives a name.
pub fn sums<K: Ord>(detail: &RunDetail, key: impl Fn(&Access) -> Option<K>) -> BTreeMap<K, (u64, u64)> {
    let mut sums: BTreeMap<K, (u64, u64)> = BTreeMap::new();
    for access in accesses(detail).flatten() {
        let Some(key) = key(&access) else { continue };
        let (loads, stores) = sums.entry(key).or_default();
        *if access.kind == AccessKind::Store { stores } else { loads } += access.weight;
    }
    sums
}

/// `detail` with accesses.
pub fn with_accesses(mut detail: RunDetail) -> RunDetail {
    let place = |(at, &(name, start, length, huge)): (usize, &(&str, u64, u64, u64))| Region {
        id: at as u32 * 10,
        tgid: TGID,
        name: name.into(),
        start,
        end: start + length,
        resident_bytes: Some(length / 4 * 3),
        huge_bytes: Some(huge),
        node: None,
    };
    detail.regions = REGIONS.iter().enumerate().map(place).collect();
    let code = |(at, &(function, module, file, line)): (usize, &(&str, &str, &str, u32))| Code {
        id: at as u32 + 100,
        frames: vec![frame(function, module, file, line)],
    };
    detail.code = CODE.iter().enumerate().map(code).collect();
    let working = |pages| Some(WorkingSet { pages, lines: pages + pages / 3 });
    detail.windows.iter_mut().for_each(|own| own.working_set = working(20 + own.window.index % 17));
    detail.report.accesses = Some(report(&detail));
    detail
}

fn report(detail: &RunDetail) -> AccessReport {
    // The sums ask whether there are accesses: an empty report says yes.
    let mut asked = detail.clone();
    asked.report.accesses = Some(outline());
    let all = sums(&asked, |_| Some(()))[&()];
    AccessReport {
        loads: all.0,
        stores: all.1,
        regions: regions(&asked),
        sites: sites(&asked),
        functions: functions(&asked),
        sharing: vec![sharing(detail)],
        tiers: tiers(),
        ..outline()
    }
}

fn outline() -> AccessReport {
    AccessReport {
        source: Source::ForwardWalk,
        bias: Source::ForwardWalk.bias().to_owned(),
        rate_hz: Some(300.0),
        samples: COUNT + COUNT / 25,
        kernel_samples: 1234,
        resolved: COUNT,
        unresolved: BTreeMap::from([
            ("unknown_branch".into(), COUNT / 40),
            ("system_call".into(), COUNT * 3 / 200),
        ]),
        confirmed_ratio: Some(0.992),
        checked: 120,
        throttled: 0,
        effective_samples: COUNT as f64,
        kept: Kept::all(COUNT, COUNT, 0),
        loads: 0,
        stores: 0,
        working_set: WorkingSet { pages: 5321, lines: 9876 },
        aggregate: None,
        regions: Vec::new(),
        sites: Vec::new(),
        functions: Vec::new(),
        sharing: Vec::new(),
        tiers: Vec::new(),
        null_reason: None,
    }
}

fn regions(detail: &RunDetail) -> Vec<RegionReport> {
    let sums = sums(detail, |access| access.region);
    let mut regions: Vec<RegionReport> = detail
        .regions
        .iter()
        .map(|own| {
            let (loads, stores) = sums.get(&own.id).copied().unwrap_or_default();
            RegionReport {
                name: own.name.clone(),
                tgid: own.tgid,
                start: own.start,
                end: own.end,
                loads,
                stores,
                working_set: WorkingSet { pages: (loads + stores) / 3, lines: (loads + stores) / 2 },
                resident_bytes: own.resident_bytes,
                huge_bytes: own.huge_bytes,
                ..RegionReport::default()
            }
        })
        .collect();
    regions.sort_by_key(|own| std::cmp::Reverse(own.loads + own.stores));
    regions
}

/// The four sites of the blocks, then one that was never touched.
fn sites(detail: &RunDetail) -> Vec<SiteAccesses> {
    let sums = sums(detail, |access| access.block.map(|block| block.site));
    let known = detail.sites.iter().take(4).enumerate().map(|(at, site)| {
        let (loads, stores) = sums.get(&site.id).copied().unwrap_or_default();
        SiteAccesses {
            frames: site.frames.clone(),
            loads,
            stores,
            blocks_seen: 10 + at as u64,
            seen_bytes: 40_960,
            live_bytes: site.live_bytes,
            untouched_bytes: site.live_bytes.map(|live| live / 5),
            heat: Some([6.2, 1.1, 0.04, 0.02][at]),
        }
    });
    let cold = SiteAccesses {
        frames: vec![frame("createReplicationBacklog", "redis-server", "replication.c", 118)],
        live_bytes: Some(16 << 20),
        untouched_bytes: Some(16 << 20),
        heat: Some(0.0),
        ..SiteAccesses::default()
    };
    known.chain([cold]).collect()
}

fn functions(detail: &RunDetail) -> Vec<FunctionAccesses> {
    let sums = sums(detail, |access| access.code);
    let mut functions: Vec<FunctionAccesses> = detail
        .code
        .iter()
        .map(|own| {
            let (loads, stores) = sums.get(&own.id).copied().unwrap_or_default();
            let first = own.frames.first();
            let line = first.and_then(|frame| {
                Some(LineAccesses { file: frame.file.clone()?, line: frame.line?, loads, stores })
            });
            let frames = first.map(|frame| Frame { line: None, ..frame.clone() });
            FunctionAccesses {
                frames: frames.into_iter().collect(),
                loads,
                stores,
                lines: line.into_iter().collect(),
            }
        })
        .collect();
    functions.sort_by_key(|own| std::cmp::Reverse(own.loads + own.stores));
    functions
}

fn sharing(detail: &RunDetail) -> SharedLine {
    let word = |offset, tid, loads, stores| SharedWord { offset, tid, loads, stores };
    SharedLine {
        address: BLOCKS + 0x1240,
        region: "[anon]".into(),
        frames: detail.sites.get(2).map(|site| site.frames.clone()).unwrap_or_default(),
        loads: 90,
        stores: 60,
        words: vec![word(0, TGID, 80, 0), word(24, 4244, 10, 60)],
    }
}

fn tiers() -> Vec<TierStep> {
    let steps = [
        ("createReplicationBacklog", None, 16u64 << 20, 0.0),
        ("[anon]", Some(HUGE), 64 << 20, 0.03),
        ("/usr/lib/x86_64-linux-gnu/libc.so.6", Some(LIBC), 1 << 20, 0.05),
        ("dictAddRaw", None, 9_000_000, 0.09),
        ("[anon]", Some(BUFFER), 8 << 20, 0.29),
        ("[heap]", Some(HEAP), 24 << 20, 0.69),
        ("_sdsnewlen", None, 4_000_000, 0.85),
        ("[stack]", Some(STACK), 132 << 10, 1.0),
    ];
    let mut moved_bytes = 0;
    let step = |(name, start, bytes, access_ratio): (&str, Option<u64>, u64, f64)| {
        moved_bytes += bytes;
        TierStep { name: name.into(), start, bytes, access_ratio, moved_bytes, ci95_ratio: 0.012 }
    };
    steps.into_iter().map(step).collect()
}

/// [`HOSTILE`] wherever the measured process chooses the text of an access.
pub fn hostile(detail: RunDetail) -> RunDetail {
    let mut detail = with_accesses(detail);
    let text = || HOSTILE.to_owned();
    let evil = |frame: &mut Frame| {
        (frame.function, frame.module, frame.file) = (Some(text()), Some(text()), Some(text()));
    };
    detail.regions.iter_mut().for_each(|own| own.name = text());
    detail.code.iter_mut().flat_map(|own| &mut own.frames).for_each(evil);
    if let Some(own) = &mut detail.report.accesses {
        own.unresolved = BTreeMap::from([(text(), 7)]);
        own.null_reason = Some(text());
        own.regions.iter_mut().for_each(|own| own.name = text());
        own.sites.iter_mut().flat_map(|own| &mut own.frames).for_each(evil);
        own.functions.iter_mut().flat_map(|own| &mut own.frames).for_each(evil);
        own.functions.iter_mut().flat_map(|own| &mut own.lines).for_each(|line| line.file = text());
        own.sharing.iter_mut().for_each(|own| own.region = text());
        own.sharing.iter_mut().flat_map(|own| &mut own.frames).for_each(evil);
        own.tiers.iter_mut().for_each(|own| own.name = text());
    }
    detail
}
