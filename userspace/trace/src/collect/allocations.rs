//! Allocations in exact mode: every call is seen, the kernel side holds the totals, and this reads them out.

use waytrace_abi::allocation::{self as abi, Traced};
use waytrace_model::allocation::{AllocationTotals, AllocationWindow, Mode, Site, TracedAllocation};
use waytrace_model::histogram::Bucket;

use crate::Error;
use crate::kernel::{Histogram, Kernel, Sums};
use crate::names::Names;
use crate::probes::Detail;
use crate::stacks::Stacks;

/// What the kernel side's totals stood at: windows and runs are differences of two.
#[derive(Debug, Clone)]
pub struct Baseline {
    /// Totals.
    pub sums: Sums,
    /// Sizes.
    pub sizes: Histogram,
    /// Lifetimes.
    pub lifetimes: Histogram,
}

impl Baseline {
    /// Where everything stands now.
    ///
    /// # Errors
    /// When a map cannot be read.
    pub fn take(kernel: &mut Kernel) -> Result<Self, Error> {
        let sums = kernel.sums()?;
        let (totals, sizes, lifetimes) = kernel.totals()?;
        Ok(Self { sums: Sums { totals, ..sums }, sizes, lifetimes })
    }
}

/// One window, from the totals at its start and end.
pub fn window(detail: Detail, before: &Sums, after: &Sums) -> AllocationWindow {
    let (from, to) = (&before.totals, &after.totals);
    let known_sizes = to.unsized_free_count == from.unsized_free_count;
    AllocationWindow {
        alloc_count: Some((to.alloc_count - from.alloc_count) as f64),
        alloc_bytes: Some((to.alloc_bytes - from.alloc_bytes) as f64),
        free_count: Some((to.free_count - from.free_count) as f64),
        freed_bytes: known_sizes.then(|| (to.freed_bytes - from.freed_bytes) as f64),
        live_bytes: (detail >= Detail::Lifetimes).then_some(after.peak.live_bytes),
        mmap_bytes: after.maps.added_bytes - before.maps.added_bytes,
        munmap_bytes: after.maps.removed_bytes - before.maps.removed_bytes,
        probed_ratio: 1.0,
    }
}

/// The run's totals.
pub fn totals(detail: Detail, before: &Baseline, after: &Baseline, temporary_count: u64) -> AllocationTotals {
    let (from, to) = (&before.sums.totals, &after.sums.totals);
    let lifetimes = detail >= Detail::Lifetimes;
    let unsized_count = to.unsized_free_count - from.unsized_free_count;
    let mut reasons = Vec::new();
    if !lifetimes {
        reasons.push("live, peak and lifetimes need --detail lifetimes".to_owned());
    }
    if unsized_count > 0 {
        reasons.push(format!(
            "freed_bytes: {unsized_count} blocks were freed whose size this allocator does not tell"
        ));
    }
    AllocationTotals {
        mode: Some(Mode::Exact),
        alloc_count: Some((to.alloc_count - from.alloc_count) as f64),
        alloc_bytes: Some((to.alloc_bytes - from.alloc_bytes) as f64),
        free_count: Some((to.free_count - from.free_count) as f64),
        freed_bytes: (unsized_count == 0).then(|| (to.freed_bytes - from.freed_bytes) as f64),
        live_bytes: lifetimes.then_some(after.sums.peak.live_bytes),
        peak_live_bytes: lifetimes.then_some(after.sums.peak.peak_bytes),
        temporary_count: lifetimes.then_some(temporary_count),
        mmap_bytes: after.sums.maps.added_bytes - before.sums.maps.added_bytes,
        munmap_bytes: after.sums.maps.removed_bytes - before.sums.maps.removed_bytes,
        alloc_count_ci95_pct: Some(0.0),
        ci95_pct: Some(0.0),
        null_reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
        sizes: histogram(&before.sizes, &after.sizes),
        lifetimes: if lifetimes { histogram(&before.lifetimes, &after.lifetimes) } else { Vec::new() },
        probes: Vec::new(),
    }
}

