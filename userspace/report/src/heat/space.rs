//! The compacted address space: what is used lies above one another without the gaps.
//!
//! Heights are bytes: a stretch of addresses in use keeps its length, a gap longer than a block has none. Only what is too
//! small to be seen beside the rest, as a stack beside a heap, is magnified, by a whole number that is told.

/// More stretches than this no picture tells apart; then longer gaps are kept.
const STRETCHES_MAX: usize = 8192;
/// Heights stay below this, so that a browser's numbers hold them exactly.
const HEIGHT_MAX: u64 = 1 << 52;
/// A mapping with less than this share of the height is magnified to it, fewer where mappings are many.
const SHARE_MIN: u64 = 32;

/// Addresses of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// Process: its tgid.
    pub process: u32,
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

/// A stretch of addresses in use and the height it is drawn at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Process.
    pub process: u32,
    /// First byte, at a block's start.
    pub start: u64,
    /// Bytes, whole blocks.
    pub length: u64,
    /// Height of its first byte.
    pub at: u64,
    /// Height of each of its bytes, from 1.
    pub scale: u64,
}

impl Stretch {
    fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }

    /// Height past its last byte.
    fn top(&self) -> u64 {
        self.at.saturating_add(self.length.saturating_mul(self.scale))
    }

    /// Address at a height inside it.
    pub fn address(&self, height: u64) -> u64 {
        self.start.saturating_add(height.saturating_sub(self.at) / self.scale.max(1))
    }
}

/// All stretches, by process and address.
#[derive(Debug, Default)]
pub struct Space {
    /// The stretches, lowest first.
    pub stretches: Vec<Stretch>,
    /// Height of everything.
    pub height: u64,
    /// Longest gap that is kept, bytes: a block, or more where there were too many stretches.
    pub gap_bytes: u64,
}

impl Space {
    /// The space in which all of `used` has a place. `mappings` say what belongs together.
    pub fn of(mut used: Vec<Range>, block_bits: u8, mappings: &[Range]) -> Self {
        let block = 1u64 << block_bits.min(40);
        for range in &mut used {
            range.start &= !(block - 1);
            range.end = range.end.checked_next_multiple_of(block).unwrap_or(u64::MAX);
        }
        used.sort_unstable();
        let mut gap_bytes = block;
        let mut joined = join(&used, gap_bytes);
        while joined.len() > STRETCHES_MAX && gap_bytes < 1 << 62 {
            gap_bytes *= 2;
            joined = join(&joined, gap_bytes);
        }
        let scales = scales(&joined, mappings);
        let mut space = Self { gap_bytes, ..Self::default() };
        for (range, scale) in joined.into_iter().zip(scales) {
            let length = (range.end - range.start).min((HEIGHT_MAX - space.height) / scale);
            let at = space.height;
            space.stretches.push(Stretch { process: range.process, start: range.start, length, at, scale });
            space.height += length * scale;
        }
        space
    }

    /// Bytes of addresses in use.
    pub fn used_bytes(&self) -> u64 {
        self.stretches.iter().map(|own| own.length).fold(0, u64::saturating_add)
    }

    /// The gaps that were cut out: the height they are at, and their bytes; the most there can be between processes.
    pub fn gaps(&self) -> impl Iterator<Item = (u64, u64)> {
        let after = self.stretches.iter().skip(1);
        self.stretches.iter().zip(after).map(|(below, above)| {
            let is_same = below.process == above.process;
            (above.at, if is_same { above.start.saturating_sub(below.end()) } else { u64::MAX })
        })
    }

    /// Height of an address; `None` where nothing is used.
    pub fn place(&self, process: u32, address: u64) -> Option<u64> {
        let after = self.stretches.partition_point(|own| (own.process, own.start) <= (process, address));
        let own = self.stretches.get(after.checked_sub(1)?)?;
        (own.process == process && address < own.end()).then(|| own.at + (address - own.start) * own.scale)
    }

    /// The stretch at a height.
    pub fn at(&self, height: u64) -> Option<&Stretch> {
        self.stretches.get(self.stretches.partition_point(|own| own.at <= height).checked_sub(1)?)
    }

    /// How much the stretch that holds an address, or comes after it, is magnified.
    pub fn scale(&self, range: Range) -> u64 {
        let first =
            self.stretches.partition_point(|own| (own.process, own.end()) <= (range.process, range.start));
        self.stretches.get(first).map_or(1, |own| own.scale)
    }

    /// Heights from the first to the last used byte of a range; `None` where it has none.
    pub fn span(&self, range: Range) -> Option<(u64, u64)> {
        let first =
            self.stretches.partition_point(|own| (own.process, own.end()) <= (range.process, range.start));
        let after =
            self.stretches.partition_point(|own| (own.process, own.start) < (range.process, range.end));
        let used = self.stretches.get(first..after)?;
        let (low, high) = (used.first()?, used.last()?);
        let from = low.at + range.start.saturating_sub(low.start) * low.scale;
        let to =
            if range.end < high.end() { high.at + (range.end - high.start) * high.scale } else { high.top() };
        (from < to).then_some((from, to))
    }
}

