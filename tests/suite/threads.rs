//! Exact mode per thread: threads there before, threads created during the run, frees by another thread, thousands of
//! short lives.

use crate::harness::live;
use crate::harness::report::{site_totals, sites_in, some_whole, thread, whole};
use crate::harness::workload::Start;
use crate::or_skip;

const EXACT: [&str; 3] = ["--exact", "--collect", "allocations"];

#[test]
fn each_thread_has_its_own_counts() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("threads.c")).args(&["long", "200"]).spawn();
    let measured = live::measure(workload, &EXACT);
    let (truth, report) = (&measured.truth, &measured.report);
    for part in truth.parts.iter().filter(|part| part.alloc_count > 0) {
        let found = thread(report, part.tid.unwrap());
        let got = (some_whole(found.alloc_count), some_whole(found.alloc_bytes));
        assert_eq!(got, (part.alloc_count, part.alloc_bytes), "thread {}", found.tid);
    }
    let work = site_totals(measured.allocations(), "thread_work");
    assert_eq!((work.alloc_count, work.alloc_bytes), (truth.total.alloc_count, truth.total.alloc_bytes));
}

/// Blocks that main frees for the workers leave the workers' sites, and are frees of the process.
#[test]
fn a_free_by_another_thread_ends_the_block() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("threads.c")).args(&["long", "200"]).spawn();
    let measured = live::measure(workload, &EXACT);
    let (total, report) = (&measured.truth.total, measured.allocations());
    assert_eq!(site_totals(report, "thread_work").live_bytes, total.live_bytes);
    assert_eq!(some_whole(report.free_count), total.free_count);
    assert_eq!(some_whole(report.freed_bytes), total.freed_bytes);
}

/// An ending thread makes glibc free its cache through `free`: those frees are of no block of the program's, so live
/// bytes must not notice them.
#[test]
fn a_thousand_short_lived_threads() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("threads.c")).args(&["short", "1000"]).spawn();
    let measured = live::measure(workload, &EXACT);
    let (total, report) = (&measured.truth.total, measured.allocations());
    let work = site_totals(report, "short_work");
    assert_eq!((work.alloc_count, work.alloc_bytes), (total.alloc_count, total.alloc_bytes));
    assert_eq!(work.live_bytes, total.live_bytes);
    assert!(some_whole(report.free_count) >= total.free_count);
    let by_thread: u64 =
        measured.report.target.threads.iter().map(|thread| some_whole(thread.alloc_count)).sum();
    assert_eq!(by_thread, some_whole(report.alloc_count), "the threads' counts make up the whole");
}

/// `--tid` sees one thread's allocations and nobody else's.
#[test]
fn one_thread_alone() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(Start::plain("threads.c")).args(&["long", "100"]).spawn();
    // The first thread after main: one of those that wait.
    let mut tids: Vec<u32> = std::fs::read_dir(format!("/proc/{}/task", workload.pid()))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    tids.sort_unstable();
    let tid = tids[1];
    let mut profile =
        live::Profile::start(&["--tid", &tid.to_string(), "--exact", "--collect", "allocations"]);
    profile.running.await_attached();
    workload.go();
    let truth = workload.truth();
    let measured = live::conclude(profile, truth);
    let part = measured.truth.parts.iter().find(|part| part.tid == Some(tid)).unwrap();
    let report = measured.allocations();
    assert_eq!(some_whole(report.alloc_count), part.alloc_count);
    assert_eq!(some_whole(report.alloc_bytes), part.alloc_bytes);
    let count: u64 = sites_in(report, "thread_work").iter().map(|site| whole(site.alloc_count)).sum();
    assert_eq!(count, part.alloc_count);
}
