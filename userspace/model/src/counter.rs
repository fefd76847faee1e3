//! Counters: which events a run counts and their raw readings. Rates and ratios are derived on read.

use serde::{Deserialize, Serialize};

/// Unit of a counter's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A plain count.
    Count,
    /// Nanoseconds.
    Ns,
    /// CPU cycles or TSC ticks.
    Cycles,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// The spelling used in the store and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Ns => "ns",
            Self::Cycles => "cycles",
            Self::Bytes => "bytes",
        }
    }

    /// Reads the spelling back; anything unknown is a plain count.
    pub fn parse(text: &str) -> Self {
        match text {
            "ns" => Self::Ns,
            "cycles" => Self::Cycles,
            "bytes" => Self::Bytes,
            _ => Self::Count,
        }
    }
}

/// An event of a run; readings name it by its position in the run's event list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventInfo {
    /// Name as `perf list` spells it, lower case.
    pub name: String,
    /// Unit of its values.
    pub unit: Unit,
}

/// What one thread counted of one event in one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterReading {
    /// Thread.
    pub tid: u32,
    /// Position in the run's event list.
    pub event: u16,
    /// Increase of the counter within the window, unscaled.
    pub value: u64,
    /// Time the event was enabled for this thread within the window.
    pub time_enabled_ns: u64,
    /// Time it really counted. Less than enabled means it was multiplexed.
    pub time_running_ns: u64,
}
