//! Counters against what the kernel tells the program of itself.

use std::collections::BTreeSet;

use waytrace_model::detail::RunDetail;

use crate::harness::live::{self, Measured, Profile};
use crate::harness::report::{counter, thread};
use crate::harness::workload::Start;
use crate::or_skip;

fn measured(args: &[&str]) -> Result<Measured, String> {
    let workload = Start::plain("faults.c")?.args(&["1000", "20", "50"]).spawn();
    let mut all = vec!["--collect", "counters"];
    all.extend(args);
    Ok(live::measure(workload, &all))
}

#[test]
fn page_faults_of_a_known_number_of_touched_pages() {
    let _turn = or_skip!(live::turn());
    let measured = or_skip!(measured(&[]));
    for truth in &measured.truth.threads {
        let counters = &thread(&measured.report, truth.tid).counters;
        assert_eq!(truth.minor_faults, truth.touched_pages, "the workload's own premise");
        assert_eq!(counter(counters, "minor-faults"), truth.touched_pages, "thread {}", truth.tid);
        assert_eq!(counter(counters, "major-faults"), truth.major_faults, "thread {}", truth.tid);
    }
}

#[test]
fn context_switches_as_getrusage_counts_them() {
    let _turn = or_skip!(live::turn());
    let measured = or_skip!(measured(&[]));
    for truth in &measured.truth.threads {
        let got = counter(&thread(&measured.report, truth.tid).counters, "context-switches");
        assert_eq!(got, truth.voluntary_switches + truth.involuntary_switches, "thread {}", truth.tid);
    }
}

/// Both are the scheduler's own account, read at slightly different moments: what differs is the work around the
/// program's two readings.
#[test]
fn task_clock_is_the_threads_cpu_time() {
    let _turn = or_skip!(live::turn());
    let measured = or_skip!(measured(&[]));
    for truth in &measured.truth.threads {
        let got = counter(&thread(&measured.report, truth.tid).counters, "task-clock");
        let difference = got.abs_diff(truth.cpu_ns) as f64;
        assert!(
            difference <= truth.cpu_ns as f64 * 0.02 + 2e6,
            "{got} ns, by its own account {}",
            truth.cpu_ns
        );
    }
}

/// The total is the threads' sum, enabled and running times are kept, and nothing claims to have run when it did not.
#[test]
fn totals_are_the_threads_sums() {
    let _turn = or_skip!(live::turn());
    let report = or_skip!(measured(&[])).report;
    for total in &report.counters {
        let of_thread = |counters: &[waytrace_model::report::CounterTotal]| {
            counters.iter().filter(|c| c.event == total.event).filter_map(|c| c.value).sum::<u64>()
        };
        let sum: u64 = report.target.threads.iter().map(|thread| of_thread(&thread.counters)).sum();
        assert_eq!(total.value.unwrap_or(0), sum, "{}", total.event);
        assert!(total.time_running_ns <= total.time_enabled_ns, "{total:?}");
        assert_eq!(total.multiplexed, total.time_running_ns < total.time_enabled_ns, "{total:?}");
        assert!(total.value.is_none() || total.windows > 0, "{total:?}");
    }
}

#[test]
fn only_the_events_asked_for() {
    let _turn = or_skip!(live::turn());
    let measured = or_skip!(measured(&["--events", "page-faults,context-switches"]));
    let mut events: Vec<_> = measured.report.counters.iter().map(|counter| counter.event.as_str()).collect();
    events.sort_unstable();
    assert_eq!(events, ["context-switches", "page-faults"]);
    for truth in &measured.truth.threads {
        let counters = &thread(&measured.report, truth.tid).counters;
        assert_eq!(
            counter(counters, "page-faults"),
            truth.minor_faults + truth.major_faults,
            "thread {}",
            truth.tid
        );
    }
}

/// Events of one PMU are counted as a group: its members are read as exactly as its leader.
#[test]
fn a_group_of_perf_events_counts_known_faults() {
    let _turn = or_skip!(live::turn());
    let measured = or_skip!(measured(&["--events", "page-faults:u,minor-faults:u,major-faults:u"]));
    for truth in &measured.truth.threads {
        let counters = &thread(&measured.report, truth.tid).counters;
        for (event, faults) in [
            ("page-faults:u", truth.touched_pages + truth.major_faults),
            ("minor-faults:u", truth.touched_pages),
            ("major-faults:u", truth.major_faults),
        ] {
            assert_eq!(counter(counters, event), faults, "{event} of thread {}", truth.tid);
        }
        assert!(counters.iter().all(|c| c.time_running_ns > 0 && !c.multiplexed), "{counters:#?}");
    }
}

