//! Hand-made runs with known totals. Deterministic: no clock and no random source.

use std::convert::Infallible;

use waytrace_model::allocation::{
    AllocationWindow, MapEvent, MapKind, Mode, SampledStack, Site, TracedAllocation,
};
use waytrace_model::collector::{CollectorReport, Loss, Overhead, Status};
use waytrace_model::counter::{CounterReading, EventInfo, Unit};
use waytrace_model::detail::{RunDetail, WindowDetail};
use waytrace_model::histogram::Bucket;
use waytrace_model::phase::{Phase, PhaseReading};
use waytrace_model::report::{
    AllocationReport, CounterTotal, PhaseTotals, RunReport, RunSummary, SCHEMA_VERSION, SiteReport,
    TargetReport, ThreadReport,
};
use waytrace_model::run::{EndedBy, Host, NumaNode, Window};
use waytrace_model::stack::{Frame, StackQuality};

pub const TGID: u32 = 4242;
const THREADS: [(u32, &str); 4] =
    [(4242, "redis-server"), (4243, "bio_close_file"), (4244, "bio_aof"), (4245, "jemalloc_bg_thd")];
const EVENTS: [(&str, Unit); 6] = [
    ("task-clock", Unit::Ns),
    ("context-switches", Unit::Count),
    ("page-faults", Unit::Count),
    ("instructions", Unit::Count),
    ("mem_load_retired.l3_miss", Unit::Count),
    ("msr/tsc/", Unit::Cycles),
];
/// Position in [`EVENTS`] of the event that counts only 40 % of the time.
const MULTIPLEXED: usize = 4;
pub const INTERVAL_NS: u64 = 100_000_000;
/// Ids of the sites, most bytes first: in no order.
pub const SITE_IDS: [u32; 7] = [40, 3, 16_383, 0, 22, 5, 6];
/// Allocations traced from their birth.
const TRACED: u64 = 600;

/// A small, even pseudo-random source (SplitMix64), so that curves look alive and never change.
pub struct Noise(pub u64);

impl Noise {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }
}

pub fn frame(function: &str, module: &str, file: &str, line: u32) -> Frame {
    Frame {
        function: Some(function.to_owned()),
        module: Some(module.to_owned()),
        offset: 0x1f,
        file: (!file.is_empty()).then(|| file.to_owned()),
        line: (line > 0).then_some(line),
        inlined: false,
    }
}

fn redis(function: &str, file: &str, line: u32) -> Frame {
    frame(function, "redis-server", file, line)
}

fn chain(inner: Frame, outer: &[Frame]) -> Vec<Frame> {
    std::iter::once(inner).chain(outer.iter().cloned()).collect()
}

