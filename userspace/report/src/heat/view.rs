//! What part of a run a heat map shows, and how finely.

use super::space::Range;

/// What to show; the default is all of it in blocks of a page and cells of at least a millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Bytes of a block as a power of two, 0–40: gaps longer than a block are cut out, and no cell is lower.
    pub block_bits: u8,
    /// Lowest address shown.
    pub block_min: u64,
    /// Highest address shown.
    pub block_max: u64,
    /// Time the picture starts at, nanoseconds since the run started.
    pub time_min_ns: u64,
    /// Time it ends at; `None` is the end of the run.
    pub time_max_ns: Option<u64>,
    /// No cell is narrower, nanoseconds.
    pub time_unit_ns: u64,
}

impl Default for View {
    fn default() -> Self {
        Self {
            block_bits: 12,
            block_min: 0,
            block_max: u64::MAX,
            time_min_ns: 0,
            time_max_ns: None,
            time_unit_ns: 1_000_000,
        }
    }
}

impl View {
    /// Whether an access is in it.
    pub(super) fn shows(&self, at_ns: u64, address: u64) -> bool {
        (self.time_min_ns..self.time_max_ns.unwrap_or(u64::MAX)).contains(&at_ns)
            && (self.block_min..=self.block_max).contains(&address)
    }

    /// The part of a range that is in it.
    pub(super) fn clip(&self, range: Range) -> Option<Range> {
        let (start, end) = (range.start.max(self.block_min), range.end.min(self.block_max.saturating_add(1)));
        (start < end).then_some(Range { start, end, ..range })
    }
}
