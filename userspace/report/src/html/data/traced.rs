//! Traced allocations as rectangles over time and a compacted address space: unused stretches are cut out.

use serde::Serialize;
use waytrace_model::allocation::TracedAllocation;

use super::sites::Sites;
use crate::largest::{Largest, SIZE_MIN};

/// Rectangles as columns, and how addresses became heights.
#[derive(Serialize)]
pub struct Traced {
    from_ns: Vec<Option<u64>>,
    to_ns: Vec<Option<u64>>,
    address: Vec<u64>,
    size: Vec<u64>,
    tid: Vec<u32>,
    /// Row of the site table.
    site: Vec<Option<usize>>,
    /// Stretches of addresses in use, lowest first: start, length, height it is drawn at.
    stretches: Vec<Stretch>,
    /// Height of everything.
    height: u64,
    /// Allocations that are not drawn.
    omitted: usize,
}

#[derive(Debug, PartialEq, Serialize)]
struct Stretch(u64, u64, u64);

impl Traced {
    /// `None` where nothing was traced.
    pub fn of(largest: &Largest, sites: &Sites) -> Option<Self> {
        let drawn = &largest.drawn;
        if drawn.is_empty() {
            return None;
        }
        let (stretches, height) = compact(drawn);
        Some(Self {
            from_ns: drawn.iter().map(|one| one.from_ns).collect(),
            to_ns: drawn.iter().map(|one| one.to_ns).collect(),
            address: drawn.iter().map(|one| one.address).collect(),
            size: drawn.iter().map(|one| one.size_bytes).collect(),
            tid: drawn.iter().map(|one| one.tid).collect(),
            site: drawn.iter().map(|one| one.site.and_then(|site| sites.row(site))).collect(),
            stretches,
            height,
            omitted: largest.count - drawn.len(),
        })
    }
}

/// The stretches in use, each drawn above the last with a narrow gap, and their height together.
fn compact(drawn: &[TracedAllocation]) -> (Vec<Stretch>, u64) {
    let mut ranges: Vec<(u64, u64)> = drawn
        .iter()
        .map(|one| (one.address, one.address.saturating_add(one.size_bytes.max(SIZE_MIN))))
        .collect();
    ranges.sort_unstable();
    let used = merged(&ranges, 0).iter().map(|(start, end)| end - start).fold(0, u64::saturating_add);
    let stretches = merged(&ranges, (used / 50).max(4096));
    let gap = used / 60 + 1;
    let mut height = 0u64;
    let placed = stretches
        .into_iter()
        .map(|(start, end)| {
            let at = height;
            height = height.saturating_add(end - start).saturating_add(gap);
            Stretch(start, end - start, at)
        })
        .collect();
    (placed, height.saturating_sub(gap))
}

/// Sorted ranges with those closer than `gap` joined.
fn merged(ranges: &[(u64, u64)], gap: u64) -> Vec<(u64, u64)> {
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for &(start, end) in ranges {
        match joined.last_mut() {
            Some(last) if start <= last.1.saturating_add(gap) => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: u64, size_bytes: u64) -> TracedAllocation {
        TracedAllocation { address, size_bytes, ..TracedAllocation::default() }
    }

    #[test]
    fn unused_addresses_are_cut_out() {
        let (stretches, height) = compact(&[at(0x7000_0000_0000, 8192), at(0x1000, 4096), at(0x2000, 4096)]);
        assert_eq!(stretches[0], Stretch(0x1000, 8192, 0));
        assert_eq!(stretches[1], Stretch(0x7000_0000_0000, 8192, 8192 + 16384 / 60 + 1));
        assert_eq!(height, stretches[1].2 + 8192);
    }

    #[test]
    fn the_end_of_the_address_space_is_no_overflow() {
        let (stretches, _) = compact(&[at(u64::MAX, u64::MAX), at(0, u64::MAX)]);
        assert_eq!(stretches.len(), 1);
    }
}