/// Sites whose bytes and counts are round, so that shares can be checked by hand.
fn sites(exact: bool) -> Vec<Site> {
    let main = [
        redis("aeProcessEvents", "ae.c", 421),
        redis("aeMain", "ae.c", 487),
        redis("main", "server.c", 7229),
        frame("__libc_start_call_main", "libc.so.6", "", 0),
    ];
    let read = chain(redis("readQueryFromClient", "networking.c", 2632), &main);
    let process = chain(redis("processInputBuffer", "networking.c", 2511), &read);
    let command = chain(redis("processCommand", "server.c", 4000), &process);
    let set =
        chain(redis("setCommand", "t_string.c", 190), &chain(redis("call", "server.c", 3374), &command));
    let lpush =
        chain(redis("lpushCommand", "t_list.c", 511), &chain(redis("call", "server.c", 3374), &command));
    let mut sdsnew_inlined = redis("s_malloc", "sdsalloc.h", 12);
    sdsnew_inlined.inlined = true;
    let sdsnew = redis("_sdsnewlen", "sds.c", 117);
    let grow = redis("sdsMakeRoomFor", "sds.c", 249);
    let dict = redis("dictAddRaw", "dict.c", 329);
    let cron = [redis("serverCron", "server.c", 1300), redis("processTimeEvents", "ae.c", 330)];
    let unknown = Frame { module: Some("libjemalloc.so.2".into()), offset: 0x4d2f0, ..Frame::default() };
    let stacked = |samples_count, frames| SampledStack { samples_count, frames };
    let mut ids = SITE_IDS.into_iter();
    let mut site = |tid, bytes: u64, count: u64, live: u64, frames: Vec<Frame>, stacks| Site {
        id: ids.next().expect("an id for every site"),
        tid,
        alloc_count: count as f64,
        alloc_bytes: bytes as f64,
        free_count: exact.then_some(count - count / 10),
        freed_bytes: exact.then_some(bytes - live),
        live_bytes: exact.then_some(live),
        peak_live_bytes: exact.then_some(live + live / 2),
        temporary_count: exact.then_some(count / 4),
        frames,
        stacks,
    };
    let both = |tail: &[Frame]| chain(sdsnew_inlined.clone(), &chain(sdsnew.clone(), tail));
    vec![
        site(
            TGID,
            40_000_000,
            500_000,
            4_000_000,
            vec![sdsnew_inlined.clone(), sdsnew.clone()],
            vec![stacked(3, both(&set)), stacked(1, both(&lpush))],
        ),
        site(TGID, 24_000_000, 1_500, 0, vec![grow.clone()], vec![stacked(4, chain(grow, &read))]),
        site(TGID, 9_600_000, 200_000, 9_000_000, vec![dict.clone()], vec![stacked(2, chain(dict, &set))]),
        site(
            TGID,
            4_000_000,
            1_000,
            12_288,
            vec![redis(
                "std::_Hashtable<std::string, std::pair<const std::string, long>, std::allocator<std::pair<const std::string, long> > >::_M_insert_unique_node(unsigned long, unsigned long)",
                "hashtable.h",
                1800,
            )],
            vec![],
        ),
        site(
            4243,
            1_600_000,
            40_000,
            0,
            vec![redis("lazyfreeFreeObject", "lazyfree.c", 14)],
            vec![stacked(
                1,
                chain(
                    redis("lazyfreeFreeObject", "lazyfree.c", 14),
                    &[redis("bioProcessBackgroundJobs", "bio.c", 230)],
                ),
            )],
        ),
        site(4245, 400_000, 100, 400_000, vec![unknown.clone()], vec![stacked(1, chain(unknown, &cron))]),
        site(4244, 400_000, 10_000, 0, vec![Frame { offset: 0x7f00_dead_b000, ..Frame::default() }], vec![]),
    ]
}

fn sum(sites: &[Site], value: impl Fn(&Site) -> f64) -> f64 {
    sites.iter().map(value).sum()
}

fn site_reports(sites: &[Site]) -> Vec<SiteReport> {
    let report = |site: &Site| SiteReport {
        alloc_count: site.alloc_count,
        alloc_bytes: site.alloc_bytes,
        live_bytes: site.live_bytes,
        peak_live_bytes: site.peak_live_bytes,
        temporary_count: site.temporary_count,
        frames: site.stacks.first().map_or_else(|| site.frames.clone(), |stack| stack.frames.clone()),
        samples_count: site.stacks.iter().map(|stack| stack.samples_count).sum(),
    };
    sites.iter().map(report).collect()
}

fn buckets(pairs: &[(u8, f64)]) -> Vec<Bucket> {
    pairs
        .iter()
        .map(|&(log2, count)| Bucket { log2, count, bytes: count * 1.4 * f64::from(log2).exp2() })
        .collect()
}

fn allocations(sites: &[Site], exact: bool) -> AllocationReport {
    let live = sites.iter().filter_map(|site| site.live_bytes).sum();
    AllocationReport {
        mode: Some(if exact { Mode::Exact } else { Mode::Budgeted }),
        alloc_count: Some(sum(sites, |site| site.alloc_count)),
        alloc_bytes: Some(sum(sites, |site| site.alloc_bytes)),
        free_count: Some(sum(sites, |site| (site.alloc_count * 0.9).floor())),
        freed_bytes: exact.then(|| sum(sites, |site| site.freed_bytes.unwrap_or(0) as f64)),
        live_bytes: exact.then_some(live),
        peak_live_bytes: exact.then_some(live + live / 2),
        temporary_count: exact.then(|| sites.iter().filter_map(|site| site.temporary_count).sum()),
        traced_count: exact.then_some(TRACED + 1),
        mmap_bytes: 48 << 20,
        munmap_bytes: 16 << 20,
        ci95_pct: Some(if exact { 0.0 } else { 3.2 }),
        alloc_count_ci95_pct: Some(if exact { 0.0 } else { 1.4 }),
        null_reason: (!exact).then(|| {
            "duty-cycled windows miss some frees, so what lives and for how long is not known; use --exact".into()
        }),
        probes: vec!["libjemalloc.so.2:malloc+7".into(), "libjemalloc.so.2:free+9".into()],
        sizes: buckets(&[(4, 9e4), (5, 4e5), (6, 1.8e5), (7, 6e4), (9, 2e4), (12, 2_000.0), (16, 500.0), (20, 10.0)]),
        lifetimes: if exact {
            buckets(&[(9, 1e4), (11, 3e5), (14, 2e5), (20, 6e4), (27, 3e4), (33, 5e3)])
        } else {
            vec![]
        },
        stacks: StackQuality { sampled_count: 12, own_code_count: 11, complete_count: 9 },
        sites: site_reports(sites),
    }
}

