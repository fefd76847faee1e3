//! What can go wrong with the store. Every variant names the file or the run, and how to mend it.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

/// `SQLITE_IOERR_SHMSIZE`: what a full disk looks like when it is the log's index that finds no room.
const INDEX_OF_LOG_CANNOT_GROW: i32 = 4874;

/// A store operation that failed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Nothing was recorded there yet.
    #[error("{path}: no such database; `waytrace profile` makes one, or name another with --db")]
    Absent {
        /// The database.
        path: PathBuf,
    },
    /// The directory of the database cannot be made.
    #[error("cannot make the directory of {path}: {source}; name a place that can be written with --db")]
    Directory {
        /// The database.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is there and is no database.
    #[error("{path} is not an SQLite database; name a waytrace database with --db")]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// A database that another program made.
    #[error("{path} is a database of another program and is left alone; name a waytrace database with --db")]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// A newer waytrace wrote it.
    #[error(
        "{path} was written by a newer waytrace (schema {found}, this one knows {known}): use that one, or --db another file"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Schema version of the file.
        found: i64,
        /// Newest schema version this build reads.
        known: i64,
    },
    /// An older waytrace wrote it and it cannot be brought up to date where it lies.
    #[error(
        "{path} has an older schema ({found}, this waytrace needs {known}) and cannot be written: copy it to a writable place and name the copy with --db"
    )]
    Older {
        /// The database.
        path: PathBuf,
        /// Schema version of the file.
        found: i64,
        /// Schema version needed.
        known: i64,
    },
    /// The file is damaged.
    #[error(
        "{path} is damaged ({detail}); save what is left with `sqlite3 FILE .recover`, or --db another file"
    )]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The file or its directory cannot be written.
    #[error(
        "{path} cannot be written (read-only file, directory or file system); name a writable place with --db"
    )]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// The file cannot be opened.
    #[error("cannot open {path}: {detail}; check its permissions, or name another place with --db")]
    CannotOpen {
        /// The database.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// Another process holds the write lock for longer than the store waits.
    #[error("{path} is locked by another process; try again when it is done, or --db another file")]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// Another monitor keeps its history there.
    #[error("{path} is being written by another `waytrace monitor`; end that one, or --db another file")]
    Monitored {
        /// The database.
        path: PathBuf,
    },
    /// No target of this name in the history.
    #[error("no target `{target}` in the history of {path}; {candidates}")]
    NoSuchTarget {
        /// The database.
        path: PathBuf,
        /// What was asked for.
        target: String,
        /// The targets there are, as a sentence.
        candidates: String,
    },
    /// Nothing was stored in a range.
    #[error("no history of {what} from {from} to {to} in {path}; {there}")]
    EmptyRange {
        /// The database.
        path: PathBuf,
        /// `any target`, or which one.
        what: String,
        /// Begin, RFC 3339.
        from: String,
        /// End, RFC 3339.
        to: String,
        /// What there is, as a sentence.
        there: String,
    },
    /// No room.
    #[error(
        "no space left to write {path}; what was stored before is intact: free some space (`waytrace prune`), or --db another file"
    )]
    DiskFull {
        /// The database.
        path: PathBuf,
    },
    /// The run vanished while it was being written.
    #[error("run {run} was deleted from {path} while it was being recorded; record it again")]
    RunGone {
        /// The database.
        path: PathBuf,
        /// Its id.
        run: i64,
    },
    /// A run or a sweep of this name exists: they share their names.
    #[error(
        "{path} already has a {kind} named `{name}`: choose another name, or `waytrace prune --{kind} {name}` first"
    )]
    NameTaken {
        /// The database.
        path: PathBuf,
        /// `run` or `sweep`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A name that a selector could not tell from an id or from `last`.
    #[error("`{name}` cannot name a run: a name is one line, not a number, and neither `last` nor `last~N`")]
    BadName {
        /// The name.
        name: String,
    },
    /// No run fits the selector.
    #[error("no run `{selector}` in {path}; {candidates}")]
    NoSuchRun {
        /// The database.
        path: PathBuf,
        /// What was asked for.
        selector: String,
        /// The runs there are, as a sentence.
        candidates: String,
    },
    /// Several runs or measurements fit the selector.
    #[error("`{selector}` fits several {what} in {path}: {candidates}; write more of the name, or the id")]
    Ambiguous {
        /// The database.
        path: PathBuf,
        /// `runs`, `measurements`, `runs and sweeps`.
        what: String,
        /// What was asked for.
        selector: String,
        /// Those that fit.
        candidates: String,
    },
    /// A series of this name exists.
    #[error("{path} already has a series named `{name}`; --resume goes on with it, --name names another")]
    SeriesTaken {
        /// The database.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// No series of this name.
    #[error("no series `{name}` in {path}; {candidates}")]
    NoSuchSeries {
        /// The database.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// The series there are, as a sentence.
        candidates: String,
    },
    /// What was asked for is a sweep, where a run is needed.
    #[error(
        "`{name}` is a way sweep, and this takes a run; of a sweep there are `waytrace show`, `report`, `diff`, \
         `export --format datamime` and `prune --sweep`"
    )]
    IsSweep {
        /// Its name.
        name: String,
    },
    /// What was asked for is a run, where a sweep is needed.
    #[error(
        "`{name}` is a run, and this takes a way sweep of `waytrace cache sweep`; of a run there are `waytrace show`, \
         `report`, `diff`, `export` with another --format and `prune --run`"
    )]
    IsRun {
        /// Its name.
        name: String,
    },
    /// No sweep fits the selector.
    #[error("no sweep `{name}` in {path}; {candidates}")]
    NoSuchSweep {
        /// The database.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// The sweeps there are, as a sentence.
        candidates: String,
    },
    /// A measurement of this name exists.
    #[error(
        "{path} already has a measurement named `{name}`; --resume goes on with it, --name names another"
    )]
    MeasurementTaken {
        /// The database.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// No measurement of this name.
    #[error("no measurement `{name}` in {path}; {candidates}")]
    NoSuchMeasurement {
        /// The database.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// The measurements there are, as a sentence.
        candidates: String,
    },
    /// Anything else SQLite reports.
    #[error("{path}: {source}; try again, or --db another file")]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// Whether neither another request, place nor right would mend it.
    pub fn is_internal(&self) -> bool {
        matches!(self, Self::Sqlite { .. })
    }

    /// Whether what was to be written is refused for what it is: the same will be refused again.
    pub fn is_refusal(&self) -> bool {
        let Self::Sqlite { source, .. } = self else { return false };
        let codes = [ErrorCode::ConstraintViolation, ErrorCode::TypeMismatch, ErrorCode::TooBig];
        source.sqlite_error_code().is_some_and(|code| codes.contains(&code))
            || matches!(source, rusqlite::Error::ToSqlConversionFailure(_))
    }

    /// Sorts an SQLite error on `path` into the variants a user can act on.
    pub(crate) fn on(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        let Some(code) = source.sqlite_error_code() else {
            return Self::not_from_sqlite(path, source);
        };
        match code {
            _ if source
                .sqlite_error()
                .is_some_and(|error| error.extended_code == INDEX_OF_LOG_CANNOT_GROW) =>
            {
                Self::DiskFull { path }
            }
            ErrorCode::NotADatabase => Self::NotADatabase { path },
            ErrorCode::DatabaseCorrupt => Self::Corrupt { path, detail: source.to_string() },
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Locked { path },
            ErrorCode::DiskFull => Self::DiskFull { path },
            ErrorCode::ReadOnly => Self::ReadOnly { path },
            ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
                Self::CannotOpen { path, detail: source.to_string() }
            }
            // A missing table or column under our own application id: the schema itself is damaged.
            ErrorCode::Unknown if source.to_string().contains("no such") => {
                Self::Corrupt { path, detail: source.to_string() }
            }
            _ => Self::Sqlite { path, source },
        }
    }

    /// Errors of the binding: values that are not what the schema says come from a damaged file.
    fn not_from_sqlite(path: PathBuf, source: rusqlite::Error) -> Self {
        match source {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::QueryReturnedNoRows => Self::Corrupt { path, detail: source.to_string() },
            _ => Self::Sqlite { path, source },
        }
    }
}

/// Result of the store.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Attaches the database's path to an SQLite error.
pub(crate) trait OnPath<T> {
    /// The same result with the error sorted and carrying `path`.
    fn on(self, path: &Path) -> Result<T>;
}

impl<T> OnPath<T> for rusqlite::Result<T> {
    fn on(self, path: &Path) -> Result<T> {
        self.map_err(|source| StoreError::on(path, source))
    }
}
