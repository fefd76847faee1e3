//! Which accesses of a walk become samples.
//!
//! What a walk costs is mostly being woken, with cold caches, and the capture, which its target pays for. So several samples
//! are taken of each: of as many equal parts of the reach one access each, all at the same place of their part, which is
//! drawn anew for each walk. Each access within the reach thus has the same chance, and those of one walk are as far from
//! each other as can be. They are a cluster all the same: four samples of one walk tell less than four of four walks.

use waytrace_walk::Access;

use crate::random::Random;

/// Samples of each walk. More would lie so near each other that they tell little more; fewer would cost more each.
pub const SAMPLES_PER_WALK: u32 = 4;

const SAMPLES: usize = SAMPLES_PER_WALK as usize;

/// The samples of one walk: drawn, then found on the way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Draw {
    /// Accesses to be found, counted from 1, ascending.
    wanted: [u32; SAMPLES],
    found: [Option<Access>; SAMPLES],
    /// Accesses the walk has come by.
    passed: u32,
    /// Of those wanted, how many have been found.
    count: usize,
}

impl Draw {
    /// Draws among the accesses 1 to `reach`, of which there are at least as many as samples.
    pub fn new(reach: u32, random: &mut Random) -> Self {
        let reach = u64::from(reach.max(SAMPLES_PER_WALK));
        // In fractions of an access, so that parts may have any length.
        let at = random.below(reach);
        let wanted = std::array::from_fn(|part| 1 + ((at + part as u64 * reach) / SAMPLES as u64) as u32);
        Self { wanted, ..Self::default() }
    }

    /// Forgets what a walk that is made anew has found.
    pub fn begin(&mut self) {
        *self = Self { wanted: self.wanted, ..Self::default() };
    }

    /// The access at which a walk is done.
    pub fn furthest(&self) -> u32 {
        self.wanted[SAMPLES - 1]
    }

    /// One of those wanted.
    pub fn one_of(&self, random: &mut Random) -> u32 {
        self.wanted[random.below(SAMPLES as u64) as usize]
    }

    /// The walk comes by these accesses.
    #[inline]
    pub fn pass(&mut self, accesses: &[Access]) {
        for access in accesses {
            self.passed += 1;
            if let (Some(&wanted), Some(found)) =
                (self.wanted.get(self.count), self.found.get_mut(self.count))
                && wanted == self.passed
            {
                *found = Some(*access);
                self.count += 1;
            }
        }
    }

    /// The walk comes by accesses to nowhere in particular.
    #[cfg(test)]
    pub fn pass_by(&mut self, count: u32) {
        self.passed = count;
        self.count = self.wanted.iter().filter(|&&access| access <= count).count();
    }

    /// Accesses it has come by.
    pub fn passed(&self) -> u32 {
        self.passed
    }

    /// Samples found.
    pub fn found(&self) -> impl Iterator<Item = Access> + use<> {
        self.found.into_iter().flatten()
    }

    /// Samples not found.
    pub fn missing(&self) -> u32 {
        SAMPLES_PER_WALK - self.count as u32
    }

    /// The same as a share of all (0–1).
    pub fn missing_share(&self) -> f64 {
        f64::from(self.missing()) / f64::from(SAMPLES_PER_WALK)
    }
}

#[cfg(test)]
mod tests {
    use waytrace_walk::Kind;

    use super::*;

    fn accesses(count: u64) -> Vec<Access> {
        (1..=count).map(|n| Access { ip: 0, address: n, width_bytes: 8, kind: Kind::Load }).collect()
    }

    #[test]
    fn each_access_within_the_reach_has_the_same_chance() {
        let mut random = Random::from_seed(3);
        for reach in [16, 18, 49, 128] {
            let mut hits = vec![0_u32; reach as usize];
            for _ in 0..20_000 {
                for access in Draw::new(reach, &mut random).wanted {
                    hits[access as usize - 1] += 1;
                }
            }
            // Of 80,000 samples each should have so many, give or take four standard deviations.
            let expected = 80_000.0 / f64::from(reach);
            let off = hits.iter().map(|&hits| (f64::from(hits) - expected).abs()).fold(0.0, f64::max);
            assert!(off < 4.0 * expected.sqrt(), "{reach}: {hits:?}");
        }
    }

    #[test]
    fn samples_are_found_on_the_way_and_what_is_beyond_the_end_is_missing() {
        let mut draw = Draw::new(40, &mut Random::from_seed(5));
        let wanted = draw.wanted;
        assert!(wanted.windows(2).all(|pair| (9..=11).contains(&(pair[1] - pair[0]))), "{wanted:?}");
        let all = accesses(40);
        draw.pass(&all[..3]);
        draw.begin();
        for pair in all.chunks(2) {
            draw.pass(pair);
        }
        assert_eq!(draw.found().map(|access| access.address as u32).collect::<Vec<_>>(), wanted);
        assert_eq!((draw.passed(), draw.missing()), (40, 0));
        draw.begin();
        draw.pass(&all[..wanted[1] as usize]);
        assert_eq!((draw.found().count(), draw.missing(), draw.missing_share()), (2, 2, 0.5));
    }
}
