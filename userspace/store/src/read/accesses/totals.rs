//! What was known of a run's accesses when it ended.

use rusqlite::{Connection, Row};
use waytrace_model::access::{AccessTotals, Code, Footprint, Region, Source};

use super::super::stacks::Stacks;
use super::super::{row, rows};
use crate::codec::{Address, quantity, quantity_opt};
use crate::store::RunId;

/// The totals; `None` where accesses were not sampled or the run has no end.
pub(in super::super) fn load(
    connection: &Connection,
    run: RunId,
    stacks: &Stacks,
) -> rusqlite::Result<Option<AccessTotals>> {
    let Some(scalars) = row(connection, run, "SELECT * FROM access_total WHERE run_id = ?1", scalars)? else {
        return Ok(None);
    };
    let sql = "SELECT reason, count FROM access_unresolved WHERE run_id = ?1";
    let unresolved = rows(connection, run, sql, |row| Ok((row.get("reason")?, quantity(row, "count")?)))?;
    Ok(Some(AccessTotals {
        unresolved: unresolved.into_iter().collect(),
        regions: rows(
            connection,
            run,
            "SELECT * FROM access_region WHERE run_id = ?1 ORDER BY region",
            region,
        )?,
        code: code(connection, run, stacks)?,
        footprints: rows(
            connection,
            run,
            "SELECT * FROM access_footprint WHERE run_id = ?1 ORDER BY site",
            footprint,
        )?,
        ..scalars
    }))
}

fn scalars(row: &Row<'_>) -> rusqlite::Result<AccessTotals> {
    // Of a source this build does not know, nothing can be promised either.
    let source = Source::parse(&row.get::<_, String>("source")?).unwrap_or(Source::Imported);
    Ok(AccessTotals {
        source,
        rate_hz: row.get("rate_hz")?,
        samples: quantity(row, "samples")?,
        kernel_samples: quantity(row, "kernel_samples")?,
        resolved: quantity(row, "resolved")?,
        unresolved: Default::default(),
        checked: quantity(row, "checked")?,
        confirmed: quantity(row, "confirmed")?,
        throttled: quantity(row, "throttled")?,
        regions: Vec::new(),
        code: Vec::new(),
        footprints: Vec::new(),
        null_reason: row.get("null_reason")?,
    })
}

fn region(row: &Row<'_>) -> rusqlite::Result<Region> {
    let (Address(start), Address(end)) = (row.get("start_address")?, row.get("end_address")?);
    Ok(Region {
        id: row.get("region")?,
        tgid: row.get("tgid")?,
        name: row.get("name")?,
        start,
        end,
        resident_bytes: quantity_opt(row, "resident_bytes")?,
        huge_bytes: quantity_opt(row, "huge_bytes")?,
        node: row.get("node")?,
    })
}

fn code(connection: &Connection, run: RunId, stacks: &Stacks) -> rusqlite::Result<Vec<Code>> {
    rows(connection, run, "SELECT code, stack FROM access_code WHERE run_id = ?1 ORDER BY code", |row| {
        let frames = stacks.get(&row.get("stack")?).cloned().unwrap_or_default();
        Ok(Code { id: row.get("code")?, frames })
    })
}

fn footprint(row: &Row<'_>) -> rusqlite::Result<Footprint> {
    Ok(Footprint {
        site: row.get("site")?,
        blocks: quantity(row, "blocks")?,
        live_bytes: quantity(row, "live_bytes")?,
        untouched_bytes: quantity(row, "untouched_bytes")?,
    })
}
