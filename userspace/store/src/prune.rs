//! Retention: which runs go, and giving their room back to the file system.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use serde::Serialize;

use crate::codec::Quantity;
use crate::error::{OnPath, Result, StoreError};
use crate::read::list::{self, RunRow};
use crate::series::SeriesId;
use crate::store::{RunId, Store};
use crate::sweeps;

/// What to delete. Rules add up to what *stays*: a run that any rule keeps is kept, and `runs` go whatever else.
#[derive(Debug, Clone, Default)]
pub struct PruneRule {
    /// Keep runs that started less than this ago.
    pub older_than: Option<Duration>,
    /// Keep the newest so many.
    pub keep: Option<usize>,
    /// Then delete the oldest that are left until the runs fit in so many bytes, but never those `keep` protects,
    /// which without it is the newest one.
    pub max_bytes: Option<u64>,
    /// Delete these by id.
    pub runs: Vec<RunId>,
    /// Delete these sweeps by id.
    pub sweeps: Vec<SeriesId>,
    /// Only say what would go.
    pub dry_run: bool,
}

/// What went.
#[derive(Debug, Clone, Serialize)]
pub struct Pruned {
    /// The deleted runs, newest first.
    pub runs: Vec<RunRow>,
    /// Names of the deleted series, newest first: those of that age whose runs are all gone.
    pub series: Vec<String>,
    /// Names of the deleted sweeps: those named, then, newest first, those that ended so long ago.
    pub sweeps: Vec<String>,
    /// Bytes their rows took in the file.
    pub freed_bytes: u64,
    /// Nothing was really deleted.
    pub dry_run: bool,
}

impl Store {
    /// Deletes runs by `rule`, as seen at `now_unix_ns`, and shrinks the file. One that is being recorded goes only
    /// if it is named.
    ///
    /// # Errors
    /// The failure of writing; then nothing was deleted.
    pub fn prune(&mut self, rule: &PruneRule, now_unix_ns: u64) -> Result<Pruned> {
        let path = self.path.clone();
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).on(&path)?;
        let before = used_bytes(&transaction).on(&path)?;
        let runs = list::runs(&transaction, None).on(&path)?;
        let deleted = delete_by_rule(&transaction, rule, now_unix_ns, runs).on(&path)?;
        let series = delete_old_series(&transaction, rule, now_unix_ns).on(&path)?;
        let sweeps = delete_sweeps(&transaction, rule, now_unix_ns).on(&path)?;
        let freed_bytes = before.saturating_sub(used_bytes(&transaction).on(&path)?);
        if rule.dry_run {
            transaction.rollback().on(&path)?;
        } else {
            transaction.commit().on(&path)?;
            match shrink(&self.connection).on(&path) {
                // The runs are gone; their room is given back by the next prune.
                Err(StoreError::Locked { .. }) => {}
                other => other?,
            }
        }
        Ok(Pruned { runs: deleted, series, sweeps, freed_bytes, dry_run: rule.dry_run })
    }
}

fn delete_by_rule(
    connection: &Connection,
    rule: &PruneRule,
    now_unix_ns: u64,
    runs: Vec<RunRow>,
) -> rusqlite::Result<Vec<RunRow>> {
    let mut goes: Vec<bool> = runs.iter().map(|run| rule.runs.contains(&run.id)).collect();
    for (newer, run) in runs.iter().enumerate() {
        goes[newer] |= by_age_and_rank(rule, now_unix_ns, newer, run);
    }
    for (run, _) in runs.iter().zip(&goes).filter(|(_, goes)| **goes) {
        delete(connection, run.id)?;
    }
    if let Some(max_bytes) = rule.max_bytes {
        let protected = rule.keep.unwrap_or(1);
        for (newer, run) in runs.iter().enumerate().skip(protected).rev() {
            if used_bytes(connection)? <= max_bytes {
                break;
            }
            if !goes[newer] && !run.is_recording(now_unix_ns) {
                delete(connection, run.id)?;
                goes[newer] = true;
            }
        }
    }
    Ok(runs.into_iter().zip(goes).filter(|(_, goes)| *goes).map(|(run, _)| run).collect())
}

/// `newer` runs are newer than this one.
fn by_age_and_rank(rule: &PruneRule, now_unix_ns: u64, newer: usize, run: &RunRow) -> bool {
    if run.is_recording(now_unix_ns) {
        return false;
    }
    let age = Duration::from_nanos(now_unix_ns.saturating_sub(run.started_at_unix_ns));
    match (rule.older_than, rule.keep) {
        (None, None) => false,
        (older_than, keep) => {
            older_than.is_none_or(|limit| age >= limit) && keep.is_none_or(|keep| newer >= keep)
        }
    }
}

fn delete(connection: &Connection, run: RunId) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM run WHERE id = ?1")?.execute([run.0]).map(drop)
}

/// A repetition takes a hundred bytes, so series go by age alone, and not before their runs.
fn delete_old_series(
    connection: &Connection,
    rule: &PruneRule,
    now_unix_ns: u64,
) -> rusqlite::Result<Vec<String>> {
    let Some(limit_unix_ns) = oldest_unix_ns(rule, now_unix_ns) else { return Ok(Vec::new()) };
    let sql = "DELETE FROM series WHERE started_at_unix_ns <= ?1
             AND NOT EXISTS (SELECT 1 FROM series_run WHERE series_id = series.id
                             AND (run_id IS NOT NULL OR started_at_unix_ns > ?1))
         RETURNING id, name";
    delete_older(connection, sql, limit_unix_ns)
}

/// Runs a deletion of what is no younger than its one parameter, and that returns ids and names. The names, newest first.
pub(crate) fn delete_older(
    connection: &Connection,
    sql: &str,
    limit_unix_ns: u64,
) -> rusqlite::Result<Vec<String>> {
    let mut delete = connection.prepare(sql)?;
    let names = delete
        .query_map([Quantity(limit_unix_ns)], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    let mut names: Vec<(i64, String)> = names.collect::<rusqlite::Result<_>>()?;
    names.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
    Ok(names.into_iter().map(|(_, name)| name).collect())
}

/// Of sweeps those named go, and by age what is over.
fn delete_sweeps(
    connection: &Connection,
    rule: &PruneRule,
    now_unix_ns: u64,
) -> rusqlite::Result<Vec<String>> {
    let mut names = sweeps::delete(connection, &rule.sweeps)?;
    if let Some(limit_unix_ns) = oldest_unix_ns(rule, now_unix_ns) {
        names.extend(sweeps::delete_old(connection, limit_unix_ns)?);
    }
    Ok(names)
}

/// What ended before goes by age; `None`: nothing does.
fn oldest_unix_ns(rule: &PruneRule, now_unix_ns: u64) -> Option<u64> {
    let age_ns = u64::try_from(rule.older_than?.as_nanos()).unwrap_or(u64::MAX);
    Some(now_unix_ns.saturating_sub(age_ns))
}

/// Bytes of pages in use, free pages not counted.
fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
    Ok(u64::try_from(pages.saturating_mul(pragma("page_size")?)).unwrap_or(0))
}

/// Cuts free pages off the file. A reader in another process may hold the log back, which is no error.
fn shrink(connection: &Connection) -> rusqlite::Result<()> {
    let mut vacuum = connection.prepare("PRAGMA incremental_vacuum")?;
    let mut steps = vacuum.query([])?;
    while steps.next()?.is_some() {}
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}
