//! Databases of older schemas: brought up to date when opened, with all they hold.

use rusqlite::Connection;
use waytrace_store::{Store, StoreError};

use crate::fixture;
use crate::support::{Mount, Place, record};

/// A database as a waytrace of schema 1 left it: a run of one window with a traced block and an end.
fn schema_1(place: &Place) {
    std::fs::create_dir_all(place.file().parent().unwrap()).unwrap();
    let connection = Connection::open(place.file()).unwrap();
    connection.execute_batch(include_str!("../../src/migrations/0001-runs.sql")).unwrap();
    connection
        .execute_batch(
            "PRAGMA application_id = 0x57545243;
             PRAGMA user_version = 1;
             INSERT INTO run VALUES (1, 'old', 1700000000987654321, 5, 100000000, 'waytrace profile', NULL,
                 '{\"hostname\":\"h\",\"kernel\":\"6\",\"arch\":\"x86_64\",\"cpu_model\":\"c\",\"microcode\":null,
                   \"cpus_online\":2,\"memory_bytes\":1,\"hypervisor\":null,\"pmus\":[],\"waytrace_version\":\"0\"}',
                 42, 'server', 'server', '/server', NULL, 7, NULL, NULL, NULL);
             INSERT INTO run_end VALUES (1, 100000000, 'duration', NULL, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, 0, NULL);
             INSERT INTO window VALUES (1, 0, 0, 100000000);
             INSERT INTO traced_allocation VALUES (1, 0, 3, 4, 4096, 64, 42, NULL);",
        )
        .unwrap();
}

fn version(place: &Place) -> i64 {
    let connection = Connection::open(place.file()).unwrap();
    connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

#[test]
fn a_run_of_schema_1_stays_readable_and_new_ones_join_it() {
    for for_writing in [false, true] {
        let place = Place::new();
        schema_1(&place);
        if for_writing {
            drop(place.open());
        }
        let store = Store::open_existing(Some(&place.file())).unwrap();
        let id = store.find("old").unwrap();
        let view = store.view(id).unwrap();
        let detail = view.detail().unwrap();
        assert_eq!((detail.report.run.windows, detail.report.run.duration_ns), (1, 100_000_000));
        assert_eq!((detail.report.accesses, detail.windows[0].working_set), (None, None));
        assert_eq!((view.traced().count(), view.accesses().count()), (1, 0));
        drop(view);
        assert_eq!(version(&place), 10);
        let new = record(&place.open(), &fixture::exact("new", 2));
        assert_eq!(store.view(new).unwrap().accesses().count(), 8);
        assert_eq!(store.runs(None).unwrap().len(), 2);
    }
}

#[test]
fn where_it_cannot_be_written_the_mend_is_named() {
    let place = Place::new();
    schema_1(&place);
    let Some(_mount) = Mount::read_only(place.file().parent().unwrap()) else {
        eprintln!("SKIP: mounting needs root");
        return;
    };
    let error = Store::open_existing(Some(&place.file())).unwrap_err();
    assert!(matches!(error, StoreError::Older { found: 1, known: 10, .. }), "{error}");
    assert!(error.to_string().contains("copy it to a writable place"), "{error}");
}
