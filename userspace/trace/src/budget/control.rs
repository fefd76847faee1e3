//! When to probe and for how long.
//!
//! A token bucket: the target's CPU time, times the budget, flows in; what the probes cost flows out. Windows come at
//! random intervals, so that a periodic target cannot hide from them, and each lasts as long as the tokens are
//! expected to. A target that allocates so little that the tokens never run out is probed all the time.
//!
//! What a window saw must not decide how long it lasts, nor much how long the next does: a window that ended at a burst, or a
//! short one after it, would weigh the burst more than the quiet around it. So a dear window is paid for by later ones, and only one that is
//! far dearer than expected is cut short; and what is expected is learnt slowly, from turn to turn where there are turns.

use std::sync::atomic::Ordering;
use std::time::Duration;

use waytrace_analysis::duty::{Factors, Kind, Sample};
use waytrace_hw::clock;

use super::{Shared, Timed};
use crate::Error;
use crate::calibrate::Costs;
use crate::kernel::{Counts, TotalsReader};
use crate::probes::{Placed, Plan, Prober, Reaper, Scope};
use crate::random::Random;

/// Mean time between the starts of two windows.
const PERIOD_NS: u64 = 400_000_000;
/// A window shorter than this measures mostly its own edges.
const LEAST_WINDOW_NS: u64 = 3_000_000;
/// Length of the first window, of which nothing is known.
const FIRST_WINDOW_NS: u64 = 6_000_000;
/// Parts of a window.
const PARTS: u64 = 3;
/// How often it is looked whether removed probes are still hit, and how many times at most.
const SETTLING_LOOK: Duration = Duration::from_micros(100);
const MOST_SETTLING_LOOKS: u32 = 30;
/// How often the cost is looked at within a window.
const LOOK_NS: u64 = 2_000_000;
/// A part is cut short when it costs so many times what it may: its debt is paid by a longer wait.
const MOST_OVERDRAWN: f64 = 4.0;
/// A target that uses less of a CPU is taken to use so much: a share of next to nothing pays for no window that tells anything.
const LEAST_CPU_RATIO: f64 = 0.02;
/// Tokens never grow beyond what flows in within this time: a quiet hour must not pay for a burst.
const MOST_SAVED_NS: u64 = 1_000_000_000;

pub struct Controller {
    totals: TotalsReader,
    prober: Prober,
    reaper: Reaper,
    budget_ratio: f64,
    costs: Costs,
    /// What traps cost in the target over what they cost in calibration, as far as is known.
    factors: Factors,
    random: Random,
    /// CPU time the probes may still take from the target.
    tokens_ns: f64,
    /// What probes cost while they are in place.
    rate: CostRate,
    booked: Option<Reading>,
}

/// What probes cost while they are in place, learnt from windows; later ones weigh more.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CostRate {
    cost_ns: f64,
    placed_ns: f64,
}

impl CostRate {
    /// What earlier windows weigh when another comes.
    const KEEP: f64 = 0.9;

    /// CPU time of the target per time; `None` while there was no window.
    fn ratio(self) -> Option<f64> {
        (self.placed_ns > 0.0).then(|| self.cost_ns / self.placed_ns)
    }

    fn learn(&mut self, cost_ns: f64, placed_ns: f64) {
        self.cost_ns = Self::KEEP * self.cost_ns + cost_ns;
        self.placed_ns = Self::KEEP * self.placed_ns + placed_ns;
    }
}

/// Counters and clocks at one moment.
#[derive(Clone, Copy)]
struct Reading {
    at_ns: u64,
    cpu_ns: u64,
    totals: Counts,
}

impl Controller {
    /// `rate` is what is known of this target from before.
    pub fn new(totals: TotalsReader, prober: Prober, budget_pct: f64, costs: Costs, rate: CostRate) -> Self {
        Self {
            totals,
            prober,
            reaper: Reaper::default(),
            budget_ratio: budget_pct / 100.0,
            costs,
            factors: Factors::CALIBRATED,
            random: Random::default(),
            tokens_ns: 0.0,
            rate,
            booked: None,
        }
    }

    /// Probes until it is told to stop; returns what it has learnt of the cost.
    pub fn run(mut self, shared: &Shared) -> Result<CostRate, Error> {
        while !shared.stop.load(Ordering::Acquire) {
            let plans: Vec<(u32, Plan)> =
                shared.plans().iter().map(|(tgid, plan)| (*tgid, plan.clone())).collect();
            self.refill()?;
            if let Some(length_ns) = self.affordable_ns() {
                self.window(shared, &plans, length_ns)?;
            }
            let pause_ns = PERIOD_NS / 2 + self.random.below(PERIOD_NS);
            std::thread::park_timeout(Duration::from_nanos(pause_ns));
        }
        Ok(self.rate)
    }

    /// Books what the target earned and what the probes cost since the last time, whenever they cost it: also while
    /// they were being placed and removed.
    fn refill(&mut self) -> Result<(), Error> {
        let now = self.read()?;
        if let Some(before) = self.booked.replace(now) {
            let elapsed_ns = now.at_ns.saturating_sub(before.at_ns) as f64;
            let cpu_ns = now.cpu_ns.saturating_sub(before.cpu_ns) as f64;
            self.tokens_ns += self.budget_ratio * cpu_ns.max(LEAST_CPU_RATIO * elapsed_ns);
            self.tokens_ns -= self.cost_ns(&before, &now);
        }
        self.tokens_ns = self.tokens_ns.min(self.budget_ratio * MOST_SAVED_NS as f64);
        Ok(())
    }

