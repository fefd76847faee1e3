//! Sweeps of simulated hosts against what the simulator knows to be true, and how they end. Time passes only in waits, so that
//! every figure is the same on every machine.
#![allow(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "helpers of tests, too")]

mod accuracy;
mod curves;
mod ends;
mod host;
