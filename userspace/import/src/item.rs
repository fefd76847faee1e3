//! What the readers hand over, whatever they read.

use waytrace_hw::sampling::records::Mapped;
use waytrace_model::access::{AccessKind, Precise};
use waytrace_model::run::Host;

/// One thing a recording says.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A sample.
    Sample(Box<Sample>),
    /// A mapping.
    Mapped(Mapped),
    /// A thread has a new name; with `exec` its process has a new address space.
    Named { tgid: u32, tid: u32, comm: String, exec: bool },
    /// A thread or process has begun.
    Forked { tgid: u32, parent_tgid: u32 },
    /// Records the recording tool lost, by the name of the loss.
    Lost(&'static str, u64),
    /// The kernel held samples back.
    Throttled,
}

/// A sample. What the recording does not say is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    pub time_ns: u64,
    pub tgid: u32,
    pub tid: u32,
    pub cpu: Option<u32>,
    pub ip: Option<u64>,
    /// Name of its instruction, where the recording has one.
    pub place: Option<Place>,
    pub address: Option<u64>,
    pub kind: Option<AccessKind>,
    /// Events it stands for.
    pub period: Option<u64>,
    /// Position of its event in [`Facts::events`].
    pub event: usize,
    pub in_kernel: bool,
    pub precise: Option<Precise>,
}

/// A name of an instruction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Place {
    pub symbol: Option<String>,
    pub offset: u64,
    pub module: Option<String>,
}

/// The clock of the samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clock {
    /// perf's own: near `CLOCK_MONOTONIC`, and nobody promises how near.
    #[default]
    Perf,
    /// A clock asked for by its number (`clock_gettime(2)`).
    Id(i32),
}

impl Clock {
    /// `CLOCK_MONOTONIC_RAW`.
    pub const RAW: Self = Self::Id(4);

    pub fn name(self) -> String {
        match self {
            Self::Perf => "perf's default clock".to_owned(),
            Self::Id(0) => "CLOCK_REALTIME".to_owned(),
            Self::Id(1) => "CLOCK_MONOTONIC".to_owned(),
            Self::Id(4) => "CLOCK_MONOTONIC_RAW".to_owned(),
            Self::Id(7) => "CLOCK_BOOTTIME".to_owned(),
            Self::Id(11) => "CLOCK_TAI".to_owned(),
            Self::Id(other) => format!("clock {other}"),
        }
    }
}

/// What a recording says of itself.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Names of its events.
    pub events: Vec<String>,
    pub host: Host,
    /// Command line of the tool that made it.
    pub command: Option<String>,
    pub clock: Clock,
    /// Samples asked for a second.
    pub rate_hz: Option<f64>,
    /// Sentences about what is missing.
    pub notes: Vec<String>,
    /// How addresses are got into such a recording.
    pub mend: &'static str,
}

impl Facts {
    /// Says something once.
    pub fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }
}
