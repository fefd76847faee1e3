//! One hook's thread: a bounded queue, attempts with growing pauses, and an account of both.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::command;
use super::config::{HookConfig, Way};
use super::error::Error;
use super::message::Message;
use super::webhook::Webhook;

/// Messages that wait for one hook; a further one puts the oldest out, for the newest says how things are.
pub const MOST_WAITING: usize = 64;

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// It was told.
    Delivered,
    /// Another attempt may succeed.
    Failed(String),
    /// Another attempt would be no better.
    Refused(String),
}

/// How often something is tried, and how long between.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Attempts of one message.
    pub attempts: u32,
    /// First pause; each is twice the one before.
    pub first: Duration,
    /// Longest pause.
    pub longest: Duration,
}

impl Pace {
    /// Eight attempts in two minutes, besides what they take themselves.
    pub const USUAL: Self =
        Self { attempts: 8, first: Duration::from_secs(1), longest: Duration::from_secs(60) };
}

/// How a hook fares. Counts are since it was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HookState {
    /// Its name.
    pub name: String,
    /// How it tells.
    pub way: Way,
    /// Messages that wait, the one that is being told included.
    pub waiting: u64,
    /// Messages that were told.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Messages that were given up: the queue was full, or all attempts failed.
    pub dropped: u64,
    /// Why the last failed attempt failed.
    pub last_error: Option<String>,
}

struct Inner {
    queue: VecDeque<Message>,
    state: HookState,
    /// When everything must be over; `None` while it goes on.
    end: Option<Instant>,
}

struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Shared {
    /// Nothing under the lock can be left half done.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A hook at work.
pub struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

enum Teller {
    Webhook(Box<Webhook>),
    Command(Vec<String>),
    Log,
}

impl Worker {
    /// Starts a hook's thread.
    ///
    /// # Errors
    /// What is wrong with the hook.
    pub fn start(config: &HookConfig, pace: Pace) -> Result<Self, Error> {
        let way = config.check()?;
        let teller = match (&config.webhook, &config.command) {
            (Some(url), _) => Teller::Webhook(Box::new(Webhook::new(config, url)?)),
            (None, Some(command)) => Teller::Command(command.clone()),
            (None, None) => Teller::Log,
        };
        let state = HookState {
            name: config.name.clone(),
            way,
            waiting: 0,
            delivered: 0,
            failed: 0,
            dropped: 0,
            last_error: None,
        };
        let inner = Mutex::new(Inner { queue: VecDeque::new(), state, end: None });
        let shared = Arc::new(Shared { inner, changed: Condvar::new() });
        let theirs = Arc::clone(&shared);
        let timeout = config.timeout;
        let thread = std::thread::Builder::new()
            .name("hook".to_owned())
            .spawn(move || work(&theirs, &teller, timeout, pace))
            .map_err(|source| Error::Thread { hook: config.name.clone(), source })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Takes a message; returns at once.
    pub fn tell(&self, message: Message) {
        let mut inner = self.shared.lock();
        if inner.queue.len() >= MOST_WAITING {
            inner.queue.pop_front();
            inner.state.dropped += 1;
            inner.state.waiting -= 1;
        }
        inner.queue.push_back(message);
        inner.state.waiting += 1;
        self.shared.changed.notify_all();
    }

    /// How it fares.
    pub fn state(&self) -> HookState {
        self.shared.lock().state.clone()
    }

    /// Asks it to end by then: each waiting message is tried once more.
    pub fn end_by(&self, end: Instant) {
        self.shared.lock().end = Some(end);
        self.shared.changed.notify_all();
    }

    /// Waits for its end until then. A thread in the middle of an attempt that does not end is left to itself.
    pub fn join(&mut self, end: Instant) {
        let Some(thread) = self.thread.take() else { return };
        while !thread.is_finished() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
        if thread.is_finished() {
            // A panic of a hook is no panic of the monitor.
            let _ = thread.join();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end_by(Instant::now());
    }
}

fn work(shared: &Shared, teller: &Teller, timeout: Duration, pace: Pace) {
    while let Some(message) = next(shared) {
        let delivered = deliver(shared, teller, &message, timeout, pace);
        let mut inner = shared.lock();
        inner.state.waiting -= 1;
        if delivered {
            inner.state.delivered += 1;
        } else {
            inner.state.dropped += 1;
        }
    }
}

/// Waits for a message; `None` at the end.
fn next(shared: &Shared) -> Option<Message> {
    let mut inner = shared.lock();
    loop {
        if inner.end.is_some_and(|end| Instant::now() >= end) {
            return None;
        }
        if let Some(message) = inner.queue.pop_front() {
            return Some(message);
        }
        if inner.end.is_some() {
            return None;
        }
        inner = shared.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
    }
}

fn deliver(shared: &Shared, teller: &Teller, message: &Message, timeout: Duration, pace: Pace) -> bool {
    let mut pause = pace.first;
    for attempt in 1..=pace.attempts {
        let now = Instant::now();
        let end = shared.lock().end;
        let deadline = end.map_or(now + timeout, |end| end.min(now + timeout));
        let is_over = || shared.lock().end.is_some_and(|end| Instant::now() >= end);
        let (reason, may_pass) = match tell(teller, message, deadline, is_over) {
            Attempt::Delivered => return true,
            Attempt::Failed(reason) => (reason, true),
            Attempt::Refused(reason) => (reason, false),
        };
        let mut inner = shared.lock();
        inner.state.failed += 1;
        inner.state.last_error = Some(reason);
        if !may_pass || attempt == pace.attempts {
            return false;
        }
        let until = Instant::now() + pause;
        while inner.end.is_none() && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            inner = shared.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if inner.end.is_some() {
            return false;
        }
        pause = (pause * 2).min(pace.longest);
    }
    false
}

fn tell(teller: &Teller, message: &Message, deadline: Instant, is_over: impl Fn() -> bool) -> Attempt {
    match teller {
        Teller::Webhook(webhook) => webhook.send(message, deadline.saturating_duration_since(Instant::now())),
        Teller::Command(words) => command::run(words, message, deadline, is_over),
        Teller::Log => match writeln!(std::io::stderr(), "waytrace: {}", message.line()) {
            Ok(()) => Attempt::Delivered,
            Err(error) => Attempt::Refused(error.to_string()),
        },
    }
}