/// A sine made of parabolas with period 1: plain arithmetic, so that stored text is the same on every machine.
fn wave(at: f64) -> f64 {
    let half = (at * 2.0).fract();
    let arch = 4.0 * half * (1.0 - half);
    if at.fract() < 0.5 { arch } else { -arch }
}

fn reading(noise: &mut Noise, event: usize, thread: usize, at: f64) -> Option<CounterReading> {
    let share = [1.0, 0.02, 0.05, 0.3][thread];
    if share < 0.1 && noise.below(3) == 0 {
        return None;
    }
    let wave = 1.0 + 0.5 * wave(at / 30.0 + thread as f64 / 6.0);
    let scale = [9e7, 4e3, 120.0, 2.4e8, 9e5, 2.0e8][event];
    let value = (scale * share * wave * (0.85 + noise.below(300) as f64 / 1000.0)) as u64;
    let running = if event == MULTIPLEXED { INTERVAL_NS * 2 / 5 } else { INTERVAL_NS };
    Some(CounterReading {
        tid: THREADS[thread].0,
        event: event as u16,
        value,
        time_enabled_ns: INTERVAL_NS,
        time_running_ns: running,
    })
}

fn windows(count: u64, sites: &[Site], exact: bool) -> Vec<WindowDetail> {
    let mut noise = Noise(7);
    let (bytes, calls) = (sum(sites, |site| site.alloc_bytes), sum(sites, |site| site.alloc_count));
    let window = |index: u64| {
        let at = index as f64 * 300.0 / count as f64;
        let readings = (0..EVENTS.len())
            .flat_map(|event| (0..THREADS.len()).map(move |thread| (event, thread)))
            .filter_map(|(event, thread)| reading(&mut noise, event, thread, at))
            .collect();
        let burst = if index % (count / 6).max(1) < (count / 40).max(1) { 3.0 } else { 0.8 };
        let share = burst * (1.0 + noise.below(100) as f64 / 400.0) / count as f64;
        let probed = exact || index % 9 != 4;
        let allocations = AllocationWindow {
            alloc_count: probed.then_some(calls * share),
            alloc_bytes: probed.then_some(bytes * share),
            free_count: probed.then_some(calls * share * 0.9),
            freed_bytes: exact.then_some(bytes * share * 0.83),
            live_bytes: exact.then(|| 13_000_000 * index / count + noise.below(400_000)),
            mmap_bytes: if index % (count / 8).max(1) == 3 { 6 << 20 } else { 0 },
            munmap_bytes: if index % (count / 4).max(1) == 9 { 4 << 20 } else { 0 },
            probed_ratio: if exact {
                1.0
            } else if probed {
                0.11
            } else {
                0.0
            },
        };
        let window = Window { index, start_ns: index * INTERVAL_NS, end_ns: (index + 1) * INTERVAL_NS };
        WindowDetail { window, readings, allocations: Some(allocations), working_set: None }
    };
    (0..count).map(window).collect()
}

fn total(windows: &[WindowDetail], event: usize, tid: Option<u32>) -> CounterTotal {
    let matching: Vec<&CounterReading> = windows
        .iter()
        .flat_map(|window| &window.readings)
        .filter(|r| usize::from(r.event) == event && tid.is_none_or(|tid| tid == r.tid))
        .collect();
    CounterTotal {
        event: EVENTS[event].0.to_owned(),
        value: Some(matching.iter().map(|r| r.value).sum()),
        unit: EVENTS[event].1,
        time_enabled_ns: matching.iter().map(|r| r.time_enabled_ns).sum(),
        time_running_ns: matching.iter().map(|r| r.time_running_ns).sum(),
        windows: windows.len() as u64,
        multiplexed: event == MULTIPLEXED,
    }
}

fn thread_report(windows: &[WindowDetail], sites: &[Site], tid: u32, comm: &str) -> ThreadReport {
    let own = |value: fn(&Site) -> f64| sites.iter().filter(|site| site.tid == tid).map(value).sum();
    ThreadReport {
        tgid: TGID,
        tid,
        comm: comm.to_owned(),
        counters: (0..EVENTS.len()).map(|event| total(windows, event, Some(tid))).collect(),
        alloc_count: Some(own(|site| site.alloc_count)),
        alloc_bytes: Some(own(|site| site.alloc_bytes)),
    }
}