/// Sorted ranges with those of a process that are at most `gap` apart joined.
fn join(ranges: &[Range], gap: u64) -> Vec<Range> {
    let mut joined: Vec<Range> = Vec::new();
    for &range in ranges {
        match joined.last_mut() {
            Some(last) if last.process == range.process && range.start <= last.end.saturating_add(gap) => {
                last.end = last.end.max(range.end);
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// How much each stretch is magnified: all of a mapping alike, so that it has its least share of the height.
fn scales(stretches: &[Range], mappings: &[Range]) -> Vec<u64> {
    let mut mappings = mappings.to_vec();
    mappings.sort_unstable();
    // Where a mapping is not known, its stretch stands for itself.
    let owner = |stretch: &Range| {
        let after = mappings.partition_point(|own| (own.process, own.start) < (stretch.process, stretch.end));
        let own = after.checked_sub(1).and_then(|at| mappings.get(at).map(|own| (at, own)));
        own.filter(|(_, own)| own.process == stretch.process && own.end > stretch.start).map(|(at, _)| at)
    };
    let mut used = vec![0u64; mappings.len()];
    let mut all = 0u64;
    for stretch in stretches {
        let length = stretch.end - stretch.start;
        all = all.saturating_add(length);
        if let Some(own) = owner(stretch).and_then(|at| used.get_mut(at)) {
            *own = own.saturating_add(length);
        }
    }
    let some = used.iter().filter(|bytes| **bytes > 0).count() as u64;
    let least = if all < HEIGHT_MAX / 4 { all / SHARE_MIN.max(some * 2) } else { 0 };
    let scale = |stretch: &Range| {
        let bytes = owner(stretch).and_then(|at| used.get(at)).copied().unwrap_or(0);
        least.checked_div(bytes).unwrap_or(1).max(1)
    };
    stretches.iter().map(scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(process: u32, start: u64, end: u64) -> Range {
        Range { process, start, end }
    }

    #[test]
    fn gaps_longer_than_a_block_are_cut_out() {
        let used =
            vec![range(1, 0x7000_0010, 0x7000_0011), range(1, 0x1234, 0x1235), range(1, 0x3001, 0x3002)];
        let space = Space::of(used, 12, &[]);
        let (low, high) = (space.stretches[0], space.stretches[1]);
        assert_eq!(space.stretches.len(), 2, "0x2000 is one block, and stays");
        assert_eq!((low.start, low.length, low.at), (0x1000, 0x3000, 0));
        assert_eq!((high.start, high.length, high.at), (0x7000_0000, 0x1000, 0x3000));
        assert_eq!(space.height, 0x4000);
        assert_eq!(space.gaps().collect::<Vec<_>>(), [(0x3000, 0x7000_0000 - 0x4000)]);
        assert_eq!(space.place(1, 0x1234), Some(0x234));
        assert_eq!(space.place(1, 0x7000_0010), Some(0x3010));
        assert_eq!((space.place(1, 0x4000), space.place(2, 0x1234), space.place(1, 0)), (None, None, None));
    }

    /// 4 KiB of stack beside 64 MiB: a 32nd of the height is 2 MiB, so it is drawn 512 times as high, and its addresses
    /// still come back.
    #[test]
    fn what_is_too_small_to_be_seen_is_magnified() {
        let mappings = [range(1, 0x1000_0000, 0x1400_0000), range(1, 0x7f00_0000, 0x7f10_0000)];
        let used = vec![mappings[0], range(1, 0x7f00_8000, 0x7f00_8001)];
        let space = Space::of(used, 12, &mappings);
        let stack = space.stretches[1];
        assert_eq!((space.stretches[0].scale, stack.scale), (1, 512));
        assert_eq!(space.height, (64 << 20) + 4096 * 512);
        assert_eq!(space.place(1, 0x7f00_8800), Some((64 << 20) + 0x800 * 512));
        assert_eq!(
            space.at((64 << 20) + 0x800 * 512 + 5).map(|own| own.address((64 << 20) + 0x800 * 512)),
            Some(0x7f00_8800)
        );
        assert_eq!(space.span(mappings[1]), Some((64 << 20, space.height)));
    }

    #[test]
    fn processes_lie_above_one_another() {
        let space = Space::of(vec![range(2, 0x1000, 0x1001), range(1, 0x1000, 0x1001)], 12, &[]);
        assert_eq!((space.place(1, 0x1000), space.place(2, 0x1000)), (Some(0), Some(0x1000)));
    }

    #[test]
    fn a_mapping_spans_what_is_used_of_it() {
        let space = Space::of(vec![range(1, 0x1_0000, 0x1_1000), range(1, 0x9_0000, 0x9_2000)], 12, &[]);
        assert_eq!(space.span(range(1, 0, u64::MAX)), Some((0, 0x3000)));
        assert_eq!(space.span(range(1, 0x9_1000, 0xa_0000)), Some((0x2000, 0x3000)));
        assert_eq!(space.span(range(1, 0x1_0800, 0x9_0800)), Some((0x800, 0x1800)));
        assert_eq!(
            (space.span(range(1, 0x2_0000, 0x3_0000)), space.span(range(3, 0, 1 << 40))),
            (None, None)
        );
    }

    #[test]
    fn any_number_of_islands_makes_a_bounded_list() {
        let used = (0..100_000).map(|i| range(1, i << 20, (i << 20) + 1)).collect();
        let space = Space::of(used, 12, &[]);
        assert!(space.stretches.len() <= STRETCHES_MAX && space.gap_bytes > 1 << 12);
        assert!((0..100_000).all(|i| space.place(1, i << 20).is_some()));
    }

    #[test]
    fn the_end_of_the_address_space_is_no_overflow() {
        let space = Space::of(vec![range(1, 0, u64::MAX), range(2, u64::MAX - 1, u64::MAX)], 40, &[]);
        assert!(space.height <= HEIGHT_MAX);
        assert_eq!(space.place(1, u64::MAX), None);
        assert_eq!(space.span(range(2, 0, u64::MAX)), None, "no height is left for it");
    }
}
