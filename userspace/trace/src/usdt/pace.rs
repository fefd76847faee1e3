//! Holds the cost of samples to a budget. As a rule there is nothing to do: a sample takes a microsecond or ten and stands for
//! half a megabyte. An allocator that samples far more often is not watched all the time.

use crate::Error;
use crate::calibrate::Costs;
use crate::kernel::{SampleSums, TotalsReader};

/// Tokens never grow beyond what flows in within this time: a quiet hour must not pay for a burst.
const MOST_SAVED_NS: f64 = 1e9;

/// With less of its time a target's own, what samples are calibrated to cost is too unsure.
const LEAST_OWN_RATIO: f64 = 0.5;

/// A token bucket: the target's CPU time, times the budget, flows in; what samples cost flows out.
pub struct Pace {
    costs: Costs,
    budget_ratio: f64,
    cpu: TotalsReader,
    tokens_ns: f64,
    booked_cpu_ns: u64,
    booked_cost_ns: f64,
    watched_cpu_ns: u64,
    unwatched_cpu_ns: u64,
}

impl Pace {
    /// Begins with what a second of the target's CPU time pays for.
    ///
    /// # Errors
    /// When the target's CPU time cannot be read.
    pub fn start(cpu: TotalsReader, budget_pct: f64, costs: Costs) -> Result<Self, Error> {
        let booked_cpu_ns = cpu.target_cpu_ns()?;
        let budget_ratio = budget_pct / 100.0;
        Ok(Self {
            costs,
            budget_ratio,
            tokens_ns: budget_ratio * MOST_SAVED_NS,
            cpu,
            booked_cpu_ns,
            booked_cost_ns: 0.0,
            watched_cpu_ns: 0,
            unwatched_cpu_ns: 0,
        })
    }

    /// CPU time samples have cost, in nanoseconds. A trap at a `nop` is taken to cost what one at a `push` does.
    pub fn cost_ns(&self, sums: &SampleSums) -> f64 {
        let frees = sums.free_samples + sums.unseen_free_samples;
        let allocs = sums.alloc_samples + sums.unread_samples;
        let traps_ns = self.costs.alloc_ns * allocs as f64 + self.costs.free_ns * frees as f64;
        traps_ns + self.costs.sample_ns * sums.stacks as f64
    }

    /// Books what the target earned and what all samples so far have cost; says whether it may be watched from now on.
    ///
    /// # Errors
    /// When the target's CPU time cannot be read.
    pub fn book(&mut self, so_far: &SampleSums, was_watched: bool) -> Result<bool, Error> {
        let cpu_ns = self.cpu.target_cpu_ns()?;
        let earned_ns = cpu_ns.saturating_sub(self.booked_cpu_ns);
        let cost_ns = self.cost_ns(so_far);
        self.tokens_ns += self.budget_ratio * earned_ns as f64 - (cost_ns - self.booked_cost_ns);
        self.tokens_ns = self.tokens_ns.min(self.budget_ratio * MOST_SAVED_NS);
        (self.booked_cpu_ns, self.booked_cost_ns) = (cpu_ns, cost_ns);
        if was_watched {
            self.watched_cpu_ns += earned_ns;
        } else {
            self.unwatched_cpu_ns += earned_ns;
        }
        Ok(self.tokens_ns > 0.0)
    }

    /// Share of the most tokens that is there, at least a hundredth: how much room there is for stacks.
    pub fn spare_ratio(&self) -> f64 {
        (self.tokens_ns / (self.budget_ratio * MOST_SAVED_NS)).clamp(0.01, 1.0)
    }

    /// How much of the target's own CPU time it was watched for.
    pub fn watched(&self) -> Watched {
        watched(self.watched_cpu_ns as f64, self.unwatched_cpu_ns as f64, self.booked_cost_ns)
    }
}

/// How long a target was watched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Watched {
    /// All the time.
    All,
    /// For this share of its own CPU time.
    Ratio(f64),
    /// It spent most of the time it was watched on samples: what it would have done without cannot be told.
    Swamped,
}

/// Of the CPU time in which a target was watched, what samples took was not its own.
fn watched(watched_ns: f64, unwatched_ns: f64, cost_ns: f64) -> Watched {
    let own_ns = watched_ns - cost_ns;
    if unwatched_ns <= 0.0 {
        Watched::All
    } else if own_ns <= LEAST_OWN_RATIO * watched_ns {
        Watched::Swamped
    } else {
        Watched::Ratio(own_ns / (own_ns + unwatched_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_samples_took_is_not_the_targets_own_time() {
        assert_eq!(watched(5e9, 0.0, 1e9), Watched::All);
        assert_eq!(watched(5e9, 4e9, 1e9), Watched::Ratio(0.5));
        assert_eq!(watched(5e9, 4e9, 3e9), Watched::Swamped);
        assert_eq!(watched(0.0, 4e9, 0.0), Watched::Swamped);
    }
}
