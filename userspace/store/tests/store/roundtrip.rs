//! A recorded run reads back as it was, and its totals are the ones known beforehand.

use waytrace_model::allocation::Mode;
use waytrace_model::counter::Unit;
use waytrace_model::run::EndedBy;
use waytrace_store::RunId;

use crate::fixture::{self, MAIN, WORKER};
use crate::support::{Place, record};

#[test]
fn detail_gives_back_everything_that_was_written() {
    let place = Place::new();
    let run = fixture::exact("full", 5);
    let store = place.open();
    let id = record(&store, &run);
    let detail = store.detail(id).unwrap();
    assert_eq!(detail.events, run.events);
    assert_eq!(detail.sites, run.epilogue.sites);
    let map_events: Vec<_> = run.batches.iter().flat_map(|batch| batch.map_events.clone()).collect();
    assert_eq!(detail.map_events, map_events);
    let phases: Vec<_> = run.batches.iter().flat_map(|batch| batch.phases.clone()).collect();
    assert_eq!(detail.phases, phases);
    assert_eq!(detail.windows.len(), run.batches.len());
    for (read, written) in detail.windows.iter().zip(&run.batches) {
        assert_eq!(read.window, written.window);
        assert_eq!(read.readings, written.readings);
        assert_eq!(read.allocations, written.allocations);
    }
    assert_eq!(detail.report, store.report(id).unwrap());
}

#[test]
fn report_states_run_host_target_and_end() {
    let place = Place::new();
    let run = fixture::exact("full", 5);
    let store = place.open();
    let report = store.report(record(&store, &run)).unwrap();
    assert_eq!((report.schema_version, report.run.id, report.run.name.as_str()), (1, 1, "full"));
    assert_eq!(report.run.started_at, "2023-11-14T22:13:20.987Z");
    assert_eq!((report.run.duration_ns, report.run.windows), (501_000_000, 5));
    assert_eq!((report.run.ended_by, report.run.exit_code), (EndedBy::TargetExit, Some(3)));
    assert_eq!(report.run.command, run.header.command);
    assert_eq!(report.host, run.header.host);
    assert_eq!((report.target.tgid, report.target.build_id.as_deref()), (MAIN, Some("c0ffee")));
    assert_eq!(report.collectors, run.epilogue.collectors);
    let phases = report.phases.unwrap();
    assert_eq!((phases.event.as_str(), phases.unit, phases.period), ("ref-cycles", Unit::Cycles, 20_000_000));
    assert_eq!((phases.count, phases.cpu_ns), (10, 300_000_000));
    assert_eq!(report.loss, run.epilogue.loss);
    assert_eq!(report.overhead, run.epilogue.overhead);
}

#[test]
fn counters_sum_over_windows_and_threads_without_scaling() {
    let place = Place::new();
    let store = place.open();
    let report = store.report(record(&store, &fixture::exact("", 5))).unwrap();
    let total = |name: &str| report.counters.iter().find(|counter| counter.event == name).unwrap();
    let clock = total("task-clock");
    assert_eq!((clock.value, clock.unit, clock.windows), (Some(400_000_000), Unit::Ns, 5));
    assert!(!clock.multiplexed);
    let cycles = total("cycles");
    assert_eq!((cycles.value, cycles.time_enabled_ns), (Some(450_000_000), 300_000_000));
    assert_eq!((cycles.time_running_ns, cycles.multiplexed), (150_000_000, true));
    assert_eq!(total("cache-misses").value, None, "what never ran is not 0");

    let threads: Vec<_> =
        report.target.threads.iter().map(|thread| (thread.tid, thread.comm.as_str())).collect();
    assert_eq!(threads, [(MAIN, "server"), (WORKER, "io")], "busiest first");
    let worker = &report.target.threads[1];
    let of_worker: Vec<_> = worker.counters.iter().map(|c| (c.event.as_str(), c.value)).collect();
    assert_eq!(of_worker, [("task-clock", Some(100_000_000)), ("page-faults", Some(0))]);
    assert_eq!((worker.alloc_count, worker.alloc_bytes), (Some(150.0), Some(9600.0)));
}

