//! Runs with known rates compared.

mod accesses;

use waytrace_model::collector::{Loss, Overhead};
use waytrace_model::report::{RunSummary, SiteReport, TargetReport};
use waytrace_model::run::Host;
use waytrace_model::stack::{Frame, StackQuality};

use super::*;

fn frame(function: &str, offset: u64) -> Frame {
    Frame {
        function: Some(function.to_owned()),
        module: Some("server".to_owned()),
        offset,
        ..Frame::default()
    }
}

fn site(alloc_count: f64, alloc_bytes: f64, frames: Vec<Frame>) -> SiteReport {
    SiteReport {
        alloc_count,
        alloc_bytes,
        live_bytes: None,
        peak_live_bytes: None,
        temporary_count: None,
        frames,
        samples_count: 0,
    }
}

fn counter(event: &str, unit: Unit, value: Option<u64>, running_ns: u64) -> CounterTotal {
    CounterTotal {
        event: event.to_owned(),
        value,
        unit,
        time_enabled_ns: 1_000_000_000,
        time_running_ns: running_ns,
        windows: 1,
        multiplexed: running_ns < 1_000_000_000,
    }
}

fn allocation(mode: Mode, count: f64, ci95_pct: f64, sites: Vec<SiteReport>) -> AllocationReport {
    AllocationReport {
        mode: Some(mode),
        alloc_count: Some(count),
        alloc_bytes: Some(count * 64.0),
        free_count: None,
        freed_bytes: None,
        live_bytes: None,
        peak_live_bytes: None,
        temporary_count: None,
        traced_count: None,
        mmap_bytes: 0,
        munmap_bytes: 0,
        ci95_pct: Some(ci95_pct),
        alloc_count_ci95_pct: Some(ci95_pct),
        null_reason: None,
        probes: Vec::new(),
        sizes: Vec::new(),
        lifetimes: Vec::new(),
        stacks: StackQuality::default(),
        sites,
    }
}

/// A run of `seconds` that used half a CPU.
fn run(seconds: u64, counters: Vec<CounterTotal>, allocations: Option<AllocationReport>) -> RunReport {
    let clock = counter("task-clock", Unit::Ns, Some(seconds * 500_000_000), 1_000_000_000);
    RunReport {
        schema_version: 1,
        run: RunSummary {
            id: 1,
            name: "run-1".to_owned(),
            started_at: String::new(),
            duration_ns: seconds * 1_000_000_000,
            ended_by: EndedBy::Duration,
            interval_ns: 100_000_000,
            windows: 1,
            exit_code: None,
            command: String::new(),
        },
        host: Host::default(),
        target: TargetReport {
            tgid: 1,
            comm: String::new(),
            cmdline: String::new(),
            exe: "/opt/server".to_owned(),
            build_id: None,
            threads: Vec::new(),
        },
        collectors: Vec::new(),
        counters: [vec![clock], counters].concat(),
        phases: None,
        allocations,
        accesses: None,
        loss: Loss::default(),
        overhead: Overhead::default(),
    }
}

#[test]
fn counters_compare_as_rates_whatever_the_length() {
    let faults = |value| vec![counter("page-faults", Unit::Count, Some(value), 1_000_000_000)];
    let diff = compare(&run(10, faults(1000), None), &run(20, faults(3000), None));
    let rates = &diff.counters[1];
    assert_eq!(
        (rates.per_s.a, rates.per_s.b, rates.per_s.change_pct),
        (Some(100.0), Some(150.0), Some(50.0))
    );
    assert_eq!(rates.per_s.verdict, Verdict::Up);
    let per_cpu_s = rates.per_cpu_s.unwrap();
    assert_eq!((per_cpu_s.a, per_cpu_s.b), (Some(200.0), Some(300.0)));
    assert_eq!(diff.counters[0].per_s.verdict, Verdict::Same, "both used half a CPU");
    assert_eq!(diff.counters[0].per_cpu_s, None);
    assert!(diff.allocations.is_none() && diff.notes.is_empty());
}

#[test]
fn multiplexed_counters_are_scaled_and_say_so() {
    let cycles = |running_ns| vec![counter("cycles", Unit::Cycles, Some(500), running_ns)];
    let diff = compare(&run(1, cycles(1_000_000_000), None), &run(1, cycles(250_000_000), None));
    let rates = &diff.counters[1];
    assert_eq!((rates.per_s.a, rates.per_s.b, rates.multiplexed), (Some(500.0), Some(2000.0), true));
}

