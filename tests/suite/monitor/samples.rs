//! Processes whose allocator hands out its own samples.

use waytrace_model::allocation::Mode;
use waytrace_model::monitor::Metric;

use super::{Monitor, of, total};
use crate::harness::live;
use crate::harness::workload::Start;
use crate::or_skip;

/// What it is told in turns holds for the windows, names its callers, and nobody listens afterwards.
#[test]
fn an_allocators_own_samples_are_taken() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(Start::plain("otel_memory.c")).args(&["8000"]).spawn();
    let pid = workload.pid().to_string();
    let mut monitor = Monitor::start(&["--pid", &pid, "--window", "2s", "--target-slowdown", "90%"]);
    monitor.await_windows(1);
    workload.go();
    let truth = workload.truth();
    monitor.await_windows(2);
    let windows = monitor.stop();
    workload.go();
    assert_eq!(workload.expect("semaphores"), "0 0");
    let target = format!("pid-{pid}");
    let modes: Vec<Mode> = of(&windows, &target).filter_map(|window| window.alloc_mode).collect();
    assert!(!modes.is_empty() && modes.iter().all(|mode| *mode == Mode::Sampled), "{modes:?}");
    let bytes = total(&windows, &target).get(Metric::AllocBytes).unwrap();
    let asked = truth.number("asked_bytes") as f64;
    assert!((bytes / asked - 1.0).abs() < 0.3, "{bytes} of {asked}");
    let sites: Vec<&str> =
        of(&windows, &target).flat_map(|window| &window.sites).map(|site| site.name.as_str()).collect();
    for name in ["in_registers", "as_constants"] {
        assert!(sites.iter().any(|site| site.starts_with(name)), "{name}: {sites:?}");
    }
}
