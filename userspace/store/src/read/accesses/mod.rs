//! Sampled accesses: the samples one by one, what is known of them at the run's end, and what they come to.

pub(super) mod report;
pub(crate) mod samples;
pub(super) mod totals;
