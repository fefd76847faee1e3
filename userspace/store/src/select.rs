//! Selectors of runs and measurements: an id, a name, `last`, `last~N` (N before the last), or the beginning of exactly one name.

use rusqlite::{Connection, Params};
use waytrace_model::units::format_count;

use crate::error::{OnPath, Result, StoreError};
use crate::series::SeriesId;
use crate::store::{RunId, Store};

/// Candidates listed in an error.
const CANDIDATES: usize = 8;

impl Store {
    /// The run that `selector` means.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`] and [`StoreError::Ambiguous`] list the candidates; [`StoreError::IsSweep`]; or the failure of reading.
    pub fn find(&self, selector: &str) -> Result<RunId> {
        let selector = selector.trim();
        match fitting(&self.connection, "run", selector).on(&self.path)?.as_slice() {
            [] => Err(self.no_such_run(selector)),
            [id] => Ok(RunId(*id)),
            several => Err(self.ambiguous(&self.connection, "run", selector, several)?),
        }
    }

    /// The error for a selector that fits several of a table.
    pub(crate) fn ambiguous(
        &self,
        connection: &Connection,
        table: &'static str,
        selector: &str,
        several: &[i64],
    ) -> Result<StoreError> {
        Ok(StoreError::Ambiguous {
            path: self.path.clone(),
            what: format!("{table}s"),
            selector: selector.to_owned(),
            candidates: names_of(connection, table, several).on(&self.path)?,
        })
    }

    /// The error for a selector that fits no run: it may be a sweep's name; else with the newest runs as candidates.
    pub(crate) fn no_such_run(&self, selector: &str) -> StoreError {
        match name_in(&self.connection, "sweep", selector).on(&self.path) {
            Err(error) => return error,
            Ok(Some(name)) => return StoreError::IsSweep { name },
            Ok(None) => {}
        }
        let candidates = match there_are(&self.connection, "run").on(&self.path) {
            Err(error) => return error,
            Ok(None) => "it holds no runs yet; `waytrace profile` records one".to_owned(),
            Ok(Some(names)) => names,
        };
        StoreError::NoSuchRun { path: self.path.clone(), selector: selector.to_owned(), candidates }
    }
}

/// What `show` and `report` take: a run or a way sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// A run.
    Run(RunId),
    /// A way sweep.
    Sweep(SeriesId),
}

impl Store {
    /// The run or the sweep that `selector` means: `last` counts both by when they began, a number is the id of a run.
    ///
    /// # Errors
    /// As [`Store::find`]; where nothing fits, its text names the sweeps, too.
    pub fn find_recorded(&self, selector: &str) -> Result<Recorded> {
        let selector = selector.trim();
        if selector.parse::<i64>().is_ok() {
            return self.find(selector).map(Recorded::Run);
        }
        match recorded(&self.connection, selector).on(&self.path)?.as_slice() {
            [one] => Ok(*one),
            [] => Err(self.nothing_recorded(selector)),
            several => {
                let names =
                    several.iter().map(|one| self.name_of(*one)).collect::<rusqlite::Result<Vec<_>>>();
                let (path, selector) = (self.path.clone(), selector.to_owned());
                let candidates = names.on(&self.path)?.join(", ");
                let what = "runs and sweeps".to_owned();
                Err(StoreError::Ambiguous { path, what, selector, candidates })
            }
        }
    }

    fn nothing_recorded(&self, selector: &str) -> StoreError {
        match (self.no_such_run(selector), there_are(&self.connection, "sweep").on(&self.path)) {
            (_, Err(error)) => error,
            (StoreError::NoSuchRun { path, selector, candidates }, Ok(Some(sweeps))) => {
                let candidates = format!("{candidates}; of sweeps {sweeps}");
                StoreError::NoSuchRun { path, selector, candidates }
            }
            (error, Ok(_)) => error,
        }
    }

    fn name_of(&self, one: Recorded) -> rusqlite::Result<String> {
        match one {
            Recorded::Run(id) => names_of(&self.connection, "run", &[id.0]),
            Recorded::Sweep(id) => {
                names_of(&self.connection, "sweep", &[id.0]).map(|name| format!("sweep {name}"))
            }
        }
    }
}

/// As [`fitting`], of runs and sweeps together.
fn recorded(connection: &Connection, selector: &str) -> rusqlite::Result<Vec<Recorded>> {
    let all = |tail: &str| {
        format!(
            "SELECT * FROM (SELECT 0 AS sweep, id, name, started_at_unix_ns FROM run
                            UNION ALL SELECT 1, id, name, started_at_unix_ns FROM sweep) {tail}"
        )
    };
    let newest = "ORDER BY started_at_unix_ns DESC, sweep, id DESC";
    if let Some(back) = steps_back(selector) {
        return both(connection, &all(&format!("{newest} LIMIT 1 OFFSET ?1")), [back]);
    }
    let exact = both(connection, &all("WHERE name = ?1"), [selector])?;
    if !exact.is_empty() {
        return Ok(exact);
    }
    let prefixed = format!("WHERE substr(name, 1, length(?1)) = ?1 AND ?1 <> '' {newest}");
    both(connection, &all(&prefixed), [selector])
}

