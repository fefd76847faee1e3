//! A measurement of many events: which events each run counts, on what, and what every epoch counted.
//!
//! An **epoch** is one run's events counted once: for one execution of a command, or for a while on what is running anyway.
//! Epochs differ in what they count, so a measurement is no run of windows and has tables of its own in the store.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::counter::Unit;
use crate::run::Host;

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Scope {
    /// All CPUs, for as long as a command runs; an epoch is one execution.
    Command {
        /// Program and arguments.
        command: Vec<String>,
    },
    /// All threads of a process, those it creates and the processes it forks.
    Process {
        /// Thread group id.
        tgid: u32,
        /// Its command name.
        comm: String,
        /// Start time in clock ticks since boot: tells a reused id apart.
        start_time_ticks: u64,
    },
    /// All processes of a control group, by CPU.
    Cgroup {
        /// Its directory.
        path: String,
    },
    /// All that runs, by CPU.
    AllCpus,
}

/// An event of a measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredEvent {
    /// Name in the catalogue of events; several instances of a PMU have it in common.
    pub name: String,
    /// The name it is opened by, which tells the instance: `uncore_imc_0/cas_count_read/`.
    pub perf_name: String,
    /// PMU as the catalogue calls it.
    pub pmu: String,
    /// Unit of its values.
    pub unit: Unit,
    /// What one count is worth, where the PMU says; values stay raw.
    pub scale: Option<String>,
}

/// What is to be measured, and how. Events are named by their place in `events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasurementPlan {
    /// On what.
    pub scope: Scope,
    /// Time between two readings, in nanoseconds.
    pub interval_ns: u64,
    /// Length of an epoch in nanoseconds; `None`: as long as the command takes.
    pub epoch_ns: Option<u64>,
    /// Epochs of each run; at least 1.
    pub repeat: u32,
    /// When an execution is ended, in nanoseconds; `None`: never.
    pub timeout_ns: Option<u64>,
    /// Drift beyond which an epoch is repeated, in percent; `None`: none is.
    pub max_drift_pct: Option<f64>,
    /// The events.
    pub events: Vec<MeasuredEvent>,
    /// Events counted in every epoch, so that epochs can be compared; the first that counted anything is used.
    pub anchors: Vec<u32>,
    /// Events of each run, its anchors among them.
    pub runs: Vec<Vec<u32>>,
}

/// A setting of the machine that decides what can be counted or how well it repeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Precondition {
    /// What it is called: `perf_event_paranoid`.
    pub name: String,
    /// As found; `None` where the machine does not tell.
    pub value: Option<String>,
    /// Whether it is as it should be for this measurement.
    pub is_good: bool,
    /// What follows from it, and how to change it where it should be.
    pub effect: String,
}

/// Somebody else who has perf events open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PmuUser {
    /// Process; `None` for the kernel itself.
    pub pid: Option<u32>,
    /// Its name.
    pub name: String,
    /// Perf events it has open.
    pub events: u32,
}

/// Where a CPU is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuPlace {
    /// Logical CPU.
    pub cpu: u32,
    /// Core within its package, where the kernel tells.
    pub core: Option<u32>,
    /// Package (socket), where the kernel tells.
    pub package: Option<u32>,
    /// NUMA node, where the kernel tells.
    pub node: Option<u32>,
    /// Frequency governor, where there is one.
    pub governor: Option<String>,
}

/// What a measurement was taken under, beyond the machine itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circumstances {
    /// Settings looked at.
    pub preconditions: Vec<Precondition>,
    /// Others who had perf events open at the beginning.
    pub pmu_users: Vec<PmuUser>,
    /// CPUs online.
    pub cpus: Vec<CpuPlace>,
    /// CPU as perf's event files name it (`GenuineIntel-6-55-4`), where the machine tells.
    pub cpu_id: Option<String>,
    /// Memory available at the beginning, in bytes.
    pub memory_available_bytes: Option<u64>,
    /// Variables that are known to change what programs do, with their values.
    pub environment: BTreeMap<String, String>,
    /// Names of the others: their values are nobody's business.
    pub environment_names: Vec<String>,
}

/// A measurement as it was begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasurementHeader {
    /// Unique among the measurements of a database.
    pub name: String,
    /// Wall-clock start, nanoseconds since the Unix epoch.
    pub started_at_unix_ns: u64,
    /// waytrace's own command line.
    pub command: String,
    /// What the order of epochs was drawn from.
    pub seed: u64,
    /// What was asked for.
    pub plan: MeasurementPlan,
    /// The machine.
    pub host: Host,
    /// Its state.
    pub circumstances: Circumstances,
}

/// Why an epoch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EpochEnd {
    /// Its time was over.
    Duration,
    /// The command exited.
    Exit,
    /// A signal ended the command.
    Signal,
    /// waytrace ended the command, at its timeout.
    Timeout,
    /// The process measured exited.
    TargetExit,
}

impl EpochEnd {
    /// The spelling used in the store and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::Timeout => "timeout",
            Self::TargetExit => "target-exit",
        }
    }

    /// Reads the spelling back; anything unknown did not end by itself.
    pub fn parse(text: &str) -> Self {
        match text {
            "duration" => Self::Duration,
            "exit" => Self::Exit,
            "timeout" => Self::Timeout,
            "target-exit" => Self::TargetExit,
            _ => Self::Signal,
        }
    }
}

/// The time between two readings, from the start of its epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Its start, in nanoseconds.
    pub start_ns: u64,
    /// Its end, in nanoseconds.
    pub end_ns: u64,
}

/// What an event counted somewhere over a whole epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCount {
    /// Place in [`MeasurementPlan::events`].
    pub event: u32,
    /// CPU, or the process with [`Scope::Process`].
    pub place: u32,
    /// Raw value, never scaled.
    pub value: u64,
    /// Time it was enabled, in nanoseconds; of a process, summed over its threads.
    pub time_enabled_ns: u64,
    /// Time it really counted. Less than enabled means it was multiplexed.
    pub time_running_ns: u64,
}

impl EventCount {
    /// Whether it counted all the time it was enabled, which is the proof that its value is whole.
    pub fn is_whole(&self) -> bool {
        self.time_running_ns == self.time_enabled_ns
    }
}

/// What an event counted somewhere in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotCount {
    /// Place in [`Epoch::slots`].
    pub slot: u32,
    /// What it counted there.
    pub count: EventCount,
}

/// One run's events, counted once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// Position in the order of the measurement, from 0.
    pub position: u64,
    /// Which try at this position, from 1; the last one holds.
    pub attempt: u32,
    /// Place in [`MeasurementPlan::runs`].
    pub run: u32,
    /// Which epoch of this run, from 1.
    pub repetition: u32,
    /// Wall-clock start, nanoseconds since the Unix epoch.
    pub started_at_unix_ns: u64,
    /// Its length in nanoseconds, by the monotonic clock.
    pub duration_ns: u64,
    /// How it ended.
    pub ended_by: EpochEnd,
    /// Exit code of the command, 128 and the signal's number if a signal ended it.
    pub exit_code: Option<i32>,
    /// Its slots, in order of time.
    pub slots: Vec<Slot>,
    /// Totals: what has none here was not counted.
    pub counts: Vec<EventCount>,
    /// By slot; what is 0 and whole is left out.
    pub by_slot: Vec<SlotCount>,
}

/// An event that could not be counted, and was left out so that the others could.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Place in [`MeasurementPlan::events`].
    pub event: u32,
    /// What the kernel said, and where.
    pub reason: String,
}
