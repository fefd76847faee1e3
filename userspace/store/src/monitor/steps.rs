//! Windows become steps: those of a minute that is over are added to its row, and to that of its hour.
//!
//! Which windows are in a step already is a mark on them, set in the same transaction, so none is left out or counted twice whatever ends the
//! monitor, and a minute that comes twice because the clock was set back adds to the row that is there.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use waytrace_model::monitor::{Step, TargetWindow};

use super::columns::{self, Keys};
use super::fold::{Numbers, Own, add_buckets};
use super::insert::{self, HostRow, OTHERS};
use super::retain::{book, used_bytes};
use crate::codec::{Quantity, quantity};

/// Windows looked at; more than there are in a minute.
const UNFOLDED: i64 = 1000;
/// Sites and regions of a target in a step: when there are more than twice as many, the least become the others.
const KEPT: i64 = 2 * TargetWindow::MAX_SITES as i64;

/// A target's part in what is being folded.
#[derive(Debug, Default)]
struct TargetPart {
    numbers: Numbers,
    absent: Option<i64>,
    sizes: Vec<f64>,
}

/// Folds the windows of one minute that is over. Whether there was one.
pub(super) fn fold_one(connection: &Connection) -> rusqlite::Result<bool> {
    let Some((minute, windows)) = oldest_minute(connection)? else { return Ok(false) };
    let mut host: Option<HostRow> = None;
    let mut targets: BTreeMap<i64, TargetPart> = BTreeMap::new();
    for &window in &windows {
        let row = connection
            .prepare_cached("SELECT * FROM monitor_window WHERE id = ?1")?
            .query_row([window], host_row)?;
        match &mut host {
            None => host = Some(row),
            Some(host) => host.add(&row),
        }
        read_targets(connection, window, &mut targets)?;
    }
    let Some(host) = host else { return Ok(false) };
    for step in [Step::Hour, Step::Minute] {
        let (start_unix_ns, before) = (step.start_of(minute), used_bytes(connection)?);
        let row = add_host(connection, HostRow { step_ns: step.ns(), start_unix_ns, ..host })?;
        for (&target, part) in &targets {
            add_target(connection, row, target, part)?;
        }
        for &window in &windows {
            add_lists(connection, row, window)?;
        }
        book(connection, row, used_bytes(connection)?.saturating_sub(before))?;
    }
    for window in windows {
        connection.prepare_cached("UPDATE monitor_window SET folded = 1 WHERE id = ?1")?.execute([window])?;
    }
    Ok(true)
}

/// The first minute but the newest window's that has windows not yet folded, and these.
fn oldest_minute(connection: &Connection) -> rusqlite::Result<Option<(u64, Vec<i64>)>> {
    let newest: Option<u64> = connection
        .prepare_cached(
            "SELECT start_unix_ns FROM monitor_window WHERE step_ns = 0 ORDER BY id DESC LIMIT 1",
        )?
        .query_row([], |row| quantity(row, 0))
        .optional()?;
    let mut select = connection.prepare_cached(
        "SELECT id, start_unix_ns FROM monitor_window WHERE folded = 0 ORDER BY start_unix_ns LIMIT ?1",
    )?;
    let rows = select.query_map([UNFOLDED], |row| Ok((row.get(0)?, quantity(row, 1)?)))?;
    let mut minute = None;
    let mut windows = Vec::new();
    for row in rows {
        let (id, start): (i64, u64) = row?;
        let start = Step::Minute.start_of(start);
        if Some(start) != newest.map(|newest| Step::Minute.start_of(newest))
            && *minute.get_or_insert(start) == start
        {
            windows.push(id);
        }
    }
    Ok(minute.map(|minute| (minute, windows)))
}

fn read_targets(
    connection: &Connection,
    window: i64,
    into: &mut BTreeMap<i64, TargetPart>,
) -> rusqlite::Result<()> {
    let mut select = connection.prepare_cached("SELECT * FROM monitor_target_window WHERE window_id = ?1")?;
    let mut rows = select.query([window])?;
    while let Some(row) = rows.next()? {
        read_target(row, into.entry(columns::target_and_absent(row)?.0).or_default())?;
    }
    Ok(())
}

