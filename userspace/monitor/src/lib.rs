//! Continuous monitoring: what stays on in production.
//!
//! ```text
//!   exec, fork, exit ─► Watch ──► targets (selectors) ─► who belongs to which target
//!   tasks iterator ───►  │                                   │
//!   turns: allocator     ▼                                   ▼
//!   probes, access ───► Engine ── HostWindow, once a window ─┬─► history   a thread: SQLite, steps, retention
//!   samples of one        ▲                                  ├─► rules ──► alerts ──► hooks, recordings
//!   process at a time     │                                  ├─► web      /metrics, /debug/pprof, live page
//!                       budget ◄── own CPU, traps            └─► JSON lines, `top`
//! ```
//!
//! * [`config`] – the file and the flags, one type; a bad file is refused whole
//! * [`targets`] – selectors (command, executable, pid file, cgroup, unit, container, pod) against processes
//! * [`engine`] – what is measured, and when; the division of the budget
//! * [`rules`] – conditions over windows, with baselines, slopes and hysteresis
//! * [`hooks`] – whom an alert is told: webhook, command, log
//! * [`record`] – detailed profiles, by a waytrace of their own, at most so many an hour
//! * [`history`] – windows on their way to the store; what a full or locked disk does to them
//! * [`web`] – HTTP: metrics, health, pprof, the live page
//! * [`life`] – service manager, capabilities
//!
//! Every part takes and gives plain data ([`waytrace_model::monitor`]), so that all but the engine is tested without a kernel. The window is the
//! unit of everything: a crash loses at most the one under way.

mod client;
pub mod config;
pub mod engine;
pub mod history;
pub mod hooks;
pub mod life;
pub mod record;
pub mod rules;
pub mod targets;
pub mod web;
