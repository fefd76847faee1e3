//! Opening the file: flags, pragmas, and the checks before anything is read or written.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::error::{OnPath, Result, StoreError};
use crate::migrate::{State, inspect, known_version, migrate};

/// How long a connection waits for another's write transaction; batches take milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens for writing: makes directories and file, brings the schema up to date.
///
/// # Errors
/// Any [`StoreError`] of opening; a file that is not ours is left untouched.
pub(crate) fn writable(path: &Path) -> Result<Connection> {
    refuse_directory(path)?;
    make_directory(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut connection = connected(path, path, flags)?;
    let state = inspect(&connection, path)?;
    if state == State::Fresh {
        // Only effective before the first table; without it a pruned file would keep its size.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").on(path)?;
    }
    if state != State::Current {
        migrate(&mut connection, path)?;
    }
    write_ahead_log(&connection, path)?;
    Ok(connection)
}

/// Opens for reading; creates nothing. An older schema is brought up to date if the place can be written.
///
/// # Errors
/// [`StoreError::Absent`] where there is no database or an empty one, and any other [`StoreError`] of opening.
pub(crate) fn readable(path: &Path) -> Result<Connection> {
    refuse_directory(path)?;
    let absent = || StoreError::Absent { path: path.to_owned() };
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => absent(),
        _ => StoreError::CannotOpen { path: path.to_owned(), detail: error.to_string() },
    })?;
    if metadata.len() == 0 {
        return Err(absent());
    }
    let (connection, state) = read_only(path)?;
    match state {
        State::Current => Ok(connection),
        State::Fresh => Err(absent()),
        State::Older(found) => {
            drop(connection);
            writable(path).map_err(|_| StoreError::Older {
                path: path.to_owned(),
                found,
                known: known_version(),
            })
        }
    }
}

/// A WAL database needs its `-shm` file even for reading. Where that cannot be made (read-only medium), the
/// file is opened as immutable, which is sound only while no log with newer pages lies beside it.
fn read_only(path: &Path) -> Result<(Connection, State)> {
    let plain = connected(path, path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .and_then(|connection| inspect(&connection, path).map(|state| (connection, state)));
    let log = with_suffix(path, "-wal");
    let log_is_empty = std::fs::metadata(log).map_or(true, |metadata| metadata.len() == 0);
    match plain {
        Err(StoreError::CannotOpen { .. } | StoreError::ReadOnly { .. }) if log_is_empty => {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            let connection = connected(&immutable_uri(path), path, flags)?;
            let state = inspect(&connection, path)?;
            Ok((connection, state))
        }
        other => other,
    }
}

fn refuse_directory(path: &Path) -> Result<()> {
    let detail = "it is a directory".to_owned();
    if path.is_dir() { Err(StoreError::CannotOpen { path: path.to_owned(), detail }) } else { Ok(()) }
}

fn connected(target: &Path, path: &Path, flags: OpenFlags) -> Result<Connection> {
    let connection = Connection::open_with_flags(target, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).on(path)?;
    // SQLite falls back to reading where it may not write, and would fail on the log with a lesser message.
    let to_write = flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE);
    if to_write && connection.is_readonly("main").on(path)? {
        return Err(StoreError::ReadOnly { path: path.to_owned() });
    }
    connection.busy_timeout(BUSY_TIMEOUT).on(path)?;
    connection.set_prepared_statement_cache_capacity(64);
    // The file may come from anywhere: no code from its schema runs, and malformed pages are noticed early.
    connection.pragma_update(None, "trusted_schema", "OFF").on(path)?;
    connection.pragma_update(None, "cell_size_check", "ON").on(path)?;
    connection.pragma_update(None, "foreign_keys", "ON").on(path)?;
    // In WAL mode NORMAL survives a killed process whole; a power cut can cost the last batches, never the file.
    connection.pragma_update(None, "synchronous", "NORMAL").on(path)?;
    Ok(connection)
}

/// Readers go on while a batch is written. The switch ignores the busy timeout, hence the loop: two waytraces
/// that meet on a new file both do it.
fn write_ahead_log(connection: &Connection, path: &Path) -> Result<()> {
    let started = Instant::now();
    loop {
        let switched =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match switched.map(drop).on(path) {
            Err(StoreError::Locked { .. }) if started.elapsed() < BUSY_TIMEOUT => {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
}

fn make_directory(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) else {
        return Ok(());
    };
    // Command lines and addresses of other processes are nobody else's business.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| StoreError::Directory { path: path.to_owned(), source })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// `file:` URI by SQLite's rules: everything but unreserved characters and slashes percent-encoded.
fn immutable_uri(path: &Path) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(byte));
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    uri.into()
}
