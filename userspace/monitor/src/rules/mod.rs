//! Conditions over windows.
//!
//! A rule's text is read once ([`syntax`](self): precedence; then meaning and units), into a condition that is evaluated for each
//! target it applies to, once a window. Evaluation is total: what was not measured has no value, a comparison without a value
//! neither begins nor ends an alert, and no text makes it fail.
//!
//! Functions over history (`baseline`, `growth`, …) keep, in each target, what they need and no more ([`series`](self)): points of one
//! function, no older than its time, at most 360 of them. Targets whose processes are all others than before start anew.
//!
//! The language is described in `docs/monitor-rules.md`.

mod compile;
mod config;
mod error;
mod expression;
mod holding;
mod judge;
mod past;
mod quantity;
mod series;
mod shipped;
mod syntax;
mod target;
#[cfg(test)]
mod tests;
mod token;
mod word;

pub use config::{Record, RuleConfig};
pub use error::{Error, Mistake};
pub use judge::{Event, Rules};
pub use shipped::{Limits, shipped, with_shipped};
