//! Traced allocations are stored window by window, long before their sites are known, and read one by one.

use std::collections::HashMap;

use waytrace_model::allocation::{Site, TracedAllocation};
use waytrace_store::{RunId, Store};

use crate::fixture::{self, Fixture};
use crate::support::{Place, record, record_without_end};

fn traced(store: &Store, run: RunId) -> Vec<TracedAllocation> {
    store.view(run).unwrap().traced().map(Result::unwrap).collect()
}

/// What the fixture has, in the order it is handed over.
fn written(run: &Fixture) -> Vec<TracedAllocation> {
    let ended = run.batches.iter().flat_map(|batch| &batch.traced);
    ended.chain(&run.epilogue.remaining).copied().collect()
}

/// The function a block's site is in; its id, not its place in a list, says which site that is.
fn callers(store: &Store, run: RunId) -> Vec<Option<String>> {
    let view = store.view(run).unwrap();
    let detail = view.detail().unwrap();
    let by_id: HashMap<u32, &Site> = detail.sites.iter().map(|site| (site.id, site)).collect();
    let caller = |block: TracedAllocation| block.site.map(|site| by_id[&site].frames[0].label());
    view.traced().map(|block| caller(block.unwrap())).collect()
}

#[test]
fn blocks_written_before_their_sites_are_known_come_back_with_them() {
    let place = Place::new();
    let store = place.open();
    let mut run = fixture::exact("", 5);
    let id = record(&store, &run);
    assert_eq!(traced(&store, id), written(&run));
    let of_windows = ["parse", "parse", "grow", "parse", "parse"];
    let blocks = of_windows.iter().flat_map(|caller| [None, Some((*caller).to_owned())]);
    let expected: Vec<_> = blocks.chain([Some("grow".to_owned())]).collect();
    assert_eq!(callers(&store, id), expected);
    assert_eq!(store.report(id).unwrap().allocations.unwrap().traced_count, Some(11));
    // Neither they nor the list of sites depend on the order in which the end of the run names them.
    run.header.name = "reversed".to_owned();
    run.epilogue.sites.reverse();
    let reversed = record(&store, &run);
    assert_eq!(callers(&store, reversed), expected);
    assert_eq!(store.detail(reversed).unwrap().sites, store.detail(id).unwrap().sites);
}

/// More than are read at once, in batches of uneven sizes.
#[test]
fn any_number_is_read_in_the_order_it_was_written() {
    let place = Place::new();
    let store = place.open();
    let mut run = fixture::exact("", 3);
    let block = |address| TracedAllocation { address, to_ns: Some(1), ..TracedAllocation::default() };
    for (batch, range) in run.batches.iter_mut().zip([0..4095u64, 4095..4096, 4096..12_287]) {
        batch.traced = range.map(block).collect();
    }
    run.epilogue.remaining.clear();
    for more in [0, 1] {
        run.epilogue.remaining.extend((0..more).map(|_| block(12_287)));
        let id = record(&store, &run);
        assert_eq!(traced(&store, id), written(&run));
        let count = store.report(id).unwrap().allocations.unwrap().traced_count;
        assert_eq!(count, Some(12_287 + more));
        run.header.name.push('x');
    }
}

#[test]
fn a_killed_run_keeps_its_trace_without_sites() {
    let place = Place::new();
    let store = place.open();
    let run = fixture::exact("cut", 4);
    let id = record_without_end(&store, &run, 3);
    let stored: Vec<_> = run.batches[..3].iter().flat_map(|batch| batch.traced.clone()).collect();
    assert_eq!(traced(&store, id), stored);
    let detail = store.detail(id).unwrap();
    assert_eq!(detail.sites, []);
    assert_eq!(detail.report.allocations.unwrap().traced_count, Some(6));
}

#[test]
fn where_nothing_was_measured_the_count_is_not_known() {
    let place = Place::new();
    let store = place.open();
    let mut run = fixture::exact("", 1);
    run.batches[0].traced.clear();
    run.epilogue.remaining.clear();
    let none = store.report(record(&store, &run)).unwrap();
    assert_eq!(none.allocations.unwrap().traced_count, Some(0));
    run.header.name = "counts".to_owned();
    run.epilogue.allocations.as_mut().unwrap().live_bytes = None;
    let unknown = store.report(record(&store, &run)).unwrap();
    assert_eq!(unknown.allocations.unwrap().traced_count, None);
}

/// A reader sees the run as it was when it began to read.
#[test]
fn a_view_is_one_snapshot() {
    let place = Place::new();
    let mut store = place.open();
    let run = fixture::exact("", 5);
    let id = record(&store, &run);
    let reader = Store::open_existing(Some(&place.file())).unwrap();
    let view = reader.view(id).unwrap();
    assert_eq!(view.detail().unwrap().windows.len(), 5);
    let rule = waytrace_store::PruneRule { runs: vec![id], ..Default::default() };
    assert_eq!(store.prune(&rule, 0).unwrap().runs.len(), 1);
    assert_eq!(view.traced().map(Result::unwrap).collect::<Vec<_>>(), written(&run));
    drop(view);
    assert_eq!(traced(&reader, id), []);
}
