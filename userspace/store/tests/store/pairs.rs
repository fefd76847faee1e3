//! Series of programs run in pairs.

use waytrace_model::bench::RepetitionEnd;
use waytrace_model::pairing::{PairHeader, PairPlan, PairProgram, PairRun};
use waytrace_store::StoreError;

use crate::support::Place;

fn header(name: &str) -> PairHeader {
    let program = |name: &str| PairProgram {
        name: name.to_owned(),
        binary: "true".to_owned(),
        arguments: vec!["$NUM_THREADS".to_owned()],
        antagonist_arguments: Vec::new(),
        working_dir: "/".to_owned(),
        env: [("A".to_owned(), "b".to_owned())].into(),
        alone: true,
        openmp: false,
        parsec: true,
    };
    let plan = PairPlan {
        configurations: vec!["L3-cores".to_owned(), "L1-SMT".to_owned()],
        programs: vec![program("a"), program("b")],
        measured: vec!["a".to_owned()],
        antagonists: vec!["b".to_owned()],
        alone: true,
        repeat: 3,
        warmup_ns: 5,
        timeout: Some("1s".to_owned()),
        base: 1,
        step: 2,
    };
    let skipped = [("L1-SMT".to_owned(), "no threads".to_owned())].into();
    PairHeader {
        name: name.to_owned(),
        started_at_unix_ns: 5,
        command: "c".to_owned(),
        seed: 9,
        plan,
        skipped,
    }
}

fn run(position: u64, antagonist: Option<&str>) -> PairRun {
    PairRun {
        position,
        configuration: "L3-cores".to_owned(),
        program: "a".to_owned(),
        antagonist: antagonist.map(str::to_owned),
        repetition: 2,
        cpus: "0".to_owned(),
        antagonist_cpus: antagonist.map(|_| "1-2".to_owned()),
        started_at_unix_ns: 77,
        wall_ns: antagonist.is_none().then_some(4),
        user_ns: antagonist.is_none().then_some(3),
        system_ns: antagonist.is_none().then_some(2),
        ended_by: antagonist.is_none().then_some(RepetitionEnd::Exit),
        exit_code: antagonist.is_none().then_some(1),
        restarts: 6,
        problem: antagonist.map(|_| "it failed".to_owned()),
    }
}

#[test]
fn what_goes_in_comes_out() {
    let place = Place::new();
    let store = place.open();
    let id = store.begin_pairs(&header("p")).unwrap();
    store.begin_pairs(&header("q")).unwrap();
    let rows = [run(0, None), run(3, Some("b"))];
    for row in rows.iter().rev() {
        store.add_pair_run(id, row).unwrap();
    }
    let series = store.pairs("p").unwrap();
    assert_eq!((series.id, series.header, series.runs.as_slice()), (id, header("p"), &rows[..]));
    assert!(store.add_pair_run(id, &rows[0]).is_err(), "a position is taken once");
    assert_eq!(store.pairs("q").unwrap().runs, []);
}

#[test]
fn names_are_taken_once_and_listed_where_one_is_missing() {
    let place = Place::new();
    let store = place.open();
    assert!(store.pairs("p").unwrap_err().to_string().contains("events pair"));
    store.begin_pairs(&header("p")).unwrap();
    assert!(matches!(store.begin_pairs(&header("p")), Err(StoreError::SeriesTaken { .. })));
    assert!(matches!(store.begin_pairs(&header("last")), Err(StoreError::BadName { .. })));
    assert!(store.pairs("x").unwrap_err().to_string().contains("there are: p"));
}
