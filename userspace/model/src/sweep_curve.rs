//! What the points of a way sweep come to: curves over the number of ways with their bands, and what is read off them.

use serde::{Deserialize, Serialize};

use crate::sweep::{MissSource, SweepEnd, SweepHeader, SweepPoint};

/// Version of the JSON contract of a sweep.
pub const SCHEMA_VERSION: u32 = 1;

/// What `show SWEEP --json` prints: all that was measured, and what follows from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Its id, unique among the sweeps of its database.
    pub id: i64,
    /// What was asked, of whom.
    pub sweep: SweepHeader,
    /// How it ended; null: it goes on, or was killed.
    pub end: Option<SweepEnd>,
    /// What follows from the points.
    pub curves: Curves,
    /// What was measured, in order.
    pub points: Vec<SweepPoint>,
}

/// Curves over the number of ways, and what is read off them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curves {
    /// From where misses are known; null: not at all.
    pub misses: Option<MissSource>,
    /// A point for each number of ways of which anything was counted, ascending.
    pub ways: Vec<CurvePoint>,
    /// Windows that are in no curve.
    pub left_out: LeftOut,
    /// Windows in the curves whose events had the counters part of the time only; their counts are scaled up.
    pub multiplexed: u64,
    /// What the reference points show; null where there are none with cycles.
    pub reference: Option<Reference>,
    /// Where more ways begin to bring less; null where the curve has no such place.
    pub knee: Option<Knee>,
    /// The least share of the cache with which it misses no more than with all of it.
    pub working_set: Option<Least>,
    /// The least share with which it has 95 % of its best instructions per cycle.
    pub near_peak_ipc: Option<Least>,
    /// Why something above is missing or to be read with care, a sentence each.
    pub notes: Vec<String>,
}

/// What was measured with so many ways.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Ways the target might fill.
    pub ways: u32,
    /// Bytes they hold in one cache, where the size of a way is known.
    pub bytes: Option<u64>,
    /// No window of it settled, so those that did not are used: it may be too good, for lines outside the mask still hit.
    pub unsettled: bool,
    /// Misses per reference; null unless both are counted.
    pub miss_ratio: Option<Estimate>,
    /// Misses per 1000 instructions, or lines from and to memory, as [`Curves::misses`] says.
    pub mpki: Option<Estimate>,
    /// Instructions per cycle.
    pub ipc: Option<Estimate>,
    /// The same, each window divided by how the reference points around it differ from their mean; null unless they drift.
    pub ipc_normalised: Option<Estimate>,
    /// Bytes held at the end of the windows, in all caches together.
    pub occupancy_bytes: Option<Estimate>,
    /// Bytes from and to memory per second.
    pub bandwidth_bytes_per_s: Option<Estimate>,
    /// The nearest miss ratios that never rise with more ways (least squares); beside the measured ones, not instead.
    pub miss_ratio_isotonic: Option<f64>,
    /// The same of MPKI.
    pub mpki_isotonic: Option<f64>,
    /// The nearest IPCs that never fall with more ways.
    pub ipc_isotonic: Option<f64>,
    /// The windows themselves, in order.
    pub windows: Vec<WindowFigures>,
}

/// Figures of one window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WindowFigures {
    /// Which sweep, from 0.
    pub sweep: u32,
    /// As [`CurvePoint::miss_ratio`].
    pub miss_ratio: Option<f64>,
    /// As [`CurvePoint::mpki`].
    pub mpki: Option<f64>,
    /// As [`CurvePoint::ipc`].
    pub ipc: Option<f64>,
}

/// A figure over several windows: the ratio of their sums.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Its value.
    pub value: f64,
    /// Lower end of its 95 % band; null of a single window, which does not tell how much windows differ.
    pub ci95_low: Option<f64>,
    /// Upper end.
    pub ci95_high: Option<f64>,
    /// Standard deviation of the single windows' figures; null of a single one.
    pub std: Option<f64>,
    /// Windows it is of.
    pub windows: u32,
}

/// Windows that are in no curve, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Somebody else changed the masks meanwhile.
    pub disturbed: u64,
    /// The mask had not taken effect, and other windows of as many ways had settled.
    pub unsettled: u64,
    /// Nothing was counted in them.
    pub uncounted: u64,
}

/// What the windows with all ways that stand between the points show: how much the target changes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Windows.
    pub windows: u32,
    /// Instructions per cycle over all of them.
    pub ipc: f64,
    /// The least of one window.
    pub least_ipc: f64,
    /// The greatest.
    pub most_ipc: f64,
    /// Whether it changes in time, not only from window to window: von Neumann's ratio below its 5 % bound, and a standard
    /// deviation of at least 1 %.
    pub drifts: bool,
}

/// Which curve something was read off: the isotonic one of this figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CurveOf {
    /// Misses per reference.
    MissRatio,
    /// Misses, or lines of memory traffic, per 1000 instructions.
    Mpki,
    /// Instructions per cycle.
    Ipc,
}

/// The place of a curve that lies farthest from the straight line between its ends, on the side of fewer misses.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Knee {
    /// Of which curve.
    pub of: CurveOf,
    /// Where.
    pub ways: u32,
    /// Bytes of these, where known.
    pub bytes: Option<u64>,
    /// How far from that line, of the curve's height, 0–1.
    pub distance: f64,
    /// Fewest and most ways it is at when any one sweep is left out; null of a single sweep.
    pub ways_low: Option<u32>,
    /// The most.
    pub ways_high: Option<u32>,
}

/// The least number of ways that is enough.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Least {
    /// Of which curve.
    pub of: CurveOf,
    /// Least number of ways visited that is enough.
    pub ways: u32,
    /// Bytes of these, where known.
    pub bytes: Option<u64>,
    /// The next smaller number visited, which is not enough; null where the smallest is. What is needed lies above it.
    pub above_ways: Option<u32>,
    /// Fewest ways that the bands allow to be enough; null without bands.
    pub ways_low: Option<u32>,
    /// Fewest ways that are enough wherever in their bands the points are; null without bands.
    pub ways_high: Option<u32>,
    /// How much worse than the best still is enough, in the figure's own unit.
    pub tolerance: f64,
    /// Only all ways are enough: a larger cache might serve better.
    pub at_least: bool,
}

impl Estimate {
    /// Both ends of its band.
    pub fn band(&self) -> Option<(f64, f64)> {
        self.ci95_low.zip(self.ci95_high)
    }
}
