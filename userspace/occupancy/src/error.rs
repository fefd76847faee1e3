//! What can go wrong with watching, each with the way to mend it.

use std::io;

use waytrace_hw::rdt::RdtError;
use waytrace_hw::undo::UndoError;

/// Errors of watching.
#[derive(Debug, thiserror::Error)]
pub enum OccupancyError {
    /// The machine's allocation and monitoring.
    #[error(transparent)]
    Rdt(#[from] RdtError),
    /// What is made cannot be written down.
    #[error(transparent)]
    Undo(#[from] UndoError),
    /// The topology cannot be read.
    #[error(transparent)]
    Topology(#[from] waytrace_hw::Error),
    /// No monitors.
    #[error("this machine has nothing to watch caches with")]
    NoMonitoring,
    /// Groups of a process that is gone.
    #[error("monitoring groups are left and cannot be removed: {0}; `waytrace doctor --restore` tries again")]
    Left(String),
    /// It ended while it was looked at for the first time.
    #[error("{0}")]
    Ended(String),
    /// waytrace's own program, which the watchdog is.
    #[error("finding waytrace's own program: {0}")]
    OwnProgram(io::Error),
}