fn both(connection: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<Vec<Recorded>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params, |row| {
        let id: i64 = row.get("id")?;
        Ok(if row.get("sweep")? { Recorded::Sweep(SeriesId(id)) } else { Recorded::Run(RunId(id)) })
    })?;
    rows.collect()
}

/// Ids of what a selector fits in a table of ours with an `id` and a `name`: none, one, or several whose names begin so.
pub(crate) fn fitting(
    connection: &Connection,
    table: &'static str,
    selector: &str,
) -> rusqlite::Result<Vec<i64>> {
    let all = |condition: &str| format!("SELECT id FROM {table} {condition}");
    if let Some(back) = steps_back(selector) {
        return ids(connection, &all("ORDER BY id DESC LIMIT 1 OFFSET ?1"), [back]);
    }
    if let Ok(id) = selector.parse::<i64>() {
        return ids(connection, &all("WHERE id = ?1"), [id]);
    }
    let exact = ids(connection, &all("WHERE name = ?1 ORDER BY id LIMIT 1"), [selector])?;
    if !exact.is_empty() {
        return Ok(exact);
    }
    let prefixed = all("WHERE substr(name, 1, length(?1)) = ?1 AND ?1 <> '' ORDER BY id DESC");
    ids(connection, &prefixed, [selector])
}

/// The one name of a table that a selector fits which is a name, or its beginning.
pub(crate) fn name_in(
    connection: &Connection,
    table: &'static str,
    selector: &str,
) -> rusqlite::Result<Option<String>> {
    match fitting(connection, table, selector)?.as_slice() {
        [id] if is_valid_name(selector) => {
            let sql = format!("SELECT name FROM {table} WHERE id = ?1");
            connection.prepare_cached(&sql)?.query_row([id], |row| row.get(0)).map(Some)
        }
        _ => Ok(None),
    }
}

/// `there are: …`, the newest first; `None` of an empty table.
pub(crate) fn there_are(connection: &Connection, table: &'static str) -> rusqlite::Result<Option<String>> {
    let newest = ids(connection, &format!("SELECT id FROM {table} ORDER BY id DESC"), [])?;
    if newest.is_empty() {
        return Ok(None);
    }
    Ok(Some(format!("there are: {}", names_of(connection, table, &newest)?)))
}

fn ids(connection: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<Vec<i64>> {
    connection.prepare_cached(sql)?.query_map(params, |row| row.get(0))?.collect()
}

fn names_of(connection: &Connection, table: &'static str, ids: &[i64]) -> rusqlite::Result<String> {
    let mut names = Vec::new();
    let mut named = connection.prepare_cached(&format!("SELECT name FROM {table} WHERE id = ?1"))?;
    for id in ids.iter().take(CANDIDATES) {
        let name: String = named.query_row([id], |row| row.get(0))?;
        names.push(format!("{name} (id {id})"));
    }
    let rest = ids.len().saturating_sub(CANDIDATES);
    if rest > 0 {
        names.push(format!("and {} more", format_count(rest as f64)));
    }
    Ok(names.join(", "))
}

/// `last` is 0 steps back, `last~2` two.
fn steps_back(selector: &str) -> Option<u32> {
    match selector.strip_prefix("last")? {
        "" => Some(0),
        rest => rest.strip_prefix('~')?.parse().ok(),
    }
}

/// A name that no other kind of selector could mean, and that prints as one line.
pub(crate) fn is_valid_name(name: &str) -> bool {
    let is_number = name.parse::<i64>().is_ok();
    let is_plain = !name.chars().any(char::is_control) && name.trim() == name;
    !name.is_empty() && !is_number && is_plain && name != "last" && !name.starts_with("last~")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_counts_back() {
        let cases =
            [("last", Some(0)), ("last~2", Some(2)), ("lastlog", None), ("last~x", None), ("1", None)];
        for (selector, steps) in cases {
            assert_eq!(steps_back(selector), steps, "{selector}");
        }
    }

    #[test]
    fn names_cannot_be_taken_for_other_selectors() {
        for name in ["redis-1", "lastlog-1", "7up", "a b", "ünïcode"] {
            assert!(is_valid_name(name), "{name}");
        }
        for name in ["", "7", "-7", "last", "last~1", " padded", "bell\u{7}"] {
            assert!(!is_valid_name(name), "{name:?}");
        }
    }
}
