//! The store through its public interface: what goes in comes out, and what goes wrong says how to mend it.

// Helpers are test code too; clippy only knows functions marked as tests.
#![allow(clippy::unwrap_used)]

mod fixture;
mod support;
mod traced;

mod accesses;
mod concurrency;
mod corruption;
mod crash;
mod disk_full;
mod docs;
mod heat;
mod kept;
mod measured;
mod migration;
mod monitor;
mod opening;
mod pairs;
mod prune;
mod roundtrip;
mod select;
mod series;
mod sweeps;
mod unfinished;
