//! What lies behind the samples: mappings and blocks, as heights of the compacted space.

use waytrace_model::access::Region;
use waytrace_model::allocation::TracedAllocation;
use waytrace_model::detail::RunDetail;

use super::space::{Range, Space};
use crate::text::plain;

/// A mapping and the heights it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionSpan {
    /// What to call it: the mapping's name, a file without its directories; the process where there are several, and how much
    /// it is magnified.
    pub label: String,
    /// The mapping's name in full.
    pub name: String,
    /// Height of its first used byte.
    pub from: u64,
    /// Height past its last used byte.
    pub to: u64,
    /// Bytes of it in huge pages.
    pub huge_bytes: u64,
    /// NUMA node that holds most of it, where known.
    pub node: Option<u32>,
}

/// A traced block and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSpan {
    /// Its position in the list it came in.
    pub index: usize,
    /// Height of its first byte in view.
    pub from: u64,
    /// Height past its last byte in view.
    pub to: u64,
    /// Birth, nanoseconds since the run started; 0 if it was there before.
    pub from_ns: u64,
    /// Death, or the end of the picture.
    pub to_ns: u64,
}

/// Addresses of a mapping.
pub fn range(region: &Region) -> Range {
    Range { process: region.tgid, start: region.start, end: region.end }
}

/// The mappings that have a height, lowest first.
pub fn regions(detail: &RunDetail, space: &Space) -> Vec<RegionSpan> {
    let first = detail.regions.first().map(|region| region.tgid);
    let several = detail.regions.iter().any(|region| Some(region.tgid) != first);
    let mut spans: Vec<RegionSpan> = detail
        .regions
        .iter()
        .filter_map(|region| {
            let (from, to) = space.span(range(region))?;
            let name = plain(&region.name);
            let short = name.rsplit('/').next().filter(|base| !base.is_empty()).unwrap_or(&name);
            let of = if several { format!(" of {}", region.tgid) } else { String::new() };
            let scale = match space.scale(range(region)) {
                1 => String::new(),
                times => format!(" ×{times}"),
            };
            let label = format!("{short}{of}{scale}");
            let (huge_bytes, node) = (region.huge_bytes.unwrap_or(0), region.node);
            Some(RegionSpan { label, name, from, to, huge_bytes, node })
        })
        .collect();
    spans.sort_by(|a, b| (a.from, a.to, &a.name).cmp(&(b.from, b.to, &b.name)));
    spans
}

/// The blocks, each with its heights.
pub fn blocks(
    drawn: &[TracedAllocation],
    clipped: &[(usize, Range)],
    space: &Space,
    end_ns: u64,
) -> Vec<BlockSpan> {
    let of = |(index, range): &(usize, Range)| {
        let (from, to) = space.span(*range)?;
        let one = drawn.get(*index)?;
        let (from_ns, to_ns) = (one.from_ns.unwrap_or(0), one.to_ns.unwrap_or(end_ns));
        Some(BlockSpan { index: *index, from, to, from_ns, to_ns })
    };
    clipped.iter().filter_map(of).collect()
}
