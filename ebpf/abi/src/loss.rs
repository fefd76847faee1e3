//! Everything the kernel side saw and could not record, one counter per kind.

/// The ring had no room for a record.
pub const RING_FULL: u32 = 0;
/// No room for another site; the call is counted under site 0.
pub const SITES_FULL: u32 = 1;
/// No room for another live block; its lifetime and its share of live bytes are unknown.
pub const LIVE_FULL: u32 = 2;
/// No room for another thread's state; the call is not counted.
pub const THREADS_FULL: u32 = 3;
/// No room for another (thread, window) reading.
pub const READINGS_FULL: u32 = 4;
/// No room for another stack by frame pointer, or none could be taken.
pub const STACKS_FULL: u32 = 5;
/// No room for another process: a child is not followed.
pub const TARGETS_FULL: u32 = 6;
/// No room for a CPU's totals of a window of accesses; what it sampled is in no total.
pub const HEAT_FULL: u32 = 7;
/// How many kinds there are.
pub const KINDS: u32 = 8;

/// The names the user side reports them under, in order.
pub const NAMES: [&str; KINDS as usize] = [
    "ring_full",
    "sites_full",
    "live_full",
    "threads_full",
    "readings_full",
    "stack_missing",
    "targets_full",
    "heat_full",
];