/// The buckets that hold anything.
pub fn histogram(before: &[abi::Bucket], after: &[abi::Bucket]) -> Vec<Bucket> {
    let increase = |(log2, (from, to)): (usize, (&abi::Bucket, &abi::Bucket))| Bucket {
        log2: log2 as u8,
        count: to.count.saturating_sub(from.count) as f64,
        bytes: to.bytes.saturating_sub(from.bytes) as f64,
    };
    before.iter().zip(after).enumerate().map(increase).filter(|bucket| bucket.count > 0.0).collect()
}

/// What counted calls and their bytes are to be multiplied by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// For calls.
    pub count: f64,
    /// For bytes.
    pub bytes: f64,
}

impl Scale {
    /// Everything was counted.
    pub const ONE: Self = Self { count: 1.0, bytes: 1.0 };
}

/// All sites of the targets, named; `scale` turns counted calls into estimated ones. The kernel side's index of a site
/// never changes and is its id, so that traced blocks can name it long before it has a name.
pub fn sites(
    kernel_sites: &[abi::Site],
    peak_epoch: u64,
    detail: Detail,
    names: &Names,
    stacks: &Stacks,
    scale: Scale,
) -> Vec<Site> {
    let lifetimes = detail >= Detail::Lifetimes;
    let mut sampled = names.stacks_of(stacks);
    let used = (0..).zip(kernel_sites).filter(|(_, site)| site.alloc_count > 0);
    let in_model = |(index, site): (u32, &abi::Site)| {
        let live_bytes = site.alloc_bytes.saturating_sub(site.freed_bytes);
        let at_peak = if site.peak_epoch == peak_epoch { site.live_at_peak_bytes } else { live_bytes };
        Site {
            id: index,
            tid: site.tid,
            alloc_count: site.alloc_count as f64 * scale.count,
            alloc_bytes: site.alloc_bytes as f64 * scale.bytes,
            free_count: lifetimes.then_some(site.free_count),
            freed_bytes: lifetimes.then_some(site.freed_bytes),
            live_bytes: lifetimes.then_some(live_bytes),
            peak_live_bytes: lifetimes.then_some(at_peak),
            temporary_count: lifetimes.then_some(site.temporary_count),
            frames: caller_frames(site, index, names),
            stacks: sampled.remove(&index).unwrap_or_default(),
        }
    };
    used.map(in_model).collect()
}

/// The address a site's caller is looked up under: the call lies before the return address.
pub fn call_address(site: &abi::Site) -> u64 {
    site.caller.saturating_sub(1)
}

fn caller_frames(site: &abi::Site, index: u32, names: &Names) -> Vec<waytrace_model::stack::Frame> {
    if index == 0 {
        let label = "[sites beyond the kernel table]".to_owned();
        return vec![waytrace_model::stack::Frame { function: Some(label), ..Default::default() }];
    }
    names.frames(site.tgid, call_address(site))
}

/// A freed block in the model's words.
pub fn traced(record: &Traced, start_ns: u64) -> TracedAllocation {
    let since = |at_ns: u64| at_ns.saturating_sub(start_ns);
    TracedAllocation {
        from_ns: (record.from_ns != 0).then(|| since(record.from_ns)),
        to_ns: Some(since(record.to_ns)),
        address: record.address,
        size_bytes: record.size_bytes,
        tid: record.tid,
        site: (record.from_ns != 0).then_some(record.site),
    }
}

/// A block that remains.
pub fn remaining(key: abi::LiveKey, block: &abi::Live, start_ns: u64) -> TracedAllocation {
    TracedAllocation {
        from_ns: Some(block.at_ns.saturating_sub(start_ns)),
        to_ns: None,
        address: key.address(),
        size_bytes: block.size_bytes,
        tid: block.tid,
        site: Some(block.site),
    }
}
