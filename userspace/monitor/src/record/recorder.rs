//! Recordings one after another, and no more of them than allowed.

use std::collections::VecDeque;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use waytrace_model::monitor::RecordingLink;

use super::error::{Error, Refused};
use super::request::{Kind, MOST_SECONDS, RecordConfig, Recorded, Request, Ticket, arguments, name};
use super::run::{Account, Failure, run};
use super::scratch::Scratch;

/// Requests that wait.
const MOST_WAITING: usize = 4;
const HOUR: Duration = Duration::from_secs(3600);

/// How recordings fare. Counts are since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecorderState {
    /// Requests that wait.
    pub waiting: usize,
    /// One is under way.
    pub running: bool,
    /// Recordings that were made.
    pub made: u64,
    /// Recordings that failed.
    pub failed: u64,
    /// Requests that were not taken.
    pub refused: u64,
}

struct Inner {
    config: RecordConfig,
    queue: VecDeque<(Ticket, Request)>,
    /// When those of the last hour were asked for.
    asked: VecDeque<Instant>,
    tickets: u64,
    state: RecorderState,
}

struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
    account: Account,
    /// Held by whoever has a child at work.
    slot: Mutex<()>,
}

impl Shared {
    /// Nothing under the lock can be left half done.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes recordings, at most one at a time.
pub struct Recorder {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Recorder {
    /// Starts its thread; what comes of requests is received from the channel.
    ///
    /// # Errors
    /// [`Error::Thread`].
    pub fn start(config: RecordConfig) -> Result<(Self, Receiver<Recorded>), Error> {
        let inner = Inner {
            config,
            queue: VecDeque::new(),
            asked: VecDeque::new(),
            tickets: 0,
            state: RecorderState::default(),
        };
        let shared = Arc::new(Shared {
            inner: Mutex::new(inner),
            changed: Condvar::new(),
            account: Account::default(),
            slot: Mutex::new(()),
        });
        let (results, receiver) = channel();
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || work(&theirs, &results))
            .map_err(Error::Thread)?;
        Ok((Self { shared, thread: Mutex::new(Some(thread)) }, receiver))
    }

    /// Takes other settings, for requests from now on.
    pub fn reload(&self, config: RecordConfig) {
        self.shared.lock().config = config;
    }

    /// Asks for a recording; returns at once.
    ///
    /// # Errors
    /// Why it is not begun.
    pub fn request(&self, request: Request) -> Result<Ticket, Refused> {
        let mut inner = self.shared.lock();
        let taken = self.may_take(&mut inner, &request);
        if let Err(refused) = taken {
            inner.state.refused += 1;
            return Err(refused);
        }
        inner.asked.push_back(Instant::now());
        inner.tickets += 1;
        let ticket = Ticket(inner.tickets);
        inner.queue.push_back((ticket, request));
        self.shared.changed.notify_all();
        Ok(ticket)
    }

    fn may_take(&self, inner: &mut Inner, request: &Request) -> Result<(), Refused> {
        if self.shared.account.end().is_some() {
            return Err(Refused::Stopped);
        }
        check(request.pid, request.seconds.unwrap_or(inner.config.seconds))?;
        if inner.queue.len() >= MOST_WAITING {
            return Err(Refused::Full { waiting: inner.queue.len() });
        }
        let now = Instant::now();
        while inner.asked.front().is_some_and(|asked| now.duration_since(*asked) >= HOUR) {
            inner.asked.pop_front();
        }
        let most = inner.config.max_per_hour;
        if inner.asked.len() >= most as usize {
            let oldest = inner.asked.front().map_or(Duration::ZERO, |asked| now.duration_since(*asked));
            return Err(Refused::TooMany { most, next: HOUR.saturating_sub(oldest) });
        }
        Ok(())
    }

    /// CPU time of all recordings until now, the one under way included, nanoseconds.
    pub fn cpu_ns(&self) -> u64 {
        self.shared.account.cpu_ns()
    }

    /// How they fare.
    pub fn state(&self) -> RecorderState {
        let inner = self.shared.lock();
        RecorderState { waiting: inner.queue.len(), ..inner.state }
    }

    /// Profiles a process into a database that is not kept, and gives the gzip-compressed pprof. Blocks for that time; not counted among those of
    /// the hour.
    ///
    /// # Errors
    /// [`Error::Busy`] while another one is under way; otherwise why it failed.
    pub fn profile_pprof(&self, pid: u32, seconds: u32, kind: Kind) -> Result<Vec<u8>, Error> {
        self.profile_pprof_unless(pid, seconds, kind, &|| false)
    }

