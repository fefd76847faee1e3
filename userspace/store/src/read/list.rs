//! Runs as a list shows them, from the rows of the run itself: no visit to its readings once it has ended.

use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use waytrace_model::allocation::Mode;
use waytrace_model::counter::Unit;
use waytrace_model::run::EndedBy;

use super::counters;
use crate::codec::{quantity, quantity_opt};
use crate::store::RunId;
use crate::time::rfc3339;

/// One line of the list of runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    /// Unique in its database.
    pub id: RunId,
    /// Name given or made.
    pub name: String,
    /// Start, RFC 3339 in UTC.
    pub started_at: String,
    /// Start, nanoseconds since the Unix epoch.
    pub started_at_unix_ns: u64,
    /// Length; of a run without an end, up to the end of its last window.
    pub duration_ns: u64,
    /// Window length asked for.
    pub interval_ns: u64,
    /// Why it ended.
    pub ended_by: EndedBy,
    /// Thread group id of the target.
    pub tgid: u32,
    /// Command name of the target.
    pub comm: String,
    /// Windows stored.
    pub windows: u64,
    /// How allocations were obtained; `null` where no allocator was probed.
    pub mode: Option<Mode>,
    /// Successful allocations (an estimate in budgeted mode); of a run without an end, the sum of its windows.
    pub alloc_count: Option<f64>,
    /// Bytes asked for by them.
    pub alloc_bytes: Option<f64>,
    /// Sums per event.
    pub counters: Vec<CounterSum>,
}

impl RunRow {
    /// Whether the run is probably being written at `now_unix_ns`: it has no end, and its last window is younger than
    /// ten windows or ten seconds, whichever is more.
    pub fn is_recording(&self, now_unix_ns: u64) -> bool {
        const PATIENCE_NS: u64 = 10_000_000_000;
        let last_sign_ns = self.started_at_unix_ns.saturating_add(self.duration_ns);
        let silence_ns = now_unix_ns.saturating_sub(last_sign_ns);
        self.ended_by == EndedBy::Unfinished
            && silence_ns < self.interval_ns.saturating_mul(10).max(PATIENCE_NS)
    }
}

/// Sum of one event over a run and all threads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterSum {
    /// Event name.
    pub event: String,
    /// Unscaled sum; `null` if it never ran.
    pub value: Option<u64>,
    /// Unit of `value`.
    pub unit: Unit,
}

/// One row per run, ended or not; `$tail` chooses and orders them.
macro_rules! select_runs {
    ($tail:literal) => {
        concat!(
            "SELECT run.*, run_end.duration_ns, run_end.ended_by,
                CASE WHEN run_end.run_id IS NOT NULL THEN total.mode
                     WHEN EXISTS (SELECT 1 FROM allocation_window
                                  WHERE run_id = run.id AND alloc_count IS NOT NULL)
                     THEN iif(run.budget_pct IS NULL, 'exact', 'budgeted') END AS mode,
                (SELECT count(*) FROM window WHERE run_id = run.id) AS windows,
                (SELECT end_ns FROM window WHERE run_id = run.id ORDER BY window DESC LIMIT 1) AS last_ns,
                CASE WHEN run_end.run_id IS NOT NULL THEN total.alloc_count
                     ELSE (SELECT sum(alloc_count) FROM allocation_window WHERE run_id = run.id) END
                     AS alloc_count,
                CASE WHEN run_end.run_id IS NOT NULL THEN total.alloc_bytes
                     ELSE (SELECT sum(alloc_bytes) FROM allocation_window WHERE run_id = run.id) END
                     AS alloc_bytes
             FROM run
             LEFT JOIN run_end ON run_end.run_id = run.id
             LEFT JOIN allocation_total AS total ON total.run_id = run.id ",
            $tail
        )
    };
}

/// The newest runs first.
pub(crate) fn runs(connection: &Connection, limit: Option<usize>) -> rusqlite::Result<Vec<RunRow>> {
    // A negative limit is none, in SQLite's terms.
    let limit = limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    let mut statement = connection.prepare_cached(select_runs!("ORDER BY run.id DESC LIMIT ?1"))?;
    let rows: Vec<RunRow> = statement.query_map([limit], without_counters)?.collect::<Result<_, _>>()?;
    rows.into_iter().map(|row| with_counters(connection, row)).collect()
}

/// One run; `None` if there is no such run.
pub(crate) fn run(connection: &Connection, run: RunId) -> rusqlite::Result<Option<RunRow>> {
    let mut statement = connection.prepare_cached(select_runs!("WHERE run.id = ?1"))?;
    let row = statement.query_row([run.0], without_counters).optional()?;
    row.map(|row| with_counters(connection, row)).transpose()
}

fn without_counters(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    let started_at_unix_ns = quantity(row, "started_at_unix_ns")?;
    let ended_by: Option<String> = row.get("ended_by")?;
    let last_ns = quantity_opt(row, "last_ns")?;
    Ok(RunRow {
        id: RunId(row.get("id")?),
        name: row.get("name")?,
        started_at: rfc3339(started_at_unix_ns),
        started_at_unix_ns,
        duration_ns: quantity_opt(row, "duration_ns")?.or(last_ns).unwrap_or(0),
        interval_ns: quantity(row, "interval_ns")?,
        ended_by: EndedBy::parse(ended_by.as_deref().unwrap_or_default()),
        tgid: row.get("tgid")?,
        comm: row.get("comm")?,
        windows: quantity(row, "windows")?,
        mode: row.get::<_, Option<String>>("mode")?.as_deref().and_then(Mode::parse),
        alloc_count: row.get("alloc_count")?,
        alloc_bytes: row.get("alloc_bytes")?,
        counters: Vec::new(),
    })
}

fn with_counters(connection: &Connection, mut row: RunRow) -> rusqlite::Result<RunRow> {
    row.counters = match row.ended_by {
        EndedBy::Unfinished => summed(connection, row.id)?,
        _ => super::rows(
            connection,
            row.id,
            "SELECT name, unit, total_value FROM event WHERE run_id = ?1 ORDER BY event",
            |row| {
                Ok(CounterSum {
                    event: row.get("name")?,
                    value: quantity_opt(row, "total_value")?,
                    unit: Unit::parse(&row.get::<_, String>("unit")?),
                })
            },
        )?,
    };
    Ok(row)
}

fn summed(connection: &Connection, run: RunId) -> rusqlite::Result<Vec<CounterSum>> {
    let events = counters::events(connection, run)?;
    let totals = counters::totals(&events, &counters::sums(connection, run)?);
    Ok(totals
        .into_iter()
        .map(|total| CounterSum { event: total.event, value: total.value, unit: total.unit })
        .collect())
}
