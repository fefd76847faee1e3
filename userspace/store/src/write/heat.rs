//! Accesses counted in the kernel, which come with windows after theirs.

use rusqlite::{Connection, params};
use waytrace_model::access_heat::{HeatCell, HeatWindow};

use crate::codec::{Address, Quantity};
use crate::store::RunId;

/// Inserts windows with their pages and lines. What of a window comes later adds up.
pub(super) fn insert(connection: &Connection, run: RunId, windows: &[HeatWindow]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO access_heat_window (run_id, start_ns, samples, passed, loads, stores, unknown)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT DO UPDATE SET samples = samples + excluded.samples, passed = passed + excluded.passed,
             loads = loads + excluded.loads, stores = stores + excluded.stores,
             unknown = unknown + excluded.unknown",
    )?;
    for window in windows {
        insert.execute(params![
            run.0,
            Quantity(window.start_ns),
            Quantity(window.samples),
            Quantity(window.passed),
            Quantity(window.sums.loads),
            Quantity(window.sums.stores),
            Quantity(window.sums.unknown),
        ])?;
        cells(connection, run, window.start_ns, &window.cells)?;
    }
    Ok(())
}

fn cells(connection: &Connection, run: RunId, start_ns: u64, cells: &[HeatCell]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO access_heat (run_id, start_ns, is_line, tgid, address, region, loads, stores, unknown)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT DO UPDATE SET loads = loads + excluded.loads, stores = stores + excluded.stores,
             unknown = unknown + excluded.unknown",
    )?;
    for cell in cells {
        insert.execute(params![
            run.0,
            Quantity(start_ns),
            cell.is_line,
            cell.tgid,
            Address(cell.address),
            cell.region,
            Quantity(cell.sums.loads),
            Quantity(cell.sums.stores),
            Quantity(cell.sums.unknown),
        ])?;
    }
    Ok(())
}
