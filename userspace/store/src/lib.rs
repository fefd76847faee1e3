//! Runs in one SQLite file: written a window at a time, read as totals or as a whole.
//!
//! Raw readings are stored, totals are summed on read. Each [`RunWriter::append`] is one transaction, so a killed
//! waytrace loses at most the window it was writing, and readers in other processes never see half a window.
//! What is not here: deriving metrics (waytrace-analysis) and rendering (waytrace-report).
//!
//! The schema is described table by table in `docs/store.md`.
#![forbid(unsafe_code)]

mod codec;
mod connect;
mod error;
mod location;
mod migrate;
mod monitor;
mod pairs;
mod prune;
mod read;
mod select;
mod series;
mod store;
mod sweeps;
pub mod time;
mod view;
mod write;

pub use error::{Result, StoreError};
pub use location::default_path;
pub use monitor::{HistoryPruned, MonitorWriter, Retention, Session, Tended, is_ours, set_aside};
pub use pairs::PairSeries;
pub use prune::{PruneRule, Pruned};
pub use read::accesses::samples::Accesses;
pub use read::list::{CounterSum, RunRow};
pub use read::measured::{Measurement, MeasurementId};
pub use read::pages::Pages;
pub use read::traced::TracedAllocations;
pub use select::Recorded;
pub use series::{Series, SeriesId};
pub use store::{RunId, Store};
pub use sweeps::{StoredSweep, SweepRow};
pub use view::RunView;
pub use write::RunWriter;
