//! Sampled accesses: the samples one by one, what they belong to, and their totals.

pub(crate) mod samples;
pub(super) mod totals;
