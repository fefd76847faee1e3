//! Recordings that other tools made, turned into runs: `perf.data`, the text of `perf script`, Heimdallr's directories.
//!
//! A recording is read twice: once for what there is ([`open`]), once for its batches ([`Recording::read`]), so that a
//! file may be larger than memory. Nothing is guessed silently: what a recording does not say is counted and said in
//! the run. Writing runs is the store's business.
#![forbid(unsafe_code)]

mod direction;
mod error;
mod format;
mod heimdallr;
mod item;
mod order;
mod perf_data;
mod recording;
mod script;
mod space;
mod survey;
mod windows;

pub use direction::Directions;
pub use error::Error;
pub use format::Format;
pub use recording::{Options, Recording, open};
