//! Traced allocations: those that ended come with the windows, those that remain with the end of the run.

use rusqlite::{Connection, params};
use waytrace_model::allocation::TracedAllocation;

use crate::codec::{Address, Quantity};
use crate::store::RunId;

/// Inserts allocations, numbered from `first`. Their sites are keys whose rows follow when the run ends.
pub(super) fn insert(
    connection: &Connection,
    run: RunId,
    first: u64,
    traced: &[TracedAllocation],
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO traced_allocation (run_id, position, from_ns, to_ns, address, size_bytes, tid, site)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for (position, allocation) in (first..).zip(traced) {
        insert.execute(params![
            run.0,
            Quantity(position),
            allocation.from_ns.map(Quantity),
            allocation.to_ns.map(Quantity),
            Address(allocation.address),
            Quantity(allocation.size_bytes),
            allocation.tid,
            allocation.site,
        ])?;
    }
    Ok(())
}
