//! Sampled accesses are stored window by window, long before their regions and code are known, and read one by one.

use waytrace_model::access::{Access, Code, Region, Source};
use waytrace_model::access_report::WorkingSet;
use waytrace_model::run::NumaNode;
use waytrace_store::{RunId, Store};

use crate::fixture::accesses::{BARE_CODE, HEAP_REGION, PARSE_CODE, STACK_REGION};
use crate::fixture::{self, Fixture};
use crate::support::{Place, record, record_without_end};

fn accesses(store: &Store, run: RunId) -> Vec<Access> {
    store.view(run).unwrap().accesses().map(Result::unwrap).collect()
}

fn written(run: &Fixture) -> Vec<Access> {
    run.batches.iter().flat_map(|batch| batch.accesses.clone()).collect()
}

#[test]
fn samples_come_back_as_they_were_with_their_regions_and_code() {
    let place = Place::new();
    let store = place.open();
    let run = fixture::exact("", 5);
    let id = record(&store, &run);
    assert_eq!(accesses(&store, id), written(&run));
    assert_eq!(written(&run).len(), 20);
    let detail = store.detail(id).unwrap();
    let totals = run.epilogue.accesses.unwrap();
    // By key, whatever the order they were given in.
    let (regions, code): (Vec<Region>, Vec<Code>) =
        (totals.regions.into_iter().rev().collect(), totals.code.into_iter().rev().collect());
    assert_eq!((detail.regions[0].id, detail.regions[1].id), (STACK_REGION, HEAP_REGION));
    assert_eq!((detail.code[0].id, detail.code[1].id), (BARE_CODE, PARSE_CODE));
    assert_eq!((detail.regions, detail.code), (regions, code));
}

/// More than are read at once, in batches of uneven sizes.
#[test]
fn any_number_is_read_in_the_order_it_was_written() {
    let place = Place::new();
    let store = place.open();
    let mut run = fixture::exact("", 3);
    let like = run.batches[0].accesses[0].clone();
    for (batch, range) in run.batches.iter_mut().zip([0..4095u64, 4095..4096, 4096..12_288]) {
        batch.accesses = range.map(|address| Access { address, ..like.clone() }).collect();
    }
    let id = record(&store, &run);
    let read: Vec<u64> = accesses(&store, id).iter().map(|access| access.address).collect();
    assert_eq!(read, (0..12_288).collect::<Vec<_>>());
}

#[test]
fn the_report_is_made_of_the_samples_and_the_end() {
    let place = Place::new();
    let store = place.open();
    let run = fixture::exact("", 5);
    let id = record(&store, &run);
    let detail = store.detail(id).unwrap();
    let accesses = detail.report.accesses.as_ref().unwrap();
    assert_eq!(
        (accesses.source, accesses.rate_hz, accesses.throttled),
        (Source::ForwardWalk, Some(300.0), 1)
    );
    assert_eq!((accesses.samples, accesses.kernel_samples, accesses.resolved), (25, 10, 20));
    assert_eq!((accesses.unresolved["value-unknown"], accesses.checked), (5, 8));
    assert_eq!((accesses.confirmed_ratio, accesses.null_reason.clone()), (Some(0.75), None));
    assert_eq!((accesses.loads, accesses.stores), (10, 5005));
    // Five lines of the heap's first page, one of the stack, and the last byte of all.
    assert_eq!(accesses.working_set, WorkingSet { pages: 3, lines: 7 });
    let regions: Vec<_> = accesses.regions.iter().map(|r| (r.name.as_str(), r.loads, r.stores)).collect();
    assert_eq!(regions, [("[stack]", 0, 5000), ("[heap]", 5, 5)]);
    assert_eq!((accesses.regions[1].resident_bytes, accesses.regions[1].node), (Some(8192), Some(1)));
    let functions: Vec<_> =
        accesses.functions.iter().map(|f| (f.frames[0].label(), f.loads, f.stores)).collect();
    assert_eq!(functions, [("[vsyscall]+0x0".to_owned(), 0, 5000), ("parse".to_owned(), 5, 5)]);
    // `parse` has 2,880 of 3,200 live bytes and all accesses to blocks.
    let sites: Vec<_> =
        accesses.sites.iter().map(|s| (s.frames[0].label(), s.loads, s.stores, s.live_bytes)).collect();
    assert_eq!(sites, [("parse".to_owned(), 5, 5, Some(2880)), ("grow".to_owned(), 0, 0, Some(320))]);
    assert_eq!((accesses.sites[0].heat, accesses.sites[1].heat), (Some(3200.0 / 2880.0), Some(0.0)));
    assert_eq!((accesses.sites[0].untouched_bytes, accesses.sites[1].untouched_bytes), (Some(1024), None));
    let sets: Vec<_> = detail.windows.iter().map(|window| window.working_set).collect();
    assert_eq!(sets, [Some(WorkingSet { pages: 3, lines: 3 }); 5]);
    assert_eq!(store.report(id).unwrap(), detail.report);
}

