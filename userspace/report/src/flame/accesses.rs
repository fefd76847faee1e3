//! Sampled accesses as weighted stacks: who accessed what. A sample has no call stack, so a stack is the instruction's
//! function with what it was inlined into, and under it the mapping.

use std::collections::{BTreeMap, HashMap};

use waytrace_model::access::{Access, AccessKind, Region};
use waytrace_model::detail::RunDetail;
use waytrace_model::stack::Frame;

use super::{line, separable};
use crate::{Cause, Error};

/// What a stack is as wide as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Weighted accesses.
    Accesses,
    /// Cycles they took, where the source tells them.
    Latency,
}

impl Weight {
    /// Its unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Accesses => "accesses",
            Self::Latency => "cycles",
        }
    }
}

/// Who accessed what and how: instruction, mapping, store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub code: Option<u32>,
    pub region: Option<u32>,
    pub is_store: bool,
}

/// Sums of the accesses with one key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    /// Weighted accesses.
    pub accesses: u64,
    /// Cycles they took, weighted; `None` where none is told.
    pub latency_cycles: Option<u64>,
}

impl Sum {
    fn of(&self, weight: Weight) -> u64 {
        match weight {
            Weight::Accesses => self.accesses,
            Weight::Latency => self.latency_cycles.unwrap_or(0),
        }
    }
}

/// As many sums as there are instructions and mappings they reached.
pub(crate) type Sums = BTreeMap<Key, Sum>;

/// All accesses summed up.
pub(crate) fn sums<E: Into<Cause>>(accesses: impl Iterator<Item = Result<Access, E>>) -> Result<Sums, Error> {
    let mut sums = Sums::new();
    for access in accesses {
        add(&mut sums, &access.map_err(Error::reading_accesses)?);
    }
    Ok(sums)
}

/// One access more.
pub(crate) fn add(sums: &mut Sums, access: &Access) {
    let is_store = access.kind == AccessKind::Store;
    let sum = sums.entry(Key { code: access.code, region: access.region, is_store }).or_default();
    sum.accesses = sum.accesses.saturating_add(access.weight);
    if let Some(cycles) = access.precise.as_ref().and_then(|own| own.latency_cycles) {
        let more = u64::from(cycles).saturating_mul(access.weight);
        sum.latency_cycles = Some(sum.latency_cycles.unwrap_or(0).saturating_add(more));
    }
}

/// The run's instructions and mappings by their ids.
pub(crate) struct Names<'a> {
    code: HashMap<u32, &'a [Frame]>,
    regions: HashMap<u32, &'a Region>,
}

impl<'a> Names<'a> {
    pub fn of(detail: &'a RunDetail) -> Self {
        Self {
            code: detail.code.iter().map(|own| (own.id, own.frames.as_slice())).collect(),
            regions: detail.regions.iter().map(|own| (own.id, own)).collect(),
        }
    }

    /// Frames of an instruction, innermost first; none if it is not known.
    pub fn frames(&self, code: Option<u32>) -> &'a [Frame] {
        code.and_then(|code| self.code.get(&code).copied()).unwrap_or_default()
    }

    /// Name of a mapping.
    pub fn region(&self, region: Option<u32>) -> Option<&'a str> {
        region.and_then(|region| self.regions.get(&region)).map(|own| own.name.as_str())
    }
}

/// One `function;mapping` line per different pair with its weight, in the order of the lines.
pub(crate) fn lines<E: Into<Cause>>(
    detail: &RunDetail,
    accesses: impl Iterator<Item = Result<Access, E>>,
    weight: Weight,
) -> Result<BTreeMap<String, u64>, Error> {
    let sums = sums(accesses)?;
    let name = || detail.report.run.name.clone();
    if sums.is_empty() {
        return Err(Error::NoAccesses { run: name() });
    }
    if weight == Weight::Latency && sums.values().all(|sum| sum.latency_cycles.is_none()) {
        return Err(Error::NoLatencies { run: name() });
    }
    let names = Names::of(detail);
    let mut merged: BTreeMap<String, u64> = BTreeMap::new();
    for (key, sum) in sums.iter().filter(|(_, sum)| sum.of(weight) > 0) {
        let frames: Vec<&Frame> = names.frames(key.code).iter().rev().collect();
        let region = separable(names.region(key.region).unwrap_or("[unknown]"));
        let own = merged.entry(format!("{};{region}", line(&frames))).or_default();
        *own = own.saturating_add(sum.of(weight));
    }
    Ok(merged)
}