/// The name resolves, and the kernel has no such counter.
#[test]
fn a_named_event_the_kernel_refuses() {
    let _turn = or_skip!(live::turn());
    let has_msr = std::path::Path::new("/sys/bus/event_source/devices/msr").exists();
    or_skip!(has_msr.then_some(()).ok_or("this machine has no msr PMU"));
    let workload = or_skip!(Start::plain("sites.c")).spawn();
    let store = crate::harness::waytrace::Store::new();
    let pid = workload.pid().to_string();
    let refused = store.run(&["profile", "--pid", &pid, "--events", "task-clock,msr/event=0x3f/"]);
    assert_eq!((refused.code, refused.complaints().len()), (2, 1), "{refused:#?}");
    assert!(refused.stderr.contains("`msr/event=0x3f/` on CPU 0") && refused.stderr.contains("os error"));
    assert_eq!(store.run_count(), 0);
}

/// Asked for by name and not there is an error that names it; not asked for, it is left out.
#[test]
fn hardware_events_where_there_is_no_hardware() {
    let _turn = or_skip!(live::turn());
    let has_pmu = ["cpu", "cpu_core", "armv8_pmuv3_0"]
        .iter()
        .any(|pmu| std::path::Path::new("/sys/bus/event_source/devices").join(pmu).exists());
    or_skip!((!has_pmu).then_some(()).ok_or("this machine has a PMU, so cycles can be counted"));
    let workload = or_skip!(Start::plain("sites.c")).spawn();
    let pid = workload.pid().to_string();
    for wanted in [["--events", "cycles"], ["--phase-cycles", "20M"]] {
        let store = crate::harness::waytrace::Store::new();
        let args = ["profile", "--pid", &pid, "--duration", "200ms", wanted[0], wanted[1]];
        let refused = store.run(&args);
        assert_eq!((refused.code, refused.complaints().len()), (2, 1), "{wanted:?}: {refused:#?}");
        assert!(refused.stderr.contains("cycles") && refused.stderr.contains("PMU"), "{refused:#?}");
        let has_way_out = refused.stderr.contains("--phase-event task-clock");
        assert_eq!(has_way_out, wanted[0] == "--phase-cycles", "{refused:#?}");
        assert_eq!(store.run_count(), 0);
    }
    let measured = live::measure(workload, &[]);
    assert!(measured.report.counters.iter().all(|counter| counter.event != "cycles"));
}

/// A thread that never leaves its CPU is read all the same: a timer closes its windows.
#[test]
fn a_spinning_thread_has_its_windows() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("churn.c")).args(&["2", "0", "64", "1", "0"]).spawn();
    let measured = live::measure(workload, &["--collect", "counters", "--interval", "50ms"]);
    let truth = &measured.truth;
    let clock = measured.report.counters.iter().find(|counter| counter.event == "task-clock").unwrap();
    let value = clock.value.unwrap();
    assert!(
        value.abs_diff(truth.number("cpu_ns")) as f64 <= truth.number("cpu_ns") as f64 * 0.02 + 5e6,
        "{clock:?}"
    );
    assert!(clock.windows >= 30, "2 s in windows of 50 ms: {clock:?}");
}

/// A thread's phases follow one another without a gap, each as long as asked for, and are all of its CPU time but what it
/// does before its first overflow and after its last.
#[test]
fn phases_of_a_busy_thread() {
    const PERIOD_NS: u64 = 20_000_000;
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("churn.c")).args(&["2", "0", "64", "1", "0"]).spawn();
    let args = ["--collect", "counters", "--phase-event", "task-clock", "--phase-cycles", "20M"];
    let measured = live::measure(workload, &args);
    let phases = measured.report.phases.as_ref().expect("phases were asked for");
    assert_eq!((phases.event.as_str(), phases.period), ("task-clock", PERIOD_NS));
    // The event's clock also runs while an interrupt or the host has the CPU; it never runs faster than time.
    let least = measured.truth.number("cpu_ns") / PERIOD_NS * 19 / 20;
    let most = measured.truth.number("elapsed_ns") / PERIOD_NS;
    assert!((least..=most).contains(&phases.count), "{phases:?}, not {least} to {most}");

    let exported = measured.store.run(&["export", "last", "--format", "json"]);
    let detail: RunDetail = serde_json::from_value(exported.json()).unwrap();
    assert_eq!(detail.phases.len() as u64, phases.count);
    let tid = detail.phases[0].tid;
    for (index, phase) in detail.phases.iter().enumerate() {
        assert_eq!((phase.tid, phase.index), (tid, index as u64), "only the worker is busy: {phase:?}");
        assert!(phase.cpu_ns <= phase.end_ns - phase.start_ns, "{phase:?}");
    }
    assert!(detail.phases.windows(2).all(|pair| pair[0].end_ns == pair[1].start_ns));
    let mut cpu: Vec<u64> = detail.phases.iter().map(|phase| phase.cpu_ns).collect();
    cpu.sort_unstable();
    assert!(cpu[cpu.len() / 2].abs_diff(PERIOD_NS) * 20 <= PERIOD_NS, "{cpu:?}");
    assert_nearly_all_counted(&detail);
    assert_shown(&measured.store, &detail);
}