/// The heap lies on node 1; five of its accesses come from there, five from node 0. Where the stack lies is not known.
#[test]
fn remote_accesses_are_those_of_other_nodes_cpus() {
    let place = Place::new();
    let store = place.open();
    let mut run = fixture::exact("", 5);
    let one = store.report(record(&store, &run)).unwrap();
    assert!(one.accesses.unwrap().regions.iter().all(|region| region.remote == Some(0)), "one node");
    let node = |id| NumaNode { id, cpus: vec![id] };
    run.header.host.numa_nodes = vec![node(0), node(1)];
    for batch in &mut run.batches {
        batch.accesses[1].cpu = Some(1);
    }
    let report = store.report(record(&store, &run)).unwrap();
    assert_eq!(report.host.numa_nodes, run.header.host.numa_nodes);
    let accesses = report.accesses.unwrap();
    let remote: Vec<_> = accesses.regions.iter().map(|r| (r.name.as_str(), r.remote)).collect();
    assert_eq!(remote, [("[stack]", None), ("[heap]", Some(5))]);
    assert!(accesses.null_reason.unwrap().starts_with("remote accesses of 1 mapping:"));
}

#[test]
fn where_none_were_sampled_there_is_no_report_of_them() {
    let place = Place::new();
    let store = place.open();
    let mut run = fixture::exact("", 1);
    run.batches[0].accesses.clear();
    run.epilogue.accesses = None;
    let detail = store.detail(record(&store, &run)).unwrap();
    assert_eq!((detail.report.accesses, detail.windows[0].working_set), (None, None));
}

/// A newer build's source is not taken for one this build can vouch for.
#[test]
fn an_unknown_source_promises_nothing() {
    let place = Place::new();
    let store = place.open();
    let id = record(&store, &fixture::exact("", 1));
    let connection = rusqlite::Connection::open(place.file()).unwrap();
    connection.execute("UPDATE access_total SET source = 'crystal-ball'", []).unwrap();
    assert_eq!(store.report(id).unwrap().accesses.unwrap().source, Source::Imported);
}

#[test]
fn a_killed_run_keeps_its_samples_without_regions_and_code() {
    let place = Place::new();
    let store = place.open();
    let run = fixture::exact("cut", 4);
    let id = record_without_end(&store, &run, 3);
    assert_eq!(accesses(&store, id), written(&run)[..12]);
    let detail = store.detail(id).unwrap();
    assert_eq!((detail.regions, detail.code), (vec![], vec![]));
}

/// What no collector should send costs no run its end.
#[test]
fn keys_given_twice_keep_their_first_and_footprints_add_up() {
    let place = Place::new();
    let store = place.open();
    let mut run = fixture::exact("", 1);
    let totals = run.epilogue.accesses.as_mut().unwrap();
    totals.regions.push(Region { name: "again".to_owned(), ..totals.regions[0].clone() });
    totals.code.push(Code { id: PARSE_CODE, frames: Vec::new() });
    totals.footprints.push(totals.footprints[0]);
    let detail = store.detail(record(&store, &run)).unwrap();
    assert!(detail.regions.iter().all(|region| region.name != "again"));
    assert_eq!(detail.code[1].frames.len(), 1);
    let connection = rusqlite::Connection::open(place.file()).unwrap();
    let sums =
        connection.query_row("SELECT blocks, live_bytes, untouched_bytes FROM access_footprint", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        });
    assert_eq!(sums.unwrap(), (2, 8192, 2048));
}
