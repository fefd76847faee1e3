//! Sampled accesses, which come with the windows, and what is known of them when the run ends.

use rusqlite::{Connection, params};
use waytrace_model::access::{Access, AccessKind, AccessTotals, Code, Footprint, Precise, Region};

use super::intern::Interner;
use crate::codec::{Address, Quantity, finite_or_null};
use crate::store::RunId;

/// Inserts samples, numbered from `first`. Their regions and code are keys whose rows follow when the run ends.
pub(super) fn samples(
    connection: &Connection,
    run: RunId,
    first: u64,
    accesses: &[Access],
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO access (run_id, position, at_ns, tid, cpu, address, width_bytes, is_store, code, region, weight,
             block_address, block_bytes, site, latency_cycles, served_by, page_bytes, physical_address)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
    )?;
    let nothing = Precise::default();
    for (position, access) in (first..).zip(accesses) {
        let (block, precise) = (access.block.as_ref(), access.precise.as_ref().unwrap_or(&nothing));
        insert.execute(params![
            run.0,
            Quantity(position),
            Quantity(access.at_ns),
            access.tid,
            access.cpu,
            Address(access.address),
            access.width_bytes,
            access.kind == AccessKind::Store,
            access.code,
            access.region,
            Quantity(access.weight),
            block.map(|block| Address(block.address)),
            block.map(|block| Quantity(block.size_bytes)),
            block.map(|block| block.site),
            precise.latency_cycles,
            precise.served_by,
            precise.page_bytes.map(Quantity),
            precise.physical_address.map(Address),
        ])?;
    }
    Ok(())
}

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
