//! The machine: which events it can count and how they are opened, its topology, tracefs, and what it permits.
//!
//! Does not aggregate, attach or interpret: that is the business of `trace` and `analysis`. Everything read from
//! a file tree goes through a [`Root`], so that tests and simulated hosts run the same code on a tree of their own;
//! system calls (`perf_event_open`, `bpf`, `fsopen`) always concern the machine waytrace runs on.
//!
//! Sources: `perf_event_open(2)`, `Documentation/ABI/testing/sysfs-bus-event_source-devices-*`, and perf's own
//! `parse-events` grammar for the names.

pub mod affinity;
pub mod breakpoint;
pub mod capabilities;
pub mod catalogue;
pub mod clock;
pub mod counter;
pub mod cpufreq;
mod error;
pub mod events;
pub mod group;
mod machine;
pub mod msr;
pub mod paranoid;
pub mod placement;
pub mod pmu;
pub mod process;
pub mod rdt;
pub mod resctrl;
mod root;
pub mod sampling;
pub mod search;
pub mod topology;
pub mod topology_cache;
pub mod tracefs;
pub mod undo;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use error::Error;
pub use machine::Machine;
pub use root::Root;

#[cfg(test)]
mod testing;