#[test]
fn events_of_one_run_only_are_unknown() {
    let a = run(1, vec![counter("cycles", Unit::Cycles, None, 0)], None);
    let b = run(1, vec![counter("branches", Unit::Count, Some(5), 1_000_000_000)], None);
    let diff = compare(&a, &b);
    let names: Vec<_> = diff.counters.iter().map(|rates| rates.name.as_str()).collect();
    assert_eq!(names, ["task-clock", "cycles", "branches"]);
    assert!(diff.counters[1..].iter().all(|rates| rates.per_s.verdict == Verdict::Unknown));
    assert_eq!(diff.counters[2].per_s.b, Some(5.0));
}

#[test]
fn estimates_within_their_interval_are_no_change() {
    let budgeted = |count| Some(allocation(Mode::Budgeted, count, 5.0, Vec::new()));
    let verdict = |count| {
        let diff = compare(&run(1, Vec::new(), budgeted(1000.0)), &run(1, Vec::new(), budgeted(count)));
        diff.allocations.unwrap().rates[0].per_s.verdict
    };
    assert_eq!(verdict(1060.0), Verdict::WithinInterval);
    assert_eq!(verdict(1080.0), Verdict::Up);
    let exact = Some(allocation(Mode::Exact, 1000.0, 0.0, Vec::new()));
    let diff = compare(&run(1, Vec::new(), exact), &run(1, Vec::new(), budgeted(1000.0)));
    assert_eq!(diff.notes, ["allocation mode differs: exact and budgeted"]);
}

#[test]
fn sites_pair_by_stack_then_caller_then_names() {
    let (main, other) = (frame("main", 1), frame("other", 1));
    let a = vec![
        site(10.0, 800.0, vec![frame("same", 4), main.clone()]),
        site(10.0, 400.0, vec![frame("restacked", 4), main.clone()]),
        site(10.0, 200.0, vec![frame("rebuilt", 4), main.clone()]),
        site(10.0, 100.0, vec![frame("gone", 4)]),
    ];
    let b = vec![
        site(10.0, 800.0, vec![frame("same", 4), main]),
        site(10.0, 600.0, vec![frame("restacked", 4), other]),
        site(10.0, 100.0, vec![frame("rebuilt", 9)]),
        site(10.0, 50.0, vec![frame("new", 4)]),
    ];
    let exact = |sites| Some(allocation(Mode::Exact, 40.0, 0.0, sites));
    let diff = compare(&run(1, Vec::new(), exact(a)), &run(1, Vec::new(), exact(b)));
    let found: Vec<_> = diff.sites.iter().map(|site| (site.frames[0].label(), site.status)).collect();
    let expected = [
        ("restacked", SiteStatus::Grown),
        ("rebuilt", SiteStatus::Shrunk),
        ("gone", SiteStatus::Removed),
        ("new", SiteStatus::Added),
        ("same", SiteStatus::Same),
    ];
    assert_eq!(found, expected.map(|(name, status)| (name.to_owned(), status)));
}

#[test]
fn small_sites_have_wide_intervals() {
    // 2 % on the total is 4 % on a quarter of it, and 200 % on a ten-thousandth.
    let sites = |large, small| {
        vec![
            site(large, large * 64.0, vec![frame("large", 0)]),
            site(small, small * 64.0, vec![frame("small", 0)]),
        ]
    };
    let budgeted = |large, small| Some(allocation(Mode::Budgeted, 10_000.0, 2.0, sites(large, small)));
    let diff =
        compare(&run(1, Vec::new(), budgeted(2500.0, 1.0)), &run(1, Vec::new(), budgeted(2700.0, 2.0)));
    assert_eq!(diff.sites[0].status, SiteStatus::Grown);
    assert_eq!(diff.sites[1].status, SiteStatus::WithinInterval, "1 to 2 of a sampled site is nothing");
    let unrecorded = Some(allocation(Mode::Budgeted, 10_000.0, 2.0, Vec::new()));
    let cut = compare(&run(1, Vec::new(), budgeted(2500.0, 1.0)), &run(1, Vec::new(), unrecorded));
    assert!(cut.sites.is_empty(), "sites that were not recorded are not gone");
    let gone = compare(&run(1, Vec::new(), budgeted(2500.0, 1.0)), &run(1, Vec::new(), None));
    assert!(gone.sites.is_empty());
}
