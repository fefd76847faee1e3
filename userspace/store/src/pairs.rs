//! Series of programs run in pairs: begun once, added to run by run, read as a whole.

use rusqlite::{Connection, OptionalExtension, Row, params};
use waytrace_model::bench::RepetitionEnd;
use waytrace_model::pairing::{PairHeader, PairRun};

use crate::codec::{Quantity, json, quantity, quantity_opt, to_json};
use crate::error::{OnPath, Result};
use crate::series::SeriesId;
use crate::store::Store;

/// A series of pairs with all its runs so far.
#[derive(Debug, Clone, PartialEq)]
pub struct PairSeries {
    /// Its id, unique among series of pairs.
    pub id: SeriesId,
    /// As it was begun.
    pub header: PairHeader,
    /// What was measured, in order of position.
    pub runs: Vec<PairRun>,
}

impl Store {
    /// Begins a series of pairs.
    ///
    /// # Errors
    /// [`crate::StoreError::SeriesTaken`], [`crate::StoreError::BadName`], or the failure of writing.
    pub fn begin_pairs(&self, header: &PairHeader) -> Result<SeriesId> {
        self.begin_named(&header.name, |connection| insert(connection, header))
    }

    /// Adds what a run took.
    ///
    /// # Errors
    /// The failure of writing; the runs before are intact.
    pub fn add_pair_run(&self, series: SeriesId, run: &PairRun) -> Result<()> {
        add(&self.connection, series, run).on(&self.path)
    }

    /// The series of pairs of this name.
    ///
    /// # Errors
    /// [`crate::StoreError::NoSuchSeries`] lists those there are; or the failure of reading.
    pub fn pairs(&self, name: &str) -> Result<PairSeries> {
        let none = "it holds none of pairs yet; `waytrace events pair` makes one";
        self.find_named(name, load, "pair_series", none)
    }
}

fn insert(connection: &Connection, header: &PairHeader) -> rusqlite::Result<()> {
    let inserted = connection.execute(
        "INSERT INTO pair_series (name, started_at_unix_ns, command, seed, plan, skipped)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            header.name,
            Quantity(header.started_at_unix_ns),
            header.command,
            Quantity(header.seed),
            to_json(&header.plan)?,
            to_json(&header.skipped)?,
        ],
    );
    inserted.map(drop)
}

fn add(connection: &Connection, series: SeriesId, one: &PairRun) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO pair_run (series_id, position, configuration, program, antagonist, repetition, cpus,
                               antagonist_cpus, started_at_unix_ns, wall_ns, user_ns, system_ns, ended_by, exit_code,
                               restarts, problem)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?;
    let row = params![
        series.0,
        Quantity(one.position),
        one.configuration,
        one.program,
        one.antagonist,
        one.repetition,
        one.cpus,
        one.antagonist_cpus,
        Quantity(one.started_at_unix_ns),
        one.wall_ns.map(Quantity),
        one.user_ns.map(Quantity),
        one.system_ns.map(Quantity),
        one.ended_by.map(RepetitionEnd::as_str),
        one.exit_code,
        Quantity(one.restarts),
        one.problem,
    ];
    insert.execute(row).map(drop)
}

fn load(connection: &Connection, name: &str) -> rusqlite::Result<Option<PairSeries>> {
    let found = connection.query_row("SELECT * FROM pair_series WHERE name = ?1", [name], |row| {
        Ok((SeriesId(row.get("id")?), header(row)?))
    });
    let Some((id, header)) = found.optional()? else { return Ok(None) };
    let mut statement =
        connection.prepare_cached("SELECT * FROM pair_run WHERE series_id = ?1 ORDER BY position")?;
    let runs = statement.query_map([id.0], run)?.collect::<rusqlite::Result<_>>()?;
    Ok(Some(PairSeries { id, header, runs }))
}

fn header(row: &Row<'_>) -> rusqlite::Result<PairHeader> {
    Ok(PairHeader {
        name: row.get("name")?,
        started_at_unix_ns: quantity(row, "started_at_unix_ns")?,
        command: row.get("command")?,
        seed: quantity(row, "seed")?,
        plan: json(row, "plan")?,
        skipped: json(row, "skipped")?,
    })
}

fn run(row: &Row<'_>) -> rusqlite::Result<PairRun> {
    Ok(PairRun {
        position: quantity(row, "position")?,
        configuration: row.get("configuration")?,
        program: row.get("program")?,
        antagonist: row.get("antagonist")?,
        repetition: row.get("repetition")?,
        cpus: row.get("cpus")?,
        antagonist_cpus: row.get("antagonist_cpus")?,
        started_at_unix_ns: quantity(row, "started_at_unix_ns")?,
        wall_ns: quantity_opt(row, "wall_ns")?,
        user_ns: quantity_opt(row, "user_ns")?,
        system_ns: quantity_opt(row, "system_ns")?,
        ended_by: row.get::<_, Option<String>>("ended_by")?.map(|text| RepetitionEnd::parse(&text)),
        exit_code: row.get("exit_code")?,
        restarts: quantity(row, "restarts")?,
        problem: row.get("problem")?,
    })
}