#[test]
fn sites_merge_over_threads_under_the_most_sampled_stack() {
    let place = Place::new();
    let store = place.open();
    let report = store.report(record(&store, &fixture::exact("", 10))).unwrap();
    let allocations = report.allocations.unwrap();
    assert_eq!((allocations.mode, allocations.alloc_count), (Some(Mode::Exact), Some(1000.0)));
    assert_eq!((allocations.peak_live_bytes, allocations.ci95_pct), (Some(7000), Some(0.0)));
    assert_eq!(allocations.probes.len(), 2);
    assert_eq!((allocations.sizes.len(), allocations.lifetimes.len()), (2, 1));
    assert_eq!(allocations.stacks.own_code_count, 9);
    let [parse, grow] = allocations.sites.as_slice() else { panic!("two callers: {:?}", allocations.sites) };
    assert_eq!((parse.alloc_count, parse.alloc_bytes), (900.0, 57_600.0));
    assert_eq!((parse.live_bytes, parse.samples_count), (Some(5760), 10));
    let labels: Vec<_> = parse.frames.iter().map(|frame| frame.label()).collect();
    assert_eq!(labels, ["parse", "handle", "[vsyscall]+0xffffffffff600042"]);
    assert_eq!((grow.frames.len(), grow.samples_count), (1, 0));
}

#[test]
fn frames_and_stacks_are_stored_once() {
    let place = Place::new();
    let store = place.open();
    record(&store, &fixture::exact("", 1));
    let connection = rusqlite::Connection::open(place.file()).unwrap();
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    // parse, handle, warm_up, grow, the bare one, and an access in parse; the callers `parse` and `grow`, two full stacks,
    // and two instructions.
    assert_eq!(count("SELECT count(*) FROM frame"), 6);
    assert_eq!(count("SELECT count(DISTINCT stack) FROM stack"), 6);
    assert_eq!(count("SELECT count(*) FROM function"), 5);
}

#[test]
fn a_run_without_allocations_says_null() {
    let place = Place::new();
    let store = place.open();
    let mut run = fixture::exact("", 1);
    run.batches[0].allocations = None;
    run.epilogue.allocations = None;
    run.epilogue.sites.clear();
    let report = store.report(record(&store, &run)).unwrap();
    assert!(report.allocations.is_none());
    assert!(report.target.threads.iter().all(|thread| thread.alloc_count.is_none()));
}

#[test]
fn a_tid_used_twice_in_a_window_adds_up_and_keeps_its_newest_name() {
    let place = Place::new();
    let store = place.open();
    let mut run = fixture::exact("", 1);
    let again = run.batches[0].readings[0];
    run.batches[0].readings.push(again);
    let mut renamed = run.batches[0].threads[0].clone();
    renamed.comm = "after-exec".to_owned();
    run.batches[0].threads.push(renamed);
    let report = store.report(record(&store, &run)).unwrap();
    assert_eq!(report.counters[0].value, Some(140_000_000));
    assert_eq!(report.target.threads[0].comm, "after-exec");
}

#[test]
fn extreme_values_neither_fail_nor_poison_the_report() {
    let place = Place::new();
    let store = place.open();
    let mut run = fixture::exact("", 2);
    for batch in &mut run.batches {
        batch.readings[0].value = u64::MAX;
        batch.map_events[0].added_bytes = u64::MAX;
    }
    run.epilogue.sites[0].alloc_bytes = f64::NAN;
    run.epilogue.allocations.as_mut().unwrap().ci95_pct = Some(f64::INFINITY);
    let report = store.report(record(&store, &run)).unwrap();
    assert!(report.counters[0].value.unwrap() >= i64::MAX as u64);
    assert_eq!(report.allocations.unwrap().ci95_pct, None);
}

#[test]
fn the_list_is_newest_first_with_sums() {
    let place = Place::new();
    let store = place.open();
    record(&store, &fixture::exact("older", 2));
    record(&store, &fixture::exact("newer", 4));
    let rows = store.runs(None).unwrap();
    let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["newer", "older"]);
    assert_eq!((rows[0].windows, rows[0].alloc_count), (4, Some(400.0)));
    let sums: Vec<_> = rows[0].counters.iter().map(|sum| sum.value).collect();
    assert_eq!(sums, [Some(320_000_000), Some(40), Some(360_000_000), None]);
    assert_eq!(store.runs(Some(1)).unwrap().len(), 1);
    assert_eq!(store.run(RunId(1)).unwrap(), rows[1]);
}
