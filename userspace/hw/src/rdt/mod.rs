//! Allocating and monitoring caches: what the kernel's resctrl and the CPU's registers have in common.
//!
//! [`CacheAllocation`] is implemented by [`crate::resctrl::Resctrl`], the default, and by [`crate::msr::MsrAllocation`], which
//! must be asked for and is refused while resctrl is mounted. Nothing here decides what to set, nor sets it back.

mod apply;
mod check;
mod error;
mod support;
mod tasks;

use serde::{Deserialize, Serialize};
use waytrace_model::cache::{CacheId, WayMask};
use waytrace_model::cache_report::{Capabilities, Class, Interface};

pub use apply::{Change, Members, Request, apply};
pub use check::check;
pub use error::RdtError;
pub use support::{NO_LIMITS, NOT_LINEAR, ResctrlState, resctrl_state, why_no_limits, why_not};
pub use tasks::{threads_of_cgroup, threads_of_process};

/// Name of the class everything belongs to that is put in no other.
pub const DEFAULT_CLASS: &str = "default";

/// One value of a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// Ways of a cache.
    Mask {
        /// As [`waytrace_model::cache_report::CacheResource::name`].
        resource: String,
        /// Which cache.
        cache_id: CacheId,
        /// Ways.
        mask: WayMask,
    },
    /// A bandwidth limit.
    Limit {
        /// As [`waytrace_model::cache_report::BandwidthResource::name`].
        resource: String,
        /// Behind which cache.
        cache_id: CacheId,
        /// In the resource's unit.
        value: u32,
    },
}

/// Whom to read monitors of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Monitored {
    /// All of a class.
    Class(String),
    /// A monitoring group within a class.
    Group {
        /// The class.
        class: String,
        /// The group.
        name: String,
    },
}

/// What reading a monitor gave. What is no number is never one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Bytes.
    Value(u64),
    /// The hardware has none now; it may have one the next time.
    Unavailable,
    /// No counter is assigned to this group and event.
    Unassigned,
    /// The hardware refused, or what it gave makes no sense.
    Error,
}

/// One monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventReading {
    /// Event, as the kernel names it.
    pub event: String,
    /// Of which cache.
    pub cache_id: CacheId,
    /// What it gave.
    pub reading: Reading,
}

/// A machine's cache allocation. Every call asks the machine anew: others may change it at any time.
pub trait CacheAllocation {
    /// Who is asked.
    fn interface(&self) -> Interface;

    /// What can be allocated and monitored.
    ///
    /// # Errors
    /// What cannot be read or understood.
    fn capabilities(&self) -> Result<Capabilities, RdtError>;

    /// All classes, the default one first, the others by name.
    ///
    /// # Errors
    /// What cannot be read or understood.
    fn classes(&self) -> Result<Vec<Class>, RdtError>;

    /// One class; `None` where there is none of that name.
    ///
    /// # Errors
    /// What cannot be read or understood.
    fn class(&self, name: &str) -> Result<Option<Class>, RdtError> {
        Ok(self.classes()?.into_iter().find(|class| class.name == name))
    }

    /// Makes a class of its own, which has all ways at first, and returns its name. Where the hardware's classes are not made
    /// but taken, `wanted` names one of them (`cos3`), and without it one is taken that nobody uses.
    ///
    /// # Errors
    /// No class is left, the name is not legal or taken, or no right.
    fn create_class(&mut self, wanted: &str) -> Result<String, RdtError>;

    /// Gives a class up; what belonged to it belongs to the default class.
    ///
    /// # Errors
    /// There is none, it is the default class, or no right.
    fn remove_class(&mut self, class: &str) -> Result<(), RdtError>;

    /// Sets values of a class: all or, if one is refused, none.
    ///
    /// # Errors
    /// What is refused and why; a class that is locked.
    fn set(&mut self, class: &str, settings: &[Setting]) -> Result<(), RdtError>;

    /// Makes threads members of a class. Those before a failing one stay members.
    ///
    /// # Errors
    /// [`RdtError::NoTask`] for a thread that is gone, [`RdtError::Unsupported`] where only CPUs have classes.
    fn assign_tasks(&mut self, class: &str, tids: &[u32]) -> Result<(), RdtError>;

    /// Makes CPUs members of a class, beside those that are.
    ///
    /// # Errors
    /// A CPU that is not there, or no right.
    fn assign_cpus(&mut self, class: &str, cpus: &[u32]) -> Result<(), RdtError>;

    /// Makes a monitoring group in a class and returns its name. What its members may use does not change. Where the hardware's
    /// monitors are not made but taken, `wanted` names one of them (`rmid3`), and without it one is taken that nobody uses.
    /// Where bandwidth counters are assigned to groups, it gets those that are left.
    ///
    /// # Errors
    /// [`RdtError::NoMonitorLeft`], the name is not legal or taken, no right, or the machine has no monitors.
    fn create_monitor(&mut self, class: &str, wanted: &str) -> Result<String, RdtError>;

    /// Removes a monitoring group; its members are monitored with their class again, and keep it.
    ///
    /// # Errors
    /// There is none, or no right.
    fn remove_monitor(&mut self, class: &str, name: &str) -> Result<(), RdtError>;

    /// Makes threads of a class members of a monitoring group.
    ///
    /// # Errors
    /// As [`Self::assign_tasks`]; a thread of another class.
    fn monitor_tasks(&mut self, class: &str, name: &str, tids: &[u32]) -> Result<(), RdtError>;

    /// Makes CPUs of a class members of a monitoring group, beside those that are.
    ///
    /// # Errors
    /// As [`Self::assign_cpus`]; a CPU of another class.
    fn monitor_cpus(&mut self, class: &str, name: &str, cpus: &[u32]) -> Result<(), RdtError>;

    /// Gives a class the bandwidth counters it lacks, where these are assigned and some are left; elsewhere it has them.
    ///
    /// # Errors
    /// There is no such class, or no right.
    fn assign_counters(&mut self, _class: &str) -> Result<(), RdtError> {
        Ok(())
    }

    /// Reads all events of all caches.
    ///
    /// # Errors
    /// There is no such class or group, or the machine monitors nothing. What a single event gives is in its reading.
    fn read(&self, whom: &Monitored) -> Result<Vec<EventReading>, RdtError>;

    /// Bytes at which a bandwidth reading starts again from 0; `None` where it never does. Who reads such counters must do so
    /// before they can have gone round twice.
    fn wrap_bytes(&self) -> Option<u64> {
        None
    }
}
