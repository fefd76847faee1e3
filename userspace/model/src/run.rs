//! One attach-to-detach: its identity, the machine, the target, and how it ended.

use serde::{Deserialize, Serialize};

use crate::phase::PhaseRule;

/// Why a run stopped collecting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndedBy {
    /// `--duration` elapsed.
    Duration,
    /// SIGINT or SIGTERM reached waytrace.
    Interrupt,
    /// Every target process exited.
    TargetExit,
    /// The database could not be written any more; what was stored before is intact.
    StoreFailure,
    /// The run has no end record: waytrace was killed while it was collecting.
    Unfinished,
}

impl EndedBy {
    /// The spelling used in the store and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::Interrupt => "interrupt",
            Self::TargetExit => "target-exit",
            Self::StoreFailure => "store-failure",
            Self::Unfinished => "unfinished",
        }
    }

    /// Reads the spelling back; anything unknown is a run without a proper end.
    pub fn parse(text: &str) -> Self {
        match text {
            "duration" => Self::Duration,
            "interrupt" => Self::Interrupt,
            "target-exit" => Self::TargetExit,
            "store-failure" => Self::StoreFailure,
            _ => Self::Unfinished,
        }
    }
}

/// The machine a run was taken on: its provenance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Node name as `uname -n` prints it.
    pub hostname: String,
    /// Kernel release as `uname -r` prints it.
    pub kernel: String,
    /// Machine architecture as `uname -m` prints it.
    pub arch: String,
    /// CPU model string of `/proc/cpuinfo`.
    pub cpu_model: String,
    /// Microcode revision, where the kernel tells it.
    pub microcode: Option<String>,
    /// Logical CPUs online.
    pub cpus_online: u32,
    /// Memory the kernel manages, in bytes.
    pub memory_bytes: u64,
    /// NUMA nodes with their CPUs; empty where the kernel knows of none, or the run does not tell.
    #[serde(default)]
    pub numa_nodes: Vec<NumaNode>,
    /// Hypervisor, where the CPU says it runs under one.
    pub hypervisor: Option<String>,
    /// PMUs under `/sys/bus/event_source/devices`.
    pub pmus: Vec<String>,
    /// Version of waytrace that took the run.
    pub waytrace_version: String,
}

/// A NUMA node and who is on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumaNode {
    /// Number of the node.
    pub id: u32,
    /// Its CPUs, ascending; none for a memory-only node.
    pub cpus: Vec<u32>,
}

/// The process a run was attached to, as found at its start. With several targets this is the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetInfo {
    /// Thread group id in waytrace's PID namespace.
    pub tgid: u32,
    /// Command name (`/proc/PID/comm`).
    pub comm: String,
    /// Command line, arguments joined by one space.
    pub cmdline: String,
    /// Path of the executable as the target sees it.
    pub exe: String,
    /// Build id of the executable, lower-case hex, where it has one.
    pub build_id: Option<String>,
    /// Start time of the process in clock ticks since boot: with `tgid` it tells a reused pid apart.
    pub start_time_ticks: u64,
}

/// What is known when a run begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunHeader {
    /// Name given by the user, or `<comm>-<n>`.
    pub name: String,
    /// Wall-clock start, nanoseconds since the Unix epoch.
    pub started_at_unix_ns: u64,
    /// `CLOCK_MONOTONIC` at the start: time zero of the run's windows.
    pub started_at_ns: u64,
    /// Window length asked for, in nanoseconds.
    pub interval_ns: u64,
    /// waytrace's own command line.
    pub command: String,
    /// The machine.
    pub host: Host,
    /// The target.
    pub target: TargetInfo,
    /// Overhead budget in percent of the target's CPU time; `None` with `--exact`.
    pub budget_pct: Option<f64>,
    /// What ends a phase; `None` without `--phase-cycles`.
    pub phases: Option<PhaseRule>,
}

/// A measuring interval. `start_ns` and `end_ns` count from the start of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Position in the run, from 0, without gaps.
    pub index: u64,
    /// Start, nanoseconds since the run started.
    pub start_ns: u64,
    /// End, nanoseconds since the run started.
    pub end_ns: u64,
}
