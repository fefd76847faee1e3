//! What can go wrong with a sweep, each with the way to mend it.

use std::path::PathBuf;

use waytrace_hw::rdt::RdtError;
use waytrace_hw::undo::UndoError;

/// Errors of sweeps.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// Numbers of ways that cannot be visited.
    #[error(
        "--ways {text}: {reason}; this cache takes masks of from {least} to {most} ways, written like 1-4,8"
    )]
    Ways {
        /// As asked for.
        text: String,
        /// What is wrong.
        reason: String,
        /// Fewest ways of a mask.
        least: u32,
        /// Most ways of a mask.
        most: u32,
    },
    /// No mask at all is left.
    #[error(
        "exclusive and pseudo-locked classes hold all ways of {resource}, or all but too few; `waytrace cache show` lists them"
    )]
    NoWays {
        /// The cache, as schemata name it.
        resource: String,
    },
    /// The machine allocates other things than a last-level cache.
    #[error("this machine does not allocate its L3{}, and a sweep has nothing to take away", has(.present))]
    NoL3 {
        /// What it allocates.
        present: Vec<String>,
    },
    /// A condition that is none.
    #[error("--slo `{text}`: {reason}")]
    Slo {
        /// As asked for.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// A condition or limit on what this machine does not tell.
    #[error("{option} is on {metric}, which this machine does not tell: {reason}")]
    NotTold {
        /// The option.
        option: &'static str,
        /// The metric.
        metric: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// There is no such process.
    #[error("there is no process {pid}; has it ended?")]
    NoTarget {
        /// Process.
        pid: u32,
    },
    /// The target may run where its class does not hold.
    #[error(
        "registers give classes to CPUs, and process {pid} may run on {target}, not only on {cpus}: name CPUs with --cpus and keep it \
         there (`taskset -pac {cpus} {pid}`), or use `--interface resctrl`"
    )]
    NotConfined {
        /// Process.
        pid: u32,
        /// CPUs it may run on.
        target: String,
        /// CPUs whose class would be changed.
        cpus: String,
    },
    /// `--cpus` where threads have classes.
    #[error(
        "--cpus is for `--interface msr`: by resctrl the sweep follows the threads of the process, wherever they run"
    )]
    CpusNotNeeded,
    /// There is no CPU for the co-runner.
    #[error(
        "cache {cache} has no CPU besides the target's ({cpus}), on which a co-runner could press old lines out; leave one free"
    )]
    NoCpuLeft {
        /// The cache.
        cache: u32,
        /// The target's CPUs.
        cpus: String,
    },
    /// The cache is divided into nodes.
    #[error(
        "the L3 is divided into {nodes} NUMA nodes (sub-NUMA clustering): a way is a part in each, and a co-runner could press old lines out of its \
         own part only; switch the clustering off in the firmware"
    )]
    Divided {
        /// Nodes of a cache.
        nodes: u32,
    },
    /// Groups have to be given bandwidth counters, and none is left.
    #[error(
        "misses would be told by memory traffic, and of the bandwidth counters that groups are given none is left on cache {cache}; take one \
         back: `echo 'mbm_total_bytes:*=_' > /sys/fs/resctrl/GROUP/mbm_L3_assignments`"
    )]
    NoCounterLeft {
        /// The cache.
        cache: u32,
    },
    /// Neither counters nor monitors tell of misses.
    #[error(
        "nothing here tells of misses: there are no events of the last-level cache ({reason}), and no monitors of memory traffic (MBM); \
         `waytrace doctor` says what is missing"
    )]
    NothingTold {
        /// Why there are no events.
        reason: String,
    },
    /// Counters that cannot be used.
    #[error("counting {what}: {reason}")]
    Counting {
        /// Whose or which.
        what: String,
        /// Why not.
        reason: String,
    },
    /// The co-runner.
    #[error("{what}: {source}")]
    Corunner {
        /// What was tried.
        what: String,
        /// What came of it.
        source: std::io::Error,
    },
    /// A file of the target or the host.
    #[error("reading {}: {source}", .path.display())]
    Read {
        /// File.
        path: PathBuf,
        /// What reading gave.
        source: std::io::Error,
    },
    /// Points could not be handed on.
    #[error("keeping a point: {0}")]
    Sink(String),
    /// Cache allocation.
    #[error(transparent)]
    Rdt(#[from] RdtError),
    /// The journal or the watchdog.
    #[error(transparent)]
    Undo(#[from] UndoError),
    /// Topology.
    #[error(transparent)]
    Hw(#[from] waytrace_hw::Error),
}

fn has(present: &[String]) -> String {
    if present.is_empty() { String::new() } else { format!(" (only {})", present.join(", ")) }
}
