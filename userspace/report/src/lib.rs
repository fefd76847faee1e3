//! Renders runs: the terminal summary, the HTML page, and the formats other tools read.
//!
//! Everything here is a pure function of [`waytrace_model::report::RunReport`] or
//! [`waytrace_model::detail::RunDetail`]: it returns text or writes to the writer it is given, and opens nothing. Traced
//! allocations and sampled accesses, of which there may be millions, are taken from iterators one by one and never held all
//! together.
//! Names in a run come from the measured process and are treated as hostile: no output lets them break out of
//! their place.
#![forbid(unsafe_code)]

mod access_words;
mod base64;
pub mod csv;
pub mod curve;
mod error;
pub mod flame;
pub mod folded;
mod heat;
pub mod history;
pub mod html;
pub mod interference;
pub mod json;
mod largest;
mod markup;
pub mod matrix;
pub mod perfetto;
pub mod plot;
pub mod pprof;
pub mod series;
pub mod svg;
pub mod terminal;
mod text;

pub use error::{Cause, Error};
pub use heat::View;
