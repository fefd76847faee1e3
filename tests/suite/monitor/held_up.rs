//! What holds it up: itself stopped, and a target that does not answer signals.

use std::thread::sleep;
use std::time::Duration;

use waytrace_model::monitor::Metric;

use super::{Monitor, of};
use crate::harness::live;
use crate::harness::memory::changed_code_bytes;
use crate::harness::workload::Start;
use crate::or_skip;

/// As for a debugger, or a container that is frozen. What the kernel counts goes on being counted.
#[test]
fn stopped_for_a_while_it_has_one_long_window() {
    const STOPPED: Duration = Duration::from_secs(4);
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(Start::plain("churn.c")).args(&["120", "20000", "64"]).spawn();
    let pid = workload.pid().to_string();
    workload.go();
    let args = ["--pid", &pid, "--window", "1s", "--listen", "127.0.0.1:0", "--target-slowdown", "10%"];
    let mut monitor = Monitor::start(&args);
    monitor.await_windows(3);
    monitor.signal(libc::SIGSTOP);
    sleep(STOPPED);
    monitor.signal(libc::SIGCONT);
    monitor.await_windows(5);
    assert_eq!(monitor.metric("waytrace_alerts_active"), Some(0.0));
    let windows = monitor.stop();
    assert!(windows.iter().zip(0..).all(|(window, index)| window.index == index), "none is made up");
    let is_long = |length_ns: u64| u128::from(length_ns) > STOPPED.as_nanos() - 100_000_000;
    let long: Vec<_> = windows.iter().filter(|window| is_long(window.length_ns)).collect();
    let [long] = long[..] else { panic!("{:?}", windows.iter().map(|window| window.length_ns)) };
    assert!(windows.iter().all(|window| window.loss.0.is_empty()), "{:?}", long.loss);
    // CPU time over the length is what it is in the windows around.
    let target = format!("pid-{pid}");
    let share = |index: u64| {
        let window = &windows[index as usize];
        let of_target = of(std::slice::from_ref(window), &target).next().unwrap();
        of_target.values.get(Metric::Cpu).unwrap() / window.length_ns as f64
    };
    let (during, after) = (share(long.index), share(long.index + 2));
    assert!((0.25..4.0).contains(&(during / after)), "{during} of a CPU, then {after}");
    workload.kill();
}

/// Nothing that is done to a process waits for its threads: neither probes nor reading its numbers.
#[test]
fn a_target_in_uninterruptible_sleep_holds_nobody_up() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(Start::plain("blocked.c")).spawn();
    let pid = workload.pid();
    let state = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
    };
    workload.go();
    workload.expect("step");
    while state() != 'D' {
        sleep(Duration::from_millis(5));
    }
    let name = pid.to_string();
    let mut monitor = Monitor::start(&["--pid", &name, "--window", "500ms", "--target-slowdown", "10%"]);
    monitor.await_windows(6);
    assert_eq!(state(), 'D');
    // The child ends, and with that the sleep.
    workload.go();
    workload.truth();
    monitor.await_windows(2);
    let windows = monitor.stop();
    let target = format!("pid-{pid}");
    let blocked: Vec<_> = windows[..6].iter().zip(of(&windows, &target)).collect();
    for (window, target) in &blocked {
        assert_eq!(target.values.get(Metric::Threads), Some(2.0));
        let off_cpu = target.values.get(Metric::OffCpu).unwrap();
        assert!(off_cpu >= 0.9 * window.length_ns as f64, "a thread slept all the time: {off_cpu}");
    }
    let allocations = blocked.iter().filter_map(|(_, target)| target.values.get(Metric::AllocCount));
    assert!(allocations.sum::<f64>() > 0.0, "the other thread is looked at");
    assert_eq!(changed_code_bytes(pid).0, 0, "a probe is left");
    assert!(workload.quit().success());
}
