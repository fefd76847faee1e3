//! Builds the programs of known behaviour in `workloads/`, for the tests in `suite/` and for benchmarks.
//!
//! Does not run them: `suite/harness` does. Nothing of the product depends on this crate.
#![forbid(unsafe_code)]

pub mod build;
pub mod paths;
