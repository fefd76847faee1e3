//! The tests that run the built binary: command line, live on workloads of known truth, golden contracts.
//!
//! `WAYTRACE_BIN` names the binary, else it is the release build. A test that cannot run on this machine prints
//! `SKIP: reason` and passes. Live tests take turns; nothing asserts a timing.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and the harness is part of the tests"
)]

mod accesses;
mod allocations;
mod allocators;
mod bench_cli;
mod budgeted;
mod cli_bad_input;
mod cli_cache;
mod cli_cache_hosts;
mod cli_cache_trouble;
mod cli_cache_watch;
mod cli_curves;
mod cli_doctor;
mod cli_events;
mod cli_events_analysis;
mod cli_events_pair;
mod cli_history;
mod cli_store;
mod cli_sweep;
mod cli_top;
mod cli_top_live;
mod cli_top_terminal;
mod cli_usage;
mod counters;
mod events_measure;
mod events_scopes;
mod golden;
mod harness;
mod images;
mod import;
mod kills;
mod mappings;
mod monitor;
mod monitor_record;
mod pqos;
mod processes;
mod programs;
mod safety;
mod samples;
mod stacks;
mod threads;
mod traced;
mod without_multi;
mod workloads;
