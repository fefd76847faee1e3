//! Reading a way sweep back.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row};
use waytrace_model::cache::CacheId;
use waytrace_model::sweep::{
    CacheMonitor, SweepEnd, SweepHeader, SweepPoint, SweepTarget, SweptCache, ThreadCounts,
};

use super::{StoredSweep, from_word};
use crate::codec::{json, quantity, quantity_opt};
use crate::series::SeriesId;

pub(super) fn sweep(connection: &Connection, id: SeriesId) -> rusqlite::Result<StoredSweep> {
    let header = connection.query_row("SELECT * FROM sweep WHERE id = ?1", [id.0], header)?;
    let mut threads = by_position(connection, id, "sweep_thread", thread)?;
    let mut monitors = by_position(connection, id, "sweep_monitor", monitor)?;
    let mut points =
        connection.prepare_cached("SELECT * FROM sweep_point WHERE sweep_id = ?1 ORDER BY position")?;
    let points = points
        .query_map([id.0], |row| {
            let position = quantity(row, "position")?;
            let threads = threads.remove(&position).unwrap_or_default();
            point(row, position, threads, monitors.remove(&position).unwrap_or_default())
        })?
        .collect::<rusqlite::Result<_>>()?;
    let end = connection.query_row("SELECT * FROM sweep_end WHERE sweep_id = ?1", [id.0], end).optional()?;
    Ok(StoredSweep { id, header, points, end })
}

fn header(row: &Row<'_>) -> rusqlite::Result<SweepHeader> {
    Ok(SweepHeader {
        name: row.get("name")?,
        started_at_unix_ns: quantity(row, "started_at_unix_ns")?,
        command: row.get("command")?,
        simulated: row.get("simulated")?,
        interface: from_word(row, "interface")?,
        target: SweepTarget { pid: row.get("pid")?, comm: row.get("comm")?, cpus: json(row, "cpus")? },
        cache: SweptCache {
            resource: row.get("resource")?,
            ids: json(row, "cache_ids")?,
            ways: row.get("ways")?,
            way_bytes: quantity_opt(row, "way_bytes")?,
            full_mask: from_word(row, "full_mask")?,
        },
        plan: json(row, "plan")?,
        misses: row.get::<_, Option<String>>("misses")?.map(|_| from_word(row, "misses")).transpose()?,
    })
}

fn point(
    row: &Row<'_>,
    position: u64,
    threads: Vec<ThreadCounts>,
    monitors: Vec<CacheMonitor>,
) -> rusqlite::Result<SweepPoint> {
    Ok(SweepPoint {
        sweep: row.get("sweep")?,
        position,
        ways: row.get("ways")?,
        mask: from_word(row, "mask")?,
        reference: row.get("reference")?,
        at_ns: quantity(row, "at_ns")?,
        settle_ns: quantity(row, "settle_ns")?,
        settled: from_word(row, "settled")?,
        window_ns: quantity(row, "window_ns")?,
        threads,
        monitors,
        disturbed: row.get("disturbed")?,
    })
}

/// Rows of a table beside the points, by the point they belong to, in their order.
fn by_position<T>(
    connection: &Connection,
    id: SeriesId,
    table: &str,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<HashMap<u64, Vec<T>>> {
    let sql = format!("SELECT * FROM {table} WHERE sweep_id = ?1 ORDER BY position, nth");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([id.0])?;
    let mut read_rows: HashMap<u64, Vec<T>> = HashMap::new();
    while let Some(row) = rows.next()? {
        read_rows.entry(quantity(row, "position")?).or_default().push(read(row)?);
    }
    Ok(read_rows)
}

fn thread(row: &Row<'_>) -> rusqlite::Result<ThreadCounts> {
    Ok(ThreadCounts {
        tid: row.get("tid")?,
        cpu: row.get("cpu")?,
        instructions: quantity_opt(row, "instructions")?,
        cycles: quantity_opt(row, "cycles")?,
        llc_references: quantity_opt(row, "llc_references")?,
        llc_misses: quantity_opt(row, "llc_misses")?,
        enabled_ns: quantity(row, "enabled_ns")?,
        running_ns: quantity(row, "running_ns")?,
    })
}

fn monitor(row: &Row<'_>) -> rusqlite::Result<CacheMonitor> {
    Ok(CacheMonitor {
        cache_id: CacheId(row.get("cache_id")?),
        occupancy_bytes: quantity_opt(row, "occupancy_bytes")?,
        total_bytes: quantity_opt(row, "total_bytes")?,
        local_bytes: quantity_opt(row, "local_bytes")?,
        missing: row.get("missing")?,
    })
}

fn end(row: &Row<'_>) -> rusqlite::Result<SweepEnd> {
    Ok(SweepEnd {
        reason: from_word(row, "reason")?,
        detail: row.get("detail")?,
        restored: row.get("restored")?,
        left: json(row, "left_alone")?,
        own_cpu_ns: quantity(row, "own_cpu_ns")?,
        elapsed_ns: quantity(row, "elapsed_ns")?,
    })
}
