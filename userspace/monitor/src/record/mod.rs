//! Detailed profiles for alerts and requests.
//!
//! Each is made by a waytrace of its own (`waytrace profile --pid …`), in a process group of its own and behind everybody else (nice 10),
//! so that what it takes of memory goes with it and what goes wrong in it ends nothing else. One at a time, so many an hour;
//! its CPU time counts into the monitor's own.

mod error;
pub(crate) mod process;
mod recorder;
mod request;
mod run;
mod scratch;
mod sites;
#[cfg(test)]
mod tests;

pub use error::{Error, Refused};
pub use recorder::{Recorder, RecorderState};
pub use request::{Kind, MOST_SECONDS, RecordConfig, Recorded, Request, Ticket};
pub use sites::named_sites;
