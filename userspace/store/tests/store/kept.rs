//! The bound on stored accesses: what is kept of many stands for all of them.
//!
//! What is kept is drawn at random: counts are compared with six standard deviations, which a right build exceeds once in
//! 500 million times.

use waytrace_model::access::{Access, AccessKind, Block};
use waytrace_model::access_report::AccessReport;
use waytrace_store::{RunId, RunWriter, Store};

use crate::fixture::accesses::{HEAP, HEAP_REGION, PARSE_CODE, STACK_REGION};
use crate::fixture::{self, Fixture, SITE_IDS};
use crate::support::Place;

const COUNT: u64 = 100_000;
const WINDOWS: u64 = 100;
const BOUND: u64 = 10_000;

/// As a loop makes them: of ten accesses in a row seven are to the heap, each second one of all is a store.
fn looped(number: u64) -> Access {
    let in_heap = number % 10 < 7;
    let block = Block { address: HEAP, size_bytes: 4096, site: SITE_IDS[(number % 10 >= 5) as usize] };
    Access {
        at_ns: number,
        tid: 1,
        cpu: Some(0),
        address: HEAP + 8 * number,
        width_bytes: Some(8),
        kind: if number.is_multiple_of(2) { AccessKind::Load } else { AccessKind::Store },
        code: Some(PARSE_CODE),
        region: Some(if in_heap { HEAP_REGION } else { STACK_REGION }),
        block: in_heap.then_some(block),
        weight: 1,
        precise: None,
    }
}

/// [`COUNT`] of them in windows of as many.
fn run(access: impl Fn(u64) -> Access) -> Fixture {
    let mut run = fixture::exact("", WINDOWS);
    for (window, batch) in (0..).zip(&mut run.batches) {
        let each = COUNT / WINDOWS;
        batch.accesses = (window * each..(window + 1) * each).map(&access).collect();
    }
    let totals = run.epilogue.accesses.as_mut().unwrap();
    (totals.samples, totals.resolved) = (COUNT + 5, COUNT);
    run
}

fn begin(store: &Store, run: &Fixture, bound: Option<u64>) -> RunWriter {
    let mut writer = store.begin_run(&run.header, &run.events).unwrap();
    writer.keep_accesses(bound);
    writer
}

fn record(store: &Store, run: &Fixture, bound: Option<u64>) -> RunId {
    let mut writer = begin(store, run, bound);
    run.batches.iter().for_each(|batch| writer.append(batch).unwrap());
    writer.finish(&run.epilogue).unwrap()
}

fn report(store: &Store, id: RunId) -> AccessReport {
    store.report(id).unwrap().accesses.unwrap()
}

fn kept(store: &Store, id: RunId) -> Vec<Access> {
    store.view(id).unwrap().accesses().map(Result::unwrap).collect()
}

fn assert_near(found: f64, expected: f64, deviation: f64, what: &str) {
    assert!((found - expected).abs() <= 6.0 * deviation, "{what}: {found}, not {expected} ± 6 × {deviation}");
}

#[test]
fn what_is_kept_stands_for_all() {
    let place = Place::new();
    let store = place.open();
    let id = record(&store, &run(looped), Some(BOUND));
    let found = report(&store, id);
    assert_eq!((found.samples, found.resolved), (COUNT + 5, COUNT), "what was taken stays");
    let own = found.kept;
    assert_eq!((own.of, own.loads, own.stores), (COUNT, COUNT / 2, COUNT / 2));
    assert!(own.samples <= BOUND && own.samples > BOUND / 3, "{own:?}");
    assert!(own.factor.is_power_of_two() && own.factor >= 8, "{own:?}");
    let rows = kept(&store, id);
    assert_eq!(rows.len() as u64, own.samples);
    assert!(rows.iter().all(|access| access.weight == own.factor));

    // Each was kept with the probability 1/factor, on its own.
    let (all, n) = ((found.loads + found.stores) as f64, own.samples as f64);
    assert_near(all, COUNT as f64, (COUNT as f64 * (own.factor - 1) as f64).sqrt(), "sum of weights");
    let share = |part: u64, expected: f64, what: &str| {
        assert_near(part as f64 / all, expected, (expected * (1.0 - expected) / n).sqrt(), what);
    };
    share(found.stores, 0.5, "stores");
    for (name, expected) in [("[heap]", 0.7), ("[stack]", 0.3)] {
        let region = found.regions.iter().find(|region| region.name == name).unwrap();
        share(region.loads + region.stores, expected, name);
    }
    // Sites are those of the samples kept: both of `parse`, which are one caller.
    let site = found.sites.iter().find(|site| site.frames[0].label() == "parse").unwrap();
    share(site.loads + site.stores, 0.7, "site");
    let of_first = rows.iter().filter(|access| access.block.is_some_and(|b| b.site == SITE_IDS[0])).count();
    assert_near(of_first as f64 / n, 0.5, (0.25 / n).sqrt(), "blocks of the first site");
    assert!((found.effective_samples - n).abs() < 1e-6, "{}", found.effective_samples);

    // None of the run's parts is preferred, the oldest not and the newest not.
    for tenth in 0..10 {
        let within = |access: &&Access| access.at_ns / (COUNT / 10) == tenth;
        let count = rows.iter().filter(within).count() as f64;
        assert_near(count, n / 10.0, (n * 0.1 * 0.9).sqrt(), "a tenth of the run");
    }
    let again = kept(&store, record(&store, &run(looped), Some(BOUND)));
    let common =
        again.iter().filter(|access| rows.binary_search_by_key(&access.at_ns, |own| own.at_ns).is_ok());
    assert!((common.count() as f64) < n / 2.0, "another run keeps others");
}

