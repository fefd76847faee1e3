//! Profiles on demand: what may be asked for, how often, and whom it comes from.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use thiserror::Error;

const HOUR: Duration = Duration::from_secs(3600);

/// What a profile is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileKind {
    /// Memory that is in use, by who allocated it.
    Heap,
    /// Allocations, by who made them.
    Allocs,
    /// Sampled memory accesses, by who made them.
    Accesses,
}

impl ProfileKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Heap, Self::Allocs, Self::Accesses];

    /// The last part of its path.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Heap => "heap",
            Self::Allocs => "allocs",
            Self::Accesses => "accesses",
        }
    }
}

impl fmt::Display for ProfileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A profile that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfileRequest {
    /// What of.
    pub kind: ProfileKind,
    /// Process.
    pub pid: u32,
    /// How long.
    pub seconds: u32,
}

/// Why there is none.
#[derive(Debug, Error)]
pub enum ProfileError {
    /// The process has ended.
    #[error("process {0} has ended")]
    Gone(u32),
    /// There is no room for it now.
    #[error("{why}")]
    Busy {
        /// What has the room.
        why: String,
        /// When to ask again.
        retry_after: Duration,
    },
    /// This machine or process does not allow it.
    #[error("{0}")]
    Unavailable(String),
    /// It was begun and failed.
    #[error("{0}")]
    Failed(String),
}

/// A profile as it is being made.
pub type ProfileFuture<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, ProfileError>> + Send + 'a>>;

/// Who makes profiles.
pub trait Profiles: Send + Sync + 'static {
    /// The target a process belongs to; `None` if to none. Must not block.
    fn target_of(&self, pid: u32) -> Option<String>;

    /// Makes a profile: pprof, gzipped. Dropping the future must end what was begun: the client has gone.
    fn profile(&self, request: ProfileRequest) -> ProfileFuture<'_>;
}

/// Lets one profile be made at a time, and so many an hour.
#[derive(Clone)]
pub(super) struct Gate(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    /// When the one that is being made should be done.
    until: Option<Instant>,
    /// When those of the last hour were begun, oldest first.
    begun: VecDeque<Instant>,
}

/// The permission to make one; given back when dropped.
pub(super) struct Pass(Gate);

/// Why there is no permission.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) why: String,
    pub(super) retry_after: Duration,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    /// Asks for permission now; `per_hour` is `None` where only one at a time is a bound.
    pub(super) fn enter(&self, seconds: u32, per_hour: Option<u32>, now: Instant) -> Result<Pass, Closed> {
        let mut inside = self.inside();
        if let Some(until) = inside.until {
            let retry_after = until.saturating_duration_since(now).max(Duration::from_secs(1));
            return Err(Closed { why: "another profile is being made".into(), retry_after });
        }
        if let Some(per_hour) = per_hour {
            while inside.begun.front().is_some_and(|begun| now.duration_since(*begun) >= HOUR) {
                inside.begun.pop_front();
            }
            if inside.begun.len() >= per_hour as usize {
                let oldest = inside.begun.front().copied().unwrap_or(now);
                let retry_after = (oldest + HOUR).saturating_duration_since(now);
                let why = format!("{per_hour} profiles an hour are allowed (http.pprof.per_hour)");
                return Err(Closed { why, retry_after });
            }
            inside.begun.push_back(now);
        }
        inside.until = Some(now + Duration::from_secs(u64::from(seconds)));
        Ok(Pass(self.clone()))
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.inside().until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_so_many_an_hour() {
        let (gate, start) = (Gate::new(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let pass = gate.enter(30, Some(2), start).unwrap();
        let busy = gate.enter(5, Some(2), at(10)).err().unwrap();
        assert_eq!(busy.retry_after, Duration::from_secs(20));
        drop(pass);
        drop(gate.enter(5, Some(2), at(60)).unwrap());
        let spent = gate.enter(5, Some(2), at(600)).err().unwrap();
        assert_eq!(spent.retry_after, Duration::from_secs(3000));
        drop(gate.enter(5, None, at(600)).expect("without a bound on the hour"));
        drop(gate.enter(5, Some(2), at(3600)).expect("the first is an hour ago"));
        assert!(gate.enter(5, Some(0), at(9000)).is_err());
    }
}
