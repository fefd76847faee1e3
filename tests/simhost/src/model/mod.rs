//! The machine that is simulated: caches, programs, tasks, CPUs, counters. Pure and without I/O: the same seed and the
//! same steps give the same machine.

pub mod cache;
pub mod control;
pub mod counters;
pub mod machine;
pub mod program;
mod program_text;
pub mod random;
pub mod task;
pub mod truth;
