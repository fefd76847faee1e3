//! How right sampled memory accesses are, and what they cost.
//!
//! `accesses` holds shares against programs that know what they did (accuracy.rs), `access-ranks` the order of pages
//! against a full trace (ranks.rs), and `access-costs` the price at several rates beside `perf record` (costs.rs) and of a
//! walked instruction (steps.rs).

mod accuracy;
mod costs;
mod lackey;
mod perf;
mod places;
mod programs;
mod rank;
mod ranks;
mod sampled;
mod samples;
mod steps;
mod targets;
mod trace;
mod truth;

pub use accuracy::run as shares;
pub use costs::run as costs;
pub use ranks::run as ranks;
