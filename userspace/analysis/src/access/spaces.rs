//! Address spaces: one address in two processes is two places.

use std::collections::HashMap;

use waytrace_model::access::Region;

/// The process each mapping belongs to.
#[derive(Debug, Default)]
pub(super) struct Spaces {
    by_region: HashMap<u32, u32>,
    only: u32,
}

impl Spaces {
    pub(super) fn of(regions: &[Region]) -> Self {
        let by_region: HashMap<u32, u32> = regions.iter().map(|region| (region.id, region.tgid)).collect();
        let mut processes = by_region.values();
        let first = processes.next().copied().unwrap_or(0);
        let only = if processes.all(|tgid| *tgid == first) { first } else { 0 };
        Self { by_region, only }
    }

    /// The process of an access to `region`. What lies in no known mapping belongs to the only process there is; where there
    /// are several, to a space of its own.
    pub(super) fn process(&self, region: Option<u32>) -> u32 {
        region.and_then(|region| self.by_region.get(&region)).copied().unwrap_or(self.only)
    }
}
