//! Allocations of a run: totals, and each window's share.

use std::collections::BTreeMap;

use waytrace_model::allocation::{AllocationTotals, AllocationWindow, Mode, TracedAllocation};
use waytrace_model::histogram::{Bucket, log2_bucket};

use crate::heimdallr::Blocks;

/// Puts the blocks' times on the run's clock.
pub fn rebase(blocks: &mut Blocks, zero_ns: u64) {
    for block in &mut blocks.traced {
        for time_ns in [&mut block.from_ns, &mut block.to_ns].into_iter().flatten() {
            *time_ns = time_ns.saturating_sub(zero_ns);
        }
    }
}

/// One allocation or free, in the order of time.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    pub at_ns: u64,
    pub size_bytes: u64,
    pub is_free: bool,
    /// It was there before logging began, so no sum of live bytes holds it.
    pub is_older: bool,
}

/// All changes of all blocks.
pub fn changes(traced: &[TracedAllocation]) -> Vec<Change> {
    let mut changes = Vec::new();
    for block in traced {
        let (size_bytes, is_older) = (block.size_bytes, block.from_ns.is_none());
        let change = |at_ns, is_free| Change { at_ns, size_bytes, is_free, is_older };
        changes.extend(block.from_ns.map(|at_ns| change(at_ns, false)));
        changes.extend(block.to_ns.map(|at_ns| change(at_ns, true)));
    }
    changes.sort_by_key(|change| (change.at_ns, change.is_free));
    changes
}

/// Sums so far, and their share of the window under way.
#[derive(Debug, Default)]
pub struct Sums {
    pub live_bytes: u64,
    pub peak_live_bytes: u64,
    window: AllocationWindow,
}

impl Sums {
    /// Takes in a change.
    pub fn add(&mut self, change: Change) {
        let window = &mut self.window;
        let add = |sum: &mut Option<f64>, more: f64| *sum = Some(sum.unwrap_or(0.0) + more);
        let size = change.size_bytes as f64;
        if change.is_free {
            add(&mut window.free_count, 1.0);
            add(&mut window.freed_bytes, size);
            if !change.is_older {
                self.live_bytes = self.live_bytes.saturating_sub(change.size_bytes);
            }
        } else {
            add(&mut window.alloc_count, 1.0);
            add(&mut window.alloc_bytes, size);
            self.live_bytes = self.live_bytes.saturating_add(change.size_bytes);
            self.peak_live_bytes = self.peak_live_bytes.max(self.live_bytes);
        }
    }

    /// The window has ended.
    pub fn end_window(&mut self) -> AllocationWindow {
        let window = std::mem::take(&mut self.window);
        let or_zero = |sum: Option<f64>| sum.or(Some(0.0));
        AllocationWindow {
            alloc_count: or_zero(window.alloc_count),
            alloc_bytes: or_zero(window.alloc_bytes),
            free_count: or_zero(window.free_count),
            freed_bytes: or_zero(window.freed_bytes),
            live_bytes: Some(self.live_bytes),
            probed_ratio: 1.0,
            ..AllocationWindow::default()
        }
    }
}

/// What is known at the end.
pub fn totals(blocks: &Blocks, sums: &Sums) -> AllocationTotals {
    let allocated = || blocks.traced.iter().filter(|block| block.from_ns.is_some());
    let freed = || blocks.traced.iter().filter(|block| block.to_ns.is_some());
    let bytes = |of: &mut dyn Iterator<Item = &TracedAllocation>| {
        of.map(|block| block.size_bytes as f64).sum::<f64>()
    };
    let lifetime = |block: &TracedAllocation| Some(block.to_ns?.saturating_sub(block.from_ns?));
    let threshold = blocks.threshold_bytes.unwrap_or(0);
    let missing = match threshold {
        0 => String::new(),
        threshold => format!("blocks of less than {threshold} bytes were not logged; "),
    };
    AllocationTotals {
        mode: Some(Mode::Exact),
        alloc_count: Some(allocated().count() as f64),
        alloc_bytes: Some(bytes(&mut allocated())),
        free_count: Some(freed().count() as f64),
        freed_bytes: Some(bytes(&mut freed())),
        live_bytes: Some(sums.live_bytes),
        peak_live_bytes: Some(sums.peak_live_bytes),
        alloc_count_ci95_pct: Some(0.0),
        ci95_pct: Some(0.0),
        null_reason: Some(format!("{missing}tracealloc does not log mappings, nor what was temporary")),
        sizes: histogram(allocated().map(|block| (block.size_bytes, block.size_bytes))),
        lifetimes: histogram(freed().filter_map(|block| Some((lifetime(block)?, block.size_bytes)))),
        probes: vec!["tracealloc (preloaded)".to_owned()],
        ..AllocationTotals::default()
    }
}

/// Buckets of values, each with its bytes.
fn histogram(values: impl Iterator<Item = (u64, u64)>) -> Vec<Bucket> {
    let mut buckets: BTreeMap<u8, Bucket> = BTreeMap::new();
    for (value, bytes) in values {
        let log2 = log2_bucket(value);
        let bucket = buckets.entry(log2).or_insert(Bucket { log2, count: 0.0, bytes: 0.0 });
        bucket.count += 1.0;
        bucket.bytes += bytes as f64;
    }
    buckets.into_values().collect()
}
