//! The metrics of a target, and what each of them is.

use serde::{Deserialize, Serialize};

/// How windows of a metric become one of a longer step, and values of several processes one of their target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// An amount that came up in the window: amounts of windows and of processes add up. Its rate is the amount over the window's length.
    Sum,
    /// A level at the window's end: levels of processes add up, of windows it is the mean.
    Level,
    /// A share of something: the mean, of windows and of processes alike.
    Mean,
}

/// What a metric's number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
    /// Nanoseconds.
    Nanoseconds,
    /// A share from 0 to 1.
    Ratio,
}

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $variant:ident = $name:literal, $fold:ident, $unit:ident;)+) => {
        /// A metric of a target. Its name is the column of the store, the key in JSON and the word in rules.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum Metric {
            $($(#[doc = $help])+ #[serde(rename = $name)] $variant,)+
        }

        impl Metric {
            /// All of them, in the order of their columns.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name everywhere.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// How it adds up.
            pub const fn fold(self) -> Fold {
                match self { $(Self::$variant => Fold::$fold),+ }
            }

            /// What it counts.
            pub const fn unit(self) -> Unit {
                match self { $(Self::$variant => Unit::$unit),+ }
            }

            /// One sentence for people.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => concat!($($help),+).trim_ascii()),+ }
            }
        }
    };
}

metrics! {
    /// Processes of the target that lived in the window.
    Processes = "processes_count", Level, Count;
    /// Threads of the target at the window's end.
    Threads = "threads_count", Level, Count;
    /// CPU time.
    Cpu = "cpu_ns", Sum, Nanoseconds;
    /// Time threads were ready to run and waited for a CPU.
    RunQueue = "run_queue_ns", Sum, Nanoseconds;
    /// Time threads neither ran nor waited for a CPU: asleep, or waiting for I/O or locks.
    OffCpu = "off_cpu_ns", Sum, Nanoseconds;
    /// Page faults served without I/O.
    MinorFaults = "minor_faults_count", Sum, Count;
    /// Page faults that waited for I/O.
    MajorFaults = "major_faults_count", Sum, Count;
    /// Context switches by which threads gave the CPU up.
    VoluntarySwitches = "voluntary_switches_count", Sum, Count;
    /// Context switches by which the CPU was taken from threads.
    InvoluntarySwitches = "involuntary_switches_count", Sum, Count;
    /// Moves of threads to another CPU.
    Migrations = "migrations_count", Sum, Count;
    /// Resident memory at the window's end.
    Rss = "rss_bytes", Level, Bytes;
    /// Address space in use at the window's end.
    Mapped = "mapped_bytes", Level, Bytes;
    /// Bytes added to the address space by mmap, mremap and brk.
    MmapBytes = "mmap_bytes", Sum, Bytes;
    /// Bytes taken from the address space by munmap, mremap and brk.
    MunmapBytes = "munmap_bytes", Sum, Bytes;
    /// Allocator calls that allocated, estimated from probing part of the time.
    AllocCount = "alloc_count", Sum, Count;
    /// Bytes asked of the allocator, estimated likewise.
    AllocBytes = "alloc_bytes", Sum, Bytes;
    /// Allocator calls that freed, estimated likewise.
    FreeCount = "free_count", Sum, Count;
    /// Bytes given back to the allocator, estimated likewise.
    FreedBytes = "freed_bytes", Sum, Bytes;
    /// Share of the window in which allocator calls were probed.
    Probed = "probed_ratio", Mean, Ratio;
    /// Sampled memory accesses that were resolved.
    Samples = "access_samples_count", Sum, Count;
    /// Share of stores among sampled accesses.
    Stores = "store_ratio", Mean, Ratio;
    /// Memory whose pages sampled accesses touched, at least: what was sampled.
    WorkingSet = "working_set_bytes", Level, Bytes;
    /// CPU cycles, where a PMU counts them.
    Cycles = "cycles_count", Sum, Count;
    /// Instructions, where a PMU counts them.
    Instructions = "instructions_count", Sum, Count;
    /// Misses of the last cache level, where a PMU counts them.
    CacheMisses = "cache_misses_count", Sum, Count;
    /// Last-level cache the target's lines occupy, where the machine monitors it (CMT).
    LlcOccupancy = "llc_occupancy_bytes", Level, Bytes;
    /// Memory bandwidth, where the machine monitors it (MBM).
    MemoryTraffic = "mbm_total_bytes", Sum, Bytes;
    /// What waytrace's probes and samples cost the target, as a share of its CPU time.
    Overhead = "overhead_ratio", Mean, Ratio;
    /// Of the memory bandwidth, that of the node's own memory, where the machine monitors it (MBM).
    LocalTraffic = "mbm_local_bytes", Sum, Bytes;
}

impl Metric {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|metric| metric.name() == name)
    }

    /// Position in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_names_lead_back() {
        for (position, &metric) in Metric::ALL.iter().enumerate() {
            assert_eq!(metric.index(), position);
            assert_eq!(Metric::parse(metric.name()), Some(metric));
        }
        assert_eq!(Metric::parse("cpu"), None);
    }

    #[test]
    fn names_end_in_their_unit() {
        for metric in Metric::ALL {
            let suffix = match metric.unit() {
                Unit::Count => "_count",
                Unit::Bytes => "_bytes",
                Unit::Nanoseconds => "_ns",
                Unit::Ratio => "_ratio",
            };
            assert!(metric.name().ends_with(suffix), "{}", metric.name());
            assert!(metric.help().trim().ends_with('.'), "{}", metric.name());
        }
    }
}
