//! The store as its users hold it: an open database and what can be asked of it.

use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction};
use serde::{Deserialize, Serialize};
use waytrace_model::counter::EventInfo;
use waytrace_model::detail::RunDetail;
use waytrace_model::report::RunReport;
use waytrace_model::run::RunHeader;

use crate::error::{OnPath, Result};
use crate::read::list::RunRow;
use crate::write::RunWriter;
use crate::{connect, location, read};

/// A run's id: unique in its database, from 1, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub i64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An open database of runs.
#[derive(Debug)]
pub struct Store {
    pub(crate) connection: Connection,
    pub(crate) path: PathBuf,
}

impl Store {
    /// Opens the database at `path`, or the default one, for writing; makes directories and file where missing.
    ///
    /// # Errors
    /// [`StoreError`]: what lies there is damaged, foreign or newer, or the place cannot be written.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let path = path.map_or_else(location::default_path, Path::to_owned);
        connect::writable(&path).map(|connection| Self { connection, path })
    }

    /// Opens the database at `path`, or the default one, for reading; makes nothing.
    ///
    /// # Errors
    /// [`StoreError::Absent`] where there is none yet; otherwise as [`Store::open`].
    pub fn open_existing(path: Option<&Path>) -> Result<Self> {
        let path = path.map_or_else(location::default_path, Path::to_owned);
        connect::readable(&path).map(|connection| Self { connection, path })
    }

    /// Opens an existing database for deleting from it; makes nothing.
    ///
    /// # Errors
    /// As [`Store::open_existing`] and [`Store::open`].
    pub fn open_existing_writable(path: Option<&Path>) -> Result<Self> {
        let existing = Self::open_existing(path)?;
        connect::writable(&existing.path).map(|connection| Self { connection, path: existing.path })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a run. An empty `header.name` becomes `<comm>-<n>` with the first free n.
    ///
    /// The writer has its own connection and can move to another thread.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`], [`StoreError::BadName`], or the failure of writing; then nothing was written.
    pub fn begin_run(&self, header: &RunHeader, events: &[EventInfo]) -> Result<RunWriter> {
        RunWriter::begin(&self.path, header, events)
    }

    /// The newest runs first, at most `limit` of them.
    ///
    /// # Errors
    /// The failure of reading.
    pub fn runs(&self, limit: Option<usize>) -> Result<Vec<RunRow>> {
        read::list::runs(&*self.snapshot()?, limit).on(&self.path)
    }

    /// One run as [`Store::runs`] lists it.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`], or the failure of reading.
    pub fn run(&self, id: RunId) -> Result<RunRow> {
        let row = read::list::run(&*self.snapshot()?, id).on(&self.path)?;
        row.ok_or_else(|| self.no_such_run(&id.to_string()))
    }

    /// Totals of a run, as `show --json` prints them.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`], or the failure of reading.
    pub fn report(&self, id: RunId) -> Result<RunReport> {
        let report = read::report(&*self.snapshot()?, id).on(&self.path)?;
        report.ok_or_else(|| self.no_such_run(&id.to_string()))
    }

    /// [`RunView::detail`](crate::RunView::detail) of a run.
    ///
    /// # Errors
    /// As there.
    pub fn detail(&self, id: RunId) -> Result<RunDetail> {
        self.view(id)?.detail()
    }

    /// One read transaction: a writer that appends or prunes meanwhile does not show in the middle of an answer.
    pub(crate) fn snapshot(&self) -> Result<Transaction<'_>> {
        self.connection.unchecked_transaction().on(&self.path)
    }
}
