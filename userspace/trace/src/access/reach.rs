//! How far ahead walks go: as far as they can be trusted.
//!
//! The further the k-th access may lie, the less it matters where a sample fell. But each step also is a chance to meet
//! something unknown, or memory that has changed since the sample. The reach grows while walks get through and checks
//! agree, and shrinks when they do not. It changes slowly against the samples, so that none of them decides on its own k.

/// Bounds of the reach, in accesses.
const LEAST: f64 = 16.0;
const MOST: f64 = 128.0;
/// What it begins with.
const FIRST: f64 = 64.0;
/// Share of checks that may fail, and by how much one that does shortens the reach.
const FAILING: f64 = 0.03;
const FAILED_CUT: f64 = 0.25;
/// Share of walks that may end early, and by how much one that does shortens the reach.
const UNRESOLVED: f64 = 0.05;
const UNRESOLVED_CUT: f64 = 1.0 / 128.0;

/// The reach of walks.
#[derive(Debug, Clone, Copy)]
pub struct Reach(f64);

impl Default for Reach {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Reach {
    /// The furthest access a walk may go to.
    pub fn accesses(self) -> u32 {
        self.0 as u32
    }

    /// A check was compared.
    pub fn checked(&mut self, agreed: bool) {
        self.learn(agreed, FAILED_CUT, FAILING);
    }

    /// A walk ended.
    pub fn walked(&mut self, resolved: bool) {
        self.learn(resolved, UNRESOLVED_CUT, UNRESOLVED);
    }

    /// Rests where a share `allowed` goes wrong: there, what successes add is what failures take.
    fn learn(&mut self, went_well: bool, cut: f64, allowed: f64) {
        let factor = if went_well { 1.0 + cut * allowed / (1.0 - allowed) } else { 1.0 - cut };
        self.0 = (self.0 * factor).clamp(LEAST, MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the reach comes to rest if a walk of `reach` accesses fails with a chance of `reach * per_access`.
    fn rest(per_access: f64) -> f64 {
        let (mut reach, mut random, mut sum) = (Reach::default(), 1_u64, 0.0);
        for _ in 0..100_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let uniform = (random >> 11) as f64 / (1_u64 << 53) as f64;
            reach.walked(uniform >= f64::from(reach.accesses()) * per_access);
            sum += f64::from(reach.accesses()) / 100_000.0;
        }
        sum
    }

    #[test]
    fn it_goes_as_far_as_one_walk_in_twenty_fails() {
        assert!(rest(0.0) > 120.0);
        assert!((rest(0.001) - 50.0).abs() < 5.0, "{}", rest(0.001));
        assert!(rest(0.1) < 17.0);
        let mut reach = Reach::default();
        reach.checked(false);
        assert_eq!(reach.accesses(), 48);
        reach.checked(true);
        assert_eq!(reach.accesses(), 48);
    }
}
