//! A run without an end record: its windows are what it is.

use waytrace_model::access::Source;
use waytrace_model::access_report::WorkingSet;
use waytrace_model::allocation::Mode;
use waytrace_model::collector::Status;
use waytrace_model::run::EndedBy;

use crate::fixture;
use crate::support::{Place, record_without_end};

#[test]
fn windows_are_summed_and_nulls_explained() {
    let place = Place::new();
    let store = place.open();
    let run = fixture::exact("cut", 4);
    let id = record_without_end(&store, &run, 3);

    let report = store.report(id).unwrap();
    assert_eq!((report.run.ended_by, report.run.duration_ns), (EndedBy::Unfinished, 300_000_000));
    assert_eq!((report.run.windows, report.run.exit_code), (3, None));
    assert_eq!(report.counters[0].value, Some(240_000_000));
    let allocations = report.allocations.unwrap();
    assert_eq!((allocations.alloc_count, allocations.freed_bytes), (Some(300.0), Some(17_280.0)));
    assert_eq!((allocations.live_bytes, allocations.mmap_bytes), (Some(1920), 24_576));
    assert_eq!((allocations.peak_live_bytes, allocations.ci95_pct), (None, None));
    assert!(allocations.null_reason.as_deref().unwrap().contains("no end record"));
    let failed: Vec<_> = report.collectors.iter().map(|c| (c.name.as_str(), c.status)).collect();
    assert_eq!(failed, ["counters", "allocations", "accesses"].map(|name| (name, Status::Failed)));

    let row = store.run(id).unwrap();
    assert_eq!((row.duration_ns, row.alloc_count), (300_000_000, Some(300.0)));
    assert_eq!(row.counters[0].value, Some(240_000_000));
    assert_eq!((row.mode, allocations.mode), (Some(Mode::Exact), Some(Mode::Exact)));
}

#[test]
fn accesses_are_what_their_samples_tell() {
    let place = Place::new();
    let store = place.open();
    let mut run = fixture::exact("cut", 4);
    let detail = store.detail(record_without_end(&store, &run, 3)).unwrap();
    let accesses = detail.report.accesses.unwrap();
    assert_eq!((accesses.source, accesses.samples, accesses.resolved), (Source::PmuEvent, 12, 12));
    assert_eq!((accesses.loads, accesses.stores), (6, 3003));
    assert_eq!(accesses.working_set, WorkingSet { pages: 3, lines: 5 });
    assert_eq!((accesses.regions.len(), accesses.sites.len(), accesses.functions.len()), (0, 0, 0));
    assert!(accesses.null_reason.as_deref().unwrap().contains("no end record"));
    assert_eq!(detail.windows[2].working_set, Some(WorkingSet { pages: 3, lines: 3 }));
    // Without anything only a PMU tells, it was the walk; without samples, nobody knows.
    run.header.name = "walked".to_owned();
    run.batches.iter_mut().flat_map(|batch| &mut batch.accesses).for_each(|access| access.precise = None);
    let walked = store.report(record_without_end(&store, &run, 1)).unwrap();
    assert_eq!(walked.accesses.unwrap().source, Source::ForwardWalk);
    run.header.name = "none".to_owned();
    let none = store.detail(record_without_end(&store, &run, 0)).unwrap();
    assert_eq!(none.report.accesses, None);
}

#[test]
fn a_run_that_never_had_a_window_is_empty_not_an_error() {
    let place = Place::new();
    let store = place.open();
    let id = store.begin_run(&fixture::header("bare"), &[]).unwrap().id();
    let detail = store.detail(id).unwrap();
    assert_eq!((detail.report.run.duration_ns, detail.windows.len()), (0, 0));
    assert!(detail.report.allocations.is_none() && detail.report.collectors.is_empty());
}
