//! Sites, regions and processes over a range: amounts added up by name, and the names put to them at the end.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use waytrace_model::monitor::{ProcessSeen, TargetWindow};

use super::super::insert::OTHERS;
use crate::codec::{Quantity, quantity};

/// Processes told one by one.
const PROCESSES: i64 = 1000;

/// A name, none of the others together, and two amounts.
pub(super) type Named = (Option<String>, (f64, f64));

/// Two amounts by name.
#[derive(Debug, Default)]
pub(super) struct Amounts(HashMap<i64, (f64, f64)>);

impl Amounts {
    /// Adds what `sql` gives of a target in a window: name, and two amounts.
    pub(super) fn add(
        &mut self,
        connection: &Connection,
        sql: &str,
        (window, target): (i64, i64),
    ) -> rusqlite::Result<()> {
        let mut select = connection.prepare_cached(sql)?;
        let mut rows = select.query([window, target])?;
        while let Some(row) = rows.next()? {
            let sum = self.0.entry(row.get(0)?).or_default();
            sum.0 += row.get::<_, f64>(1)?;
            sum.1 += row.get::<_, f64>(2)?;
        }
        Ok(())
    }

    /// The largest by `key`, the others together last, and with their names.
    pub(super) fn largest(
        self,
        connection: &Connection,
        key: fn((f64, f64)) -> f64,
    ) -> rusqlite::Result<Vec<Named>> {
        let mut others = self.0.get(&OTHERS).copied();
        let mut named: Vec<(i64, (f64, f64))> = self.0.into_iter().filter(|(id, _)| *id != OTHERS).collect();
        named.sort_by(|one, other| key(other.1).total_cmp(&key(one.1)).then(one.0.cmp(&other.0)));
        for (_, amounts) in named.drain(TargetWindow::MAX_SITES.min(named.len())..) {
            let sum = others.get_or_insert((0.0, 0.0));
            *sum = (sum.0 + amounts.0, sum.1 + amounts.1);
        }
        let mut all = Vec::with_capacity(named.len() + 1);
        for (id, amounts) in named {
            all.push((Some(name(connection, id)?.unwrap_or_else(|| "?".to_owned())), amounts));
        }
        all.extend(others.map(|amounts| (None, amounts)));
        Ok(all)
    }
}

/// A name; `None` where it is no longer kept.
pub(super) fn name(connection: &Connection, id: i64) -> rusqlite::Result<Option<String>> {
    let mut select = connection.prepare_cached("SELECT name FROM monitor_name WHERE id = ?1")?;
    select.query_row([id], |row| row.get(0)).optional()
}

/// Processes seen in a range, of one target or of all, the longest lived first.
pub(super) fn processes(
    connection: &Connection,
    (from, to): (u64, u64),
    target: Option<i64>,
) -> rusqlite::Result<Vec<ProcessSeen>> {
    let mut select = connection.prepare_cached(
        "SELECT coalesce(monitor_target.name, '?') AS target, monitor_process.* FROM monitor_process
         LEFT JOIN monitor_target ON monitor_target.id = target_id
         WHERE last_seen_unix_ns > ?1 AND first_seen_unix_ns < ?2 AND (?3 IS NULL OR target_id = ?3)
         ORDER BY last_seen_unix_ns - first_seen_unix_ns DESC, pid, start_boot_ns LIMIT ?4",
    )?;
    select.query_map(params![Quantity(from), Quantity(to), target, PROCESSES], process)?.collect()
}

fn process(row: &Row<'_>) -> rusqlite::Result<ProcessSeen> {
    Ok(ProcessSeen {
        target: row.get("target")?,
        pid: row.get("pid")?,
        start_boot_ns: quantity(row, "start_boot_ns")?,
        comm: row.get("comm")?,
        first_seen_unix_ns: quantity(row, "first_seen_unix_ns")?,
        last_seen_unix_ns: quantity(row, "last_seen_unix_ns")?,
    })
}
