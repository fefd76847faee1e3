//! Names and selectors.

use waytrace_store::{RunId, StoreError};

use crate::fixture;
use crate::support::{Place, record_named};

#[test]
fn ids_names_last_and_prefixes_select() {
    let place = Place::new();
    let store = place.open();
    record_named(&store, &["redis-1", "redis-12", "python-1"]);
    for (selector, id) in
        [("2", 2), ("redis-1", 1), ("redis-12", 2), ("last", 3), ("last~2", 1), ("py", 3), (" last ", 3)]
    {
        assert_eq!(store.find(selector).unwrap(), RunId(id), "{selector}");
    }
}

#[test]
fn what_fits_nothing_or_several_lists_the_candidates() {
    let place = Place::new();
    let store = place.open();
    record_named(&store, &["redis-1", "redis-2", "python-1"]);
    let ambiguous = store.find("red").unwrap_err().to_string();
    assert!(
        ambiguous.contains("redis-2 (id 2), redis-1 (id 1)") && !ambiguous.contains("python"),
        "{ambiguous}"
    );
    for selector in ["ruby", "99", "-1", "last~7", "", "re%", "999999999999999999999"] {
        let error = store.find(selector).unwrap_err();
        assert!(matches!(error, StoreError::NoSuchRun { .. }), "{selector}: {error}");
        assert!(error.to_string().contains("python-1 (id 3)"), "{error}");
    }
    let error = store.report(RunId(42)).unwrap_err();
    assert!(matches!(error, StoreError::NoSuchRun { .. }), "{error}");
}

#[test]
fn an_empty_store_says_so() {
    let error = Place::new().open().find("last").unwrap_err().to_string();
    assert!(error.contains("holds no runs yet"), "{error}");
}

#[test]
fn runs_without_a_name_are_numbered_by_command() {
    let place = Place::new();
    let store = place.open();
    let name = |comm: &str| {
        let mut header = fixture::header("");
        comm.clone_into(&mut header.target.comm);
        store.begin_run(&header, &[]).unwrap().name().to_owned()
    };
    assert_eq!(name("redis"), "redis-1");
    assert_eq!(name("redis"), "redis-2");
    assert_eq!(name("kworker/0:1 \u{1b}[31m"), "kworker_0_1___31m-1");
    assert_eq!(name(""), "run-1");
}

#[test]
fn bad_and_taken_names_write_nothing() {
    let place = Place::new();
    let store = place.open();
    record_named(&store, &["base"]);
    let begin = |name: &str| store.begin_run(&fixture::header(name), &[]).map(|writer| writer.id());
    assert!(matches!(begin("base"), Err(StoreError::NameTaken { .. })));
    for name in ["17", "last", "last~1", "two\nlines"] {
        assert!(matches!(begin(name), Err(StoreError::BadName { .. })), "{name}");
    }
    assert_eq!(store.runs(None).unwrap().len(), 1);
}
