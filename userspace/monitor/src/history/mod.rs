//! Windows on their way to the store, and what a full, locked or damaged disk does to them: they wait, then the oldest are dropped and counted.
//! Monitoring never waits for any of it.
//!
//! A thread writes each window in one transaction and, while none waits, makes steps and deletes what is too old (`waytrace_store`).
//! A database that turns out damaged is put aside under another name and a new one begun.

mod keeper;
mod queue;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use thiserror::Error;
use waytrace_model::monitor::{Alert, HostWindow};
use waytrace_store::{Retention, Session, StoreError};

use keeper::Keeper;
use queue::{Bounds, Queue};

/// Why there is no history.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// The database cannot be used, and waiting would not change that.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is damaged and cannot be put aside.
    #[error(
        "{path} is damaged and cannot be renamed: {source}; move it away, or name another file as the history's path"
    )]
    Aside {
        /// The database.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The thread cannot start.
    #[error("cannot start the thread that writes {path}: {source}; allow this service more tasks")]
    Thread {
        /// The database.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What is kept, and how much may wait.
#[derive(Debug, Clone)]
pub struct HistoryConfig {
    /// This life of the monitor.
    pub session: Session,
    /// How long and how much is kept.
    pub retention: Retention,
    /// Windows that may wait to be written; then the oldest are dropped.
    pub waiting_windows: usize,
    /// Bytes they may take; they are dropped likewise. Of windows that wait long, processes are not kept.
    pub waiting_bytes: usize,
    /// How often the file is looked at from outside: whether it is still there, and whole.
    pub check_every: Duration,
}

impl HistoryConfig {
    /// The defaults: an hour of windows of 10 s, or 32 MiB.
    pub fn new(session: Session) -> Self {
        Self {
            session,
            retention: Retention::default(),
            waiting_windows: 360,
            waiting_bytes: 32 << 20,
            check_every: Duration::from_secs(60),
        }
    }
}

/// How the history fares, for metrics and pages.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct HistoryState {
    /// The last write succeeded.
    pub ok: bool,
    /// What went wrong last, also when it is over; `None`: nothing ever did.
    pub last_error: Option<String>,
    /// Errors so far.
    pub errors: u64,
    /// Windows and alerts that wait to be written.
    pub waiting: u64,
    /// Windows that were dropped because too many waited, or because the store refused them.
    pub dropped: u64,
    /// Windows written.
    pub written: u64,
    /// Bytes of the database's file and its log, runs included.
    pub bytes: u64,
    /// Damaged databases put aside.
    pub set_aside: u64,
    /// Where the last of them is.
    pub aside: Option<PathBuf>,
    /// Longest any step of the retention took, milliseconds: so long a window may have waited.
    pub longest_chore_ms: u64,
}

/// The history of a monitor: a thread with a queue.
#[derive(Debug)]
pub struct History {
    queue: Arc<Queue>,
    state: Arc<Mutex<HistoryState>>,
}

impl History {
    /// Opens the database, or makes it, and starts the thread. One that is damaged is put aside, and a new one is begun. A full disk or a lock
    /// held by others is no error: windows wait.
    ///
    /// # Errors
    /// The database is another program's or a newer waytrace's, its directory cannot be written, or another monitor writes to it.
    pub fn start(path: &Path, config: HistoryConfig) -> Result<Self, HistoryError> {
        let bounds = Bounds { windows: config.waiting_windows.max(1), bytes: config.waiting_bytes };
        let queue = Arc::new(Queue::new(bounds));
        let state = Arc::new(Mutex::new(HistoryState { ok: true, ..HistoryState::default() }));
        let mut keeper = Keeper::new(path, config, Arc::clone(&queue), Arc::clone(&state));
        keeper.open_at_start()?;
        std::thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || keeper.run())
            .map_err(|source| HistoryError::Thread { path: path.to_owned(), source })?;
        Ok(Self { queue, state })
    }

    /// Hands a window over; never waits.
    pub fn append(&self, window: Arc<HostWindow>) {
        self.queue.push_window(window);
    }

    /// Hands an alert over, or what became of one; never waits.
    pub fn alert(&self, alert: &Alert) {
        self.queue.push_alert(alert.clone());
    }

    /// How it fares.
    pub fn state(&self) -> HistoryState {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let waiting = self.queue.waiting();
        (state.waiting, state.dropped) = (waiting.items, state.dropped + waiting.dropped);
        state
    }

    /// Changes what is kept from now on.
    pub fn set_retention(&self, retention: Retention) {
        self.queue.set_retention(retention);
    }

    /// Writes what waits and ends the session, in no more than `timeout`. Gives back how many windows and alerts remain unwritten.
    pub fn finish(self, timeout: Duration) -> u64 {
        self.queue.finish(Instant::now() + timeout)
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.queue.stop(Instant::now());
    }
}

#[cfg(test)]
mod tests;
