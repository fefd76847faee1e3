//! What processes, classes and CPUs hold of the last-level cache (CMT) and move from and to memory (MBM).
//!
//! ```text
//! follow: who is where ([`Places`]) ─► who is in no monitoring group gets one ([`Own`], by a journal)
//! read:   every group ([`Source`]) ─► differences over wraps and gaps ([`Meter`]) ─► a row for each that is watched
//! ```
//!
//! Watching changes nobody's share: a group of others is read and not taken, and a group of our own is made within the class its
//! members have. [`Watcher`] watches what it is told, and fails where it cannot (`cache watch`). [`Targets`] watches what there are
//! monitors for, and says of the others why not (`monitor`, `top`).
//!
//! Not verified on hardware: the machines it was developed on have no CMT.

mod error;
mod follow;
mod groups;
mod meter;
mod own;
mod target;
mod targets;
mod told;

pub use error::OccupancyError;
pub use follow::Watcher;
pub use meter::{LOCAL, Meter, OCCUPANCY, TOTAL, moved};
pub use own::Own;
pub use target::{Places, Row, Source, Sources, Target};
pub use targets::{Targets, Wanted};
pub use told::Told;
