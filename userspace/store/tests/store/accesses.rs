//! Sampled accesses are stored window by window, long before their regions and code are known, and read one by one.

use waytrace_model::access::{Access, Code, Region};
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
