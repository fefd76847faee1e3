//! One run in one snapshot: what a writer appends or prunes meanwhile does not show.

use rusqlite::Transaction;
use waytrace_model::detail::RunDetail;

use crate::error::{OnPath, Result};
use crate::read;
use crate::read::accesses::samples::{self, Accesses};
use crate::read::traced::{self, TracedAllocations};
use crate::store::{RunId, Store};

/// A run being read. As long as it is held, all it gives belongs together.
#[derive(Debug)]
pub struct RunView<'s> {
    store: &'s Store,
    snapshot: Transaction<'s>,
    run: RunId,
}

impl Store {
    /// Begins to read a run.
    ///
    /// # Errors
    /// The failure of reading. That there is no such run shows when its detail is asked for.
    pub fn view(&self, run: RunId) -> Result<RunView<'_>> {
        Ok(RunView { store: self, snapshot: self.snapshot()?, run })
    }
}

impl RunView<'_> {
    /// The run with its windows, sites per thread and mapping changes.
    ///
    /// # Errors
    /// [`crate::StoreError::NoSuchRun`], or the failure of reading.
    pub fn detail(&self) -> Result<RunDetail> {
        let detail = read::detail(&self.snapshot, self.run).on(&self.store.path)?;
        detail.ok_or_else(|| self.store.no_such_run(&self.run.to_string()))
    }

    /// Its traced allocations, read as they are asked for. Of a run without an end their sites are not known.
    pub fn traced(&self) -> TracedAllocations<'_> {
        traced::all(&self.snapshot, &self.store.path, self.run)
    }

    /// Its sampled accesses, read as they are asked for. Of a run without an end their regions and code are not known.
    pub fn accesses(&self) -> Accesses<'_> {
        samples::all(&self.snapshot, &self.store.path, self.run)
    }
}
