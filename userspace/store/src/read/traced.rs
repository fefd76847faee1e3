//! Traced allocations, a page at a time: a run may hold millions.

use std::path::Path;

use rusqlite::{Connection, Row, params};
use waytrace_model::allocation::TracedAllocation;

use crate::codec::{Address, quantity, quantity_opt};
use crate::error::{OnPath, Result};
use crate::store::RunId;

/// Rows held at once.
const PAGE: usize = 4096;

/// How many a run has. They are numbered from 0 without gaps, so that none needs to be visited.
pub(super) fn count(connection: &Connection, run: RunId) -> rusqlite::Result<u64> {
    let sql = "SELECT position FROM traced_allocation WHERE run_id = ?1 ORDER BY position DESC LIMIT 1";
    let last = super::row(connection, run, sql, |row| quantity(row, "position"))?;
    Ok(last.map_or(0, |last| last.saturating_add(1)))
}

/// A run's traced allocations: in the order of their ends, then those that remain. Ends with the first failure.
#[derive(Debug)]
pub struct TracedAllocations<'s> {
    connection: &'s Connection,
    path: &'s Path,
    run: RunId,
    page: std::vec::IntoIter<(u64, TracedAllocation)>,
    /// Position the next page begins at; `None` after the last.
    next: Option<u64>,
}

impl<'s> TracedAllocations<'s> {
    pub(crate) fn new(connection: &'s Connection, path: &'s Path, run: RunId) -> Self {
        Self { connection, path, run, page: Vec::new().into_iter(), next: Some(0) }
    }

    fn turn(&mut self, from: u64) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(
            "SELECT * FROM traced_allocation WHERE run_id = ?1 AND position >= ?2 ORDER BY position LIMIT ?3",
        )?;
        let rows = statement.query_map(params![self.run.0, from as i64, PAGE as i64], allocation)?;
        let page = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        // A damaged index could lead back; then it ends here instead of going round.
        let last = page.last().map(|(position, _)| *position).filter(|last| *last >= from);
        self.next = last.filter(|_| page.len() == PAGE).map(|last| last.saturating_add(1));
        self.page = page.into_iter();
        Ok(())
    }
}

impl Iterator for TracedAllocations<'_> {
    type Item = Result<TracedAllocation>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((_, allocation)) = self.page.next() {
                return Some(Ok(allocation));
            }
            let from = self.next.take()?;
            if let Err(error) = self.turn(from).on(self.path) {
                return Some(Err(error));
            }
        }
    }
}

fn allocation(row: &Row<'_>) -> rusqlite::Result<(u64, TracedAllocation)> {
    let Address(address) = row.get("address")?;
    let allocation = TracedAllocation {
        from_ns: quantity_opt(row, "from_ns")?,
        to_ns: quantity_opt(row, "to_ns")?,
        address,
        size_bytes: quantity(row, "size_bytes")?,
        tid: row.get("tid")?,
        site: row.get("site")?,
    };
    Ok((quantity(row, "position")?, allocation))
}
