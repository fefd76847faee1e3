//! The history of `waytrace monitor`: windows of a host in the same file as the runs, and their steps of a minute and an hour.
//!
//! * [`MonitorWriter`] stores a window in one transaction, and between windows makes steps of them and deletes what is over age
//! * [`Store::target_history`](crate::Store::target_history) and its like read ranges of time, while others write
//!
//! What is not here: when to write, and what to do about a disk that is full or a file that is damaged (waytrace-monitor).

mod alerts;
mod aside;
mod columns;
mod fold;
mod insert;
mod names;
mod processes;
mod prune;
mod read;
mod retain;
mod steps;
mod writer;

use std::time::Duration;

use waytrace_model::monitor::Step;
use waytrace_model::run::Host;

pub use aside::{is_ours, set_aside};
pub use prune::HistoryPruned;
pub use writer::{MonitorWriter, Tended};

/// One life of a monitor.
#[derive(Debug, Clone)]
pub struct Session {
    /// Wall clock at its start, nanoseconds since the Unix epoch.
    pub started_at_unix_ns: u64,
    /// Length of a window asked for.
    pub window_ns: u64,
    /// waytrace's own command line.
    pub command: String,
    /// waytrace's version.
    pub version: String,
    /// The machine.
    pub host: Host,
}

/// How long, and how much, history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Windows as they were measured.
    pub windows: Duration,
    /// Steps of a minute.
    pub minutes: Duration,
    /// Steps of an hour.
    pub hours: Duration,
    /// Bytes all of it may take; beyond them the oldest of the finest step goes first.
    pub max_bytes: u64,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: u64 = 86_400;
        Self {
            windows: Duration::from_secs(DAY),
            minutes: Duration::from_secs(14 * DAY),
            hours: Duration::from_secs(400 * DAY),
            max_bytes: 1 << 30,
        }
    }
}

impl Retention {
    fn keep_ns(&self, step: Step) -> u64 {
        let keep = match step {
            Step::Window => self.windows,
            Step::Minute => self.minutes,
            Step::Hour => self.hours,
        };
        u64::try_from(keep.as_nanos()).unwrap_or(u64::MAX)
    }

    fn longest_ns(&self) -> u64 {
        Step::ALL.into_iter().map(|step| self.keep_ns(step)).max().unwrap_or(u64::MAX)
    }
}
