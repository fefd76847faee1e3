//! Opening what is missing, foreign, newer, damaged, read-only or locked.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::Connection;
use waytrace_store::{Store, StoreError};

use crate::fixture;
use crate::support::{Place, record_named};

/// Each migration is a file, and the schema's version is their number.
fn schema() -> u32 {
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/migrations");
    u32::try_from(std::fs::read_dir(migrations).unwrap().count()).unwrap()
}

fn read(path: &Path) -> StoreError {
    Store::open_existing(Some(path)).unwrap_err()
}

fn write(path: &Path) -> StoreError {
    Store::open(Some(path)).unwrap_err()
}

#[test]
fn reading_creates_nothing() {
    let place = Place::new();
    assert!(matches!(read(&place.file()), StoreError::Absent { .. }));
    assert!(!place.file().parent().unwrap().exists());
    assert!(matches!(Store::open_existing_writable(Some(&place.file())), Err(StoreError::Absent { .. })));
    assert!(!place.file().parent().unwrap().exists());
}

#[test]
fn the_header_names_the_program_and_the_schema() {
    let place = Place::new();
    drop(place.open());
    let bytes = std::fs::read(place.file()).unwrap();
    assert_eq!(&bytes[68..72], b"WTRC");
    assert_eq!(bytes[60..64], schema().to_be_bytes());
    let mode = std::fs::metadata(place.file().parent().unwrap()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "command lines of others are private");
}

#[test]
fn an_empty_file_is_no_database_yet_and_can_become_one() {
    let place = Place::new();
    std::fs::create_dir_all(place.file().parent().unwrap()).unwrap();
    std::fs::write(place.file(), b"").unwrap();
    assert!(matches!(read(&place.file()), StoreError::Absent { .. }));
    record_named(&place.open(), &["first"]);
    assert_eq!(Store::open_existing(Some(&place.file())).unwrap().runs(None).unwrap().len(), 1);
}

#[test]
fn a_newer_schema_is_refused_and_untouched() {
    let place = Place::new();
    let (known, newer) = (schema(), schema() + 1);
    drop(place.open());
    Connection::open(place.file()).unwrap().pragma_update(None, "user_version", newer).unwrap();
    let before = std::fs::read(place.file()).unwrap();
    for error in [read(&place.file()), write(&place.file())] {
        assert!(matches!(error, StoreError::Newer { .. }), "{error}");
        let text = error.to_string();
        let expected =
            format!("runs.db was written by a newer waytrace (schema {newer}, this one knows {known})");
        assert!(text.contains(&expected), "{text}");
        assert!(text.contains("--db"), "{text}");
    }
    assert_eq!(std::fs::read(place.file()).unwrap(), before);
}

#[test]
fn other_files_are_refused_and_untouched() {
    let place = Place::new();
    let directory = place.file().parent().unwrap().to_owned();
    std::fs::create_dir_all(&directory).unwrap();

    let text = directory.join("notes.txt");
    std::fs::write(&text, "no database at all, ".repeat(100)).unwrap();
    let foreign = directory.join("other.db");
    Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
        .unwrap();
    let before = (std::fs::read(&text).unwrap(), std::fs::read(&foreign).unwrap());

    for error in [read(&text), write(&text)] {
        assert!(matches!(error, StoreError::NotADatabase { .. }), "{error}");
    }
    for error in [read(&foreign), write(&foreign)] {
        assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    }
    for error in [read(&directory), write(&directory)] {
        assert!(
            matches!(&error, StoreError::CannotOpen { detail, .. } if detail.contains("directory")),
            "{error}"
        );
    }
    assert_eq!((std::fs::read(&text).unwrap(), std::fs::read(&foreign).unwrap()), before);
}

#[test]
fn a_schema_with_a_table_missing_is_damaged() {
    let place = Place::new();
    record_named(&place.open(), &["one"]);
    Connection::open(place.file()).unwrap().execute_batch("DROP TABLE reading").unwrap();
    let store = Store::open_existing(Some(&place.file())).unwrap();
    let error = store.report(store.find("one").unwrap()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let place = Place::new();
    std::fs::create_dir_all(place.file().parent().unwrap()).unwrap();
    std::fs::write(place.file(), b"x").unwrap();
    let error = write(&place.file().join("runs.db"));
    assert!(matches!(error, StoreError::Directory { .. }), "{error}");
    assert!(matches!(write(Path::new("/proc/waytrace/runs.db")), StoreError::Directory { .. }));
}

/// Root writes where modes forbid it, so a read-only medium needs a mount; a file without any log stands for it
/// with a database that is only readable through `immutable`.
#[test]
fn a_read_only_mount_can_be_read_and_not_written() {
    let place = Place::new();
    record_named(&place.open(), &["kept"]);
    let directory = place.file().parent().unwrap().to_owned();
    let Some(_mount) = crate::support::Mount::read_only(&directory) else {
        eprintln!("SKIP: mounting needs root");
        return;
    };
    let store = Store::open_existing(Some(&place.file())).unwrap();
    assert_eq!(store.report(store.find("kept").unwrap()).unwrap().run.windows, 2);
    let error = write(&place.file());
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
    assert!(matches!(write(&directory.join("new/runs.db")), StoreError::Directory { .. }));
    let error = write(&directory.join("new.db"));
    assert!(matches!(error, StoreError::CannotOpen { .. } | StoreError::ReadOnly { .. }), "{error}");
}

#[test]
fn a_held_lock_is_an_error_after_a_wait_and_reading_goes_on() {
    let place = Place::new();
    let store = place.open();
    record_named(&store, &["before"]);
    let holder = Connection::open(place.file()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.begin_run(&fixture::header("x"), &[]).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert_eq!(Store::open_existing(Some(&place.file())).unwrap().runs(None).unwrap().len(), 1);
    holder.execute_batch("ROLLBACK").unwrap();
    assert!(store.begin_run(&fixture::header("x"), &[]).is_ok());
}