fn read_target(row: &Row<'_>, part: &mut TargetPart) -> rusqlite::Result<()> {
    part.numbers.add(&columns::numbers(row)?);
    part.absent = columns::target_and_absent(row)?.1.or(part.absent);
    add_buckets(&mut part.sizes, &columns::sizes(row)?);
    Ok(())
}

/// Adds to the host's row of a step, which is made where there is none.
fn add_host(connection: &Connection, added: HostRow) -> rusqlite::Result<i64> {
    let there = connection
        .prepare_cached("SELECT * FROM monitor_window WHERE step_ns = ?1 AND start_unix_ns = ?2")?
        .query_row([Quantity(added.step_ns), Quantity(added.start_unix_ns)], |row| {
            Ok((row.get::<_, i64>("id")?, host_row(row)?))
        })
        .optional()?;
    match there {
        None => added.insert(connection),
        Some((id, mut row)) => {
            row.add(&added);
            row.update(connection, id)?;
            Ok(id)
        }
    }
}

fn add_target(connection: &Connection, window: i64, target: i64, added: &TargetPart) -> rusqlite::Result<()> {
    let mut whole = TargetPart::default();
    {
        let mut select = connection
            .prepare_cached("SELECT * FROM monitor_target_window WHERE window_id = ?1 AND target_id = ?2")?;
        let mut rows = select.query([window, target])?;
        if let Some(row) = rows.next()? {
            read_target(row, &mut whole)?;
        }
    }
    whole.numbers.add(&added.numbers);
    whole.absent = added.absent.or(whole.absent);
    add_buckets(&mut whole.sizes, &added.sizes);
    let keys = Keys { window, target, absent: whole.absent, sizes: &whole.sizes };
    columns::put(connection, &keys, &whole.numbers)
}

/// Adds what hangs on a window, all of it amounts.
fn add_lists(connection: &Connection, into: i64, window: i64) -> rusqlite::Result<()> {
    type Row5 = (i64, i64, f64, f64);
    let five = |row: &Row<'_>| -> rusqlite::Result<Row5> {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    };
    let mut crowded = Vec::new();
    let mut select = connection.prepare_cached(
        "SELECT target_id, name_id, alloc_count, alloc_bytes FROM monitor_site WHERE window_id = ?1",
    )?;
    for row in select.query_map([window], five)? {
        let (target, name, count, bytes) = row?;
        insert::site(connection, (into, target, name), (count, bytes))?;
        crowded.push(target);
    }
    let mut select = connection.prepare_cached(
        "SELECT target_id, name_id, samples, stores FROM monitor_region WHERE window_id = ?1",
    )?;
    for row in select.query_map([window], five)? {
        let (target, name, samples, stores) = row?;
        insert::region(connection, (into, target, name), (samples, stores))?;
        crowded.push(target);
    }
    crowded.dedup();
    for target in crowded {
        thin(connection, into, target, &SITES)?;
        thin(connection, into, target, &REGIONS)?;
    }
    let mut select =
        connection.prepare_cached("SELECT target_id, length_ns FROM monitor_missing WHERE window_id = ?1")?;
    for row in select.query_map([window], |row| Ok((row.get(0)?, quantity(row, 1)?)))? {
        let (target, length_ns) = row?;
        insert::missing(connection, into, target, length_ns)?;
    }
    let mut select = connection.prepare_cached(
        "SELECT name_id, state, reason_id, length_ns, tool_cpu_ns FROM monitor_collector WHERE window_id = ?1",
    )?;
    let mut rows = select.query([window])?;
    while let Some(row) = rows.next()? {
        let state: String = row.get(1)?;
        let key = (row.get(0)?, state.as_str(), row.get(2)?);
        insert::collector(connection, into, key, quantity(row, 3)?, row.get(4)?)?;
    }
    let mut select =
        connection.prepare_cached("SELECT kind, count FROM monitor_loss WHERE window_id = ?1")?;
    for row in select.query_map([window], |row| Ok((row.get::<_, String>(0)?, quantity(row, 1)?)))? {
        let (kind, count) = row?;
        insert::loss(connection, into, &kind, count)?;
    }
    Ok(())
}

