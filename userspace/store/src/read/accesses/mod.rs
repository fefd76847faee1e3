//! Sampled accesses: the samples one by one, what was counted of them in the kernel, what is known of them at the run's end,
//! and what they come to.

pub(super) mod heat;
pub(super) mod report;
pub(crate) mod samples;
pub(super) mod totals;
