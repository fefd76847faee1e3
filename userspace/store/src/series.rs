//! Series of benchmark repetitions: begun once, added to one by one, read as a whole.

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use waytrace_model::bench::{Repetition, RepetitionEnd, SeriesHeader};

use crate::codec::{Quantity, json, quantity, quantity_opt, to_json};
use crate::error::{OnPath, Result, StoreError};
use crate::select::is_valid_name;
use crate::store::Store;

/// A series' id: unique in its database, from 1, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeriesId(pub i64);

/// A series with all its repetitions so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its id.
    pub id: SeriesId,
    /// As it was begun.
    pub header: SeriesHeader,
    /// What was measured, in order of position.
    pub repetitions: Vec<Repetition>,
}

impl Store {
    /// Begins a series.
    ///
    /// # Errors
    /// [`StoreError::SeriesTaken`], [`StoreError::BadName`], or the failure of writing.
    pub fn begin_series(&self, header: &SeriesHeader) -> Result<SeriesId> {
        self.begin_named(&header.name, |connection| insert(connection, header))
    }

    /// Adds what a repetition took.
    ///
    /// # Errors
    /// The failure of writing; the repetitions before are intact.
    pub fn add_repetition(&self, series: SeriesId, repetition: &Repetition) -> Result<()> {
        add(&self.connection, series, repetition).on(&self.path)
    }

    /// The series of this name, or with `last` the newest.
    ///
    /// # Errors
    /// [`StoreError::NoSuchSeries`] lists those there are; or the failure of reading.
    pub fn series(&self, name: &str) -> Result<Series> {
        self.find_named(name, load, "series", "it holds none yet; `waytrace bench` makes one")
    }

    /// Begins a series of any kind, of which `insert` makes the row.
    pub(crate) fn begin_named(
        &self,
        name: &str,
        insert: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<SeriesId> {
        if !is_valid_name(name) {
            return Err(StoreError::BadName { name: name.to_owned() });
        }
        match insert(&self.connection) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Err(StoreError::SeriesTaken { path: self.path.clone(), name: name.to_owned() })
            }
            inserted => inserted.map(|()| SeriesId(self.connection.last_insert_rowid())).on(&self.path),
        }
    }

    /// Reads a series of the kind `table` holds; the error names those it holds, or says how to make one: `none`.
    pub(crate) fn find_named<T>(
        &self,
        name: &str,
        load: impl FnOnce(&Connection, &str) -> rusqlite::Result<Option<T>>,
        table: &str,
        none: &str,
    ) -> Result<T> {
        let snapshot = self.snapshot()?;
        if let Some(series) = load(&snapshot, name).on(&self.path)? {
            return Ok(series);
        }
        let names = names(&snapshot, table).on(&self.path)?;
        let candidates = match names.as_slice() {
            [] => none.to_owned(),
            names => format!("there are: {}", names.join(", ")),
        };
        Err(StoreError::NoSuchSeries { path: self.path.clone(), name: name.to_owned(), candidates })
    }
}

fn insert(connection: &Connection, header: &SeriesHeader) -> rusqlite::Result<()> {
    let inserted = connection.execute(
        "INSERT INTO series (name, started_at_unix_ns, command, seed, matrix, skipped)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            header.name,
            Quantity(header.started_at_unix_ns),
            header.command,
            Quantity(header.seed),
            to_json(&header.matrix)?,
            to_json(&header.skipped)?,
        ],
    );
    inserted.map(drop)
}

fn add(connection: &Connection, series: SeriesId, one: &Repetition) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO series_run (series_id, position, workload, mode, repetition, run_id, started_at_unix_ns,
                                 wall_ns, user_ns, system_ns, max_rss_bytes, ended_by, exit_code, problem)
         VALUES (?1, ?2, ?3, ?4, ?5, (SELECT id FROM run WHERE id = ?6), ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    let row = params![
        series.0,
        Quantity(one.position),
        one.workload,
        one.mode,
        one.repetition,
        one.run_id,
        Quantity(one.started_at_unix_ns),
        Quantity(one.wall_ns),
        Quantity(one.user_ns),
        Quantity(one.system_ns),
        one.max_rss_bytes.map(Quantity),
        one.ended_by.as_str(),
        one.exit_code,
        one.problem,
    ];
    insert.execute(row).map(drop)
}

fn load(connection: &Connection, name: &str) -> rusqlite::Result<Option<Series>> {
    const NAMED: &str = "SELECT * FROM series WHERE name = ?1 OR ?1 = 'last' ORDER BY id DESC LIMIT 1";
    let found = connection.query_row(NAMED, [name], |row| Ok((SeriesId(row.get("id")?), header(row)?)));
    let Some((id, header)) = found.optional()? else { return Ok(None) };
    let mut statement =
        connection.prepare_cached("SELECT * FROM series_run WHERE series_id = ?1 ORDER BY position")?;
    let repetitions = statement.query_map([id.0], repetition)?.collect::<rusqlite::Result<_>>()?;
    Ok(Some(Series { id, header, repetitions }))
}

fn header(row: &Row<'_>) -> rusqlite::Result<SeriesHeader> {
    Ok(SeriesHeader {
        name: row.get("name")?,
        started_at_unix_ns: quantity(row, "started_at_unix_ns")?,
        command: row.get("command")?,
        seed: quantity(row, "seed")?,
        matrix: json(row, "matrix")?,
        skipped: json(row, "skipped")?,
    })
}

fn repetition(row: &Row<'_>) -> rusqlite::Result<Repetition> {
    Ok(Repetition {
        workload: row.get("workload")?,
        mode: row.get("mode")?,
        repetition: row.get("repetition")?,
        position: quantity(row, "position")?,
        run_id: row.get("run_id")?,
        started_at_unix_ns: quantity(row, "started_at_unix_ns")?,
        wall_ns: quantity(row, "wall_ns")?,
        user_ns: quantity(row, "user_ns")?,
        system_ns: quantity(row, "system_ns")?,
        max_rss_bytes: quantity_opt(row, "max_rss_bytes")?,
        ended_by: RepetitionEnd::parse(&row.get::<_, String>("ended_by")?),
        exit_code: row.get("exit_code")?,
        problem: row.get("problem")?,
    })
}

fn names(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let newest = format!("SELECT name FROM {table} ORDER BY id DESC LIMIT 8");
    let mut statement = connection.prepare(&newest)?;
    statement.query_map([], |row| row.get(0))?.collect()
}
