//! What was known at a run's end: collectors, losses, cost. A run without an end says so itself.

use rusqlite::{Connection, Row};
use waytrace_model::collector::{CollectorReport, Loss, Overhead, Status};
use waytrace_model::run::EndedBy;
use waytrace_model::stack::StackQuality;

use super::list::RunRow;
use super::{row, rows};
use crate::codec::{quantity, quantity_opt};
use crate::store::RunId;

/// Scalars of the end record.
#[derive(Debug)]
pub(super) struct End {
    pub(super) exit_code: Option<i32>,
    pub(super) stacks: StackQuality,
    overhead: Overhead,
}

/// The end record; `None` for an unfinished run.
pub(super) fn end(connection: &Connection, run: RunId) -> rusqlite::Result<Option<End>> {
    row(connection, run, "SELECT * FROM run_end WHERE run_id = ?1", |row| {
        let stacks = StackQuality {
            sampled_count: quantity(row, "stacks_sampled_count")?,
            own_code_count: quantity(row, "stacks_own_code_count")?,
            complete_count: quantity(row, "stacks_complete_count")?,
        };
        Ok(End { exit_code: row.get("exit_code")?, stacks, overhead: stored_overhead(row)? })
    })
}

fn stored_overhead(row: &Row<'_>) -> rusqlite::Result<Overhead> {
    Ok(Overhead {
        budget_pct: row.get("budget_pct")?,
        target_pct: row.get("target_pct")?,
        tool_cpu_pct: row.get("tool_cpu_pct")?,
        tool_rss_bytes: quantity_opt(row, "tool_rss_bytes")?,
        probe_hit_ns: row.get("probe_hit_ns")?,
        probe_hits_count: quantity(row, "probe_hits_count")?,
        attach_ns: quantity_opt(row, "attach_ns")?,
    })
}

/// The cost as stored; of a run without an end only the budget is known.
pub(super) fn overhead(connection: &Connection, run: RunId, end: Option<End>) -> rusqlite::Result<Overhead> {
    if let Some(end) = end {
        return Ok(end.overhead);
    }
    let sql = "SELECT budget_pct FROM run WHERE id = ?1";
    let budget_pct = connection.query_row(sql, [run.0], |row| row.get("budget_pct"))?;
    Ok(Overhead { budget_pct, ..Overhead::default() })
}

/// Collectors as stored; of a run without an end, those that left data, as `left_data` says of each.
pub(super) fn collectors(
    connection: &Connection,
    run: &RunRow,
    left_data: [(&str, bool); 3],
) -> rusqlite::Result<Vec<CollectorReport>> {
    if run.ended_by != EndedBy::Unfinished {
        return stored_collectors(connection, run.id);
    }
    let reason = format!("waytrace was killed; {} windows are stored", run.windows);
    let failed = |(name, _): (&str, bool)| CollectorReport {
        name: name.to_owned(),
        status: Status::Failed,
        reason: Some(reason.clone()),
    };
    Ok(left_data.into_iter().filter(|(_, there)| *there).map(failed).collect())
}

fn stored_collectors(connection: &Connection, run: RunId) -> rusqlite::Result<Vec<CollectorReport>> {
    let sql = "SELECT name, status, reason FROM collector WHERE run_id = ?1 ORDER BY position";
    rows(connection, run, sql, |row| {
        // A state this build does not know is not a success.
        let status = Status::parse(&row.get::<_, String>("status")?).unwrap_or(Status::Failed);
        Ok(CollectorReport { name: row.get("name")?, status, reason: row.get("reason")? })
    })
}

/// Losses by kind.
pub(super) fn loss(connection: &Connection, run: RunId) -> rusqlite::Result<Loss> {
    let losses = rows(connection, run, "SELECT kind, count FROM loss WHERE run_id = ?1", |row| {
        Ok((row.get("kind")?, quantity(row, "count")?))
    })?;
    Ok(Loss(losses.into_iter().collect()))
}
