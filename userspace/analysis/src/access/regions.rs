//! Accesses by mapping.

use std::cmp::Reverse;

use waytrace_model::access::{Access, AccessKind, Region};
use waytrace_model::access_report::{RegionReport, WorkingSet};

use super::heat::Heat;
use super::nodes::Remote;
use super::sums::Sums;
use super::table::Table;

/// Accesses of each mapping.
#[derive(Debug, Default)]
pub(super) struct Regions(Table<u32, Use>);

#[derive(Debug, Clone, Copy, Default)]
struct Use {
    sums: Sums,
    latency: Mean,
}

/// A weighted mean in the making.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    weighted: f64,
    weights: f64,
}

impl Regions {
    pub(super) fn add(&mut self, access: &Access) {
        let Some(region) = access.region else { return };
        let of_region = self.0.entry(region).or_default();
        of_region.sums.add(access);
        let cycles = access.precise.as_ref().and_then(|precise| precise.latency_cycles);
        if let (AccessKind::Load, Some(cycles)) = (access.kind, cycles) {
            let weight = access.weight as f64;
            of_region.latency.weighted += f64::from(cycles) * weight;
            of_region.latency.weights += weight;
        }
    }

    pub(super) fn sums(&self, region: u32) -> Sums {
        self.0.get(&region).map_or_else(Sums::default, |of_region| of_region.sums)
    }

    /// Takes the sums from what was counted in the kernel, where that knows them.
    pub(super) fn follow(&mut self, heat: &Heat, regions: &[Region]) {
        for region in regions {
            if let Some(sums) = heat.of_region(region.id) {
                self.0.entry(region.id).or_default().sums = sums;
            }
        }
    }

    /// Most accessed first; and of how many that were accessed remote accesses are not known.
    pub(super) fn report(
        &self,
        regions: &[Region],
        seen: &Table<u32, WorkingSet>,
        (remote, heat): (&Remote, &Heat),
    ) -> (Vec<RegionReport>, usize) {
        let mut reports: Vec<RegionReport> = regions
            .iter()
            .map(|region| {
                let made = self.0.get(&region.id).copied().unwrap_or_default();
                RegionReport {
                    name: region.name.clone(),
                    tgid: region.tgid,
                    start: region.start,
                    end: region.end,
                    loads: made.sums.loads,
                    stores: made.sums.stores,
                    working_set: heat.seen_in(region.id, seen.get(&region.id).copied().unwrap_or_default()),
                    resident_bytes: region.resident_bytes,
                    huge_bytes: region.huge_bytes,
                    node: region.node,
                    remote: remote.get(&region.id).map(|part| part.of(made.sums.total())),
                    latency_cycles: made.latency.value(),
                }
            })
            .collect();
        reports.sort_by_key(|region| {
            (Reverse(region.loads.saturating_add(region.stores)), region.tgid, region.start)
        });
        let unknown = |region: &&RegionReport| region.remote.is_none() && region.loads.max(region.stores) > 0;
        let no_remote = reports.iter().filter(unknown).count();
        (reports, no_remote)
    }
}

impl Mean {
    fn value(self) -> Option<f64> {
        (self.weights > 0.0).then(|| self.weighted / self.weights)
    }
}
