//! The rows of one window.

use rusqlite::{Connection, params};
use waytrace_model::allocation::{AllocationWindow, MapEvent};
use waytrace_model::batch::{Batch, ThreadInfo};
use waytrace_model::counter::CounterReading;

use super::Positions;
use crate::codec::{Address, Quantity, finite, finite_or_null};
use crate::store::RunId;

/// Inserts everything of `batch` but its accesses; its mapping changes and traced allocations are numbered from `first` on.
pub(super) fn batch(
    connection: &Connection,
    run: RunId,
    batch: &Batch,
    first: Positions,
) -> rusqlite::Result<()> {
    let window = batch.window;
    connection
        .prepare_cached("INSERT INTO window (run_id, window, start_ns, end_ns) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            run.0,
            Quantity(window.index),
            Quantity(window.start_ns),
            Quantity(window.end_ns)
        ])?;
    threads(connection, run, &batch.threads)?;
    readings(connection, run, window.index, &batch.readings)?;
    if let Some(activity) = &batch.allocations {
        allocations(connection, run, window.index, activity)?;
    }
    map_events(connection, run, first.map_events, &batch.map_events)?;
    super::phases::insert(connection, run, &batch.phases)?;
    super::traced::insert(connection, run, first.traced, &batch.traced)?;
    super::heat::insert(connection, run, &batch.heat)
}

/// A thread announced again (exec renamed it, or its tid was reused) keeps the newest name.
fn threads(connection: &Connection, run: RunId, threads: &[ThreadInfo]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO thread (run_id, tid, tgid, comm) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET tgid = excluded.tgid, comm = excluded.comm",
    )?;
    for thread in threads {
        insert.execute(params![run.0, thread.tid, thread.tgid, thread.comm])?;
    }
    Ok(())
}

/// Two readings of one thread and event in one window (its tid was reused within it) add up.
fn readings(
    connection: &Connection,
    run: RunId,
    window: u64,
    readings: &[CounterReading],
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO reading (run_id, window, tid, event, value, time_enabled_ns, time_running_ns)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT DO UPDATE SET value = value + excluded.value,
             time_enabled_ns = time_enabled_ns + excluded.time_enabled_ns,
             time_running_ns = time_running_ns + excluded.time_running_ns",
    )?;
    for reading in readings {
        insert.execute(params![
            run.0,
            Quantity(window),
            reading.tid,
            reading.event,
            Quantity(reading.value),
            Quantity(reading.time_enabled_ns),
            Quantity(reading.time_running_ns),
        ])?;
    }
    Ok(())
}

fn allocations(
    connection: &Connection,
    run: RunId,
    window: u64,
    activity: &AllocationWindow,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO allocation_window (run_id, window, alloc_count, alloc_bytes, free_count, freed_bytes,
                                        live_bytes, mmap_bytes, munmap_bytes, probed_ratio)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    insert.execute(params![
        run.0,
        Quantity(window),
        finite_or_null(activity.alloc_count),
        finite_or_null(activity.alloc_bytes),
        finite_or_null(activity.free_count),
        finite_or_null(activity.freed_bytes),
        activity.live_bytes.map(Quantity),
        Quantity(activity.mmap_bytes),
        Quantity(activity.munmap_bytes),
        finite(activity.probed_ratio),
    ])?;
    Ok(())
}

fn map_events(
    connection: &Connection,
    run: RunId,
    first: u64,
    map_events: &[MapEvent],
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO map_event (run_id, position, at_ns, tid, kind, address, added_bytes, removed_bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for (position, change) in (first..).zip(map_events) {
        insert.execute(params![
            run.0,
            Quantity(position),
            Quantity(change.at_ns),
            change.tid,
            change.kind.as_str(),
            Address(change.address),
            Quantity(change.added_bytes),
            Quantity(change.removed_bytes),
        ])?;
    }
    Ok(())
}
