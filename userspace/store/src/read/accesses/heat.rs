//! Accesses counted in the kernel, window by window and cell by cell.

use rusqlite::Connection;
use waytrace_model::access_heat::{HeatCell, HeatSums, HeatWindow};

use super::super::rows;
use crate::codec::{Address, quantity};
use crate::store::RunId;

/// Windows in order of their starts, without cells; empty where nothing was counted in the kernel.
pub(in super::super) fn windows(connection: &Connection, run: RunId) -> rusqlite::Result<Vec<HeatWindow>> {
    let sql = "SELECT start_ns, samples, passed, loads, stores, unknown FROM access_heat_window
               WHERE run_id = ?1 ORDER BY start_ns";
    rows(connection, run, sql, |row| {
        Ok(HeatWindow {
            start_ns: quantity(row, 0)?,
            samples: quantity(row, 1)?,
            passed: quantity(row, 2)?,
            sums: sums(row, 3)?,
            cells: Vec::new(),
        })
    })
}

/// Shows every page and line, with the start of its window, to `see`.
pub(in super::super) fn each_cell(
    connection: &Connection,
    run: RunId,
    mut see: impl FnMut(u64, HeatCell),
) -> rusqlite::Result<()> {
    let sql = "SELECT start_ns, is_line, tgid, address, region, loads, stores, unknown FROM access_heat
               WHERE run_id = ?1 ORDER BY run_id, start_ns, is_line, tgid, address";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([run.0])?;
    while let Some(row) = rows.next()? {
        let Address(address) = row.get(3)?;
        let (is_line, tgid, region) = (row.get(1)?, row.get(2)?, row.get(4)?);
        see(quantity(row, 0)?, HeatCell { tgid, address, is_line, region, sums: sums(row, 5)? });
    }
    Ok(())
}

/// Three columns from `first` on.
fn sums(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<HeatSums> {
    Ok(HeatSums {
        loads: quantity(row, first)?,
        stores: quantity(row, first + 1)?,
        unknown: quantity(row, first + 2)?,
    })
}
