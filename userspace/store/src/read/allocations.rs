//! Allocations of a run: its stored totals, or where it has no end what its windows add up to.

use std::collections::HashMap;

use rusqlite::{Connection, Row, params};
use waytrace_model::allocation::{Mode, Site};
use waytrace_model::histogram::Bucket;
use waytrace_model::report::AllocationReport;
use waytrace_model::run::EndedBy;
use waytrace_model::stack::StackQuality;

use super::epilogue::End;
use super::list::RunRow;
use super::sites::merged;
use super::{row, traced};
use crate::codec::{json, quantity, quantity_opt};
use crate::store::RunId;

/// Why a run without an end has nulls.
const UNFINISHED: &str = "the run has no end record (waytrace was killed): counts and bytes are the sums of its \
    windows; peak, sites, lifetimes and interval were not stored";

/// What one thread allocated, over its sites.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ThreadAllocations {
    pub(super) alloc_count: f64,
    pub(super) alloc_bytes: f64,
}

/// The allocation part of a report; `None` where that collector did not run.
pub(super) fn report(
    connection: &Connection,
    run: &RunRow,
    sites: &[Site],
    end: Option<&End>,
) -> rusqlite::Result<Option<AllocationReport>> {
    if run.ended_by == EndedBy::Unfinished {
        return from_windows(connection, run);
    }
    let stored = row(connection, run.id, "SELECT * FROM allocation_total WHERE run_id = ?1", from_totals)?;
    let Some(stored) = stored else { return Ok(None) };
    Ok(Some(AllocationReport {
        traced_count: traced_count(connection, run.id, stored.live_bytes)?,
        sizes: histogram(connection, run.id, "size")?,
        lifetimes: histogram(connection, run.id, "lifetime")?,
        stacks: end.map(|end| end.stacks).unwrap_or_default(),
        sites: merged(sites),
        ..stored
    }))
}

/// Per thread; `None` where no allocator was probed or sites do not tell threads apart.
pub(super) fn by_thread(
    report: Option<&AllocationReport>,
    sites: &[Site],
) -> Option<HashMap<u32, ThreadAllocations>> {
    report?.mode?;
    let mut by_thread: HashMap<u32, ThreadAllocations> = HashMap::new();
    for site in sites.iter().filter(|site| site.tid != 0) {
        let thread = by_thread.entry(site.tid).or_default();
        thread.alloc_count += site.alloc_count;
        thread.alloc_bytes += site.alloc_bytes;
    }
    (!by_thread.is_empty()).then_some(by_thread)
}

fn from_totals(row: &Row<'_>) -> rusqlite::Result<AllocationReport> {
    Ok(AllocationReport {
        mode: row.get::<_, Option<String>>("mode")?.as_deref().and_then(Mode::parse),
        alloc_count: row.get("alloc_count")?,
        alloc_bytes: row.get("alloc_bytes")?,
        free_count: row.get("free_count")?,
        freed_bytes: row.get("freed_bytes")?,
        live_bytes: quantity_opt(row, "live_bytes")?,
        peak_live_bytes: quantity_opt(row, "peak_live_bytes")?,
        temporary_count: quantity_opt(row, "temporary_count")?,
        traced_count: None,
        mmap_bytes: quantity(row, "mmap_bytes")?,
        munmap_bytes: quantity(row, "munmap_bytes")?,
        ci95_pct: row.get("ci95_pct")?,
        alloc_count_ci95_pct: row.get("alloc_count_ci95_pct")?,
        null_reason: row.get("null_reason")?,
        probes: json(row, "probes")?,
        sizes: Vec::new(),
        lifetimes: Vec::new(),
        stacks: StackQuality::default(),
        sites: Vec::new(),
    })
}

/// `sum` of nothing but NULL is NULL, which is what an unknown total is.
fn from_windows(connection: &Connection, run: &RunRow) -> rusqlite::Result<Option<AllocationReport>> {
    let sql = "SELECT count(*) AS windows, sum(alloc_count) AS alloc_count, sum(alloc_bytes) AS alloc_bytes,
            sum(free_count) AS free_count, sum(freed_bytes) AS freed_bytes,
            CAST(total(mmap_bytes) AS INTEGER) AS mmap_bytes,
            CAST(total(munmap_bytes) AS INTEGER) AS munmap_bytes,
            (SELECT live_bytes FROM allocation_window WHERE run_id = ?1 ORDER BY window DESC LIMIT 1)
                AS live_bytes,
            NULL AS peak_live_bytes, NULL AS temporary_count, NULL AS ci95_pct, NULL AS alloc_count_ci95_pct,
            ?2 AS mode, ?3 AS null_reason, '[]' AS probes
        FROM allocation_window WHERE run_id = ?1";
    let mode = run.mode.map(Mode::as_str);
    let summed = connection.query_row(sql, params![run.id.0, mode, UNFINISHED], |row| {
        if quantity(row, "windows")? == 0 {
            return Ok(None);
        }
        from_totals(row).map(Some)
    })?;
    let Some(summed) = summed else { return Ok(None) };
    Ok(Some(AllocationReport {
        traced_count: traced_count(connection, run.id, summed.live_bytes)?,
        ..summed
    }))
}

/// Blocks are traced where lifetimes are measured, and there live bytes are known.
fn traced_count(
    connection: &Connection,
    run: RunId,
    live_bytes: Option<u64>,
) -> rusqlite::Result<Option<u64>> {
    live_bytes.map(|_| traced::count(connection, run)).transpose()
}

fn histogram(connection: &Connection, run: RunId, kind: &str) -> rusqlite::Result<Vec<Bucket>> {
    let mut statement = connection.prepare_cached(
        "SELECT log2, count, bytes FROM histogram WHERE run_id = ?1 AND kind = ?2 ORDER BY log2",
    )?;
    let buckets = statement.query_map(params![run.0, kind], |row| {
        Ok(Bucket { log2: row.get("log2")?, count: row.get("count")?, bytes: row.get("bytes")? })
    })?;
    buckets.collect()
}
