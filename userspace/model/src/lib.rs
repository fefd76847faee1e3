//! The vocabulary every waytrace crate speaks: run, window, counter reading, allocation, stack, loss, overhead.
//!
//! Plain data, no I/O and no unsafe. Two shapes matter most:
//!
//! * [`batch::Batch`] is what the collectors hand over each window and [`batch::Epilogue`] what they know only
//!   at the end; the store persists both.
//! * [`report::RunReport`] is what `show --json` prints: a documented, versioned contract derived on read.
//!
//! Times are `CLOCK_MONOTONIC` nanoseconds unless a name says otherwise; quantities carry their unit as suffix.
#![forbid(unsafe_code)]

pub mod access;
pub mod access_heat;
pub mod access_report;
pub mod allocation;
pub mod batch;
pub mod bench;
pub mod cache;
pub mod cache_report;
pub mod cache_share;
pub mod cache_watch;
pub mod collector;
pub mod counter;
pub mod detail;
pub mod histogram;
pub mod measured;
pub mod monitor;
pub mod pairing;
pub mod phase;
pub mod report;
pub mod run;
pub mod spelling;
pub mod stack;
pub mod sweep;
pub mod sweep_curve;
pub mod units;
