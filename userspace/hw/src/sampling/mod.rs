//! Precise hardware sampling of memory accesses: which PMU of a machine can do it, and what its samples say.
//!
//! Nothing of it is verified on hardware but what a watched address shows ([`SamplingSource::watch`]), which needs no
//! PMU and takes the same way: [`SamplingSource::find`] or `watch` says what to open, [`Sampler`] opens it and hands
//! over [`Event`]s. The decoders ([`records`], [`sample`], [`spe`]) are total functions over bytes and serve files as well.

pub mod bytes;
pub mod data_source;
mod error;
mod event;
pub mod layout;
mod open;
pub mod records;
mod ring;
pub mod sample;
mod sampler;
mod source;
pub mod spe;

pub use error::NoSource;
pub use event::{Event, MemorySample, Sampling};
pub use open::{Rate, Scope};
pub use sampler::Sampler;
pub use source::{NOT_VERIFIED, SampledEvent, SamplingSource, Transport};