    /// How long the next window may be; `None` while there are too few tokens for any.
    fn affordable_ns(&self) -> Option<u64> {
        let Some(rate) = self.rate.ratio() else { return (self.tokens_ns > 0.0).then_some(FIRST_WINDOW_NS) };
        let affordable = if rate > 0.0 { self.tokens_ns / rate } else { PERIOD_NS as f64 };
        (affordable >= LEAST_WINDOW_NS as f64).then_some(affordable.min(PERIOD_NS as f64) as u64)
    }

    /// One window of three parts: one side probed, both, then the other alone. What the machine and the target do
    /// meanwhile meets all three, and they differ by the cost of the probes alone.
    fn window(&mut self, shared: &Shared, plans: &[(u32, Plan)], length_ns: u64) -> Result<(), Error> {
        type Side = (Kind, fn(&Plan) -> Plan);
        let (allocs, frees): (Side, Side) = ((Kind::Allocs, Plan::allocs), (Kind::Frees, Plan::frees));
        let (first, last) = if self.random.below(2) == 0 { (allocs, frees) } else { (frees, allocs) };
        let part_ns = length_ns / PARTS;
        let start = self.read()?;
        let early = self.place(plans, first.1)?;
        let alone = self.part(shared, first.0, part_ns)?;
        let late = self.place(plans, last.1)?;
        let together = self.part(shared, Kind::Both, part_ns)?;
        self.reaper.take(early);
        self.settle(first.0)?;
        let other = self.part(shared, last.0, part_ns)?;
        self.reaper.take(late);
        let end = self.read()?;
        self.rate.learn(self.cost_ns(&start, &end), (end.at_ns - start.at_ns) as f64);
        self.factors = shared.add([alone, together, other]);
        Ok(())
    }

    /// What probes cost between two readings, in nanoseconds, by what is known of this target.
    fn cost_ns(&self, from: &Reading, to: &Reading) -> f64 {
        let paid = self.costs.between(&from.totals, &to.totals);
        self.factors.of(paid.alloc_ns, paid.free_ns)
    }

    /// Waits until probes that are being removed are hit no more.
    fn settle(&self, removed: Kind) -> Result<(), Error> {
        let count = |totals: &Counts| match removed {
            Kind::Frees => totals.free_count,
            _ => totals.alloc_count,
        };
        let mut before = self.totals.read()?;
        for _ in 0..MOST_SETTLING_LOOKS {
            std::thread::sleep(SETTLING_LOOK);
            let now = self.totals.read()?;
            if count(&now) == count(&before) {
                break;
            }
            before = now;
        }
        Ok(())
    }

    /// Places a part of every plan. A process that has gone meanwhile has nothing to place on.
    fn place(&self, plans: &[(u32, Plan)], part: fn(&Plan) -> Plan) -> Result<Placed, Error> {
        let mut placed = Placed::default();
        for (tgid, plan) in plans {
            match self.prober.place(&part(plan), Scope::Process(*tgid)) {
                Ok(more) => placed.extend(more),
                Err(error) if clock::process_cpu_ns(*tgid).is_ok() => return Err(error),
                Err(_) => {}
            }
        }
        Ok(placed)
    }

    fn part(&self, shared: &Shared, kind: Kind, length_ns: u64) -> Result<Timed, Error> {
        let start = self.read()?;
        let end = self.measure(shared, &start, length_ns)?;
        let sample = sample(kind, &self.costs, &start, &end);
        Ok(Timed { start_ns: start.at_ns, end_ns: end.at_ns, sample })
    }

    /// Waits for the end of a part, looking at its cost now and then.
    fn measure(&self, shared: &Shared, start: &Reading, length_ns: u64) -> Result<Reading, Error> {
        let deadline_ns = start.at_ns + length_ns;
        loop {
            let left_ns = deadline_ns.saturating_sub(clock::monotonic_ns());
            std::thread::sleep(Duration::from_nanos(left_ns.min(LOOK_NS)));
            let now = self.read()?;
            let dear = self.cost_ns(start, &now) > MOST_OVERDRAWN * self.tokens_ns.max(0.0) / PARTS as f64;
            if now.at_ns >= deadline_ns || dear || shared.stop.load(Ordering::Acquire) {
                return Ok(now);
            }
        }
    }

    fn read(&self) -> Result<Reading, Error> {
        let totals = self.totals.read()?;
        let cpu_ns = self.totals.target_cpu_ns()?;
        Ok(Reading { at_ns: clock::monotonic_ns(), cpu_ns, totals })
    }
}

fn sample(kind: Kind, costs: &Costs, start: &Reading, end: &Reading) -> Sample {
    let (from, to) = (&start.totals, &end.totals);
    let paid = costs.between(from, to);
    Sample {
        kind,
        cpu_ns: end.cpu_ns.saturating_sub(start.cpu_ns) as f64,
        elapsed_ns: end.at_ns.saturating_sub(start.at_ns) as f64,
        alloc_traps_ns: paid.alloc_ns,
        free_traps_ns: paid.free_ns,
        alloc_count: (to.alloc_count - from.alloc_count) as f64,
        alloc_bytes: (to.alloc_bytes - from.alloc_bytes) as f64,
        free_count: (to.free_count - from.free_count) as f64,
        freed_bytes: (to.freed_bytes - from.freed_bytes) as f64,
    }
}
