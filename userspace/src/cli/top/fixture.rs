//! Windows for tests: a host of known numbers, and hosts of random ones.

use std::time::Duration;

use proptest::prelude::*;
use waytrace_model::allocation::Mode;
use waytrace_model::collector::Loss;
use waytrace_model::monitor::{
    Alert, AlertEnd, CollectorShare, HostWindow, Metric, OwnCost, ProcessWindow, RecordingLink, Region,
    ShareState, SiteRate, TargetWindow, Values,
};

use super::columns::By;
use super::source::Facts;
use super::state::State;

const MIB: f64 = (1 << 20) as f64;
/// 12:00:00 of a day.
const NOON_NS: u64 = 1_767_225_600_000_000_000 + 43_200_000_000_000;

/// What is known of the host.
pub const FACTS: Facts = Facts {
    cpus: Some(4),
    host_cpu_pct: Some(187.4),
    budget_cpu_pct: Some(4.0),
    budget_rss_bytes: Some(150 << 20),
};

fn process(pid: u32, comm: &str, cpu_s: f64, rss_mib: f64) -> ProcessWindow {
    ProcessWindow {
        pid,
        start_boot_ns: u64::from(pid),
        comm: comm.to_owned(),
        values: Values::from_iter([
            (Metric::Processes, 1.0),
            (Metric::Threads, 2.0),
            (Metric::Cpu, cpu_s * 1e9),
            (Metric::RunQueue, cpu_s * 5e7),
            (Metric::OffCpu, 12e9),
            (Metric::MinorFaults, 1234.0),
            (Metric::MajorFaults, 3.0),
            (Metric::Rss, rss_mib * MIB),
        ]),
        threads: vec![
            (pid, comm.to_owned(), (cpu_s * 8e8) as u64),
            (pid + 1, "io\u{1b}[31mthread".to_owned(), (cpu_s * 2e8) as u64),
        ],
    }
}

fn redis(number: u64) -> TargetWindow {
    let processes = vec![
        process(4242, "redis-server", 7.5, 512.0 + number as f64),
        process(4300, "redis-bgsave", 0.25, 90.0),
    ];
    let mut values = Values::default();
    for process in &processes {
        values.add_process(&process.values);
    }
    for (metric, value) in [
        (Metric::AllocCount, 123_456.0),
        (Metric::AllocBytes, 40.0 * MIB),
        (Metric::Probed, 0.05),
        (Metric::Overhead, 0.0042),
        (Metric::Stores, 0.31),
    ] {
        values.set(metric, Some(value));
    }
    let mut sizes = vec![0.0; 21];
    (sizes[4], sizes[6], sizes[7], sizes[20]) = (MIB, 20.0 * MIB, 15.0 * MIB, 4.0 * MIB);
    let site =
        |name: &str, alloc_per_s, bytes_per_s| SiteRate { name: name.to_owned(), alloc_per_s, bytes_per_s };
    let region =
        |name: &str, share_ratio, store_ratio| Region { name: name.to_owned(), share_ratio, store_ratio };
    TargetWindow {
        target: "redis".to_owned(),
        values,
        absent: [("events", "this CPU has no PMU")]
            .map(|(name, why)| (name.to_owned(), why.to_owned()))
            .into(),
        processes,
        sites: vec![
            site("sdsnewlen sds.c:111", 9000.0, 3.0 * MIB),
            site(
                "std::collections::hash::map::HashMap<K, V, S>::insert_with_a_long_name hashbrown.rs:1024",
                0.5,
                64.0,
            ),
        ],
        sizes,
        alloc_mode: Some(Mode::Budgeted),
        regions: vec![
            region("[heap]", 0.71, 0.4),
            region("/usr/lib/libc.so.6", 0.2, 0.0),
            region("[stack]", 0.09, 0.5),
        ],
    }
}

fn small(name: &str, cpu_s: f64, rss_mib: f64) -> TargetWindow {
    let mut values = process(1, name, cpu_s, rss_mib).values;
    values.set(Metric::MajorFaults, None);
    TargetWindow { target: name.to_owned(), values, ..TargetWindow::default() }
}

/// A window of ten seconds on a host of a few services.
pub fn window(number: u64) -> HostWindow {
    let share = |name: &str, state, reason: Option<&str>| CollectorShare {
        name: name.to_owned(),
        state,
        reason: reason.map(str::to_owned),
        tool_cpu_pct: 0.1,
    };
    let mut loss = Loss::default();
    loss.add("ring_full", 12);
    HostWindow {
        index: number,
        start_unix_ns: NOON_NS + number * 10_000_000_000,
        start_boot_ns: number * 10_000_000_000,
        length_ns: 10_000_000_000,
        targets: vec![
            small("cron", 0.001, 3.0),
            redis(number),
            small("postgres", 2.0 + number as f64 % 5.0, 2048.0),
            small("an exceptionally long name of a target 数据库", 0.5, 64.0),
            small("evil\u{1b}[2J\u{202e}\nname", 0.1, 1.0),
        ],
        missing: vec!["memcached".to_owned()],
        collectors: vec![
            share("counters", ShareState::Full, None),
            share("allocations", ShareState::Reduced, Some("budget")),
            share("cache", ShareState::Unavailable, Some("no resctrl")),
        ],
        loss,
        own: OwnCost { cpu_pct: 0.83, rss_bytes: 43 << 20, open_files: 40, probes: 12, ..OwnCost::default() },
    }
}

