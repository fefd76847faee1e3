//! Amounts of programs that know what they did.

use waytrace_model::monitor::Metric;

use super::{Monitor, of, total};
use crate::harness::live;
use crate::harness::truth::Truth;
use crate::harness::workload::{Start, Workload};
use crate::or_skip;
use waytrace_model::monitor::HostWindow;

/// Watches a workload from before its work to after it.
fn watched(workload: Workload, args: &[&str]) -> (Vec<HostWindow>, Truth, String) {
    let (windows, truth, target, _) = watched_until(workload, args, |_| ());
    (windows, truth, target)
}

/// The same; `at_end` looks at the process when it has done its work and waits.
fn watched_until<T>(
    mut workload: Workload,
    args: &[&str],
    at_end: impl FnOnce(u32) -> T,
) -> (Vec<HostWindow>, Truth, String, T) {
    let pid = workload.pid().to_string();
    let mut all = vec!["--pid", &pid];
    all.extend(args);
    let mut monitor = Monitor::start(&all);
    monitor.await_windows(1);
    workload.go();
    let truth = workload.truth();
    let seen = at_end(workload.pid());
    monitor.await_windows(2);
    (monitor.stop(), truth, format!("pid-{pid}"), seen)
}

/// Switches of all threads, voluntary and not, as the kernel tells everybody.
fn switches(pid: u32) -> (u64, u64) {
    let field = |text: &str, name: &str| -> u64 {
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().parse().unwrap()
    };
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks.fold((0, 0), |sum, task| {
        let text = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        (
            sum.0 + field(&text, "voluntary_ctxt_switches:"),
            sum.1 + field(&text, "nonvoluntary_ctxt_switches:"),
        )
    })
}

fn within(got: Option<f64>, truth: f64, percent: f64, what: &str) {
    let got = got.unwrap_or_else(|| panic!("no {what}"));
    assert!((got - truth).abs() <= truth * percent / 100.0, "{what}: {got}, in truth {truth}");
}

#[test]
fn faults_switches_and_cpu_time_add_up() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("faults.c")).args(&["1000", "20", "50"]).spawn();
    // It waits now, and will wait again when it is looked at the second time.
    let before = switches(workload.pid());
    let (windows, truth, target, after) = watched_until(workload, &["--window", "200ms"], switches);
    let sum =
        |of: fn(&crate::harness::truth::ThreadUsage) -> u64| truth.threads.iter().map(of).sum::<u64>() as f64;
    let total = total(&windows, &target);
    within(total.get(Metric::MinorFaults), sum(|thread| thread.minor_faults), 1.0, "faults");
    within(total.get(Metric::Cpu), sum(|thread| thread.cpu_ns), 5.0, "CPU time");
    let switches = [Metric::VoluntarySwitches, Metric::InvoluntarySwitches].map(|m| total.get(m).unwrap());
    assert_eq!(switches.map(|count| count as u64), [after.0 - before.0, after.1 - before.1], "switches");
    let off_cpu = total.get(Metric::OffCpu).unwrap();
    assert!(off_cpu > 0.0);
    let lived_ns: u64 = windows.iter().map(|window| window.length_ns).sum();
    let threads = truth.threads.len() as f64 + 1.0;
    let all = off_cpu + total.get(Metric::Cpu).unwrap() + total.get(Metric::RunQueue).unwrap();
    assert!(
        all <= 1.05 * threads * lived_ns as f64,
        "{threads} threads in {lived_ns} ns cannot have {all}: {total:?}"
    );
}

#[test]
fn mappings_are_exact() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("mappings.c")).spawn();
    let (windows, truth, target) = watched(workload, &["--window", "200ms"]);
    let total = total(&windows, &target);
    assert_eq!(total.get(Metric::MmapBytes), Some(truth.number("mmap_bytes") as f64));
    assert_eq!(total.get(Metric::MunmapBytes), Some(truth.number("munmap_bytes") as f64));
}

/// 40,000 pairs a second of 256 bytes, for twenty seconds, seen by probes part of the time. How near the estimate comes depends on what else the
/// machine does; the benchmark says how near.
#[test]
fn rates_of_allocations_are_those_of_the_program() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("churn.c")).args(&["20", "40000", "256"]).spawn();
    let (windows, _, target) = watched(workload, &["--window", "2s", "--target-slowdown", "10%"]);
    // The first and the last have the work only in part.
    let seen: Vec<_> = of(&windows, &target)
        .zip(&windows)
        .filter(|(of_target, _)| of_target.values.get(Metric::AllocCount).is_some_and(|count| count > 0.0))
        .collect();
    let inner = &seen[1..seen.len() - 1];
    assert!(inner.len() >= 2, "{windows:#?}");
    let length_s: f64 = inner.iter().map(|(_, window)| window.length_ns as f64 / 1e9).sum();
    let sum =
        |metric| inner.iter().filter_map(|(window, _)| window.values.get(metric)).sum::<f64>() / length_s;
    within(Some(sum(Metric::AllocCount)), 40_000.0, 25.0, "allocations a second");
    within(Some(sum(Metric::AllocBytes)), 40_000.0 * 256.0, 25.0, "bytes a second");
    within(Some(sum(Metric::FreeCount)), 40_000.0, 25.0, "frees a second");
    let site = &inner[0].0.sites[0];
    assert!(site.name.starts_with("churn_alloc"), "{site:?}");
    let of_256 = inner[0].0.sizes.get(8).copied().unwrap_or(0.0);
    assert!(of_256 > 0.0 && of_256 == inner[0].0.sizes.iter().sum::<f64>(), "{:?}", inner[0].0.sizes);
}

/// One that allocates nothing and only reads and writes: regions and stores are told.
#[test]
fn accesses_are_sampled() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("churn.c")).args(&["6", "0", "64"]).spawn();
    let (windows, _, target) = watched(workload, &["--window", "2s", "--target-slowdown", "5%"]);
    let samples: f64 = of(&windows, &target).filter_map(|window| window.values.get(Metric::Samples)).sum();
    assert!(samples >= 20.0, "{samples}");
    let with_regions = of(&windows, &target).find(|window| !window.regions.is_empty()).unwrap();
    let shares: f64 = with_regions.regions.iter().map(|region| region.share_ratio).sum();
    assert!((shares - 1.0).abs() < 1e-6, "{:?}", with_regions.regions);
}

/// Where nothing can be measured the window says so, for each collector.
#[test]
fn absence_has_a_reason() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("faults.c")).spawn();
    let pid = workload.pid().to_string();
    let mut monitor = Monitor::start(&["--pid", &pid, "--window", "200ms"]);
    monitor.await_windows(2);
    let windows = monitor.stop();
    let last = windows.last().unwrap();
    for collector in &last.collectors {
        assert_eq!(collector.reason.is_some(), collector.state.as_str() != "full", "{collector:?}");
    }
    let target = of(&windows, &format!("pid-{pid}")).last().unwrap().clone();
    assert_eq!(target.values.get(Metric::AllocCount), Some(0.0), "who does not run does not allocate");
    assert!(target.absent.contains_key("accesses"), "{target:?}");
}
