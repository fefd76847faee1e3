//! A series of benchmark repetitions: the matrix asked for, what each repetition took, and what is made of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The matrix as its file says it: every workload in every mode, `repeat` times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// Repetitions of each workload in each mode; at least 1.
    #[serde(default = "one")]
    pub repeat: u32,
    /// Runs of each workload at the beginning of each mode that are neither profiled nor counted.
    #[serde(default = "one")]
    pub warmup: u32,
    /// Shuffle the repetitions of all modes together, rather than mode by mode.
    #[serde(default)]
    pub interleave: bool,
    /// What the order is drawn from; `None`: drawn when the series begins.
    #[serde(default)]
    pub seed: Option<u64>,
    /// What is run.
    #[serde(rename = "workload")]
    pub workloads: Vec<Workload>,
    /// How it is run.
    #[serde(rename = "mode")]
    pub modes: Vec<Mode>,
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// Name, unique among the workloads.
    pub name: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Directory it runs in; `None`: waytrace's own.
    #[serde(default)]
    pub cwd: Option<String>,
    /// Variables added to the environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// When it is ended, as people write durations (`30s`); `None`: never.
    #[serde(default)]
    pub timeout: Option<String>,
}

/// A way of running a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mode {
    /// Name, unique among the modes.
    pub name: String,
    /// Whether waytrace attaches. A mode without is dry: the clock and the kernel's accounts, nothing else.
    #[serde(default = "yes")]
    pub profile: bool,
    /// How, where it attaches.
    #[serde(flatten)]
    pub collect: Collect,
    /// On which CPUs and memory.
    #[serde(flatten)]
    pub placement: Placement,
    /// Left out with its reason where the machine cannot do it, which is an error otherwise.
    #[serde(default)]
    pub optional: bool,
}

/// Options of `waytrace profile`, in its spelling.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Collect {
    /// Collectors; `None`: all that can run.
    #[serde(default)]
    pub collect: Option<Vec<String>>,
    /// Events to count.
    #[serde(default)]
    pub events: Option<Vec<String>>,
    /// Every allocator call.
    #[serde(default)]
    pub exact: bool,
    /// Access samples per second of CPU time.
    #[serde(default)]
    pub freq: Option<f64>,
    /// What the probes may cost, percent of CPU time (`1%`).
    #[serde(default)]
    pub budget: Option<String>,
    /// Window length (`100ms`).
    #[serde(default)]
    pub interval: Option<String>,
    /// Measure the command's children too.
    #[serde(default)]
    pub follow_forks: bool,
}

/// Where a command and its memory are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// CPUs it may run on, as the kernel lists them (`0-3,8`).
    #[serde(default)]
    pub cpus: Option<String>,
    /// NUMA node whose CPUs it may run on.
    #[serde(default)]
    pub cpu_node: Option<u32>,
    /// NUMA node its memory must be on; short for `memory_nodes` with `bind`.
    #[serde(default)]
    pub memory_node: Option<u32>,
    /// NUMA nodes of `memory_policy`, as the kernel lists them.
    #[serde(default)]
    pub memory_nodes: Option<String>,
    /// What the kernel does with `memory_nodes`.
    #[serde(default)]
    pub memory_policy: Option<MemoryPolicy>,
    /// What every CPU's frequency governor is told.
    #[serde(default)]
    pub frequency: Option<Frequency>,
}

/// A memory policy of a process. Source: set_mempolicy(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemoryPolicy {
    /// These nodes and no others.
    Bind,
    /// This node, and others where it is full.
    Preferred,
    /// These nodes in turn, page by page.
    Interleave,
}

/// A setting of the kernel's cpufreq.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frequency {
    /// `scaling_governor`.
    #[serde(default)]
    pub governor: Option<String>,
    /// `scaling_min_freq` and `scaling_max_freq`, both, in kHz.
    #[serde(default)]
    pub khz: Option<u64>,
}

/// A series as it was begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesHeader {
    /// Unique among the series of a database.
    pub name: String,
    /// Wall-clock start, nanoseconds since the Unix epoch.
    pub started_at_unix_ns: u64,
    /// waytrace's own command line.
    pub command: String,
    /// What the order was drawn from.
    pub seed: u64,
    /// What was asked for.
    pub matrix: Matrix,
    /// Optional modes this machine cannot do, with the reason.
    pub skipped: BTreeMap<String, String>,
}

/// How a repetition ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RepetitionEnd {
    /// By itself.
    Exit,
    /// By a signal.
    Signal,
    /// By waytrace, at its timeout.
    Timeout,
}

impl RepetitionEnd {
    /// The spelling used in the store and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::Timeout => "timeout",
        }
    }

    /// Reads the spelling back; anything unknown did not end by itself.
    pub fn parse(text: &str) -> Self {
        match text {
            "exit" => Self::Exit,
            "timeout" => Self::Timeout,
            _ => Self::Signal,
        }
    }
}

/// What one repetition took, by the clock and by the kernel's account of the ended process (wait4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repetition {
    /// Name of the workload.
    pub workload: String,
    /// Name of the mode.
    pub mode: String,
    /// Which of the repetitions of this workload in this mode, from 1.
    pub repetition: u32,
    /// Position in the order of the series, from 0.
    pub position: u64,
    /// Its run in the database; `None`: not profiled, or the run was deleted.
    pub run_id: Option<i64>,
    /// Wall-clock start, nanoseconds since the Unix epoch.
    pub started_at_unix_ns: u64,
    /// From its start to its end, without the time it was held for waytrace to attach.
    pub wall_ns: u64,
    /// CPU time in user mode, of the process and the children it waited for.
    pub user_ns: u64,
    /// CPU time in the kernel, likewise.
    pub system_ns: u64,
    /// Most memory resident at once, of the process or one of those children; `None`: no more than Linux lets every child
    /// of waytrace begin with, so that it is not known.
    pub max_rss_bytes: Option<u64>,
    /// How it ended.
    pub ended_by: RepetitionEnd,
    /// Its exit code; 128 and the signal's number if a signal ended it.
    pub exit_code: i32,
    /// What went wrong with measuring it, if anything did.
    pub problem: Option<String>,
}

impl Repetition {
    /// Whether the command did what it should, so that its times can be compared.
    pub fn succeeded(&self) -> bool {
        self.ended_by == RepetitionEnd::Exit && self.exit_code == 0
    }
}
