//! What was known of a run's accesses when it ended.

use rusqlite::Connection;
use waytrace_model::access::{Code, Region};

use super::super::{rows, stacks};
use crate::codec::{Address, quantity_opt};
use crate::store::RunId;

/// Mappings, by key.
pub(in super::super) fn regions(connection: &Connection, run: RunId) -> rusqlite::Result<Vec<Region>> {
    rows(connection, run, "SELECT * FROM access_region WHERE run_id = ?1 ORDER BY region", |row| {
        let (Address(start), Address(end)) = (row.get("start_address")?, row.get("end_address")?);
        Ok(Region {
            id: row.get("region")?,
            tgid: row.get("tgid")?,
            name: row.get("name")?,
            start,
            end,
            resident_bytes: quantity_opt(row, "resident_bytes")?,
            huge_bytes: quantity_opt(row, "huge_bytes")?,
            node: row.get("node")?,
        })
    })
}

/// Instructions, by key.
pub(in super::super) fn code(connection: &Connection, run: RunId) -> rusqlite::Result<Vec<Code>> {
    let stacks = stacks::load(connection, run)?;
    rows(connection, run, "SELECT code, stack FROM access_code WHERE run_id = ?1 ORDER BY code", |row| {
        let frames = stacks.get(&row.get("stack")?).cloned().unwrap_or_default();
        Ok(Code { id: row.get("code")?, frames })
    })
}
