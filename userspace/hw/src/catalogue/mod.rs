//! Every event a CPU or this machine can count: its name, its encoding, and the counters and registers it takes.
//!
//! Several sources know events; the first that knows a CPU is used ([`Sources`]). They differ in dialect and agree on
//! [`Event`]. Does not open events: [`Event::perf_name`] is what [`crate::events::resolve`] takes. Does not decide what
//! is counted together either.
//!
//! Sources of the facts: Intel's perfmon repository (its readme and files), Linux `tools/perf/pmu-events`, SDM vol. 3 ch. 21.

mod cache;
pub mod constraints;
mod cpu_id;
mod directory;
mod error;
mod event;
mod json;
mod limits;
mod machine;
mod mapfile;
mod metric;
mod names;
mod pattern;
mod source;
mod stats;
#[cfg(all(target_arch = "x86_64", feature = "intel-tables"))]
mod tables;
mod terms;
mod units;

pub use cache::{Cache, Imported};
pub use cpu_id::CpuId;
pub use directory::Directory;
pub use error::CatalogueError;
pub use event::{Counters, Event, Fields, Filter, Msr, Precise};
pub use machine::{MachineEvents, machine_events};
pub use metric::{Book, Counted, Metric};
pub use names::Glob;
pub use source::{Catalogue, Known, Rejected, Sources};
pub use stats::{Changed, Differences, PmuStats, Stats};
