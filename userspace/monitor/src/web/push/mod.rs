//! Profiles on their way to a collector (Pyroscope, Parca).
//!
//! A thread with a bounded queue sends them, one after the other, again a few times where that may help. A collector that is slow or absent costs
//! profiles, oldest first, and nothing else.

mod protocol;
mod rounds;

pub(super) use rounds::go_round;

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::Error;
use super::config::PushConfig;
use super::pprof::ProfileKind;
use super::server::read_token;
use super::state::{WebState, add_one};

/// Profiles that wait, at most.
const WAITING: usize = 16;
/// Their bytes, at most.
const WAITING_BYTES: usize = 32 << 20;
/// Attempts for one profile.
const ATTEMPTS: u32 = 5;
/// Pause after the first failure; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// A profile to be sent.
#[derive(Debug, Clone)]
pub struct PushProfile {
    /// Target the process belongs to.
    pub target: String,
    /// What it is of.
    pub kind: ProfileKind,
    /// When it was begun.
    pub from: SystemTime,
    /// When it ended.
    pub until: SystemTime,
    /// pprof, gzipped.
    pub pprof: Vec<u8>,
}

/// Sends profiles. Ends, without waiting for what has not been sent, when dropped.
pub struct Pusher {
    queue: Arc<Queue>,
    state: WebState,
}

struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    profiles: VecDeque<PushProfile>,
    bytes: usize,
    is_over: bool,
}

impl Pusher {
    /// Begins to wait for profiles.
    ///
    /// # Errors
    /// The token or the certificates cannot be read, or there is no thread.
    pub fn start(config: &PushConfig, state: &WebState) -> Result<Self, Error> {
        let token =
            config.token_file.as_deref().map(|path| read_token("push.token_file", path)).transpose()?;
        let sender = protocol::Sender::new(config, token)?;
        let queue = Arc::new(Queue { waiting: Mutex::default(), changed: Condvar::new() });
        state.push().is_configured.store(true, Relaxed);
        let (shared, counts) = (Arc::clone(&queue), state.clone());
        std::thread::Builder::new()
            .name("push".into())
            .spawn(move || send_all(&sender, &shared, &counts))
            .map_err(|source| Error::Thread { what: "http.push", source })?;
        Ok(Self { queue, state: state.clone() })
    }

    /// Has a profile sent. Returns at once; where too many wait, the oldest is given up.
    pub fn push(&self, profile: PushProfile) {
        let mut waiting = self.queue.lock();
        waiting.bytes += profile.pprof.len();
        waiting.profiles.push_back(profile);
        while waiting.profiles.len() > WAITING || waiting.bytes > WAITING_BYTES {
            if waiting.take().is_none() {
                break;
            }
            add_one(&self.state.push().dropped);
        }
        self.state.push().waiting.store(waiting.profiles.len() as u64, Relaxed);
        self.queue.changed.notify_one();
    }
}

impl Drop for Pusher {
    fn drop(&mut self) {
        self.queue.lock().is_over = true;
        self.queue.changed.notify_all();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next profile; `None` when it is over.
    fn next(&self, state: &WebState) -> Option<PushProfile> {
        let mut waiting = self.lock();
        loop {
            if waiting.is_over {
                return None;
            }
            if let Some(profile) = waiting.take() {
                state.push().waiting.store(waiting.profiles.len() as u64, Relaxed);
                return Some(profile);
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits; false when it is over meanwhile.
    fn pause(&self, length: Duration) -> bool {
        let end = Instant::now() + length;
        let mut waiting = self.lock();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if waiting.is_over || left.is_zero() {
                return !waiting.is_over;
            }
            (waiting, _) = self.changed.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Waiting {
    fn take(&mut self) -> Option<PushProfile> {
        let profile = self.profiles.pop_front()?;
        self.bytes -= profile.pprof.len();
        Some(profile)
    }
}

fn send_all(sender: &protocol::Sender, queue: &Queue, state: &WebState) {
    while let Some(profile) = queue.next(state) {
        if !send(sender, queue, state, &profile) {
            add_one(&state.push().dropped);
        }
    }
}

/// Sends a profile, again after pauses where the collector may yet take it.
fn send(sender: &protocol::Sender, queue: &Queue, state: &WebState, profile: &PushProfile) -> bool {
    let push = state.push();
    for attempt in 0..ATTEMPTS {
        if attempt > 0 && !queue.pause(FIRST_PAUSE * 2_u32.pow(attempt - 1)) {
            return false;
        }
        match sender.send(profile) {
            Ok(()) => {
                push.is_failing.store(false, Relaxed);
                add_one(&push.sent);
                return true;
            }
            Err(failure) => {
                if !push.is_failing.swap(true, Relaxed) {
                    tracing::warn!(error = %failure.why, target = profile.target, "profile not sent");
                }
                add_one(&push.failed);
                if !failure.may_pass {
                    return false;
                }
            }
        }
    }
    false
}