/// One alert that holds and one that is over.
pub fn alerts() -> Vec<Alert> {
    let alert = |rule: &str, target: &str, ended, recording| Alert {
        rule: rule.to_owned(),
        target: target.to_owned(),
        when: "slope(rss_bytes, 60s) > 500 KB/s".to_owned(),
        detail: "rss_bytes slope 1.1 MB/s over 60 s".to_owned(),
        began_unix_ns: NOON_NS,
        ended,
        recording,
    };
    vec![
        alert("busy", "", Some(AlertEnd { at_unix_ns: NOON_NS + 60_000_000_000 }), RecordingLink::None),
        alert("leak", "redis", None, RecordingLink::Run("leak-redis-1".to_owned())),
    ]
}

/// A state that has seen so many windows.
pub fn state(windows: u64) -> State {
    let mut state = State::new(By::Metric(Metric::Cpu), false, Duration::from_secs(2));
    for number in 0..windows {
        state.take(window(number), FACTS);
    }
    state
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), 0.0..1.0f64, 0.0..1e6, 0.0..1e18, Just(f64::MAX), -1e6..0.0f64]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,12}", any::<String>(), "[\u{300}\u{4e00}\u{1b}\u{7f}\u{200d}\u{1f468}a]{0,60}"]
}

fn values() -> impl Strategy<Value = Values> {
    prop::collection::vec((0..Metric::COUNT, number()), 0..Metric::COUNT)
        .prop_map(|all| all.into_iter().map(|(at, value)| (Metric::ALL[at], value)).collect())
}

fn any_process() -> impl Strategy<Value = ProcessWindow> {
    let threads = prop::collection::vec((any::<u32>(), name(), any::<u64>()), 0..4);
    (any::<u32>(), any::<u64>(), name(), values(), threads).prop_map(
        |(pid, start_boot_ns, comm, values, threads)| ProcessWindow {
            pid,
            start_boot_ns,
            comm,
            values,
            threads,
        },
    )
}

fn any_target() -> impl Strategy<Value = TargetWindow> {
    let site = (name(), number(), number());
    let site = site.prop_map(|(name, alloc_per_s, bytes_per_s)| SiteRate { name, alloc_per_s, bytes_per_s });
    let region = (name(), number(), number());
    let region =
        region.prop_map(|(name, share_ratio, store_ratio)| Region { name, share_ratio, store_ratio });
    (
        prop_oneof![Just("same".to_owned()), name()],
        values(),
        prop::collection::btree_map(prop_oneof![Just("cache".to_owned()), name()], name(), 0..3),
        prop::collection::vec(any_process(), 0..4),
        prop::collection::vec(site, 0..4),
        prop::collection::vec(number(), 0..70),
        prop::collection::vec(region, 0..4),
        prop::option::of(prop_oneof![Just(Mode::Budgeted), Just(Mode::Sampled)]),
    )
        .prop_map(|(target, values, absent, processes, sites, sizes, regions, alloc_mode)| {
            TargetWindow { target, values, absent, processes, sites, sizes, regions, alloc_mode }
        })
}

/// Any window there could be, and more.
pub fn any_window() -> impl Strategy<Value = HostWindow> {
    let state = prop_oneof![Just(ShareState::Full), Just(ShareState::Paused), Just(ShareState::Unavailable)];
    let share = (name(), state, prop::option::of(name()), number());
    let share = share.prop_map(|(name, state, reason, tool_cpu_pct)| CollectorShare {
        name,
        state,
        reason,
        tool_cpu_pct,
    });
    (
        any::<(u64, u64, u64)>(),
        prop_oneof![Just(0), Just(10_000_000_000), any::<u64>()],
        prop::collection::vec(any_target(), 0..8),
        prop::collection::vec(name(), 0..3),
        prop::collection::vec(share, 0..3),
        prop::collection::btree_map(name(), any::<u64>(), 0..3),
        any::<(u64, u64, u64)>(),
    )
        .prop_map(
            |((index, start_unix_ns, start_boot_ns), length_ns, targets, missing, collectors, loss, own)| {
                HostWindow {
                    index,
                    start_unix_ns,
                    start_boot_ns,
                    length_ns,
                    targets,
                    missing,
                    collectors,
                    loss: Loss(loss),
                    own: OwnCost {
                        cpu_pct: own.0 as f64,
                        rss_bytes: own.0,
                        probes: own.1,
                        store_waiting: own.2,
                        ..OwnCost::default()
                    },
                }
            },
        )
}
