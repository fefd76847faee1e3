//! Traced allocations, a page at a time: a run may hold millions.

use std::path::Path;

use rusqlite::{Connection, Row};
use waytrace_model::allocation::TracedAllocation;

use super::pages::{Pages, Table};
use crate::codec::{Address, quantity, quantity_opt};
use crate::store::RunId;

/// A run's traced allocations: in the order of their ends, then those that remain. Ends with the first failure.
pub type TracedAllocations<'s> = Pages<'s, TracedAllocation>;

static TABLE: Table<TracedAllocation> = Table {
    sql: "SELECT * FROM traced_allocation WHERE run_id = ?1 AND position >= ?2 ORDER BY position LIMIT ?3",
    make: allocation,
};

/// How many a run has. They are numbered from 0 without gaps, so that none needs to be visited.
pub(super) fn count(connection: &Connection, run: RunId) -> rusqlite::Result<u64> {
    let sql = "SELECT position FROM traced_allocation WHERE run_id = ?1 ORDER BY position DESC LIMIT 1";
    let last = super::row(connection, run, sql, |row| quantity(row, "position"))?;
    Ok(last.map_or(0, |last| last.saturating_add(1)))
}

/// Begins to read those of `run`.
pub(crate) fn all<'s>(connection: &'s Connection, path: &'s Path, run: RunId) -> TracedAllocations<'s> {
    Pages::new(connection, path, run, &TABLE)
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