/// Perfetto has a slice for each phase on its thread's track, the page a row for the thread.
fn assert_shown(store: &crate::harness::waytrace::Store, detail: &RunDetail) {
    let exported = store.run(&["export", "last", "--format", "perfetto"]).stdout;
    let trace: serde_json::Value = serde_json::from_str(&exported).unwrap();
    let slices = trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["cat"] == "phase");
    let shown: Vec<_> = slices
        .map(|slice| {
            let ns = |field: &str| (slice[field].as_f64().unwrap() * 1e3).round() as u64;
            (slice["tid"].as_u64(), slice["args"]["cpu_ns"].as_u64(), ns("ts"), ns("dur"))
        })
        .collect();
    let expected = detail.phases.iter().map(|phase| {
        (Some(phase.tid.into()), Some(phase.cpu_ns), phase.start_ns, phase.end_ns - phase.start_ns)
    });
    assert_eq!(shown, expected.collect::<Vec<_>>());
    let page = store.run(&["report", "last", "-o", "-"]).stdout;
    let (_, section) = page.split_once("<section id=\"phases\">").expect("the section");
    let phase = &detail.phases[0];
    let row = format!(
        "<tr><td>{} {}</td><td>{}</td>",
        thread(&detail.report, phase.tid).comm,
        phase.tid,
        detail.phases.len()
    );
    assert!(section.contains(&row), "no {row}");
}

/// No thread counts more in its phases than in its windows, and of ticks, which it has all the time, hardly less.
fn assert_nearly_all_counted(detail: &RunDetail) {
    let tids: BTreeSet<u32> = detail.phases.iter().map(|phase| phase.tid).collect();
    for (tid, (event, info)) in
        tids.iter().flat_map(|tid| detail.events.iter().enumerate().map(move |e| (tid, e)))
    {
        let phases = detail.phases.iter().filter(|phase| phase.tid == *tid);
        let of_event = phases.flat_map(|phase| &phase.readings).filter(|r| usize::from(r.event) == event);
        let sum: u64 = of_event.map(|reading| reading.value).sum();
        let total = counter(&thread(&detail.report, *tid).counters, &info.name);
        assert!(sum <= total, "{}: {sum} in phases, {total} in all", info.name);
        assert!(info.name != "msr/tsc/" || sum * 10 > total * 9, "{sum} of {total}");
    }
}

/// A thread that begins after the attach inherits the event from its creator.
#[test]
fn phases_of_threads_that_begin_later() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(Start::plain("churn.c")).args(&["1", "0", "64", "3", "0"]).spawn();
    let profile = Profile::attach(
        &workload,
        &["--collect", "counters", "--phase-event", "task-clock", "--phase-cycles", "1M"],
    );
    workload.go();
    let measured = live::conclude(profile, workload.truth());
    assert!(workload.quit().success());
    let exported = measured.store.run(&["export", "last", "--format", "json"]);
    let detail: RunDetail = serde_json::from_value(exported.json()).unwrap();
    let tids: BTreeSet<u32> = detail.phases.iter().map(|phase| phase.tid).collect();
    assert_eq!(tids.len(), 3, "{tids:?}");
    assert_nearly_all_counted(&detail);
}

/// Both collectors at once do not disturb each other's exact numbers.
#[test]
fn counters_beside_allocations() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("sites.c")).spawn();
    let measured = live::measure(workload, &["--exact", "--collect", "counters,allocations"]);
    crate::harness::report::assert_sites(measured.allocations(), &measured.truth.parts);
    assert!(counter(&measured.report.counters, "task-clock") > 0);
}
