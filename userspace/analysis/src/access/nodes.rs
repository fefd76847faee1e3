//! Accesses from CPUs of another NUMA node than that of the memory.

use std::collections::HashMap;

use waytrace_model::access::{Access, Region};
use waytrace_model::run::NumaNode;

use super::table::Table;

/// Weighted accesses to each mapping by the CPU that made them.
#[derive(Debug, Default)]
pub(super) struct ByCpu(Table<(u32, Option<u32>), u64>);

/// What is known of each mapping; those of which nothing is are not in it.
pub(super) type Remote = HashMap<u32, Part>;

/// Weighted accesses of a mapping's samples, and how many of them are from other nodes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Part {
    remote: u64,
    all: u64,
}

impl Part {
    /// As many of `total`, which may be known better than by samples.
    pub(super) fn of(self, total: u64) -> u64 {
        (u128::from(total) * u128::from(self.remote) / u128::from(self.all.max(1))) as u64
    }
}

impl ByCpu {
    pub(super) fn add(&mut self, access: &Access) {
        let Some(region) = access.region else { return };
        let sum = self.0.entry((region, access.cpu)).or_default();
        *sum = sum.saturating_add(access.weight);
    }

    /// Of a machine with one node nothing more needs to be known: nothing is remote.
    pub(super) fn remote(&self, regions: &[Region], nodes: &[NumaNode]) -> Remote {
        let is_single = nodes.len() == 1;
        let known = |region: &&Region| is_single || !nodes.is_empty() && region.node.is_some();
        let mut parts: Remote =
            regions.iter().filter(known).map(|region| (region.id, Part::default())).collect();
        if is_single {
            return parts;
        }
        let node_of: HashMap<u32, u32> =
            nodes.iter().flat_map(|node| node.cpus.iter().map(|cpu| (*cpu, node.id))).collect();
        let homes: HashMap<u32, u32> =
            regions.iter().filter_map(|region| Some((region.id, region.node?))).collect();
        for ((region, cpu), weight) in &self.0 {
            let Some(part) = parts.get_mut(region) else { continue };
            let Some(node) = cpu.and_then(|cpu| node_of.get(&cpu)) else {
                parts.remove(region);
                continue;
            };
            part.all = part.all.saturating_add(*weight);
            if homes.get(region) != Some(node) {
                part.remote = part.remote.saturating_add(*weight);
            }
        }
        parts
    }
}

/// Why `remote` is missing of mappings that were accessed; `None` where it is not.
pub(super) fn null_reason(missing: usize, nodes: &[NumaNode]) -> Option<String> {
    match (missing, nodes.is_empty()) {
        (0, _) => None,
        (_, true) => {
            Some("remote accesses: the run does not say which NUMA node a CPU belongs to".to_owned())
        }
        (missing, false) => Some(format!(
            "remote accesses of {missing} mapping{}: the node of the pages, or of the CPU of a sample, is not known",
            if missing == 1 { "" } else { "s" }
        )),
    }
}
