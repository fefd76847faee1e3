//! How far ahead walks go: as far as they can be trusted and paid for.
//!
//! The further the k-th access may lie, the less it matters where a sample fell: loops of fewer accesses than that are
//! sampled by accesses, not by time. But each step also is a chance to meet something unknown, or memory that has
//! changed since the sample, and takes time. The reach doubles while all goes well and shrinks when it does not. It
//! changes slowly against the samples, so that none of them decides on its own k.

/// Bounds of the reach, in accesses.
const LEAST: f64 = 16.0;
const MOST: f64 = 4096.0;
/// What it begins with.
const FIRST: f64 = 128.0;
/// Walks that are judged together.
const WALKS: u32 = 64;
/// Share of walks that may end early.
const UNRESOLVED: f64 = 0.05;
/// Checks that must have agreed before the reach may grow, and by how much one that failed shortens it.
const CHECKS: u32 = 24;
const FAILED: f64 = 0.75;
/// After a check has failed, so many must agree.
const CHECKS_AFTER_FAILURE: u32 = 64;
/// What walks may take of a CPU's time.
const CPU_SHARE: f64 = 0.012;
/// A reach to which walks cost little beside being woken for them.
const CHEAP: f64 = 256.0;

/// The reach of walks.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    accesses: f64,
    walks: u32,
    unresolved: u32,
    cost_ns: u64,
    /// Time the walks that are judged together began.
    since_ns: u64,
    /// Checks that have still to agree.
    wanted: u32,
}

impl Reach {
    /// The first, at this time.
    pub fn new(now_ns: u64) -> Self {
        Self { accesses: FIRST, walks: 0, unresolved: 0, cost_ns: 0, since_ns: now_ns, wanted: CHECKS }
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

    /// A walk ended now and took so long.
    pub fn walked(&mut self, resolved: bool, cost_ns: u64, now_ns: u64) {
        self.walks += 1;
        self.unresolved += u32::from(!resolved);
        self.cost_ns += cost_ns;
        if self.walks < WALKS {
            return;
        }
        let unresolved = f64::from(self.unresolved) / f64::from(self.walks);
        let elapsed_ns = now_ns.saturating_sub(self.since_ns).max(1);
        let over = self.cost_ns as f64 / (elapsed_ns as f64 * CPU_SHARE);
        if unresolved > UNRESOLVED {
            self.change(FAILED);
        } else if over > 1.0 && self.accesses > CHEAP {
            self.change((1.0 / over).max(0.5).max(CHEAP / self.accesses));
        } else if self.wanted == 0 && (over < 0.5 || self.accesses * 2.0 <= CHEAP) {
            self.wanted = CHECKS;
            self.change(2.0);
        }
        (self.walks, self.unresolved, self.cost_ns, self.since_ns) = (0, 0, 0, now_ns);
    }

    fn change(&mut self, factor: f64) {
        self.accesses = (self.accesses * factor).clamp(LEAST, MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean reach after a while, where a walk takes `ns` an access, and of `per_million` accesses one is unknown, and
    /// `changed` have changed, at 500 walks a second.
    fn rest(ns: f64, per_million: f64, changed: f64) -> f64 {
        let (mut reach, mut random, mut sum, mut now_ns) = (Reach::new(0), 1_u64, 0.0, 0);
        let mut fails = |reach: &Reach, per_million: f64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let uniform = (random >> 11) as f64 / (1_u64 << 53) as f64;
            uniform < f64::from(reach.accesses()) / 2.0 * per_million / 1e6
        };
        for walk in 0..100_000_u32 {
            now_ns += 2_000_000;
            let is_lost = fails(&reach, per_million);
            reach.walked(!is_lost, (f64::from(reach.accesses()) / 2.0 * ns) as u64, now_ns);
            if walk.is_multiple_of(50) {
                let is_wrong = fails(&reach, changed);
                reach.checked(!is_wrong);
            }
            sum += f64::from(reach.accesses()) / 100_000.0;
        }
        sum
    }

    #[test]
    fn it_goes_as_far_as_walks_get_through_and_are_cheap() {
        assert!(rest(5.0, 0.0, 0.0) > 3900.0);
        // At 50 ns an access, 480 accesses take 1.2 % of the time between walks; at 500 ns that would be 48.
        let dear = rest(50.0, 0.0, 0.0);
        assert!((400.0..1000.0).contains(&dear), "{dear}");
        assert!((200.0..257.0).contains(&rest(500.0, 0.0, 0.0)));
        let lost = rest(5.0, 1000.0, 0.0);
        assert!((50.0..250.0).contains(&lost), "{lost}");
        let changing = rest(5.0, 0.0, 1000.0);
        assert!((16.0..100.0).contains(&changing), "{changing}");
        assert!(rest(5.0, 100_000.0, 0.0) < 17.0);
    }
}
