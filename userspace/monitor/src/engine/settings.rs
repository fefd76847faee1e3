//! What the engine is told.

use waytrace_hw::Root;

/// What the engine is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Length of a window.
    pub window_ns: u64,
    /// waytrace's CPU time, percent of all CPUs.
    pub cpu_pct: f64,
    /// waytrace's resident memory, bytes.
    pub rss_bytes: u64,
    /// What turns may take of a target's CPU time, percent.
    pub target_slowdown_pct: f64,
    /// Measure allocations.
    pub allocations: bool,
    /// Sample accesses.
    pub accesses: bool,
    /// Watch mappings.
    pub mappings: bool,
    /// Count events of the PMU.
    pub events: bool,
    /// Monitor caches.
    pub cache: bool,
    /// What stands in for `/` where caches are monitored: a simulated host's.
    pub cache_root: Root,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window_ns: 10_000_000_000,
            cpu_pct: 1.0,
            rss_bytes: 150 << 20,
            target_slowdown_pct: 1.0,
            allocations: true,
            accesses: true,
            mappings: true,
            events: true,
            cache: true,
            cache_root: Root::default(),
        }
    }
}

/// CPU time and memory that others of waytrace's processes take, told from outside.
#[derive(Debug, Clone, Copy, Default)]
pub struct Others {
    /// CPU time of recordings since the last window, nanoseconds.
    pub recording_cpu_ns: u64,
    /// Bytes of the history.
    pub store_bytes: Option<u64>,
    /// Windows that wait to be written.
    pub store_waiting: u64,
}