fn host() -> Host {
    Host {
        hostname: "bench-1".into(),
        kernel: "6.18.0".into(),
        arch: "x86_64".into(),
        cpu_model: "Example CPU @ 2.00GHz".into(),
        microcode: Some("0x1".into()),
        cpus_online: 2,
        memory_bytes: 24 << 30,
        numa_nodes: vec![NumaNode { id: 0, cpus: vec![0, 1] }],
        hypervisor: Some("KVM".into()),
        pmus: vec!["software".into(), "msr".into(), "breakpoint".into()],
        waytrace_version: "0.1.0".into(),
    }
}

fn collector(name: &str, status: Status, reason: Option<&str>) -> CollectorReport {
    CollectorReport { name: name.into(), status, reason: reason.map(str::to_owned) }
}

fn summary(windows: u64) -> RunSummary {
    RunSummary {
        id: 3,
        name: "redis-server-3".into(),
        started_at: "2026-11-20T10:00:00Z".into(),
        duration_ns: windows * INTERVAL_NS,
        ended_by: EndedBy::Duration,
        interval_ns: INTERVAL_NS,
        windows,
        exit_code: None,
        command: "waytrace profile --pid 4242 --duration 30s".into(),
    }
}

/// The traced allocations of [`run`]: one that was there before, and 600 of the first four sites in turn.
pub fn traced(detail: &RunDetail) -> impl Iterator<Item = Result<TracedAllocation, Infallible>> {
    let known = detail.report.allocations.as_ref().and_then(|own| own.traced_count);
    let blocks = if known.is_some() { blocks(TRACED, detail.report.run.duration_ns) } else { Vec::new() };
    blocks.into_iter().map(Ok)
}

fn blocks(count: u64, end_ns: u64) -> Vec<TracedAllocation> {
    let mut noise = Noise(11);
    let one = |i: u64| {
        let size_bytes = 4096 << noise.below(7);
        let from_ns = end_ns / count * i + noise.below(1_000_000);
        let life = end_ns / 50 * (1 + noise.below(12));
        TracedAllocation {
            from_ns: Some(from_ns),
            to_ns: (!i.is_multiple_of(7)).then(|| (from_ns + life).min(end_ns)),
            address: 0x7f3a_0000_0000 + (i % 40) * 0x4_0000 + (i % 3) * 0x2000_0000,
            size_bytes,
            tid: TGID,
            site: Some(SITE_IDS[(i % 4) as usize]),
        }
    };
    let before = TracedAllocation {
        to_ns: Some(end_ns / 3),
        address: 0x7f39_f000_0000,
        ..TracedAllocation::default()
    };
    std::iter::once(before).chain((0..count).map(one)).collect()
}

fn map_events(windows: &[WindowDetail]) -> Vec<MapEvent> {
    let of = |window: &WindowDetail| {
        let activity = window.allocations?;
        let kind = match (activity.mmap_bytes, activity.munmap_bytes) {
            (0, 0) => return None,
            (_, 0) => MapKind::Mmap,
            _ => MapKind::Munmap,
        };
        Some(MapEvent {
            at_ns: window.window.start_ns + 1000,
            tid: TGID,
            kind,
            address: 0x7f3b_0000_0000,
            added_bytes: activity.mmap_bytes,
            removed_bytes: activity.munmap_bytes,
        })
    };
    windows.iter().filter_map(of).collect()
}

