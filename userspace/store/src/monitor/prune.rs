//! Deleting history on demand, a few windows at a time so that a monitor that writes meanwhile does not wait.

use rusqlite::{Connection, params};
use serde::Serialize;
use waytrace_model::monitor::Step;

use super::retain::shrink;
use crate::codec::Quantity;
use crate::error::{OnPath, Result, StoreError};
use crate::store::Store;

/// Windows deleted in one transaction.
const CHUNK: i64 = 50;

/// What went, or would.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct HistoryPruned {
    /// Windows as they were measured.
    pub windows: u64,
    /// Steps of a minute.
    pub minutes: u64,
    /// Steps of an hour.
    pub hours: u64,
    /// Bytes of pages they took, about.
    pub freed_bytes: u64,
    /// Nothing was really deleted.
    pub dry_run: bool,
}

impl Store {
    /// Deletes what ended before, of every step, and alerts and processes of that time. Windows that are in no step yet go, too.
    ///
    /// # Errors
    /// The failure of writing; what was deleted until then is gone.
    pub fn prune_history(&mut self, before_unix_ns: u64, dry_run: bool) -> Result<HistoryPruned> {
        let pruned = count(&self.connection, before_unix_ns, dry_run).on(&self.path)?;
        if dry_run {
            return Ok(pruned);
        }
        for sql in [
            "DELETE FROM monitor_window WHERE id IN (SELECT id FROM monitor_window WHERE last_unix_ns <= ?1 LIMIT ?2)",
            "DELETE FROM monitor_process WHERE (target_id, pid, start_boot_ns) IN (SELECT target_id, pid, start_boot_ns
                 FROM monitor_process WHERE last_seen_unix_ns <= ?1 LIMIT 10 * ?2)",
            "DELETE FROM monitor_alert WHERE id IN (SELECT id FROM monitor_alert WHERE ended_unix_ns <= ?1 LIMIT 10 * ?2)",
        ] {
            while self.connection.execute(sql, params![Quantity(before_unix_ns), CHUNK]).on(&self.path)? > 0 {}
        }
        loop {
            match shrink(&self.connection).on(&self.path) {
                Ok(true) => {}
                // The rows are gone; their room is filled by what comes.
                Ok(false) | Err(StoreError::Locked { .. }) => return Ok(pruned),
                Err(error) => return Err(error),
            }
        }
    }
}

fn count(connection: &Connection, before_unix_ns: u64, dry_run: bool) -> rusqlite::Result<HistoryPruned> {
    let mut select = connection.prepare(
        "SELECT count(*), coalesce(sum(page_bytes), 0) FROM monitor_window WHERE step_ns = ?1 AND last_unix_ns <= ?2",
    )?;
    let mut of = |step: Step| {
        select.query_row(params![Quantity(step.ns()), Quantity(before_unix_ns)], |row| {
            Ok((row.get::<_, Quantity>(0)?.0, row.get::<_, Quantity>(1)?.0))
        })
    };
    let [windows, minutes, hours] = [of(Step::Window)?, of(Step::Minute)?, of(Step::Hour)?];
    Ok(HistoryPruned {
        windows: windows.0,
        minutes: minutes.0,
        hours: hours.0,
        freed_bytes: windows.1 + minutes.1 + hours.1,
        dry_run,
    })
}
