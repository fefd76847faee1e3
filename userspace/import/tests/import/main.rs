//! Recordings made here, by hand and by perf, and what becomes of them.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and the helpers are part of the tests"
)]

mod file;
mod heimdallr;
mod made;
mod perf;
mod run;
mod text;
