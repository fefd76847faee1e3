//! Rows numbered through a run, a page at a time: there may be millions.

use std::fmt;
use std::path::Path;

use rusqlite::{Connection, Row, params};

use crate::error::{OnPath, Result};
use crate::store::RunId;

/// Rows held at once.
const PAGE: usize = 4096;

/// How a table is read.
#[derive(Debug)]
pub(crate) struct Table<T> {
    /// Selects from position `?2` of run `?1` on, in order, at most `?3` rows.
    pub(super) sql: &'static str,
    /// Position and value of a row.
    pub(super) make: fn(&Row<'_>) -> rusqlite::Result<(u64, T)>,
}

/// A run's rows of one kind in the order they were stored. Ends with the first failure.
pub struct Pages<'s, T: 'static> {
    connection: &'s Connection,
    path: &'s Path,
    run: RunId,
    table: &'static Table<T>,
    page: std::vec::IntoIter<(u64, T)>,
    /// Position the next page begins at; `None` after the last.
    next: Option<u64>,
}

impl<'s, T: 'static> Pages<'s, T> {
    pub(super) fn new(
        connection: &'s Connection,
        path: &'s Path,
        run: RunId,
        table: &'static Table<T>,
    ) -> Self {
        Self { connection, path, run, table, page: Vec::new().into_iter(), next: Some(0) }
    }

    fn turn(&mut self, from: u64) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(self.table.sql)?;
        let rows = statement.query_map(params![self.run.0, from as i64, PAGE as i64], self.table.make)?;
        let page = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        // A damaged index could lead back; then it ends here instead of going round.
        let last = page.last().map(|(position, _)| *position).filter(|last| *last >= from);
        self.next = last.filter(|_| page.len() == PAGE).map(|last| last.saturating_add(1));
        self.page = page.into_iter();
        Ok(())
    }
}

impl<T: 'static> Iterator for Pages<'_, T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((_, value)) = self.page.next() {
                return Some(Ok(value));
            }
            let from = self.next.take()?;
            if let Err(error) = self.turn(from).on(self.path) {
                return Some(Err(error));
            }
        }
    }
}

impl<T: 'static> fmt::Debug for Pages<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("run", &self.run).field("next", &self.next).finish_non_exhaustive()
    }
}