/// The weight is what a sample stood for before, and now that many times more.
#[test]
fn weights_stay_weights() {
    let place = Place::new();
    let store = place.open();
    let weighted =
        |number: u64| Access { weight: if number < COUNT / 2 { 100 } else { 300 }, ..looped(number) };
    let found = report(&store, record(&store, &run(weighted), Some(BOUND)));
    assert_eq!((found.kept.loads, found.kept.stores), (100 * COUNT, 100 * COUNT));
    let squares = (100.0f64.powi(2) + 300.0f64.powi(2)) / 2.0 * COUNT as f64;
    let deviation = (squares * (found.kept.factor - 1) as f64).sqrt();
    assert_near((found.loads + found.stores) as f64, 200.0 * COUNT as f64, deviation, "sum of weights");
    let huge = |number: u64| Access { weight: u64::MAX, ..looped(number) };
    let found = report(&store, record(&store, &run(huge), Some(BOUND)));
    assert!(found.kept.samples <= BOUND && found.loads >= i64::MAX as u64);
}

#[test]
fn nothing_is_thinned_below_the_bound_or_without_one() {
    let place = Place::new();
    let store = place.open();
    for bound in [None, Some(COUNT)] {
        let id = record(&store, &run(looped), bound);
        let found = report(&store, id);
        assert_eq!((found.kept.samples, found.kept.of, found.kept.factor), (COUNT, COUNT, 1));
        assert_eq!((found.loads, found.stores), (found.kept.loads, found.kept.stores));
        assert_eq!(kept(&store, id), (0..COUNT).map(looped).collect::<Vec<_>>());
    }
}

/// A window larger than the bound, and the least bound there can be.
#[test]
fn no_window_is_too_large_and_no_bound_too_small() {
    let place = Place::new();
    let store = place.open();
    let mut run = run(looped);
    let all: Vec<Access> = run.batches.drain(1..).flat_map(|batch| batch.accesses).collect();
    run.batches[0].accesses.extend(all);
    for bound in [BOUND, 3, 1] {
        let found = report(&store, record(&store, &run, Some(bound)));
        assert!(found.kept.samples <= bound, "{:?}", found.kept);
        assert_eq!(found.kept.of, COUNT);
    }
}

/// Every window leaves what it takes to read it right.
#[test]
fn a_killed_run_knows_what_it_kept() {
    let place = Place::new();
    let store = place.open();
    let run = run(looped);
    let mut writer = begin(&store, &run, Some(BOUND));
    for (windows, batch) in (1..=50).zip(&run.batches) {
        writer.append(batch).unwrap();
        let found = report(&store, writer.id());
        assert_eq!((found.kept.of, found.samples), (1000 * windows, 1000 * windows));
        assert!(found.kept.samples <= BOUND, "{:?}", found.kept);
        assert_eq!(found.loads + found.stores, found.kept.samples * found.kept.factor);
    }
}

/// A run of an older waytrace has all it took.
#[test]
fn without_a_note_all_were_kept() {
    let place = Place::new();
    let store = place.open();
    let id = record(&store, &fixture::exact("", 5), None);
    let before = report(&store, id);
    rusqlite::Connection::open(place.file()).unwrap().execute("DELETE FROM access_kept", []).unwrap();
    assert_eq!(report(&store, id), before);
    assert_eq!((before.kept.samples, before.kept.factor), (20, 1));
}
