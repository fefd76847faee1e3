//! What is known of a run's accesses when it ends.

use rusqlite::{Connection, params};
use waytrace_model::access::{AccessTotals, Code, Footprint, Region};

use super::intern::Interner;
use crate::codec::{Address, Quantity, finite_or_null};
use crate::store::RunId;

/// Inserts everything of `totals`.
pub(super) fn totals<'t>(
    connection: &Connection,
    run: RunId,
    totals: &'t AccessTotals,
    interner: &mut Interner<'_, 't>,
) -> rusqlite::Result<()> {
    scalars(connection, run, totals)?;
    regions(connection, run, &totals.regions)?;
    code(connection, run, &totals.code, interner)?;
    footprints(connection, run, &totals.footprints)
}

fn scalars(connection: &Connection, run: RunId, totals: &AccessTotals) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO access_total (run_id, source, rate_hz, samples, kernel_samples, resolved, checked, confirmed,
             throttled, null_reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            run.0,
            totals.source.as_str(),
            finite_or_null(totals.rate_hz),
            Quantity(totals.samples),
            Quantity(totals.kernel_samples),
            Quantity(totals.resolved),
            Quantity(totals.checked),
            Quantity(totals.confirmed),
            Quantity(totals.throttled),
            totals.null_reason,
        ],
    )?;
    let mut insert = connection
        .prepare_cached("INSERT INTO access_unresolved (run_id, reason, count) VALUES (?1, ?2, ?3)")?;
    for (reason, count) in &totals.unresolved {
        insert.execute(params![run.0, reason, Quantity(*count)])?;
    }
    Ok(())
}

/// Of two mappings under one key the first stays: no sample could tell them apart.
fn regions(connection: &Connection, run: RunId, regions: &[Region]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO access_region (run_id, region, tgid, name, start_address, end_address, resident_bytes,
             huge_bytes, node)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT DO NOTHING",
    )?;
    for region in regions {
        insert.execute(params![
            run.0,
            region.id,
            region.tgid,
            region.name,
            Address(region.start),
            Address(region.end),
            region.resident_bytes.map(Quantity),
            region.huge_bytes.map(Quantity),
            region.node,
        ])?;
    }
    Ok(())
}

/// Of two instructions under one key the first stays.
fn code<'t>(
    connection: &Connection,
    run: RunId,
    code: &'t [Code],
    interner: &mut Interner<'_, 't>,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO access_code (run_id, code, stack) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?;
    for instruction in code {
        insert.execute(params![run.0, instruction.id, interner.stack(&instruction.frames)?])?;
    }
    Ok(())
}

/// A site given twice (one row for each process, say) adds up.
fn footprints(connection: &Connection, run: RunId, footprints: &[Footprint]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO access_footprint (run_id, site, blocks, live_bytes, untouched_bytes)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET blocks = blocks + excluded.blocks,
             live_bytes = live_bytes + excluded.live_bytes,
             untouched_bytes = untouched_bytes + excluded.untouched_bytes",
    )?;
    for footprint in footprints {
        insert.execute(params![
            run.0,
            footprint.site,
            Quantity(footprint.blocks),
            Quantity(footprint.live_bytes),
            Quantity(footprint.untouched_bytes),
        ])?;
    }
    Ok(())
}
