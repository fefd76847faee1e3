//! Values of events over time: one row per event, place and interval, in the columns of gz/autoperf's `results.csv`, so
//! that what reads those files reads these; and one event's as a picture.

pub mod csv;
pub mod parquet;
pub mod plot;
mod thrift;

/// Columns of gz/autoperf, then those it has not.
pub const COLUMNS: [&str; 10] =
    ["EVENT_NAME", "INDEX", "TIME", "SOCKET", "CORE", "CPU", "NODE", "UNIT", "SAMPLE_VALUE", "REPETITION"];

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Name of the event.
    pub event: String,
    /// Number of the interval, from 0.
    pub index: u32,
    /// End of the interval in seconds from the start, as perf stat has it.
    pub time_s: f64,
    /// Package; `None` where the value is not of one CPU, or the machine does not tell.
    pub socket: Option<u32>,
    /// Core within its package.
    pub core: Option<u32>,
    /// Logical CPU.
    pub cpu: Option<u32>,
    /// NUMA node.
    pub node: Option<u32>,
    /// `cpu`, or the PMU.
    pub unit: String,
    /// What was counted, never scaled.
    pub value: f64,
    /// Which repetition of the measurement, from 1.
    pub repetition: u32,
}
