//! The thread that writes: a window at a time, again and again where it fails, and the chores in between.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};
use waytrace_hw::clock::unix_ns;
use waytrace_store::{MonitorWriter, StoreError, Tended, is_ours, set_aside};

use super::queue::{Item, Queue, Wake};
use super::{HistoryConfig, HistoryError, HistoryState};

/// Between two tries, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// The same while the monitor ends.
const HURRIED: Duration = Duration::from_millis(50);
/// Tries of something the store refuses for what it is.
const TRIES: u32 = 3;

/// What a failure calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cure {
    /// Others hold it, or there is no room: the same again.
    Wait,
    /// Another connection.
    Reopen,
    /// Another file.
    Aside,
}

fn cure(error: &StoreError) -> Cure {
    match error {
        StoreError::Locked { .. } | StoreError::DiskFull { .. } => Cure::Wait,
        StoreError::Corrupt { .. } | StoreError::NotADatabase { .. } => Cure::Aside,
        _ => Cure::Reopen,
    }
}

/// What the thread has.
pub(super) struct Keeper {
    path: PathBuf,
    config: HistoryConfig,
    queue: Arc<Queue>,
    state: Arc<Mutex<HistoryState>>,
    writer: Option<MonitorWriter>,
    /// When it was looked at from outside.
    checked: Instant,
    backoff: Duration,
}

impl Keeper {
    pub(super) fn new(
        path: &Path,
        config: HistoryConfig,
        queue: Arc<Queue>,
        state: Arc<Mutex<HistoryState>>,
    ) -> Self {
        let (path, checked) = (path.to_owned(), Instant::now());
        Self { path, config, queue, state, writer: None, checked, backoff: BACKOFF.0 }
    }

    /// The first opening: what waiting does not mend is an error.
    pub(super) fn open_at_start(&mut self) -> Result<(), HistoryError> {
        match self.begin() {
            Ok(()) => Ok(()),
            Err(error) if cure(&error) == Cure::Wait => {
                self.failed(&error);
                Ok(())
            }
            // Somebody may have named a file of another kind by mistake; what has our mark is ours and broken.
            Err(error)
                if matches!(error, StoreError::Corrupt { .. })
                    || is_ours(&self.path) && is_broken(&error) =>
            {
                self.failed(&error);
                self.put_aside(&error)
                    .map_err(|source| HistoryError::Aside { path: self.path.clone(), source })?;
                Ok(self.begin()?)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        let writer = MonitorWriter::begin(&self.path, &self.config.session)?;
        writer.check()?;
        self.checked = Instant::now();
        self.writer = Some(writer);
        Ok(())
    }

    /// Until the monitor ends.
    pub(super) fn run(mut self) {
        let mut in_hand: Option<(Item, u32)> = None;
        loop {
            if let Some((item, tries)) = in_hand.take() {
                match self.write(&item) {
                    Ok(()) => self.queue.done(),
                    Err(error) if is_refused(&error, tries) => {
                        self.failed(&error);
                        self.with_state(|state| state.dropped += u64::from(matches!(item, Item::Window(_))));
                        self.queue.done();
                    }
                    Err(error) => {
                        self.recover(&error);
                        in_hand = Some((item, tries + 1));
                        if self.queue.stops_at().is_some_and(|deadline| Instant::now() >= deadline) {
                            break;
                        }
                    }
                }
                continue;
            }
            self.chores();
            match self.queue.next(self.config.check_every) {
                Wake::Item(item) => in_hand = Some((item, 0)),
                Wake::Time => {}
                Wake::Stop => break,
            }
        }
        if let Some(Err(error)) = self.writer.take().map(|writer| writer.end(unix_ns())) {
            warn!("the end of the history's session is not stored: {error}");
        }
        self.queue.end();
    }

    fn write(&mut self, item: &Item) -> Result<(), StoreError> {
        if self.writer.is_none() {
            self.begin()?;
        }
        let Some(writer) = &mut self.writer else { return Ok(()) };
        match item {
            Item::Window(window) => writer.append(window)?,
            Item::Alert(alert) => writer.alert(alert)?,
        }
        let bytes = bytes_on_disk(&self.path);
        let is_window = matches!(item, Item::Window(_));
        let was_ok = self.with_state(|state| {
            state.written += u64::from(is_window);
            state.bytes = bytes;
            std::mem::replace(&mut state.ok, true)
        });
        if !was_ok {
            info!("the history {} is written again", self.path.display());
        }
        self.backoff = BACKOFF.0;
        Ok(())
    }

    /// Does what may help, and waits.
    fn recover(&mut self, error: &StoreError) {
        self.failed(error);
        match cure(error) {
            Cure::Wait => {}
            Cure::Reopen => self.writer = None,
            Cure::Aside => {
                self.writer = None;
                match self.put_aside(error) {
                    Ok(()) => return,
                    Err(source) => {
                        let error = HistoryError::Aside { path: self.path.clone(), source };
                        self.with_state(|state| state.last_error = Some(error.to_string()));
                    }
                }
            }
        }
        if self.queue.stops_at().is_some() {
            std::thread::sleep(HURRIED);
        } else {
            self.queue.pause(self.backoff);
            self.backoff = (self.backoff * 2).min(BACKOFF.1);
        }
    }

    /// Steps and retention, until something waits. What fails here is tried again after the next window.
    fn chores(&mut self) {
        if let Some(retention) = self.queue.new_retention() {
            self.config.retention = retention;
        }
        while self.queue.is_empty() && self.queue.stops_at().is_none() {
            let began = Instant::now();
            let Some(writer) = &mut self.writer else { return };
            let mut done = writer.tend(&self.config.retention);
            let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.with_state(|state| state.longest_chore_ms = state.longest_chore_ms.max(took));
            if matches!(done, Ok(Tended::Nothing)) && self.checked.elapsed() >= self.config.check_every {
                self.checked = Instant::now();
                if let Some(Err(error)) = self.writer.as_ref().map(MonitorWriter::check) {
                    done = Err(error);
                }
            }
            match done {
                Ok(Tended::Nothing) => return,
                Ok(_) => {}
                Err(error) => {
                    if cure(&error) == Cure::Wait {
                        self.failed(&error);
                    } else {
                        self.recover(&error);
                    }
                    return;
                }
            }
        }
    }

    fn put_aside(&mut self, why: &StoreError) -> std::io::Result<()> {
        let aside = set_aside(&self.path, unix_ns())?;
        warn!("{why}; it is now {}, and a new history is begun", aside.display());
        self.with_state(|state| {
            state.set_aside += 1;
            state.aside = Some(aside);
        });
        Ok(())
    }

    /// Says it once, until it works again.
    fn failed(&self, error: &StoreError) {
        let text = error.to_string();
        let is_new = self.with_state(|state| {
            state.errors += 1;
            let is_new = state.ok || state.last_error.as_deref() != Some(&text);
            state.ok = false;
            state.last_error = Some(text.clone());
            is_new
        });
        if is_new {
            warn!("the history is not written, windows wait: {text}");
        }
    }

    fn with_state<T>(&self, change: impl FnOnce(&mut HistoryState) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether the fault is in what is written: nothing else would make it work.
fn is_refused(error: &StoreError, tries: u32) -> bool {
    error.is_refusal() && tries >= TRIES
}

fn is_broken(error: &StoreError) -> bool {
    matches!(error, StoreError::Corrupt { .. } | StoreError::NotADatabase { .. })
}

fn bytes_on_disk(path: &Path) -> u64 {
    let size = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        std::fs::metadata(name).map_or(0, |metadata| metadata.len())
    };
    size("") + size("-wal")
}
