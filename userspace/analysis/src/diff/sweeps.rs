//! Two way sweeps compared: their curves share by share of the cache, and what is read off them.
//!
//! The band of a difference is made of the bands of its sides, which need not be symmetric: Newcombe's method (Stat. Med. 17, 1998), as
//! Zou and Donner have it of any two estimates with intervals (Stat. Med. 27, 2008).

mod notes;

use serde::{Deserialize, Serialize};
use waytrace_model::sweep::MissSource;
use waytrace_model::sweep_curve::{CurveOf, CurvePoint, Estimate, Knee, Least, SweepReport};

use super::change::{SAME_PCT, Verdict};

/// Version of [`SweepDiff`] as JSON; fields are only added within one.
pub const SCHEMA_VERSION: u32 = 1;

/// Sweep `b` measured against sweep `a`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepDiff {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// The base.
    pub a: SweepSide,
    /// What is compared to it.
    pub b: SweepSide,
    /// Whether shares pair by their bytes; else by their number of ways, the bytes of one being unknown on a side.
    pub by_bytes: bool,
    /// From where the misses of both are known; null: of a side they are not, or they are of different kinds and are not compared.
    pub misses: Option<MissSource>,
    /// Shares that both measured, ascending.
    pub shares: Vec<ShareChange>,
    /// Shares that only A measured.
    pub only_a: u64,
    /// Shares that only B measured.
    pub only_b: u64,
    /// Where more cache begins to bring less. Its ranges are no 95 % bands, but those without any one sweep.
    pub knee: ReadOffChange,
    /// The least share with which it misses no more than with all.
    pub working_set: ReadOffChange,
    /// The least share with 95 % of the best instructions per cycle.
    pub near_peak_ipc: ReadOffChange,
    /// What makes the comparison weaker than it looks, as sentences.
    pub notes: Vec<String>,
}

/// Which sweep a side is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepSide {
    /// Id among the sweeps of its database.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// When it began, nanoseconds since 1970.
    pub started_at_unix_ns: u64,
    /// Process.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// The cache, as schemata name it.
    pub resource: String,
    /// Ways of it.
    pub ways: u32,
    /// Bytes of one, where known.
    pub way_bytes: Option<u64>,
    /// From where its misses are known.
    pub misses: Option<MissSource>,
}

/// The figures with one share of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ShareChange {
    /// Ways in A.
    pub ways_a: u32,
    /// Ways in B: others than in A only where a way is of another size.
    pub ways_b: u32,
    /// Bytes of these in one cache, where known.
    pub bytes: Option<u64>,
    /// On a side no window settled: its figure may be too good.
    pub unsettled: bool,
    /// Misses per reference.
    pub miss_ratio: Option<Difference>,
    /// Misses, or lines of memory traffic, per 1000 instructions.
    pub mpki: Option<Difference>,
    /// Instructions per cycle.
    pub ipc: Option<Difference>,
}

/// A figure in both, and what their difference amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// In A.
    pub a: f64,
    /// In B.
    pub b: f64,
    /// B − A.
    pub difference: f64,
    /// Lower end of the 95 % band of that; null where a side has a single window, which has no band.
    pub ci95_low: Option<f64>,
    /// Upper end.
    pub ci95_high: Option<f64>,
    /// `up` and `down` where the band is all on one side of 0: beyond chance.
    pub verdict: Verdict,
}

/// Something read off both curves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReadOffChange {
    /// In A; null where its curve has none.
    pub a: Option<ReadOff>,
    /// In B.
    pub b: Option<ReadOff>,
    /// B − A in ways; null where a side is missing, read off another curve, or its ways are of another size.
    pub difference_ways: Option<i64>,
    /// B − A in bytes, where known.
    pub difference_bytes: Option<i64>,
    /// `up` and `down` where the ranges do not overlap, `within-interval` where they do.
    pub verdict: Verdict,
}

