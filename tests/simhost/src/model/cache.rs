//! A set-associative last-level cache whose ways are partitioned as CAT does it: a mask says where a miss may *fill*,
//! and hits are served from every way (Intel SDM vol. 3B, 19.19.4). LRU among the ways a fill may use.

/// A line as it stands in the cache.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    address: u64,
    /// When it was last used, in accesses to this cache; 0 is an empty place.
    used: u64,
    rmid: u16,
}

/// What an access came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Found in some way.
    Hit,
    /// Fetched from memory, and filled where the mask allows; an empty mask fills nowhere.
    Miss,
}

/// One cache.
#[derive(Debug, Clone)]
pub struct Cache {
    ways: usize,
    lines: Vec<Line>,
    clock: u64,
    /// Lines by the RMID that filled them.
    occupancy: Vec<u64>,
}

impl Cache {
    /// An empty cache of `sets` × `ways` lines, both at least 1, that tells `rmids` RMIDs apart.
    pub fn new(sets: usize, ways: usize, rmids: usize) -> Self {
        let (sets, ways) = (sets.max(1), ways.clamp(1, 64));
        Self { ways, lines: vec![Line::default(); sets * ways], clock: 0, occupancy: vec![0; rmids.max(1)] }
    }

    /// Accesses the line with number `address`. Bit *n* of `mask` allows a fill into way *n*. A line keeps the RMID
    /// that filled it, whoever hits it later.
    pub fn access(&mut self, address: u64, mask: u64, rmid: u16) -> Outcome {
        self.clock += 1;
        let sets = (self.lines.len() / self.ways) as u64;
        let first = usize::try_from(address % sets).unwrap_or(0) * self.ways;
        let Some(set) = self.lines.get_mut(first..first + self.ways) else { return Outcome::Miss };
        if let Some(line) = set.iter_mut().find(|line| line.used > 0 && line.address == address) {
            line.used = self.clock;
            return Outcome::Hit;
        }
        let allowed = set.iter_mut().enumerate().filter(|(way, _)| mask >> way & 1 == 1);
        if let Some((_, victim)) = allowed.min_by_key(|(_, line)| line.used) {
            if victim.used > 0 {
                change(&mut self.occupancy, victim.rmid, |lines| lines.saturating_sub(1));
            }
            *victim = Line { address, used: self.clock, rmid };
            change(&mut self.occupancy, rmid, |lines| lines + 1);
        }
        Outcome::Miss
    }

    /// Lines that `rmid` filled, in ways that `mask` has not.
    pub fn outside(&self, rmid: u16, mask: u64) -> u64 {
        let places = self.lines.iter().enumerate();
        let is_outside = |place: &usize| mask >> (place % self.ways) & 1 == 0;
        places.filter(|(place, line)| line.used > 0 && line.rmid == rmid && is_outside(place)).count() as u64
    }

    /// Lines that `rmid` filled and that are still there.
    pub fn occupancy(&self, rmid: u16) -> u64 {
        self.occupancy.get(usize::from(rmid)).copied().unwrap_or(0)
    }
}

fn change(occupancy: &mut [u64], rmid: u16, to: impl Fn(u64) -> u64) {
    if let Some(lines) = occupancy.get_mut(usize::from(rmid)) {
        *lines = to(*lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(cache: &mut Cache, lines: std::ops::Range<u64>, mask: u64, rmid: u16) -> usize {
        lines.filter(|&line| cache.access(line, mask, rmid) == Outcome::Hit).count()
    }

    #[test]
    fn a_loop_hits_always_where_it_fits_and_never_where_it_is_one_way_too_long() {
        for (mask, hits) in [(0xf, 64), (0x7, 0), (0xf0, 64), (0x1f, 64)] {
            let mut cache = Cache::new(16, 8, 1);
            pass(&mut cache, 0..64, mask, 0);
            assert_eq!(pass(&mut cache, 0..64, mask, 0), hits, "mask {mask:#x}");
        }
    }

    #[test]
    fn a_mask_confines_fills_and_not_hits() {
        let mut cache = Cache::new(4, 4, 3);
        pass(&mut cache, 0..8, 0b0011, 1);
        // Served from ways 0 and 1, though this mask may fill 2 and 3 only; and they stay the first one's.
        assert_eq!(pass(&mut cache, 0..8, 0b1100, 2), 8);
        assert_eq!((cache.occupancy(1), cache.occupancy(2)), (8, 0));
        // Whatever the second fills leaves the first one's lines alone.
        assert_eq!(pass(&mut cache, 100..200, 0b1100, 2), 0);
        assert_eq!(pass(&mut cache, 0..8, 0b0011, 1), 8);
        assert_eq!((cache.occupancy(1), cache.occupancy(2)), (8, 8));
        assert_eq!((cache.outside(1, 0b0011), cache.outside(1, 0b0010), cache.outside(2, 0)), (0, 4, 8));
    }

    #[test]
    fn the_least_recently_used_line_goes() {
        let mut cache = Cache::new(1, 2, 1);
        for line in [1, 2, 1, 3] {
            cache.access(line, 0b11, 0);
        }
        assert_eq!(cache.access(1, 0b11, 0), Outcome::Hit);
        assert_eq!(cache.access(2, 0b11, 0), Outcome::Miss);
    }

    #[test]
    fn an_empty_mask_fills_nothing() {
        let mut cache = Cache::new(2, 2, 1);
        assert_eq!(pass(&mut cache, 0..2, 0, 0) + pass(&mut cache, 0..2, 0, 0), 0);
        assert_eq!(cache.occupancy(0), 0);
    }

    proptest::proptest! {
        #[test]
        fn occupancies_add_up_to_the_lines_filled(steps in proptest::collection::vec((0_u64..64, 0_u64..16, 0_u16..4), 0..400)) {
            let mut cache = Cache::new(4, 4, 4);
            for (line, mask, rmid) in steps {
                cache.access(line, mask, rmid);
            }
            let filled = cache.lines.iter().filter(|line| line.used > 0).count() as u64;
            proptest::prop_assert_eq!((0..4).map(|rmid| cache.occupancy(rmid)).sum::<u64>(), filled);
        }
    }
}
