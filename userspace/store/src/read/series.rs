//! What a run holds over time: windows with their readings, mapping changes.

use std::collections::HashMap;

use rusqlite::{Connection, Row};
use waytrace_model::allocation::{AllocationWindow, MapEvent, MapKind};
use waytrace_model::counter::CounterReading;
use waytrace_model::detail::WindowDetail;
use waytrace_model::run::Window;

use super::rows;
use crate::codec::{Address, quantity, quantity_opt};
use crate::store::RunId;

/// Windows in order, each with its readings and its allocation activity.
pub(super) fn windows(connection: &Connection, run: RunId) -> rusqlite::Result<Vec<WindowDetail>> {
    let mut readings = readings(connection, run)?;
    let mut activity = allocation_windows(connection, run)?;
    rows(connection, run, "SELECT * FROM window WHERE run_id = ?1 ORDER BY window", |row| {
        let index = quantity(row, "window")?;
        Ok(WindowDetail {
            window: Window { index, start_ns: quantity(row, "start_ns")?, end_ns: quantity(row, "end_ns")? },
            readings: readings.remove(&index).unwrap_or_default(),
            allocations: activity.remove(&index),
            working_set: None,
        })
    })
}

fn readings(connection: &Connection, run: RunId) -> rusqlite::Result<HashMap<u64, Vec<CounterReading>>> {
    let sql = "SELECT window, tid, event, value, time_enabled_ns, time_running_ns FROM reading
               WHERE run_id = ?1 ORDER BY run_id, window, tid, event";
    let mut by_window: HashMap<u64, Vec<CounterReading>> = HashMap::new();
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([run.0])?;
    while let Some(row) = rows.next()? {
        by_window.entry(quantity(row, 0)?).or_default().push(CounterReading {
            tid: row.get(1)?,
            event: row.get(2)?,
            value: quantity(row, 3)?,
            time_enabled_ns: quantity(row, 4)?,
            time_running_ns: quantity(row, 5)?,
        });
    }
    Ok(by_window)
}

fn allocation_windows(
    connection: &Connection,
    run: RunId,
) -> rusqlite::Result<HashMap<u64, AllocationWindow>> {
    let sql = "SELECT * FROM allocation_window WHERE run_id = ?1";
    let by_window =
        rows(connection, run, sql, |row| Ok((quantity(row, "window")?, allocation_window(row)?)))?;
    Ok(by_window.into_iter().collect())
}

fn allocation_window(row: &Row<'_>) -> rusqlite::Result<AllocationWindow> {
    Ok(AllocationWindow {
        alloc_count: row.get("alloc_count")?,
        alloc_bytes: row.get("alloc_bytes")?,
        free_count: row.get("free_count")?,
        freed_bytes: row.get("freed_bytes")?,
        live_bytes: quantity_opt(row, "live_bytes")?,
        mmap_bytes: quantity(row, "mmap_bytes")?,
        munmap_bytes: quantity(row, "munmap_bytes")?,
        probed_ratio: row.get("probed_ratio")?,
    })
}

/// Mapping changes, oldest first. A kind this build does not know is left out.
pub(super) fn map_events(connection: &Connection, run: RunId) -> rusqlite::Result<Vec<MapEvent>> {
    let sql = "SELECT * FROM map_event WHERE run_id = ?1 ORDER BY position";
    let changes = rows(connection, run, sql, |row| {
        let Address(address) = row.get("address")?;
        let Some(kind) = MapKind::parse(&row.get::<_, String>("kind")?) else { return Ok(None) };
        Ok(Some(MapEvent {
            at_ns: quantity(row, "at_ns")?,
            tid: row.get("tid")?,
            kind,
            address,
            added_bytes: quantity(row, "added_bytes")?,
            removed_bytes: quantity(row, "removed_bytes")?,
        }))
    })?;
    Ok(changes.into_iter().flatten().collect())
}