/// A place of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReadOff {
    /// Of which curve.
    pub of: CurveOf,
    /// Where.
    pub ways: u32,
    /// Bytes of these in one cache, where known.
    pub bytes: Option<u64>,
    /// Fewest ways it may be at; null without a range.
    pub ways_low: Option<u32>,
    /// Most.
    pub ways_high: Option<u32>,
}

/// Why two sweeps cannot be compared at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlike {
    /// One is of a simulated host.
    Simulated,
    /// They divided caches of different levels.
    Level,
}

impl Unlike {
    /// In words that go behind the names of the two.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Simulated => {
                "one is of a simulated host, whose figures are of no machine; compare two of one kind"
            }
            Self::Level => "they divided caches of different levels; compare two of one level",
        }
    }
}

/// Compares `b` with `a`.
///
/// # Errors
/// They are of different kinds.
pub fn sweeps(a: &SweepReport, b: &SweepReport) -> Result<SweepDiff, Unlike> {
    if a.sweep.simulated != b.sweep.simulated {
        return Err(Unlike::Simulated);
    }
    if level(&a.sweep.cache.resource) != level(&b.sweep.cache.resource) {
        return Err(Unlike::Level);
    }
    let by_bytes = a.sweep.cache.way_bytes.is_some() && b.sweep.cache.way_bytes.is_some();
    let misses = a.curves.misses.filter(|_| a.curves.misses == b.curves.misses);
    let shares = shares(a, b, by_bytes, misses.is_some());
    let only = |of: &SweepReport| (of.curves.ways.len() - shares.len()) as u64;
    let (only_a, only_b) = (only(a), only(b));
    let sizes = (a.sweep.cache.way_bytes, b.sweep.cache.way_bytes);
    let read_off = |of: fn(&SweepReport) -> Option<ReadOff>| {
        let (in_a, in_b) = (of(a), of(b));
        let of_ipc = in_a.is_some_and(|own| own.of == CurveOf::Ipc);
        let comparable = of_ipc || misses.is_some();
        between_places((in_a, in_b), sizes, comparable)
    };
    Ok(SweepDiff {
        schema_version: SCHEMA_VERSION,
        a: side(a),
        b: side(b),
        by_bytes,
        misses,
        knee: read_off(|report| report.curves.knee.map(ReadOff::from)),
        working_set: read_off(|report| report.curves.working_set.map(ReadOff::from)),
        near_peak_ipc: read_off(|report| report.curves.near_peak_ipc.map(ReadOff::from)),
        notes: notes::of(a, b, shares.is_empty()),
        shares,
        only_a,
        only_b,
    })
}

/// `L3` of `L3DATA`: with CDP both masks are set alike, and it is the same cache.
fn level(resource: &str) -> &str {
    resource.trim_end_matches("DATA").trim_end_matches("CODE")
}

fn side(report: &SweepReport) -> SweepSide {
    let sweep = &report.sweep;
    SweepSide {
        id: report.id,
        name: sweep.name.clone(),
        started_at_unix_ns: sweep.started_at_unix_ns,
        pid: sweep.target.pid,
        comm: sweep.target.comm.clone(),
        resource: sweep.cache.resource.clone(),
        ways: sweep.cache.ways,
        way_bytes: sweep.cache.way_bytes,
        misses: report.curves.misses,
    }
}

fn shares(a: &SweepReport, b: &SweepReport, by_bytes: bool, with_misses: bool) -> Vec<ShareChange> {
    let is_same = |one: &CurvePoint, other: &CurvePoint| {
        if by_bytes { one.bytes.is_some() && one.bytes == other.bytes } else { one.ways == other.ways }
    };
    let compare = |in_a: &CurvePoint, in_b: &CurvePoint| {
        let of =
            |figure: fn(&CurvePoint) -> Option<Estimate>| Difference::between(figure(in_a), figure(in_b));
        let of_misses = |figure| if with_misses { of(figure) } else { None };
        ShareChange {
            ways_a: in_a.ways,
            ways_b: in_b.ways,
            bytes: in_a.bytes.filter(|_| by_bytes),
            unsettled: in_a.unsettled || in_b.unsettled,
            miss_ratio: of_misses(|point| point.miss_ratio),
            mpki: of_misses(|point| point.mpki),
            ipc: of(|point| point.ipc),
        }
    };
    let pairs = a.curves.ways.iter().filter_map(|in_a| {
        let in_b = b.curves.ways.iter().find(|in_b| is_same(in_a, in_b))?;
        Some(compare(in_a, in_b))
    });
    pairs.collect()
}

