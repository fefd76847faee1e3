//! How far ahead walks go: as far as they can be trusted and paid for.
//!
//! The further the accesses drawn may lie, the less it matters where a sample fell: loops of fewer accesses than that are
//! sampled by accesses, not by time. But each step also is a chance to meet something unknown, or memory that has
//! changed since the sample, and takes time. The reach doubles while all goes well and shrinks when it does not. It
//! changes slowly against the samples, so that none of them decides on its own draw. Walks that end before the least reach would
//! have ended with any, so they say nothing of it.

/// Bounds of the reach, in accesses.
const LEAST: f64 = 16.0;
const MOST: f64 = 4096.0;
/// What it begins with.
const FIRST: f64 = 256.0;
/// Walks that are judged together.
const WALKS: u32 = 32;
/// Share of samples that may be lost to walks which end early for having had to go on.
const UNRESOLVED: f64 = 0.05;
/// Checks that must have agreed before the reach may grow, and by how much one that failed shortens it.
const CHECKS: u32 = 8;
const FAILED: f64 = 0.75;
/// After a check has failed, so many must agree.
const CHECKS_AFTER_FAILURE: u32 = 48;
/// The reach is not shortened below this for what walks take: of shorter loops each access should have its chance.
const LEAST_PAID: f64 = 48.0;

/// The reach of walks.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    accesses: f64,
    walks: u32,
    /// Walks, the shares of their samples that they lost.
    unresolved: f64,
    cost_ns: u64,
    /// What a walk may take on the average.
    allowed_ns: f64,
    /// Checks that have still to agree.
    wanted: u32,
}

impl Reach {
    /// The first, for walks of which each may take so long on the average.
    pub fn new(allowed_ns: f64) -> Self {
        Self { accesses: FIRST, walks: 0, unresolved: 0.0, cost_ns: 0, allowed_ns, wanted: CHECKS }
    }

    /// The furthest access a walk may go to.
    pub fn accesses(&self) -> u32 {
        self.accesses as u32
    }

    /// A check was compared.
    pub fn checked(&mut self, agreed: bool) {
        if agreed {
            self.wanted = self.wanted.saturating_sub(1);
        } else {
            self.wanted = CHECKS_AFTER_FAILURE;
            self.change(FAILED);
        }
    }

    /// A walk came by so many accesses, without a share (0–1) of the samples drawn, and took so long.
    pub fn walked(&mut self, passed: u32, missing: f64, cost_ns: u64) {
        self.walks += 1;
        if f64::from(passed) >= LEAST {
            self.unresolved += missing;
        }
        self.cost_ns += cost_ns;
        if self.walks < WALKS {
            return;
        }
        let unresolved = self.unresolved / f64::from(self.walks);
        let over = self.cost_ns as f64 / (f64::from(self.walks) * self.allowed_ns);
        if unresolved > UNRESOLVED {
            self.change(FAILED);
        } else if over > 1.0 && self.accesses > LEAST_PAID {
            self.change((1.0 / over).max(0.5).max(LEAST_PAID / self.accesses));
        } else if self.wanted == 0 && over < 0.6 {
            self.wanted = CHECKS;
            self.change(2.0);
        }
        (self.walks, self.unresolved, self.cost_ns) = (0, 0.0, 0);
    }

    fn change(&mut self, factor: f64) {
        self.accesses = (self.accesses * factor).clamp(LEAST, MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::super::draw::Draw;
    use super::*;
    use crate::random::Random;

    /// What there is to meet on the way.
    #[derive(Clone, Copy, Default)]
    struct Way {
        /// What a walk takes an access, in nanoseconds.
        ns: f64,
        /// Share of walks that end where they begin.
        at_once: f64,
        /// Of a million accesses, so many are unknown, and so many have changed.
        unknown: f64,
        changed: f64,
    }

    /// Mean reach after a while, where a walk may take 100 us.
    fn rest(way: Way) -> f64 {
        let (mut reach, mut random, mut sum) = (Reach::new(100_000.0), Random::from_seed(1), 0.0);
        let mut draws = Random::from_seed(2);
        let mut uniform = || (random.below(1 << 32) + 1) as f64 / (1_u64 << 32) as f64;
        for walk in 0..100_000_u32 {
            let mut draw = Draw::new(reach.accesses(), &mut draws);
            let furthest = f64::from(draw.furthest());
            let mut next = |per_million: f64| -uniform().ln() * 1e6 / per_million;
            let (unknown, changed) = (next(way.unknown), next(way.changed));
            let ends = if uniform() <= way.at_once { 0.0 } else { unknown };
            let went = furthest.min(ends);
            draw.pass_by(went as u32);
            reach.walked(draw.passed(), draw.missing_share(), (went * way.ns) as u64);
            if walk.is_multiple_of(50) {
                reach.checked(changed > f64::from(draw.one_of(&mut draws)));
            }
            sum += f64::from(reach.accesses()) / 100_000.0;
        }
        sum
    }

    #[test]
    fn it_goes_as_far_as_walks_get_through_and_are_cheap() {
        let cheap = Way { ns: 5.0, ..Way::default() };
        assert!(rest(cheap) > 3800.0);
        // With a reach of 1000 a walk goes to the 875th on the average.
        let dear = rest(Way { ns: 125.0, ..cheap });
        assert!((400.0..1000.0).contains(&dear), "{dear}");
        let dearest = rest(Way { ns: 5_000.0, ..cheap });
        assert!((47.0..50.0).contains(&dearest), "{dearest}");
        let lost = rest(Way { unknown: 1000.0, ..cheap });
        assert!((50.0..250.0).contains(&lost), "{lost}");
        let changing = rest(Way { changed: 1000.0, ..cheap });
        assert!((16.0..100.0).contains(&changing), "{changing}");
        let hardly = rest(Way { unknown: 100_000.0, ..cheap });
        assert!(hardly < 32.0, "{hardly}");
    }

    #[test]
    fn walks_that_end_at_once_do_not_shorten_others() {
        assert!(rest(Way { ns: 5.0, at_once: 0.1, ..Way::default() }) > 3800.0);
    }
}
