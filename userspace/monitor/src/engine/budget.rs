//! The division of waytrace's own CPU time: what watching everybody takes comes first, recordings as they are asked for, and turns take what is left.

use waytrace_model::monitor::ShareState;

/// How fast what a turn costs is learnt: a new window weighs a quarter, and a half where it took less, so that a burst (a new program's symbols, many
/// new processes) does not keep turns away for long.
const LEARN: f64 = 0.25;
const LEARN_LESS: f64 = 0.5;
/// What a second of turns is taken to cost before it is known, in seconds of CPU time.
const FIRST_COST: f64 = 0.02;
/// Turns below this share of the time tell too little for what they cost.
const LEAST_DUTY: f64 = 0.02;

/// A budget in percent of all CPUs as CPU time per time.
pub fn ratio(cpu_pct: f64, cpus: usize) -> f64 {
    cpu_pct / 100.0 * cpus.max(1) as f64
}

/// What a window took of CPU time, all in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Taken {
    /// Length of the window.
    pub length_ns: u64,
    /// All of waytrace, recordings included.
    pub all_ns: u64,
    /// Turns.
    pub turns_ns: u64,
    /// How long turns lasted.
    pub turned_ns: u64,
}

/// Divides.
#[derive(Debug, Clone)]
pub struct Division {
    /// Of one CPU's time, 0 to 1 and more.
    budget_ratio: f64,
    /// CPU time per time of turns.
    cost: f64,
    /// CPU time per time of everything else.
    base: f64,
    is_over_memory: bool,
}

impl Division {
    /// For a budget in percent of all CPUs.
    pub fn new(cpu_pct: f64, cpus: usize) -> Self {
        Self { budget_ratio: ratio(cpu_pct, cpus), cost: FIRST_COST, base: 0.0, is_over_memory: false }
    }

    /// Another budget.
    pub fn set_budget(&mut self, cpu_pct: f64, cpus: usize) {
        self.budget_ratio = ratio(cpu_pct, cpus);
    }

    /// Learns from a window.
    pub fn learn(&mut self, taken: Taken) {
        let length_ns = taken.length_ns.max(1) as f64;
        let base = taken.all_ns.saturating_sub(taken.turns_ns) as f64 / length_ns;
        self.base = learnt(self.base, base);
        // Turns too short to tell what they cost teach nothing.
        if taken.turned_ns as f64 >= length_ns * LEAST_DUTY / 2.0 {
            let cost = taken.turns_ns as f64 / taken.turned_ns as f64;
            self.cost = learnt(self.cost, cost);
        }
    }

    /// More memory is taken than is allowed: turns pause while that is so.
    pub fn over_memory(&mut self, is_over: bool) {
        self.is_over_memory = is_over;
    }

    /// Share of the time in which there may be turns, 0 to 1.
    pub fn duty(&self) -> f64 {
        if self.is_over_memory {
            return 0.0;
        }
        let duty = (self.budget_ratio - self.base) / self.cost.max(f64::MIN_POSITIVE);
        if duty < LEAST_DUTY { 0.0 } else { duty.min(1.0) }
    }

    /// How turns fare, and why not better.
    pub fn state(&self) -> (ShareState, Option<String>) {
        let duty = self.duty();
        if self.is_over_memory {
            return (
                ShareState::Paused,
                Some("waytrace takes more memory than budget.rss_mb allows".to_owned()),
            );
        }
        if duty >= 1.0 {
            return (ShareState::Full, None);
        }
        let [budget, base, cost] = [self.budget_ratio, self.base, self.cost].map(|ratio| 100.0 * ratio);
        let why = format!(
            "the budget is {budget:.2} % of a CPU, watching takes {base:.2}, closer looks would take {cost:.2}"
        );
        if duty > 0.0 {
            (ShareState::Reduced, Some(format!("{:.0} % of the time: {why}", 100.0 * duty)))
        } else {
            (ShareState::Paused, Some(why))
        }
    }
}

fn learnt(known: f64, new: f64) -> f64 {
    let weight = if new < known { LEARN_LESS } else { LEARN };
    known + weight * (new - known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(cpu_pct: f64, base: f64, cost: f64) -> Division {
        let mut division = Division::new(cpu_pct, 2);
        for _ in 0..60 {
            let duty = division.duty().max(0.05);
            let turned = duty * 1e9;
            division.learn(Taken {
                length_ns: 1_000_000_000,
                all_ns: (base * 1e9 + cost * turned) as u64,
                turns_ns: (cost * turned) as u64,
                turned_ns: turned as u64,
            });
        }
        division
    }

    #[test]
    fn turns_take_what_is_left() {
        // 1 % of two CPUs is 2 % of one; 0.5 % go to watching, and a second of turns takes 3 %.
        let division = settled(1.0, 0.005, 0.03);
        assert!((division.duty() - 0.5).abs() < 0.01, "{}", division.duty());
        let (state, reason) = division.state();
        assert_eq!(state, ShareState::Reduced);
        assert!(reason.unwrap().starts_with("50 % of the time: the budget is 2.00 %"));
    }

    #[test]
    fn a_burst_is_over_after_some_windows() {
        let mut division = settled(1.0, 0.003, 0.01);
        let window = |all_ns| Taken { length_ns: 1_000_000_000, all_ns, turns_ns: 0, turned_ns: 0 };
        division.learn(window(600_000_000));
        assert_eq!(division.duty(), 0.0);
        (0..4).for_each(|_| division.learn(window(3_000_000)));
        assert!(division.duty() > 0.5, "{}", division.duty());
    }

    #[test]
    fn all_of_the_time_where_there_is_room_and_none_where_there_is_not() {
        assert_eq!(settled(1.0, 0.005, 0.01).state(), (ShareState::Full, None));
        assert_eq!(settled(1.0, 0.03, 0.01).state().0, ShareState::Paused);
        let mut division = settled(1.0, 0.005, 0.01);
        division.over_memory(true);
        assert_eq!((division.duty(), division.state().0), (0.0, ShareState::Paused));
    }
}
