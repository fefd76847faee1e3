//! Collectors: each turns what the kernel side aggregates into the model's words, window by window.

pub mod allocations;
pub mod mappings;
pub mod perf;
pub mod phases;
pub mod tasks;
pub mod thread_events;
