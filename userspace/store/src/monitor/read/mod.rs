//! Reading ranges of time: which rows cover one, and what they tell of a target or of all.

mod cover;
mod lists;
mod overview;
mod target;

use rusqlite::{Connection, OptionalExtension, params};
use waytrace_model::monitor::{HistoryOverview, TargetHistory};

use crate::codec::Quantity;
use crate::error::{OnPath, Result, StoreError};
use crate::store::Store;
use crate::time::rfc3339;

/// Names listed in an error.
const CANDIDATES: i64 = 12;

impl Store {
    /// One target from `from` to `to`, nanoseconds since the Unix epoch, by the finest step that reaches back so far.
    ///
    /// # Errors
    /// [`StoreError::NoSuchTarget`] lists those there are, [`StoreError::EmptyRange`] says what there is; or the failure of reading.
    pub fn target_history(&self, target: &str, from: u64, to: u64) -> Result<TargetHistory> {
        let snapshot = self.snapshot()?;
        let Some(id) = target_id(&snapshot, target).on(&self.path)? else {
            let candidates = candidates(&snapshot).on(&self.path)?;
            return Err(StoreError::NoSuchTarget {
                path: self.path.clone(),
                target: target.to_owned(),
                candidates,
            });
        };
        match target::history(&snapshot, (id, target), (from, to)).on(&self.path)? {
            Some(history) if history.windows > 0 => Ok(history),
            _ => Err(self.empty(&snapshot, &format!("`{target}`"), Some(id), (from, to))?),
        }
    }

    /// All targets from `from` to `to`, nanoseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`StoreError::EmptyRange`] says what there is; or the failure of reading.
    pub fn history_overview(&self, from: u64, to: u64) -> Result<HistoryOverview> {
        let snapshot = self.snapshot()?;
        match overview::overview(&snapshot, (from, to)).on(&self.path)? {
            Some(overview) => Ok(overview),
            None => Err(self.empty(&snapshot, "any target", None, (from, to))?),
        }
    }

    fn empty(
        &self,
        connection: &Connection,
        what: &str,
        target: Option<i64>,
        (from, to): (u64, u64),
    ) -> Result<StoreError> {
        let there = match reach(connection, target).on(&self.path)? {
            Some((first, last)) => format!("there is some from {} to {}", rfc3339(first), rfc3339(last)),
            None if target.is_some() => "it had no process as long as anything is kept".to_owned(),
            None => "it holds none yet; `waytrace monitor` keeps one".to_owned(),
        };
        let (from, to) = (rfc3339(from), rfc3339(to));
        Ok(StoreError::EmptyRange { path: self.path.clone(), what: what.to_owned(), from, to, there })
    }
}

fn target_id(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    let mut select = connection.prepare_cached("SELECT id FROM monitor_target WHERE name = ?1")?;
    select.query_row([name], |row| row.get(0)).optional()
}

fn candidates(connection: &Connection) -> rusqlite::Result<String> {
    let mut select = connection.prepare(
        "SELECT name, count(*) OVER () FROM monitor_target ORDER BY last_used_unix_ns DESC, name LIMIT ?1",
    )?;
    let rows = select.query_map([CANDIDATES], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    let rows: Vec<(String, i64)> = rows.collect::<rusqlite::Result<_>>()?;
    let Some((_, all)) = rows.first() else {
        return Ok("it holds no history yet; `waytrace monitor` keeps one".to_owned());
    };
    let more = all - rows.len() as i64;
    let names: Vec<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    Ok(format!("there are: {}{rest}", names.join(", ")))
}

/// From when to when there is anything, of a target or at all.
fn reach(connection: &Connection, target: Option<i64>) -> rusqlite::Result<Option<(u64, u64)>> {
    let mut select = connection.prepare(
        "SELECT min(first_unix_ns), max(last_unix_ns) FROM monitor_window WHERE ?1 IS NULL
             OR EXISTS (SELECT 1 FROM monitor_target_window WHERE window_id = monitor_window.id AND target_id = ?1)",
    )?;
    select.query_row(params![target], |row| Ok(quantity_opt_at(row, 0)?.zip(quantity_opt_at(row, 1)?)))
}

fn quantity_opt_at(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Option<u64>> {
    row.get::<_, Option<Quantity>>(at).map(|value| value.map(|Quantity(value)| value))
}