impl Difference {
    /// From `a` to `b`; `None` where a side is missing.
    fn between(a: Option<Estimate>, b: Option<Estimate>) -> Option<Self> {
        let (a, b) = (a?, b?);
        let difference = b.value - a.value;
        let band = a.band().zip(b.band()).map(|(of_a, of_b)| {
            let below = (b.value - of_b.0).hypot(of_a.1 - a.value);
            let above = (of_b.1 - b.value).hypot(a.value - of_a.0);
            (difference - below, difference + above)
        });
        let least = a.value.abs().max(b.value.abs()) * SAME_PCT / 100.0;
        let verdict = match band {
            None => Verdict::Unknown,
            Some((low, high)) if low <= 0.0 && 0.0 <= high => Verdict::WithinInterval,
            Some(_) if difference.abs() < least => Verdict::Same,
            Some(_) if difference > 0.0 => Verdict::Up,
            Some(_) => Verdict::Down,
        };
        let (ci95_low, ci95_high) = (band.map(|band| band.0), band.map(|band| band.1));
        Some(Self { a: a.value, b: b.value, difference, ci95_low, ci95_high, verdict })
    }
}

impl From<Knee> for ReadOff {
    fn from(knee: Knee) -> Self {
        let Knee { of, ways, bytes, ways_low, ways_high, .. } = knee;
        Self { of, ways, bytes, ways_low, ways_high }
    }
}

impl From<Least> for ReadOff {
    fn from(least: Least) -> Self {
        let Least { of, ways, bytes, ways_low, ways_high, .. } = least;
        Self { of, ways, bytes, ways_low, ways_high }
    }
}

/// `sizes` are the bytes of a way in each; `comparable` whether what the curves show is the same measure.
fn between_places(
    (a, b): (Option<ReadOff>, Option<ReadOff>),
    sizes: (Option<u64>, Option<u64>),
    comparable: bool,
) -> ReadOffChange {
    let none =
        ReadOffChange { a, b, difference_ways: None, difference_bytes: None, verdict: Verdict::Unknown };
    let (Some(in_a), Some(in_b)) = (a, b) else { return none };
    if in_a.of != in_b.of || !comparable {
        return none;
    }
    let bytes = in_a.bytes.zip(in_b.bytes).and_then(|(a, b)| b.checked_signed_diff(a));
    let alike = sizes.0.is_none() || sizes.1.is_none() || sizes.0 == sizes.1;
    let unit = if alike { (1, 1) } else { (sizes.0.unwrap_or(1), sizes.1.unwrap_or(1)) };
    let range = |own: ReadOff, unit: u64| {
        let (low, high) = own.ways_low.zip(own.ways_high)?;
        Some((u64::from(low).saturating_mul(unit), u64::from(high).saturating_mul(unit)))
    };
    let at = |own: ReadOff, unit: u64| u64::from(own.ways).saturating_mul(unit);
    let verdict = match range(in_a, unit.0).zip(range(in_b, unit.1)) {
        Some((of_a, of_b)) if of_b.0 > of_a.1 => Verdict::Up,
        Some((of_a, of_b)) if of_b.1 < of_a.0 => Verdict::Down,
        Some(_) if at(in_a, unit.0) == at(in_b, unit.1) => Verdict::Same,
        Some(_) => Verdict::WithinInterval,
        None => Verdict::Unknown,
    };
    let ways = i64::from(in_b.ways) - i64::from(in_a.ways);
    ReadOffChange { difference_ways: alike.then_some(ways), difference_bytes: bytes, verdict, ..none }
}

#[cfg(test)]
mod tests;