/// How a list is counted, and its least put together.
struct List {
    count: &'static str,
    others: &'static str,
    delete: &'static str,
}

const SITES: List = List {
    count: "SELECT count(*) FROM monitor_site WHERE window_id = ?1 AND target_id = ?2",
    others: "SELECT sum(alloc_count), sum(alloc_bytes) FROM (SELECT * FROM monitor_site
                 WHERE window_id = ?1 AND target_id = ?2 AND name_id <> 0 ORDER BY alloc_bytes DESC, name_id LIMIT -1 OFFSET ?3)",
    delete: "DELETE FROM monitor_site WHERE window_id = ?1 AND target_id = ?2 AND name_id IN (SELECT name_id FROM monitor_site
                 WHERE window_id = ?1 AND target_id = ?2 AND name_id <> 0 ORDER BY alloc_bytes DESC, name_id LIMIT -1 OFFSET ?3)",
};
const REGIONS: List = List {
    count: "SELECT count(*) FROM monitor_region WHERE window_id = ?1 AND target_id = ?2",
    others: "SELECT sum(samples), sum(stores) FROM (SELECT * FROM monitor_region
                 WHERE window_id = ?1 AND target_id = ?2 AND name_id <> 0 ORDER BY samples DESC, name_id LIMIT -1 OFFSET ?3)",
    delete: "DELETE FROM monitor_region WHERE window_id = ?1 AND target_id = ?2 AND name_id IN (SELECT name_id FROM monitor_region
                 WHERE window_id = ?1 AND target_id = ?2 AND name_id <> 0 ORDER BY samples DESC, name_id LIMIT -1 OFFSET ?3)",
};

/// Makes the least of a long list its others; sums stay what they are.
fn thin(connection: &Connection, window: i64, target: i64, list: &List) -> rusqlite::Result<()> {
    let count: i64 = connection.prepare_cached(list.count)?.query_row([window, target], |row| row.get(0))?;
    if count <= 2 * KEPT {
        return Ok(());
    }
    let key = params![window, target, KEPT];
    let others: (Option<f64>, Option<f64>) =
        connection.prepare_cached(list.others)?.query_row(key, |row| Ok((row.get(0)?, row.get(1)?)))?;
    connection.prepare_cached(list.delete)?.execute(key)?;
    let (first, second) = (others.0.unwrap_or(0.0), others.1.unwrap_or(0.0));
    let add = if list.count == SITES.count { insert::site } else { insert::region };
    add(connection, (window, target, OTHERS), (first, second))
}

/// Reads a host's row.
pub(super) fn host_row(row: &Row<'_>) -> rusqlite::Result<HostRow> {
    Ok(HostRow {
        session: row.get("session_id")?,
        step_ns: quantity(row, "step_ns")?,
        start_unix_ns: quantity(row, "start_unix_ns")?,
        first_unix_ns: quantity(row, "first_unix_ns")?,
        last_unix_ns: quantity(row, "last_unix_ns")?,
        start_boot_ns: quantity(row, "start_boot_ns")?,
        position: quantity(row, "position")?,
        length_ns: quantity(row, "length_ns")?,
        windows: quantity(row, "windows")?,
        own: Own {
            cpu_pct: row.get("cpu_pct")?,
            recording_cpu_pct: row.get("recording_cpu_pct")?,
            rss_bytes: row.get("rss_bytes")?,
            open_files: row.get("open_files")?,
            probes: row.get("probes")?,
            store_bytes: row.get("store_bytes")?,
            store_waiting: row.get("store_waiting")?,
        },
    })
}

/// Reads the newest rows, so that damage to them shows.
pub(super) fn read_newest(connection: &Connection) -> rusqlite::Result<()> {
    let newest = "SELECT * FROM monitor_window ORDER BY id DESC LIMIT 1";
    let found =
        connection.query_row(newest, [], |row| Ok((row.get::<_, i64>("id")?, host_row(row)?))).optional()?;
    let Some((id, _)) = found else { return Ok(()) };
    read_targets(connection, id, &mut BTreeMap::new())
}
