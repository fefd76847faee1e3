//! Changes of the machine's state that are taken back, also after `kill -9`.
//!
//! Every change is first written to a [`Journal`], as what takes it back. A journal undoes itself when dropped; where its
//! process is killed, a [`Watchdog`] does, a process of its own; where that was killed as well, [`restore`] does
//! (`waytrace doctor --restore`). A lock on the journal's file sees to it that exactly one of them does. Taking back looks at
//! what is there first: it can be interrupted and begun again, and what somebody else has changed since is left.

mod caches;
mod error;
mod files;
mod journal;
mod lines;
mod members;
mod owner;
mod pending;
mod perform;
mod place;
mod watchdog;

use serde::{Deserialize, Serialize};
use waytrace_model::cache_report::Interface;

pub use error::UndoError;
pub use journal::Journal;
pub use pending::{Outcome, Pending, pending, restore};
pub use watchdog::{Watchdog, serve};

use crate::rdt::Setting;

/// One change, as it is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    /// A file of `/proc/sys` or of the CPUs' sysfs gets its text back.
    File {
        /// Below the root, without its leading slash.
        path: String,
        /// What it held.
        old: String,
        /// All that may have been written: where it holds anything else, somebody else changed it, and it is left. Empty: it
        /// is set back whatever it holds.
        ours: Vec<String>,
    },
    /// A class is removed, and its members fall to the default one, unless it is gone.
    CreatedClass {
        /// Who was asked.
        interface: Interface,
        /// Its name.
        name: String,
    },
    /// A class gets its values back; those that are none of `ours` somebody else set, and they are left.
    Settings {
        /// Who was asked.
        interface: Interface,
        /// Its name.
        class: String,
        /// What it had.
        old: Vec<Setting>,
        /// Every value that may have been set.
        ours: Vec<Setting>,
    },
    /// Threads go back, and those of their processes that were born in `from` go with them. Those that are gone, or are in
    /// neither `from` nor, where there is no `from` any more, the default class, are left.
    Tasks {
        /// Who was asked.
        interface: Interface,
        /// The class they had.
        class: String,
        /// The monitoring group within it that they had.
        monitor: Option<String>,
        /// The class they were put into.
        from: String,
        /// Threads.
        tids: Vec<u32>,
    },
    /// CPUs go back, likewise.
    Cpus {
        /// Who was asked.
        interface: Interface,
        /// The class they had.
        class: String,
        /// The monitoring group within it that they had; of registers `None` is RMID 0.
        monitor: Option<String>,
        /// The class they were put into; the same where only their monitor was changed.
        from: String,
        /// Logical CPUs.
        cpus: Vec<u32>,
    },
    /// A monitoring group is removed, unless it is gone.
    CreatedMonitor {
        /// Who was asked.
        interface: Interface,
        /// Its class.
        class: String,
        /// Its name.
        name: String,
    },
    /// resctrl is unmounted, unless it is no longer mounted there.
    Mounted {
        /// Below the root, without its leading slash.
        path: String,
    },
    /// A module of the kernel is unloaded, unless it is gone or in use.
    LoadedModule {
        /// Its name.
        name: String,
    },
}

/// What became of taking changes back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Undone {
    /// All is as before, but for what was rightly left. Otherwise the journal is kept, and can be gone on with.
    pub restored: bool,
    /// What was taken back, a line each.
    pub done: Vec<String>,
    /// What was left because somebody else had changed it, and what failed, a line each.
    pub left: Vec<String>,
}

#[cfg(test)]
mod tests;
