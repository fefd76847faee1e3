//! Writing one run: its header, then a transaction per window, then what is known at the end.

mod accesses;
mod append;
mod epilogue;
mod heat;
mod intern;
mod measured;
mod phases;
mod samples;
mod traced;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use waytrace_model::batch::{Batch, Epilogue};
use waytrace_model::counter::EventInfo;
use waytrace_model::run::RunHeader;

use crate::codec::{Quantity, finite_or_null, to_json};
use crate::connect;
use crate::error::{OnPath, Result, StoreError};
use crate::select::is_valid_name;
use crate::store::RunId;
use samples::Reservoir;

/// How many rows were stored of what is numbered through the run.
#[derive(Debug, Clone, Copy, Default)]
struct Positions {
    map_events: u64,
    traced: u64,
}

/// A run being recorded. Dropped without [`RunWriter::finish`] it stays in the store as `unfinished`.
#[derive(Debug)]
pub struct RunWriter {
    connection: Connection,
    path: PathBuf,
    run: RunId,
    name: String,
    stored: Positions,
    accesses: Reservoir,
}

impl RunWriter {
    pub(crate) fn begin(path: &Path, header: &RunHeader, events: &[EventInfo]) -> Result<Self> {
        let mut connection = connect::writable(path)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).on(path)?;
        let name = match header.name.as_str() {
            "" => free_name(&transaction, &header.target.comm).on(path)?,
            given => checked_name(&transaction, path, given)?,
        };
        let run = insert_run(&transaction, header, &name).on(path)?;
        insert_events(&transaction, run, events).on(path)?;
        transaction.commit().on(path)?;
        let (path, stored) = (path.to_owned(), Positions::default());
        Ok(Self { connection, path, run, name, stored, accesses: Reservoir::default() })
    }

    /// The run's id.
    pub fn id(&self) -> RunId {
        self.run
    }

    /// The run's name: the one given, or the one made.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Keeps no more than `bound` accesses, a random choice of all there will be; with `None`, or without this, all.
    pub fn keep_accesses(&mut self, bound: Option<u64>) {
        self.accesses.bound = bound;
    }

    /// Stores one window in one transaction: all of it or nothing.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Locked`], [`StoreError::RunGone`] and the other failures of writing.
    /// What was appended before is intact, and appending may be tried again.
    pub fn append(&mut self, batch: &Batch) -> Result<()> {
        let (first, mut accesses) = (self.stored, self.accesses);
        self.in_transaction(|transaction, run| {
            append::batch(transaction, run, batch, first)?;
            accesses.fill(transaction, run, &batch.accesses)
        })?;
        // Only now: what failed is rolled back and may be tried again.
        self.accesses = accesses;
        self.stored.map_events += batch.map_events.len() as u64;
        self.stored.traced += batch.traced.len() as u64;
        Ok(())
    }

    /// Stores what is known only now, in one transaction, and ends the run.
    ///
    /// # Errors
    /// As [`RunWriter::append`]; the run then stays `unfinished` with all its windows.
    pub fn finish(mut self, epilogue: &Epilogue) -> Result<RunId> {
        let first_traced = self.stored.traced;
        self.in_transaction(|transaction, run| epilogue::insert(transaction, run, epilogue, first_traced))?;
        Ok(self.run)
    }

    fn in_transaction(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, RunId) -> rusqlite::Result<()>,
    ) -> Result<()> {
        let (run, path) = (self.run, self.path.as_path());
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).on(path)?;
        if !exists(&transaction, run).on(path)? {
            return Err(StoreError::RunGone { path: path.to_owned(), run: run.0 });
        }
        work(&transaction, run).on(path)?;
        transaction.commit().on(path)
    }
}

fn exists(connection: &Connection, run: RunId) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM run WHERE id = ?1")?.exists([run.0])
}

fn insert_run(connection: &Connection, header: &RunHeader, name: &str) -> rusqlite::Result<RunId> {
    let (target, phases) = (&header.target, header.phases.as_ref());
    connection.execute(
        "INSERT INTO run (name, started_at_unix_ns, started_at_ns, interval_ns, command, budget_pct, host,
                          tgid, comm, cmdline, exe, build_id, start_time_ticks,
                          phase_event, phase_unit, phase_period)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        params![
            name,
            Quantity(header.started_at_unix_ns),
            Quantity(header.started_at_ns),
            Quantity(header.interval_ns),
            header.command,
            finite_or_null(header.budget_pct),
            to_json(&header.host)?,
            target.tgid,
            target.comm,
            target.cmdline,
            target.exe,
            target.build_id,
            Quantity(target.start_time_ticks),
            phases.map(|rule| &rule.event.name),
            phases.map(|rule| rule.event.unit.as_str()),
            phases.map(|rule| Quantity(rule.period)),
        ],
    )?;
    Ok(RunId(connection.last_insert_rowid()))
}

fn insert_events(connection: &Connection, run: RunId, events: &[EventInfo]) -> rusqlite::Result<()> {
    let mut insert =
        connection.prepare_cached("INSERT INTO event (run_id, event, name, unit) VALUES (?1, ?2, ?3, ?4)")?;
    for (position, event) in events.iter().enumerate() {
        insert.execute(params![run.0, position as i64, event.name, event.unit.as_str()])?;
    }
    Ok(())
}

fn checked_name(connection: &Connection, path: &Path, name: &str) -> Result<String> {
    if !is_valid_name(name) {
        return Err(StoreError::BadName { name: name.to_owned() });
    }
    if let Some(kind) = taken_by(connection, name).on(path)? {
        return Err(StoreError::NameTaken { path: path.to_owned(), kind, name: name.to_owned() });
    }
    Ok(name.to_owned())
}

/// Whether a run or a sweep has this name, and which: `show` takes either.
pub(crate) fn taken_by(connection: &Connection, name: &str) -> rusqlite::Result<Option<&'static str>> {
    for (kind, sql) in
        [("run", "SELECT 1 FROM run WHERE name = ?1"), ("sweep", "SELECT 1 FROM sweep WHERE name = ?1")]
    {
        if connection.prepare_cached(sql)?.exists([name])? {
            return Ok(Some(kind));
        }
    }
    Ok(None)
}

/// `<comm>-<n>`, n one above the highest there is. A comm is any bytes its process likes; a name is plain.
pub(crate) fn free_name(connection: &Connection, comm: &str) -> rusqlite::Result<String> {
    let plain = |c: char| if c.is_alphanumeric() || "._+-".contains(c) { c } else { '_' };
    let comm: String = comm.chars().map(plain).collect();
    let prefix = format!("{}-", if comm.is_empty() { "run" } else { &comm });
    let mut names = connection.prepare_cached(
        "SELECT name FROM run WHERE substr(name, 1, length(?1)) = ?1
         UNION ALL SELECT name FROM sweep WHERE substr(name, 1, length(?1)) = ?1",
    )?;
    let mut highest = 0;
    for name in names.query_map([&prefix], |row| row.get::<_, String>(0))? {
        let number = name?.strip_prefix(&prefix).and_then(|number| number.parse::<u32>().ok());
        highest = highest.max(number.unwrap_or(0));
    }
    Ok(format!("{prefix}{}", u64::from(highest) + 1))
}
