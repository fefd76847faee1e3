//! Schema versions. `user_version` counts the migrations a file has had; each runs once, in one transaction.
//!
//! A released migration is never edited: a change of the schema is a new file at the end of [`MIGRATIONS`].

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::{OnPath, Result, StoreError};

/// SQL by version: entry `n` takes a file from schema `n` to `n + 1`.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001-runs.sql"),
    include_str!("migrations/0002-accesses.sql"),
    include_str!("migrations/0003-series.sql"),
    include_str!("migrations/0004-kept.sql"),
    include_str!("migrations/0005-access-heat.sql"),
    include_str!("migrations/0006-measured.sql"),
    include_str!("migrations/0007-pairs.sql"),
    include_str!("migrations/0008-sweeps.sql"),
    include_str!("migrations/0009-monitor.sql"),
    include_str!("migrations/0010-local-traffic.sql"),
];

/// `WTRC`: tells a waytrace database from any other SQLite file (`file runs.db` shows it too).
const APPLICATION_ID: i64 = 0x5754_5243;

/// Newest schema this build reads and writes.
pub(crate) fn known_version() -> i64 {
    MIGRATIONS.len() as i64
}

/// What kind of file a connection has open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Empty: no table yet.
    Fresh,
    /// A waytrace database of an older schema.
    Older(i64),
    /// Ready.
    Current,
}

/// Looks at the file's header and refuses what is not ours or not known yet.
///
/// # Errors
/// [`StoreError::Foreign`], [`StoreError::Newer`], and whatever reading the header meets.
pub(crate) fn inspect(connection: &Connection, path: &Path) -> Result<State> {
    // One statement is one snapshot: another process may be making the schema just now.
    let sql = "SELECT (SELECT count(*) FROM sqlite_schema), application_id, user_version
               FROM pragma_application_id, pragma_user_version";
    let (tables, application_id, version): (i64, i64, i64) =
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).on(path)?;
    match (application_id, version) {
        (0, 0) if tables == 0 => Ok(State::Fresh),
        (APPLICATION_ID, found) if found > known_version() => {
            Err(StoreError::Newer { path: path.to_owned(), found, known: known_version() })
        }
        (APPLICATION_ID, found) if found == known_version() => Ok(State::Current),
        (APPLICATION_ID, found) if found > 0 => Ok(State::Older(found)),
        (APPLICATION_ID, found) => {
            Err(StoreError::Corrupt { path: path.to_owned(), detail: format!("schema version {found}") })
        }
        _ => Err(StoreError::Foreign { path: path.to_owned() }),
    }
}

/// Brings the file to [`known_version`]; does nothing if another process was faster.
///
/// # Errors
/// As [`inspect`], and whatever writing meets; the file is then as it was.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).on(path)?;
    let from = match inspect(&transaction, path)? {
        State::Current => return Ok(()),
        State::Fresh => 0,
        State::Older(version) => version,
    };
    let pending = usize::try_from(from).ok().and_then(|from| MIGRATIONS.get(from..)).unwrap_or_default();
    for sql in pending {
        transaction.execute_batch(sql).on(path)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).on(path)?;
    transaction.pragma_update(None, "user_version", known_version()).on(path)?;
    transaction.commit().on(path)
}
