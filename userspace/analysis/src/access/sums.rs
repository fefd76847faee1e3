//! Weighted loads and stores.

use waytrace_model::access::{Access, AccessKind};

/// Sums of weights. They saturate, as a weight may be anything a file says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) loads: u64,
    pub(super) stores: u64,
}

impl Sums {
    pub(super) fn add(&mut self, access: &Access) {
        let sum = match access.kind {
            AccessKind::Load => &mut self.loads,
            AccessKind::Store => &mut self.stores,
        };
        *sum = sum.saturating_add(access.weight);
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.loads = self.loads.saturating_add(other.loads);
        self.stores = self.stores.saturating_add(other.stores);
    }

    pub(super) fn total(self) -> u64 {
        self.loads.saturating_add(self.stores)
    }
}