    /// The same, until `is_unwanted` says that nobody waits for it any more, which ends it within 50 ms.
    ///
    /// # Errors
    /// As [`Self::profile_pprof`].
    pub fn profile_pprof_unless(
        &self,
        pid: u32,
        seconds: u32,
        kind: Kind,
        is_unwanted: &dyn Fn() -> bool,
    ) -> Result<Vec<u8>, Error> {
        if self.shared.account.end().is_some() {
            return Err(Refused::Stopped.into());
        }
        check(pid, seconds)?;
        let _slot = match self.shared.slot.try_lock() {
            Ok(slot) => slot,
            Err(TryLockError::Poisoned(slot)) => slot.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(Error::Busy),
        };
        let RecordConfig { exe, exact, .. } = self.shared.lock().config.clone();
        let scratch = Scratch::new()?;
        let (db, out) = (scratch.file("run.db"), scratch.file("run.pb.gz"));
        let mut export = Command::new(&exe);
        export.args(["export", "pprof", "--format", "pprof", "--db"]).arg(&db).arg("--output").arg(&out);
        let mut profile = Command::new(&exe);
        profile.args(arguments(pid, seconds, kind, exact, &db, "pprof"));
        for (command, time) in [(&mut profile, seconds), (&mut export, 0)] {
            let time = Duration::from_secs(u64::from(time));
            let (result, _) = run(command.stdout(Stdio::null()), time, &self.shared.account, is_unwanted);
            result.map_err(|failure| match failure {
                Failure::Start(source) => Error::Start { exe: exe.clone(), source },
                Failure::Ended(reason) => Error::Failed { pid, reason },
            })?;
        }
        std::fs::read(&out).map_err(|source| Error::Scratch { path: out, source })
    }

    /// Ends them: the one under way is asked to finish and keeps its data; those that wait fail. No longer than `patience`.
    pub fn stop(&self, patience: Duration) {
        self.shared.account.end_by(Instant::now() + patience);
        // Whoever is about to wait holds the lock until it does.
        drop(self.shared.lock());
        self.shared.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It kills what is left at the end of the patience, and then ends by itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

fn check(pid: u32, seconds: u32) -> Result<(), Refused> {
    if !(1..=MOST_SECONDS).contains(&seconds) {
        return Err(Refused::Length { seconds, most: MOST_SECONDS });
    }
    if pid == 0 || !std::path::Path::new(&format!("/proc/{pid}")).exists() {
        return Err(Refused::Gone { pid });
    }
    Ok(())
}

fn work(shared: &Shared, results: &Sender<Recorded>) {
    while let Some((ticket, request, config)) = next(shared) {
        let (link, cpu_ns) = match shared.account.end() {
            Some(_) => (RecordingLink::Failed(Refused::Stopped.to_string()), 0),
            None => record(shared, ticket, &request, &config),
        };
        let mut inner = shared.lock();
        inner.state.running = false;
        match link {
            RecordingLink::Run(_) => inner.state.made += 1,
            _ => inner.state.failed += 1,
        }
        drop(inner);
        // Nobody listens any more: the recording is in the database all the same.
        let _ = results.send(Recorded { ticket, request, link, cpu_ns });
    }
}

/// Waits for a request; at the end gives those that wait, and then `None`.
fn next(shared: &Shared) -> Option<(Ticket, Request, RecordConfig)> {
    let mut inner = shared.lock();
    loop {
        if let Some((ticket, request)) = inner.queue.pop_front() {
            inner.state.running = true;
            return Some((ticket, request, inner.config.clone()));
        }
        if shared.account.end().is_some() {
            return None;
        }
        inner = shared.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
    }
}

fn record(shared: &Shared, ticket: Ticket, request: &Request, config: &RecordConfig) -> (RecordingLink, u64) {
    let _slot = shared.slot.lock().unwrap_or_else(PoisonError::into_inner);
    let seconds = request.seconds.unwrap_or(config.seconds);
    if let Err(refused) = check(request.pid, seconds) {
        return (RecordingLink::Failed(refused.to_string()), 0);
    }
    let now_unix_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let name = name(request, ticket, now_unix_s);
    let mut command = Command::new(&config.exe);
    command.args(arguments(request.pid, seconds, request.kind, config.exact, &config.db, &name));
    command.stdout(Stdio::null());
    let time = Duration::from_secs(u64::from(seconds));
    let (result, cpu_ns) = run(&mut command, time, &shared.account, &|| false);
    let link = match result {
        Ok(()) => RecordingLink::Run(name),
        Err(Failure::Start(error)) => {
            RecordingLink::Failed(format!("cannot start {}: {error}", config.exe.display()))
        }
        Err(Failure::Ended(reason)) => RecordingLink::Failed(reason),
    };
    (link, cpu_ns)
}
