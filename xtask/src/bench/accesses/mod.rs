//! `accesses`: how right sampled memory accesses are, and what they cost.
//!
//! Three parts: shares against programs that know what they did (accuracy.rs), the order of pages against a full trace
//! (ranks.rs), and the price at several rates beside `perf record` (costs.rs).

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
mod targets;
mod trace;
mod truth;

use super::context::Context;
use super::figure::Figure;
use anyhow::Result;

/// The benchmark.
pub fn run(context: &Context) -> Result<Vec<Figure>> {
    let mut figures = accuracy::run(context)?;
    figures.extend(ranks::run(context)?);
    figures.extend(costs::run(context)?);
    Ok(figures)
}
