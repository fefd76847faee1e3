//! Writing the rows of a way sweep.

use rusqlite::{Connection, params};
use waytrace_model::sweep::{CacheMonitor, SweepEnd, SweepHeader, SweepPoint, ThreadCounts};

use super::word;
use crate::codec::{Quantity, to_json};
use crate::series::SeriesId;

pub(super) fn header(
    connection: &Connection,
    header: &SweepHeader,
    name: &str,
) -> rusqlite::Result<SeriesId> {
    connection.execute(
        "INSERT INTO sweep (name, started_at_unix_ns, command, simulated, interface, pid, comm, cpus, resource,
                            cache_ids, ways, way_bytes, full_mask, plan, misses)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        params![
            name,
            Quantity(header.started_at_unix_ns),
            header.command,
            header.simulated,
            word(&header.interface)?,
            header.target.pid,
            header.target.comm,
            to_json(&header.target.cpus)?,
            header.cache.resource,
            to_json(&header.cache.ids)?,
            header.cache.ways,
            header.cache.way_bytes.map(Quantity),
            word(&header.cache.full_mask)?,
            to_json(&header.plan)?,
            header.misses.as_ref().map(word).transpose()?,
        ],
    )?;
    Ok(SeriesId(connection.last_insert_rowid()))
}

pub(super) fn point(connection: &Connection, id: SeriesId, point: &SweepPoint) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO sweep_point (sweep_id, position, sweep, ways, mask, reference, at_ns, settle_ns, settled,
                                  window_ns, disturbed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    insert.execute(params![
        id.0,
        Quantity(point.position),
        point.sweep,
        point.ways,
        word(&point.mask)?,
        point.reference,
        Quantity(point.at_ns),
        Quantity(point.settle_ns),
        word(&point.settled)?,
        Quantity(point.window_ns),
        point.disturbed,
    ])?;
    threads(connection, id, point.position, &point.threads)?;
    monitors(connection, id, point.position, &point.monitors)
}

fn threads(
    connection: &Connection,
    id: SeriesId,
    position: u64,
    threads: &[ThreadCounts],
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO sweep_thread (sweep_id, position, nth, tid, cpu, instructions, cycles, llc_references,
                                   llc_misses, enabled_ns, running_ns)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    for (nth, thread) in threads.iter().enumerate() {
        insert.execute(params![
            id.0,
            Quantity(position),
            Quantity(nth as u64),
            thread.tid,
            thread.cpu,
            thread.instructions.map(Quantity),
            thread.cycles.map(Quantity),
            thread.llc_references.map(Quantity),
            thread.llc_misses.map(Quantity),
            Quantity(thread.enabled_ns),
            Quantity(thread.running_ns),
        ])?;
    }
    Ok(())
}

fn monitors(
    connection: &Connection,
    id: SeriesId,
    position: u64,
    monitors: &[CacheMonitor],
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO sweep_monitor (sweep_id, position, nth, cache_id, occupancy_bytes, total_bytes, local_bytes,
                                    missing)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for (nth, monitor) in monitors.iter().enumerate() {
        insert.execute(params![
            id.0,
            Quantity(position),
            Quantity(nth as u64),
            monitor.cache_id.0,
            monitor.occupancy_bytes.map(Quantity),
            monitor.total_bytes.map(Quantity),
            monitor.local_bytes.map(Quantity),
            monitor.missing,
        ])?;
    }
    Ok(())
}

pub(super) fn end(connection: &Connection, id: SeriesId, end: &SweepEnd) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO sweep_end (sweep_id, reason, detail, restored, left_alone, own_cpu_ns, elapsed_ns)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let row = params![
        id.0,
        word(&end.reason)?,
        end.detail,
        end.restored,
        to_json(&end.left)?,
        Quantity(end.own_cpu_ns),
        Quantity(end.elapsed_ns),
    ];
    insert.execute(row).map(drop)
}
