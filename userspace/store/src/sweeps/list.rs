//! Way sweeps as `list` shows them, and those that are old enough to go.

use rusqlite::{Connection, Row};
use serde::{Deserialize, Serialize};
use waytrace_model::cache_report::Interface;
use waytrace_model::sweep::EndReason;

use super::from_word;
use crate::codec::quantity;
use crate::prune::delete_older;
use crate::series::SeriesId;
use crate::time::rfc3339;

/// A sweep without what its points hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepRow {
    /// Its id, unique among sweeps.
    pub id: SeriesId,
    /// Its name, unique among sweeps and runs.
    pub name: String,
    /// RFC 3339, UTC, milliseconds.
    pub started_at: String,
    /// The same, nanoseconds since 1970.
    pub started_at_unix_ns: u64,
    /// Whether its caches were those of a simulated host.
    pub simulated: bool,
    /// Who set the masks.
    pub interface: Interface,
    /// The process.
    pub pid: u32,
    /// Its name when the sweep began.
    pub comm: String,
    /// The cache, as schemata name it.
    pub resource: String,
    /// Its ways.
    pub ways: u32,
    /// Points stored, reference points among them.
    pub points: u64,
    /// Sweeps begun.
    pub sweeps: u64,
    /// Its length, nanoseconds; without an end, to that of its last point.
    pub elapsed_ns: u64,
    /// Why it ended; null: it has not, or was killed.
    pub ended_by: Option<EndReason>,
    /// Whether all was read back as it had been; null without an end.
    pub restored: Option<bool>,
}

pub(super) fn rows(connection: &Connection) -> rusqlite::Result<Vec<SweepRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT s.*, e.reason, e.restored,
                coalesce(e.elapsed_ns, (SELECT max(at_ns + window_ns) FROM sweep_point WHERE sweep_id = s.id), 0)
                    AS elapsed_ns,
                (SELECT count(*) FROM sweep_point WHERE sweep_id = s.id) AS points,
                (SELECT count(DISTINCT sweep) FROM sweep_point WHERE sweep_id = s.id) AS sweeps
         FROM sweep s LEFT JOIN sweep_end e ON e.sweep_id = s.id ORDER BY s.id DESC",
    )?;
    statement.query_map([], row)?.collect()
}

fn row(row: &Row<'_>) -> rusqlite::Result<SweepRow> {
    let started_at_unix_ns = quantity(row, "started_at_unix_ns")?;
    Ok(SweepRow {
        id: SeriesId(row.get("id")?),
        name: row.get("name")?,
        started_at: rfc3339(started_at_unix_ns),
        started_at_unix_ns,
        simulated: row.get("simulated")?,
        interface: from_word(row, "interface")?,
        pid: row.get("pid")?,
        comm: row.get("comm")?,
        resource: row.get("resource")?,
        ways: row.get("ways")?,
        points: quantity(row, "points")?,
        sweeps: quantity(row, "sweeps")?,
        elapsed_ns: quantity(row, "elapsed_ns")?,
        ended_by: row.get::<_, Option<String>>("reason")?.map(|_| from_word(row, "reason")).transpose()?,
        restored: row.get("restored")?,
    })
}

pub(super) fn exists(connection: &Connection, id: SeriesId) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM sweep WHERE id = ?1")?.exists([id.0])
}

/// Deletes sweeps that were over at `limit_unix_ns`: of one without an end, that got its last point by then.
///
/// Names, newest first. A point of a sweep that goes on is younger, so it stays.
pub(crate) fn delete_old(connection: &Connection, limit_unix_ns: u64) -> rusqlite::Result<Vec<String>> {
    let sql = "DELETE FROM sweep WHERE started_at_unix_ns <= ?1 AND NOT EXISTS (
             SELECT 1 FROM sweep_point WHERE sweep_id = sweep.id AND at_ns + window_ns > ?1 - sweep.started_at_unix_ns)
         RETURNING id, name";
    delete_older(connection, sql, limit_unix_ns)
}

/// Deletes these sweeps whatever their age. Names, in their order.
pub(crate) fn delete(connection: &Connection, ids: &[SeriesId]) -> rusqlite::Result<Vec<String>> {
    let mut delete = connection.prepare("DELETE FROM sweep WHERE id = ?1 RETURNING name")?;
    let mut names = Vec::new();
    for id in ids {
        names.extend(delete.query_map([id.0], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?);
    }
    Ok(names)
}
