//! Writing the history: a transaction for each window, and in between what keeps it small.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use waytrace_model::monitor::{Alert, HostWindow};

use super::names::{Kind, Names};
use super::processes::Processes;
use super::retain::{Clock, Retain};
use super::{Retention, Session, alerts, insert, retain, steps};
use crate::codec::{Quantity, to_json};
use crate::connect;
use crate::error::{OnPath, Result, StoreError};

/// How long a write waits for another's; the caller tries again.
const BUSY_TIMEOUT: Duration = Duration::from_millis(250);
/// The log shrinks back to this after somebody held it long.
const LOG_BYTES: i64 = 16 << 20;

/// What [`MonitorWriter::tend`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tended {
    /// There is nothing to do until the next window.
    Nothing,
    /// Windows became steps.
    Folded,
    /// Old rows went.
    Deleted,
    /// Free pages went back to the file system.
    Shrunk,
}

/// The one monitor that writes a database's history. After a failed call everything written before is intact, and the call may be repeated.
#[derive(Debug)]
pub struct MonitorWriter {
    connection: Connection,
    path: PathBuf,
    session: i64,
    names: Names,
    processes: Processes,
    clock: Clock,
    retain: Retain,
    /// Bytes of pages the history takes.
    page_bytes: u64,
    /// Held as long as the writer lives.
    _lock: File,
}

impl MonitorWriter {
    /// Opens or makes the database and begins a session. Alerts an earlier monitor left active are ended.
    ///
    /// # Errors
    /// [`StoreError::Monitored`] where another monitor writes to it, and any other of opening and writing.
    pub fn begin(path: &Path, session: &Session) -> Result<Self> {
        let mut connection = connect::writable(path)?;
        let lock = lock(path)?;
        connection.busy_timeout(BUSY_TIMEOUT).on(path)?;
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES).on(path)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).on(path)?;
        transaction
            .execute(
                "INSERT INTO monitor_session (started_at_unix_ns, window_ns, command, version, host)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    Quantity(session.started_at_unix_ns),
                    Quantity(session.window_ns),
                    session.command,
                    session.version,
                    to_json(&session.host).on(path)?
                ],
            )
            .on(path)?;
        let id = transaction.last_insert_rowid();
        alerts::cut_short(&transaction, id).on(path)?;
        let page_bytes = retain::page_bytes(&transaction).on(path)?;
        transaction.commit().on(path)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            session: id,
            names: Names::default(),
            processes: Processes::default(),
            clock: Clock::default(),
            retain: Retain::default(),
            page_bytes,
            _lock: lock,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the database's pages that the history takes, free ones not counted. Runs in the same file are not among them.
    pub fn bytes(&self) -> u64 {
        self.page_bytes
    }

    /// Stores a window: all of it or nothing.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Locked`], [`StoreError::Corrupt`] and the other failures of writing.
    pub fn append(&mut self, window: &HostWindow) -> Result<()> {
        let session = self.session;
        self.in_transaction(|transaction, names, processes| {
            let id = insert::window(transaction, names, session, window)?;
            let times = (window.start_unix_ns, window.start_unix_ns.saturating_add(window.length_ns));
            for target in &window.targets {
                let number = names.id(transaction, Kind::Target, &target.target, window.start_unix_ns)?;
                for process in &target.processes {
                    let key = (number, process.pid, process.start_boot_ns);
                    processes.see(transaction, key, &process.comm, times)?;
                }
            }
            processes.end_window(transaction)?;
            Ok(Some(id))
        })?;
        self.clock.saw(window);
        Ok(())
    }

    /// Stores an alert, or what became of one: rule, target and begin tell which.
    ///
    /// # Errors
    /// As [`MonitorWriter::append`].
    pub fn alert(&mut self, alert: &Alert) -> Result<()> {
        let session = self.session;
        self.in_transaction(|transaction, _, _| alerts::put(transaction, session, alert).map(|()| None))
    }

    /// Does one small part of what keeps the history in its bounds: makes steps of windows, deletes what is over age or beyond the size, gives
    /// room back. Of steps all is kept that can be, so the finest go first. To be repeated until there is nothing to do, unless a window waits.
    ///
    /// # Errors
    /// As [`MonitorWriter::append`].
    pub fn tend(&mut self, retention: &Retention) -> Result<Tended> {
        let mut folded = false;
        self.in_transaction(|transaction, _, _| {
            folded = steps::fold_one(transaction)?;
            Ok(None)
        })?;
        if folded {
            return Ok(Tended::Folded);
        }
        let deleted = match self.clock.now_unix_ns() {
            None => false,
            Some(now) => {
                self.retain.delete(&mut self.connection, retention, now, self.page_bytes).on(&self.path)?
            }
        };
        if deleted {
            self.page_bytes = retain::page_bytes(&self.connection).on(&self.path)?;
            return Ok(Tended::Deleted);
        }
        Ok(if retain::shrink(&self.connection).on(&self.path)? { Tended::Shrunk } else { Tended::Nothing })
    }

    /// Whether the file is still the one that is written, and what was written last can be read by others.
    ///
    /// # Errors
    /// [`StoreError::Absent`] where it was removed, [`StoreError::Corrupt`] where it is damaged.
    pub fn check(&self) -> Result<()> {
        let other = connect::readable(&self.path)?;
        let sql = "SELECT count(*), max(id) FROM monitor_session";
        let known = |connection: &Connection| {
            connection.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?)))
        };
        if known(&other).on(&self.path)? != known(&self.connection).on(&self.path)? {
            return Err(StoreError::Absent { path: self.path.clone() });
        }
        steps::read_newest(&other).on(&self.path)
    }

    /// Ends the session.
    ///
    /// # Errors
    /// As [`MonitorWriter::append`].
    pub fn end(mut self, at_unix_ns: u64) -> Result<()> {
        let session = self.session;
        self.in_transaction(|transaction, _, processes| {
            processes.store_all(transaction)?;
            transaction
                .prepare_cached("UPDATE monitor_session SET ended_at_unix_ns = ?2 WHERE id = ?1")?
                .execute(params![session, Quantity(at_unix_ns)])?;
            Ok(None)
        })
    }

    /// Runs `work` as a whole or not at all. Pages the file grew by are booked on the window it gives back.
    fn in_transaction(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &mut Names, &mut Processes) -> rusqlite::Result<Option<i64>>,
    ) -> Result<()> {
        let Self { connection, path, names, processes, page_bytes, .. } = self;
        let tried = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let before = retain::used_bytes(&transaction)?;
            let window = work(&transaction, names, processes)?;
            let grown = retain::used_bytes(&transaction)?.saturating_sub(before);
            if let Some(window) = window {
                retain::book(&transaction, window, grown)?;
            }
            transaction.commit().map(|()| grown)
        };
        match tried() {
            Ok(grown) => {
                *page_bytes += grown;
                Ok(())
            }
            Err(error) => {
                names.forget();
                processes.forget();
                Err(StoreError::on(path, error))
            }
        }
    }
}

/// One monitor at a time: two would count everything twice.
fn lock(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push("-monitor");
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::StorageFull => StoreError::DiskFull { path: path.to_owned() },
        _ => StoreError::CannotOpen { path: path.to_owned(), detail: error.to_string() },
    };
    // Not the database itself: closing any descriptor of it would drop SQLite's own locks.
    let file = File::options().create(true).append(true).open(name).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Monitored { path: path.to_owned() }),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}
