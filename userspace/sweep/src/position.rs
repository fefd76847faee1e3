//! Where in the cache masks lie, and by which masks what is left outside of them is reached.

use waytrace_model::cache::{MaskRules, WayMask};

/// The ways of a cache that may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Positions {
    rules: MaskRules,
    free: WayMask,
}

impl Positions {
    /// All ways but `taken`: those that exclusive and pseudo-locked classes hold.
    pub fn new(rules: MaskRules, taken: WayMask) -> Self {
        Self { rules, free: rules.full_mask.without(taken) }
    }

    /// Fewest ways of a mask.
    pub fn least(&self) -> u32 {
        self.rules.min_ways.max(1)
    }

    /// Most ways of a mask; 0 where none is legal.
    pub fn most(&self) -> u32 {
        let most = if self.rules.sparse { self.free.ways() } else { self.free.longest_run() };
        if most < self.least() { 0 } else { most }
    }

    /// The mask of so many ways: the lowest there is, so that a smaller one lies within a larger one where others hold none.
    /// `None` where there is none.
    pub fn mask(&self, ways: u32) -> Option<WayMask> {
        if ways < self.least() {
            return None;
        }
        let run = |first: u32| WayMask::from_bits(WayMask::lowest(ways).bits().checked_shl(first)?).into();
        let contiguous = (0..64)
            .filter_map(run)
            .find(|mask: &WayMask| mask.ways() == ways && mask.without(self.free).is_empty());
        contiguous.or_else(|| self.rules.sparse.then(|| self.scattered(ways)).flatten())
    }

    fn scattered(&self, ways: u32) -> Option<WayMask> {
        let mut mask = WayMask::default();
        for way in (0..64).map(|way| WayMask::from_bits(1 << way)) {
            if mask.ways() < ways && !way.and(self.free).is_empty() {
                mask = mask.or(way);
            }
        }
        (mask.ways() == ways).then_some(mask)
    }

    /// What of the free ways a mask leaves to others.
    pub fn complement(&self, mask: WayMask) -> WayMask {
        self.free.without(mask)
    }

    /// A legal mask within `ways`, with as many of them as can be; `None` where none is legal.
    pub fn within(&self, ways: WayMask) -> Option<WayMask> {
        let inner = Self { rules: self.rules, free: ways.and(self.free) };
        inner.mask(inner.most())
    }

    /// The smallest legal masks that together hold all of `ways`, with as little as can be of `spared`. Small ones, because a
    /// fill into one way must put out what is there, however recently it was used.
    pub fn pieces(&self, ways: WayMask, spared: WayMask) -> Vec<WayMask> {
        let width = self.least();
        let mut left = ways.and(self.free);
        let mut pieces = Vec::new();
        while !left.is_empty() {
            let lowest = left.bits().trailing_zeros();
            let lowest_bit = WayMask::from_bits(1 << lowest);
            let candidates = (0..width).filter_map(|back| {
                let first = lowest.checked_sub(back)?;
                let mask = WayMask::from_bits(WayMask::lowest(width).bits().checked_shl(first)?);
                (mask.ways() == width && mask.without(self.free).is_empty()).then_some(mask)
            });
            let best = candidates.min_by_key(|mask| (mask.and(spared).ways(), width - mask.and(left).ways()));
            // A way that no legal mask reaches holds nothing that a legal mask put there.
            let reached = best.unwrap_or(lowest_bit);
            pieces.extend(best);
            left = left.without(reached);
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(ways: u32, min_ways: u32, sparse: bool, taken: u64) -> Positions {
        let rules = MaskRules { full_mask: WayMask::lowest(ways), min_ways, sparse };
        Positions::new(rules, WayMask::from_bits(taken))
    }

    fn bits(masks: &[WayMask]) -> Vec<u64> {
        masks.iter().map(|mask| mask.bits()).collect()
    }

    #[test]
    fn masks_are_legal_nested_and_leave_what_is_taken_alone() {
        let plain = positions(12, 1, false, 0);
        let masks: Vec<WayMask> = (1..=12).filter_map(|ways| plain.mask(ways)).collect();
        assert_eq!((masks.len(), plain.least(), plain.most()), (12, 1, 12));
        assert!(masks.windows(2).all(|pair| pair[0].without(pair[1]).is_empty()));
        let held = positions(12, 2, false, 0b11);
        assert_eq!((held.most(), held.mask(10).map(WayMask::bits)), (10, Some(0xffc)));
        assert_eq!((held.mask(1), held.mask(11)), (None, None));
        let middle = positions(12, 1, false, 0x010);
        assert_eq!((middle.most(), middle.mask(7).map(WayMask::bits)), (7, Some(0xfe0)));
        let sparse = positions(12, 1, true, 0x010);
        assert_eq!((sparse.most(), sparse.mask(11).map(WayMask::bits)), (11, Some(0xfef)));
        assert_eq!(positions(4, 1, false, 0xf).most(), 0);
    }

    #[test]
    fn pieces_reach_every_way_and_spare_what_they_can() {
        let single = positions(12, 1, false, 0);
        assert_eq!(
            bits(&single.pieces(WayMask::from_bits(0xe00), WayMask::lowest(9))),
            [0x200, 0x400, 0x800]
        );
        let pairs = positions(6, 2, false, 0);
        assert_eq!(
            bits(&pairs.pieces(WayMask::from_bits(0b11_1000), WayMask::lowest(3))),
            [0b01_1000, 0b11_0000]
        );
        // The last way can be reached only with its neighbour.
        assert_eq!(bits(&pairs.pieces(WayMask::from_bits(0b10_0000), WayMask::lowest(5))), [0b11_0000]);
        assert!(pairs.pieces(WayMask::default(), WayMask::lowest(5)).is_empty());
    }

    #[test]
    fn others_are_confined_to_a_legal_mask() {
        let pairs = positions(6, 2, false, 0);
        assert_eq!(pairs.within(WayMask::from_bits(0b11_1000)).map(WayMask::bits), Some(0b11_1000));
        assert_eq!(pairs.within(WayMask::from_bits(0b10_0000)), None);
        assert_eq!(pairs.complement(WayMask::lowest(2)).bits(), 0b11_1100);
    }
}
