//! Accesses counted in the kernel, where a sample comes with its address: by page and by line, for each window.
//!
//! Everything is weighted by what a sample stands for. Where every access is an event (a watched address) weights are
//! counts of what the program did.

use serde::{Deserialize, Serialize};

/// Bytes of a page, as counted here on any machine.
pub const PAGE_BYTES: u64 = 4096;
/// Bytes of a line.
pub const LINE_BYTES: u64 = 64;

/// Weights by direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeatSums {
    /// Loads.
    pub loads: u64,
    /// Stores.
    pub stores: u64,
    /// Either: the event is of both, and only a sample's own record tells.
    pub unknown: u64,
}

impl HeatSums {
    /// Adds others. Sums saturate, as a weight may be anything a file says.
    pub fn add(&mut self, other: &Self) {
        self.loads = self.loads.saturating_add(other.loads);
        self.stores = self.stores.saturating_add(other.stores);
        self.unknown = self.unknown.saturating_add(other.unknown);
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.loads.saturating_add(self.stores).saturating_add(self.unknown)
    }
}

/// What was counted in one window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeatWindow {
    /// Its start, nanoseconds since the run started: a multiple of the run's interval.
    pub start_ns: u64,
    /// Samples.
    pub samples: u64,
    /// Those of them whose record was handed on: the others are only counted.
    pub passed: u64,
    /// Weights, those that no table had room for included.
    pub sums: HeatSums,
    /// Pages and lines. What is missing in the sums of either found no room in the table, or had to make way in it.
    pub cells: Vec<HeatCell>,
}

/// What was counted of one page or line of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeatCell {
    /// Process.
    pub tgid: u32,
    /// Its first byte.
    pub address: u64,
    /// A line of [`LINE_BYTES`], not a page of [`PAGE_BYTES`].
    pub is_line: bool,
    /// [`crate::access::Region::id`] of the mapping it lies in, where known.
    pub region: Option<u32>,
    /// Weights.
    pub sums: HeatSums,
}
