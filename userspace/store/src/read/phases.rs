//! Phases with their readings, and their totals.

use std::collections::HashMap;

use rusqlite::{Connection, Row};
use waytrace_model::counter::Unit;
use waytrace_model::phase::{Phase, PhaseReading};
use waytrace_model::report::PhaseTotals;

use super::{row, rows};
use crate::codec::{quantity, quantity_opt};
use crate::store::RunId;

/// What the run's phases are and how many; `None` if it has none.
pub(super) fn totals(connection: &Connection, run: RunId) -> rusqlite::Result<Option<PhaseTotals>> {
    let sql = "SELECT phase_event, phase_unit, phase_period,
                      (SELECT count(*) FROM phase WHERE run_id = run.id) AS count,
                      (SELECT total(cpu_ns) FROM phase WHERE run_id = run.id) AS cpu_ns
               FROM run WHERE id = ?1";
    let found = row(connection, run, sql, |row| {
        let Some(event) = row.get::<_, Option<String>>("phase_event")? else { return Ok(None) };
        let unit: Option<String> = row.get("phase_unit")?;
        Ok(Some(PhaseTotals {
            event,
            unit: Unit::parse(&unit.unwrap_or_default()),
            period: quantity_opt(row, "phase_period")?.unwrap_or(0),
            count: quantity(row, "count")?,
            // total() sums as a float, so that a damaged file cannot overflow it.
            cpu_ns: row.get::<_, f64>("cpu_ns")? as u64,
        }))
    })?;
    Ok(found.flatten())
}

/// All phases, by thread and start.
pub(super) fn all(connection: &Connection, run: RunId) -> rusqlite::Result<Vec<Phase>> {
    let mut readings: HashMap<(u32, u64), Vec<PhaseReading>> = HashMap::new();
    let sql = "SELECT * FROM phase_reading WHERE run_id = ?1 ORDER BY run_id, tid, start_ns, event";
    for (key, reading) in rows(connection, run, sql, |row| Ok((key(row)?, reading(row)?)))? {
        readings.entry(key).or_default().push(reading);
    }
    let sql = "SELECT * FROM phase WHERE run_id = ?1 ORDER BY run_id, tid, start_ns";
    rows(connection, run, sql, |row| {
        let key = key(row)?;
        Ok(Phase {
            tid: key.0,
            index: quantity(row, "phase")?,
            start_ns: key.1,
            end_ns: quantity(row, "end_ns")?,
            cpu_ns: quantity(row, "cpu_ns")?,
            readings: readings.remove(&key).unwrap_or_default(),
        })
    })
}

fn key(row: &Row<'_>) -> rusqlite::Result<(u32, u64)> {
    Ok((row.get("tid")?, quantity(row, "start_ns")?))
}

fn reading(row: &Row<'_>) -> rusqlite::Result<PhaseReading> {
    Ok(PhaseReading {
        event: row.get("event")?,
        value: quantity(row, "value")?,
        time_enabled_ns: quantity(row, "time_enabled_ns")?,
        time_running_ns: quantity(row, "time_running_ns")?,
    })
}
