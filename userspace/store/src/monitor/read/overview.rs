//! All targets over a range: their means, what was lost, and what watching cost.

use std::collections::BTreeMap;

use rusqlite::Connection;
use waytrace_model::monitor::{
    CollectorTotal, HISTORY_SCHEMA_VERSION, HistoryOverview, Step, TargetOverview, Values,
};

use super::super::fold::{Numbers, Own};
use super::super::{alerts, columns};
use super::cover::{Cover, cover};
use super::lists;
use crate::codec::quantity;

/// Ranges from this on are read by minutes, and by hours: an overview visits every target in every row.
const BY_MINUTES_NS: u64 = 1_800_000_000_000;
const BY_HOURS_NS: u64 = 2 * 86_400_000_000_000;

/// The overview; `None`: nothing was stored in the range.
pub(super) fn overview(
    connection: &Connection,
    (from, to): (u64, u64),
) -> rusqlite::Result<Option<HistoryOverview>> {
    let finest = match to.saturating_sub(from) {
        ns if ns < BY_MINUTES_NS => Step::Window,
        ns if ns < BY_HOURS_NS => Step::Minute,
        _ => Step::Hour,
    };
    let Some(cover) = cover(connection, (from, to), finest)? else { return Ok(None) };
    let range = (cover.range.from_unix_ns, cover.range.to_unix_ns);
    let processes = lists::processes(connection, range, None)?;
    let alerts = alerts::in_range(connection, range, None)?;
    let mut targets = targets(connection, &cover)?;
    for target in &mut targets {
        target.processes = processes.iter().filter(|one| one.target == target.target).count() as u64;
        target.alerts = alerts.iter().filter(|one| one.target == target.target).count() as u64;
    }
    let (own, _) = cover.rows.iter().fold((Own::default(), 0), |(own, own_ns), (_, row)| match own_ns {
        0 => (row.own, row.length_ns),
        _ => (own.with(own_ns, &row.own, row.length_ns), own_ns + row.length_ns),
    });
    Ok(Some(HistoryOverview {
        schema_version: HISTORY_SCHEMA_VERSION,
        targets,
        processes,
        alerts,
        loss: losses(connection, &cover)?,
        own_cpu_pct: own.cpu_pct,
        own_rss_bytes: own.rss_bytes,
        collectors: collectors(connection, &cover)?,
        range: cover.range,
    }))
}

fn targets(connection: &Connection, cover: &Cover) -> rusqlite::Result<Vec<TargetOverview>> {
    let mut numbers: BTreeMap<i64, (Numbers, u64)> = BTreeMap::new();
    let mut select = connection.prepare_cached("SELECT * FROM monitor_target_window WHERE window_id = ?1")?;
    let mut missing =
        connection.prepare_cached("SELECT target_id, length_ns FROM monitor_missing WHERE window_id = ?1")?;
    for (window, _) in &cover.rows {
        let mut rows = select.query([window])?;
        while let Some(row) = rows.next()? {
            numbers.entry(columns::target_and_absent(row)?.0).or_default().0.add(&columns::numbers(row)?);
        }
        let mut rows = missing.query([window])?;
        while let Some(row) = rows.next()? {
            numbers.entry(row.get(0)?).or_default().1 += quantity(row, 1)?;
        }
    }
    let mut name =
        connection.prepare_cached("SELECT coalesce((SELECT name FROM monitor_target WHERE id = ?1), '?')")?;
    let mut targets = Vec::with_capacity(numbers.len());
    for (id, (numbers, missing_ns)) in numbers {
        let point = numbers.point(0, Step::Window);
        let means: Values =
            numbers.values.iter().filter_map(|(metric, _)| Some((metric, point.rate(metric)?))).collect();
        let target = name.query_row([id], |row| row.get(0))?;
        let covered_ns = numbers.length_ns;
        targets.push(TargetOverview { target, covered_ns, missing_ns, means, ..TargetOverview::default() });
    }
    targets.sort_by(|one, other| one.target.cmp(&other.target));
    Ok(targets)
}

fn losses(connection: &Connection, cover: &Cover) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut loss: BTreeMap<String, u64> = BTreeMap::new();
    let mut select =
        connection.prepare_cached("SELECT kind, count FROM monitor_loss WHERE window_id = ?1")?;
    for (window, _) in &cover.rows {
        let mut rows = select.query([window])?;
        while let Some(row) = rows.next()? {
            *loss.entry(row.get(0)?).or_default() += quantity(row, 1)?;
        }
    }
    Ok(loss)
}

fn collectors(connection: &Connection, cover: &Cover) -> rusqlite::Result<Vec<CollectorTotal>> {
    let mut totals: BTreeMap<String, (CollectorTotal, f64)> = BTreeMap::new();
    let mut select = connection.prepare_cached(
        "SELECT coalesce(own.name, '?'), state, why.name, length_ns, tool_cpu_ns FROM monitor_collector
         LEFT JOIN monitor_name AS own ON own.id = name_id LEFT JOIN monitor_name AS why ON why.id = reason_id
         WHERE window_id = ?1",
    )?;
    for (window, _) in &cover.rows {
        let mut rows = select.query([window])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let (total, cpu_ns) = totals.entry(name.clone()).or_default();
            total.name = name;
            *total.state_ns.entry(row.get(1)?).or_default() += quantity(row, 3)?;
            total.reason = row.get::<_, Option<String>>(2)?.or(total.reason.take());
            *cpu_ns += row.get::<_, f64>(4)?;
        }
    }
    let watched = cover.range.covered_ns.max(1) as f64;
    let pct = |(total, cpu_ns)| CollectorTotal { tool_cpu_pct: cpu_ns / watched * 100.0, ..total };
    Ok(totals.into_values().map(pct).collect())
}
