//! What the turns of each target took of waytrace's CPU time, lately: for targets with a budget of their own.

use std::collections::HashMap;

use super::Limits;

/// A window weighs this much after another one.
const KEPT: f64 = 0.9;

/// CPU time by target, and the time it was taken in; both forget.
#[derive(Debug)]
pub struct Spent {
    cpus: f64,
    elapsed_ns: f64,
    own_ns: HashMap<String, f64>,
}

impl Spent {
    /// Nothing yet, on a machine of so many CPUs.
    pub fn new(cpus: usize) -> Self {
        Self { cpus: cpus as f64, elapsed_ns: 0.0, own_ns: HashMap::new() }
    }

    /// A turn of a target took so much.
    pub fn add(&mut self, target: &str, own_ns: u64) {
        *self.own_ns.entry(target.to_owned()).or_default() += own_ns as f64;
    }

    /// A window is over.
    pub fn window(&mut self, length_ns: u64) {
        self.elapsed_ns = self.elapsed_ns * KEPT + length_ns as f64;
        self.own_ns.retain(|_, own_ns| {
            *own_ns *= KEPT;
            *own_ns >= 1.0
        });
    }

    /// Whether a target may have another turn.
    pub fn permits(&self, target: &str, limits: Limits) -> bool {
        let is_wanted = limits.allocations || limits.accesses;
        let Some(cpu_pct) = limits.cpu_pct else { return is_wanted };
        let own_ns = self.own_ns.get(target).copied().unwrap_or(0.0);
        is_wanted && own_ns <= cpu_pct / 100.0 * self.cpus * self.elapsed_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_keeps_to_its_own_budget() {
        let mut spent = Spent::new(2);
        let limits = Limits { cpu_pct: Some(0.5), ..Limits::default() };
        let mut turns = 0;
        for _ in 0..1_000 {
            spent.window(1_000_000_000);
            // A turn takes 30 ms; half a percent of two CPUs is 10 ms a second.
            if spent.permits("t", limits) {
                spent.add("t", 30_000_000);
                turns += 1;
            }
        }
        assert!((300..=400).contains(&turns), "{turns} turns in 1,000 s");
        assert!(spent.permits("other", limits) && spent.permits("t", Limits::default()));
    }

    #[test]
    fn nothing_to_look_at_is_no_turn() {
        let limits = Limits { allocations: false, accesses: false, ..Limits::default() };
        assert!(!Spent::new(2).permits("t", limits));
    }
}
