//! Why there is no recording.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// A recording that is not begun.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// As many as allowed have been made within the hour.
    #[error("{most} recordings were made within the hour, which is the most; the next may be in {} s", next.as_secs())]
    TooMany {
        /// How many an hour.
        most: u32,
        /// When the next one may be.
        next: Duration,
    },
    /// One is under way, and as many as can wait do.
    #[error("a recording is under way and {waiting} wait, which is the most; try later")]
    Full {
        /// How many wait.
        waiting: usize,
    },
    /// No such process.
    #[error("process {pid} has ended")]
    Gone {
        /// Its id.
        pid: u32,
    },
    /// No or too much time.
    #[error("{seconds} s is no length of a recording; choose 1 to {most} s")]
    Length {
        /// What was asked for.
        seconds: u32,
        /// The most there may be.
        most: u32,
    },
    /// The monitor ends.
    #[error("monitoring ends")]
    Stopped,
}

/// A profile that could not be made.
#[derive(Debug, Error)]
pub enum Error {
    /// It was not begun.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Another one is under way.
    #[error("another recording is under way; try again when it has ended")]
    Busy,
    /// The program cannot be started.
    #[error("cannot start {}: {source}", exe.display())]
    Start {
        /// The program.
        exe: PathBuf,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// It said why.
    #[error("process {pid}: {reason}")]
    Failed {
        /// Whom it was to profile.
        pid: u32,
        /// The last line it said, or its exit code.
        reason: String,
    },
    /// The files of a profile that is not kept.
    #[error("{}: {source}", path.display())]
    Scratch {
        /// The place.
        path: PathBuf,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// No thread for recordings.
    #[error("starting the thread of recordings: {0}")]
    Thread(std::io::Error),
}
