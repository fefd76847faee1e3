//! Way sweeps: begun once, added to point by point as they come, read as a whole.

mod list;
mod read;
mod write;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use serde::Serialize;
use serde::de::DeserializeOwned;
use waytrace_model::sweep::{SweepEnd, SweepHeader, SweepPoint};

use crate::codec::to_json;
use crate::error::{OnPath, Result, StoreError};
use crate::select::{fitting, is_valid_name, name_in, there_are};
use crate::series::SeriesId;
use crate::store::Store;
pub use list::SweepRow;
pub(crate) use list::{delete, delete_old};

/// The table, for selectors.
pub(crate) const TABLE: &str = "sweep";

/// A sweep with all its points so far.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSweep {
    /// Its id, unique among sweeps.
    pub id: SeriesId,
    /// As it was begun, with the name made where none was given.
    pub header: SweepHeader,
    /// What was measured, in order of position.
    pub points: Vec<SweepPoint>,
    /// How it ended; `None`: it has not, or was killed.
    pub end: Option<SweepEnd>,
}

impl Store {
    /// Begins a sweep. An empty name becomes `<comm>-sweep-<n>` with the first free n.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`] where a sweep or a run has the name, [`StoreError::BadName`], or the failure of writing.
    pub fn begin_sweep(&self, header: &SweepHeader) -> Result<SeriesId> {
        let transaction =
            rusqlite::Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)
                .on(&self.path)?;
        let name = match header.name.as_str() {
            "" => crate::write::free_name(&transaction, &format!("{}-sweep", header.target.comm))
                .on(&self.path)?,
            given => given.to_owned(),
        };
        if !is_valid_name(&name) {
            return Err(StoreError::BadName { name });
        }
        if let Some(kind) = crate::write::taken_by(&transaction, &name).on(&self.path)? {
            return Err(StoreError::NameTaken { path: self.path.clone(), kind, name });
        }
        let id = write::header(&transaction, header, &name).on(&self.path)?;
        transaction.commit().on(&self.path)?;
        Ok(id)
    }

    /// Adds a point, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::NoSuchSweep`] where the sweep was deleted meanwhile, or the failure of writing; the points before are
    /// intact.
    pub fn add_sweep_point(&self, id: SeriesId, point: &SweepPoint) -> Result<()> {
        self.within_sweep(id, |transaction| write::point(transaction, id, point))
    }

    /// Ends a sweep.
    ///
    /// # Errors
    /// As [`Store::add_sweep_point`]; the sweep then stays without an end.
    pub fn end_sweep(&self, id: SeriesId, end: &SweepEnd) -> Result<()> {
        self.within_sweep(id, |transaction| write::end(transaction, id, end))
    }

    /// The sweep that `selector` means, as [`Store::find`] has it of runs.
    ///
    /// # Errors
    /// [`StoreError::NoSuchSweep`] and [`StoreError::Ambiguous`] list the candidates; [`StoreError::IsRun`]; or the failure of reading.
    pub fn sweep(&self, selector: &str) -> Result<StoredSweep> {
        let snapshot = self.snapshot()?;
        let selector = selector.trim();
        match fitting(&snapshot, TABLE, selector).on(&self.path)?.as_slice() {
            [] => Err(self.no_such_sweep(&snapshot, selector)),
            [id] => read::sweep(&snapshot, SeriesId(*id)).on(&self.path),
            several => Err(self.ambiguous(&snapshot, TABLE, selector, several)?),
        }
    }

    /// The sweep with this id.
    ///
    /// # Errors
    /// [`StoreError::NoSuchSweep`], or the failure of reading.
    pub fn sweep_by_id(&self, id: SeriesId) -> Result<StoredSweep> {
        self.sweep(&id.0.to_string())
    }

    /// All sweeps, the newest first.
    ///
    /// # Errors
    /// The failure of reading.
    pub fn sweeps(&self) -> Result<Vec<SweepRow>> {
        list::rows(&*self.snapshot()?).on(&self.path)
    }

    fn within_sweep(
        &self,
        id: SeriesId,
        write: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<()> {
        let transaction = self.snapshot()?;
        match write(&transaction) {
            // A point's only parent is its sweep.
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
                    && !list::exists(&transaction, id).on(&self.path)? =>
            {
                Err(self.no_such_sweep(&transaction, &id.0.to_string()))
            }
            written => written.and_then(|()| transaction.commit()).on(&self.path),
        }
    }

    fn no_such_sweep(&self, connection: &Connection, selector: &str) -> StoreError {
        match name_in(connection, "run", selector).on(&self.path) {
            Err(error) => return error,
            Ok(Some(name)) => return StoreError::IsRun { name },
            Ok(None) => {}
        }
        match there_are(connection, TABLE).on(&self.path) {
            Err(error) => error,
            Ok(names) => StoreError::NoSuchSweep {
                path: self.path.clone(),
                name: selector.to_owned(),
                candidates: names
                    .unwrap_or_else(|| "it holds none yet; `waytrace cache sweep` makes one".to_owned()),
            },
        }
    }
}

/// A word of a closed list as its serde name, without the quotes JSON gives it.
fn word<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    to_json(value).map(|quoted| quoted.trim_matches('"').to_owned())
}

/// The reverse of [`word`].
fn from_word<T: DeserializeOwned>(row: &rusqlite::Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_value(serde_json::Value::String(text)).map_err(|error| {
        let index = row.as_ref().column_index(column).unwrap_or(0);
        rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, Box::new(error))
    })
}