/// A run of `count` windows of 100 ms.
pub fn run(count: u64, exact: bool) -> RunDetail {
    let sites = sites(exact);
    let windows = windows(count, &sites, exact);
    let mut loss = Loss::default();
    if !exact {
        loss.add("walk_truncated", 17);
        loss.add("ring_full", 3);
    }
    let overhead = Overhead {
        budget_pct: (!exact).then_some(1.0),
        target_pct: Some(if exact { 31.4 } else { 0.82 }),
        tool_cpu_pct: Some(0.41),
        tool_rss_bytes: Some(45 << 20),
        probe_hit_ns: Some(480.0),
        probe_hits_count: if exact { 1_429_460 } else { 51_230 },
        attach_ns: Some(212_000_000),
    };
    let collectors = vec![
        collector(
            "counters",
            Status::Degraded,
            Some(
                "no hardware PMU: cycles, instructions and cache events need one; run on bare metal or enable vPMU",
            ),
        ),
        collector("allocations", Status::Ran, None),
        collector("mappings", Status::Ran, None),
        collector("stacks", Status::Skipped, Some("not asked for")),
    ];
    let report = RunReport {
        schema_version: SCHEMA_VERSION,
        run: summary(count),
        host: host(),
        target: TargetReport {
            tgid: TGID,
            comm: "redis-server".into(),
            cmdline: "/usr/bin/redis-server 127.0.0.1:6379 --maxmemory 256mb --save".into(),
            exe: "/usr/bin/redis-server".into(),
            build_id: Some("5f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c".into()),
            threads: THREADS.iter().map(|&(tid, comm)| thread_report(&windows, &sites, tid, comm)).collect(),
        },
        collectors,
        counters: (0..EVENTS.len()).map(|event| total(&windows, event, None)).collect(),
        phases: None,
        allocations: Some(allocations(&sites, exact)),
        accesses: None,
        loss,
        overhead,
    };
    let events = EVENTS.iter().map(|&(name, unit)| EventInfo { name: name.into(), unit }).collect();
    let map_events = map_events(&windows);
    RunDetail {
        report,
        events,
        windows,
        sites,
        map_events,
        phases: Vec::new(),
        regions: Vec::new(),
        code: Vec::new(),
    }
}

/// The same with phases: three of the first thread, the third of four missing, and one of the second.
pub fn with_phases(mut detail: RunDetail) -> RunDetail {
    const PERIOD_NS: u64 = 20_000_000;
    let phase = |(thread, index): (usize, u64)| {
        let reading = PhaseReading { event: 2, value: 40 + index, time_enabled_ns: 9, time_running_ns: 9 };
        let start_ns = index * (PERIOD_NS + 1_000);
        let end_ns = start_ns + PERIOD_NS + 1_000;
        Phase { tid: THREADS[thread].0, index, start_ns, end_ns, cpu_ns: PERIOD_NS, readings: vec![reading] }
    };
    detail.phases = [(0, 0), (0, 1), (0, 3), (1, 0)].map(phase).to_vec();
    let (event, unit) = ("task-clock".into(), Unit::Ns);
    let totals = PhaseTotals { event, unit, period: PERIOD_NS, count: 4, cpu_ns: 4 * PERIOD_NS };
    detail.report.phases = Some(totals);
    detail
}

/// A run that collected nothing at all.
pub fn empty() -> RunDetail {
    let mut detail = run(0, false);
    detail.events.clear();
    detail.sites.clear();
    detail.report.counters.clear();
    detail.report.allocations = None;
    detail.report.target.threads.clear();
    detail.report.loss = Loss::default();
    detail.report.overhead = Overhead::default();
    detail.report.run.ended_by = EndedBy::TargetExit;
    detail.report.run.exit_code = Some(3);
    detail.report.collectors = vec![collector("allocations", Status::Skipped, Some("no allocator found"))];
    detail
}

/// Text that tries to leave its place in every format.
pub const HOSTILE: &str =
    "</script><script>alert(1)</script>\"'&<!--;\n\r\u{2028}\u{2029}\0\u{1b}[31m\u{202e}\\ ${x} `é漢\u{fffd}";

/// [`run`] with [`HOSTILE`] wherever the measured process chooses the text.
pub fn hostile() -> RunDetail {
    let mut detail = run(20, true);
    let text = || HOSTILE.to_owned();
    let evil = |frame: &mut Frame| {
        frame.function = frame.function.as_ref().map(|f| format!("{f}{HOSTILE}"));
        frame.module = Some(text());
        frame.file = Some(text());
    };
    let report = &mut detail.report;
    (report.run.name, report.run.command, report.host.hostname) = (text(), text(), text());
    (report.target.comm, report.target.cmdline, report.target.exe) = (text(), text(), text());
    report.target.threads.iter_mut().for_each(|thread| thread.comm = text());
    report.counters.iter_mut().for_each(|counter| counter.event = text());
    report.target.threads.iter_mut().flat_map(|t| &mut t.counters).for_each(|counter| counter.event = text());
    report.collectors.iter_mut().for_each(|collector| collector.reason = Some(text()));
    report.loss.add(HOSTILE, 1);
    detail.events.iter_mut().for_each(|event| event.name = text());
    if let Some(allocations) = &mut report.allocations {
        allocations.null_reason = Some(text());
        allocations.probes = vec![text()];
        allocations.sites.iter_mut().flat_map(|site| &mut site.frames).for_each(evil);
    }
    for site in &mut detail.sites {
        site.frames.iter_mut().for_each(evil);
        site.stacks.iter_mut().flat_map(|stack| &mut stack.frames).for_each(evil);
    }
    detail
}
