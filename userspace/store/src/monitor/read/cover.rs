//! Which rows stand for a range: those of the finest step that reaches back far enough, and the windows since that are in no step yet.
//! Each window is in exactly one of them.

use rusqlite::{Connection, OptionalExtension, params};
use waytrace_model::monitor::{Gap, GapReason, RangeInfo, Step};

use super::super::insert::HostRow;
use super::super::steps::host_row;
use crate::codec::{Quantity, quantity};

/// Less than this between two windows is no gap.
const TOLERATED_NS: u64 = 1_000_000_000;

/// Rows that stand for a range, in order of time.
#[derive(Debug, Clone)]
pub(super) struct Cover {
    /// The range, and what of it is there.
    pub range: RangeInfo,
    /// Numbers of the host's rows, and these.
    pub rows: Vec<(i64, HostRow)>,
}

/// The rows for a range, of steps no finer than `finest`; `None`: there are none.
pub(super) fn cover(
    connection: &Connection,
    (from, to): (u64, u64),
    finest: Step,
) -> rusqlite::Result<Option<Cover>> {
    let step = step(connection, from, finest)?;
    let newest = connection
        .prepare_cached("SELECT last_unix_ns FROM monitor_window ORDER BY id DESC LIMIT 1")?
        .query_row([], |row| quantity(row, 0))
        .optional()?
        .unwrap_or(0);
    let from = step.start_of(from);
    // A step counts where it begins: one that ends within is left to the range that follows.
    let to = if to < newest { step.start_of(to).max(from.saturating_add(step.ns())) } else { to };
    let mut select = connection.prepare_cached(
        "SELECT * FROM monitor_window WHERE step_ns = ?1 AND start_unix_ns >= ?2 AND start_unix_ns < ?3
         UNION ALL
         SELECT * FROM monitor_window WHERE ?1 > 0 AND folded = 0 AND start_unix_ns >= ?2 AND start_unix_ns < ?3
         ORDER BY start_unix_ns, id",
    )?;
    let found = select.query_map(params![Quantity(step.ns()), Quantity(from), Quantity(to)], |row| {
        Ok((row.get::<_, i64>("id")?, host_row(row)?))
    })?;
    let rows: Vec<(i64, HostRow)> = found.collect::<rusqlite::Result<_>>()?;
    if rows.is_empty() {
        return Ok(None);
    }
    let range = RangeInfo {
        from_unix_ns: from,
        to_unix_ns: to,
        step,
        covered_ns: rows.iter().map(|(_, row)| row.length_ns).sum(),
        windows: rows.iter().map(|(_, row)| row.windows).sum(),
        gaps: gaps(&rows, (from, to)),
    };
    Ok(Some(Cover { range, rows }))
}

/// The finest step that reaches back to `from`, or as far as any.
fn step(connection: &Connection, from: u64, finest: Step) -> rusqlite::Result<Step> {
    let mut reach = Vec::new();
    for step in Step::ALL.into_iter().filter(|step| *step >= finest) {
        let first = connection
            .prepare_cached(
                "SELECT first_unix_ns FROM monitor_window WHERE step_ns = ?1 ORDER BY start_unix_ns LIMIT 1",
            )?
            .query_row([Quantity(step.ns())], |row| quantity(row, 0))
            .optional()?;
        reach.extend(first.map(|first| (step, first)));
    }
    let oldest = reach.iter().map(|(_, first)| *first).min().unwrap_or(0);
    let enough = |&&(_, first): &&(Step, u64)| first <= from.max(oldest);
    Ok(reach.iter().find(enough).map_or(finest, |(step, _)| *step))
}

fn gaps(rows: &[(i64, HostRow)], (from, to): (u64, u64)) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut until = from;
    for (_, row) in rows {
        let window_ns = row.length_ns / row.windows.max(1);
        // A window that began before the range is not in it.
        let tolerated_ns = if until == from { window_ns } else { TOLERATED_NS.max(window_ns / 2) };
        if row.first_unix_ns > until.saturating_add(tolerated_ns) {
            gaps.push(not_watched(until, row.first_unix_ns));
        }
        until = until.max(row.last_unix_ns);
    }
    // The window under way is no gap.
    let window_ns = rows.last().map_or(0, |(_, row)| row.length_ns / row.windows.max(1));
    if to > until.saturating_add(TOLERATED_NS + 2 * window_ns) {
        gaps.push(not_watched(until, to));
    }
    gaps
}

fn not_watched(from_unix_ns: u64, to_unix_ns: u64) -> Gap {
    Gap { from_unix_ns, to_unix_ns, why: GapReason::NotWatched }
}
