//! How many monitoring groups there may be: each takes its time to be followed and read, and all of them together a part of the budget.

use std::time::Duration;

/// Of the budget, for monitoring groups.
const SHARE: f64 = 0.25;
/// How much a window weighs against what was known: groups are made in some windows and only read in most.
const LEARN: f64 = 0.25;
/// More groups are tried only below this part of what they may cost, so that their number does not go up and down.
const ROOMY: f64 = 0.5;
/// Where even one costs too much, it is tried again after so many windows.
const PAUSED: u32 = 60;

/// Allots.
#[derive(Debug, Clone)]
pub struct Allotment {
    /// CPU time per time they may take.
    allowed: f64,
    /// CPU time per time they take.
    cost: f64,
    most: usize,
    paused: u32,
}

impl Allotment {
    /// For a budget of so much CPU time per time; as many groups as there are targets, until they are known to cost too much.
    pub fn new(budget_ratio: f64) -> Self {
        Self { allowed: SHARE * budget_ratio, cost: 0.0, most: usize::MAX, paused: 0 }
    }

    /// Another budget.
    pub fn set_budget(&mut self, budget_ratio: f64) {
        self.allowed = SHARE * budget_ratio;
    }

    /// Most groups there may be.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Learns from a window in which there were `count` groups.
    pub fn learn(&mut self, taken_ns: u64, length_ns: u64, count: usize) {
        let cost = taken_ns as f64 / length_ns.max(1) as f64;
        if self.most == 0 {
            self.paused += 1;
            if self.paused >= PAUSED {
                (self.most, self.paused, self.cost) = (1, 0, 0.0);
            }
            return;
        }
        self.cost += LEARN * (cost - self.cost);
        if self.cost > self.allowed {
            self.most = (count.min(self.most) as f64 * self.allowed / self.cost) as usize;
            // What the fewer will cost.
            self.cost = self.allowed;
        } else if self.cost < ROOMY * self.allowed && count >= self.most {
            self.most = self.most.saturating_mul(2);
        }
    }

    /// How long it is waited after a look within a window that took so much.
    pub fn pause(&self, taken_ns: u64) -> Duration {
        let ns = taken_ns as f64 / (ROOMY * self.allowed).max(f64::MIN_POSITIVE);
        Duration::from_nanos(ns.min(60e9) as u64)
    }

    /// Why there may be none.
    pub fn why(&self) -> String {
        format!(
            "monitoring groups may take {:.2} % of a CPU, a quarter of the budget, and one takes more",
            100.0 * self.allowed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 10_000_000_000;

    /// Windows of `wanted` targets, each group taking so much.
    fn settled(allotment: &mut Allotment, wanted: usize, each_ns: u64, windows: u32) -> usize {
        for _ in 0..windows {
            let count = wanted.min(allotment.most());
            allotment.learn(count as u64 * each_ns, WINDOW, count);
        }
        wanted.min(allotment.most())
    }

    #[test]
    fn there_are_as_many_as_the_budget_has_room_for() {
        // 2 % of a CPU: 50 ms of each window for groups.
        let mut allotment = Allotment::new(0.02);
        assert_eq!(settled(&mut allotment, 200, 100_000, 50), 200);
        let fewer = settled(&mut allotment, 200, 1_000_000, 50);
        assert!((20..=50).contains(&fewer), "{fewer}");
        let back = settled(&mut allotment, 200, 10_000, 50);
        assert_eq!(back, 200);
    }

    #[test]
    fn where_one_costs_too_much_there_is_none_and_it_is_tried_again() {
        let mut allotment = Allotment::new(0.02);
        assert_eq!(settled(&mut allotment, 3, 1_000_000_000, 5), 0);
        assert!(allotment.why().contains("0.50 % of a CPU"), "{}", allotment.why());
        let most = (0..PAUSED).map(|_| {
            allotment.learn(0, WINDOW, 0);
            allotment.most()
        });
        assert_eq!(most.max(), Some(1));
    }

    #[test]
    fn looks_within_a_window_take_no_more_than_their_part() {
        assert_eq!(Allotment::new(0.02).pause(5_000_000), Duration::from_secs(2));
    }
}
