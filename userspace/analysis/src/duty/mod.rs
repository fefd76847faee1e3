//! Totals from duty-cycled probing: the probes are in place for short windows only, and slow the target while they are.
//!
//! Within a window the target spends `T` of CPU time, makes `n` allocations and pays `P` for traps, so its allocations
//! per *undisturbed* CPU time are `n / (T - P)`; times the undisturbed CPU time of the whole run that is the total.
//! Windows are placed at random in time, so the ratio of sums over windows is a consistent ratio estimator (Cochran,
//! *Sampling Techniques*, ch. 6).
//!
//! `P` decides how good that is for a target that allocates all the time. Calibration says what a trap costs in a loop of
//! our own; what it costs in the target, the windows tell themselves ([`cost`]).
//!
//! A target paced from outside (a service with idle time) is another case: it makes its calls whatever they cost, so its
//! calls per *elapsed* time are undisturbed. Probing can only lower either rate, a paced target's per CPU time and a busy
//! one's per elapsed time, so the total by elapsed time is taken where it exceeds the other by more than both are uncertain:
//! of few windows either may be the larger one by chance. It is also taken where it is much the surer of the two: it is too
//! low by no more than the share of the time that went to traps, which of a target that hardly runs is next to nothing, while
//! traps that come rarely find cold caches and may cost twice what calibration says.
//!
//! The interval is from the jackknife over windows (Efron & Tibshirani, ch. 11) and what is left of uncertainty in `P`.

mod cost;
mod sums;
#[cfg(test)]
mod tests;

use cost::spread_of;
pub use cost::{Factor, Factors};
use sums::{Strata, Sums};

/// Which functions a part of a window probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Allocating functions only.
    Allocs,
    /// Freeing functions only.
    Frees,
    /// Allocating and freeing functions.
    Both,
}

/// What one part of a window saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// What was probed.
    pub kind: Kind,
    /// CPU time of the target within the part, in nanoseconds, traps included.
    pub cpu_ns: f64,
    /// Length of the part, in nanoseconds.
    pub elapsed_ns: f64,
    /// What the traps in allocating functions took by calibration, in nanoseconds.
    pub alloc_traps_ns: f64,
    /// The same of freeing functions.
    pub free_traps_ns: f64,
    /// Allocations; 0 where they were not probed.
    pub alloc_count: f64,
    /// Bytes of them.
    pub alloc_bytes: f64,
    /// Frees; 0 where they were not probed.
    pub free_count: f64,
    /// Bytes of them, where known.
    pub freed_bytes: f64,
}

/// An estimated total.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Total {
    /// The total.
    pub value: f64,
    /// Half-width of its 95 % interval, percent of it.
    pub ci95_pct: f64,
}

/// All estimates of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Allocations.
    pub alloc_count: Total,
    /// Bytes asked for.
    pub alloc_bytes: Total,
    /// Frees; `None` if no window probed them, or their interval says nothing.
    pub free_count: Option<Total>,
    /// Bytes freed, where known.
    pub freed_bytes: Option<Total>,
}

/// What the estimate cannot be made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// No window saw the target run.
    NoWindows,
    /// The target did little else than pay for traps while it was probed.
    Swamped,
}

/// The run the windows were taken from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    /// The target's CPU time, in nanoseconds, traps included.
    pub cpu_ns: f64,
    /// Its length, in nanoseconds.
    pub elapsed_ns: f64,
}

/// The share of a window that must be left to the target itself.
const LEAST_UNDISTURBED_RATIO: f64 = 0.1;

/// A target that is so much busier within windows than outside has time to spare: it is paced from outside.
const PACED_BUSIER_RATIO: f64 = 1.5;

/// An uncertainty is much smaller than another below this share of it. Of a busy target both are the same.
const MUCH_SURER_RATIO: f64 = 0.5;

/// What a target may have been slowed counts for nothing below this share of what is doubtful: it hardly runs.
const MUCH_LESS_RATIO: f64 = 0.1;

/// A total that rests on calibration by more than this share is avoided where there is a better one.
const MOST_DOUBT_RATIO: f64 = 0.05;

/// Half-width, in standard deviations, of an interval that holds 95 %.
const CI95_SD: f64 = 1.96;

/// A quantity of the sums.
type Of = fn(&Sums) -> f64;

/// Estimates the run's totals from the parts of its windows, those of a window one after the other. `factors`
/// may come from more windows than these.
///
/// # Errors
/// [`Unusable`] where the windows cannot carry an estimate.
pub fn estimate(samples: &[Sample], run: Run, factors: Factors) -> Result<Estimate, Unusable> {
    let strata = Strata::of(samples);
    if strata.all().cpu_ns <= 0.0 {
        return Err(Unusable::NoWindows);
    }
    let estimator = Estimator { samples, strata, run, factors };
    let frees = strata.with_frees().windows > 0.0;
    Ok(Estimate {
        alloc_count: estimator.total(|sums| sums.allocs, Strata::with_allocs).ok_or(Unusable::Swamped)?,
        alloc_bytes: estimator
            .total(|sums| sums.alloc_bytes, Strata::with_allocs)
            .ok_or(Unusable::Swamped)?,
        free_count: frees.then(|| estimator.total(|sums| sums.frees, Strata::with_frees)).flatten(),
        freed_bytes: frees.then(|| estimator.total(|sums| sums.freed_bytes, Strata::with_frees)).flatten(),
    })
}

/// What a total is made from.
#[derive(Clone, Copy)]
struct Estimator<'a> {
    samples: &'a [Sample],
    strata: Strata,
    run: Run,
    factors: Factors,
}

/// The parts of windows that saw what a total is about.
type Seen = fn(&Strata) -> Sums;

impl Estimator<'_> {
    /// The total by calls per undisturbed CPU time; `None` where too little of it is left.
    fn by_cpu(&self, strata: &Strata, factors: &Factors, of: Of, seen: Seen) -> Option<f64> {
        let sums = seen(strata);
        let undisturbed = sums.cpu_ns - factors.of(sums.alloc_traps_ns, sums.free_traps_ns);
        (undisturbed > LEAST_UNDISTURBED_RATIO * sums.cpu_ns)
            .then(|| of(&sums) / undisturbed * self.undisturbed_run_ns())
    }

    /// CPU time of the run without what traps took.
    fn undisturbed_run_ns(&self) -> f64 {
        let all = self.strata.all();
        (self.run.cpu_ns - self.factors.of(all.alloc_traps_ns, all.free_traps_ns)).max(0.0)
    }

    /// The total by calls per elapsed time.
    fn by_time(&self, strata: &Strata, of: Of, seen: Seen) -> Option<f64> {
        let sums = seen(strata);
        (sums.elapsed_ns > 0.0).then(|| of(&sums) / sums.elapsed_ns * self.run.elapsed_ns)
    }

    fn total(&self, of: Of, seen: Seen) -> Option<Total> {
        let by_cpu = self.by_cpu(&self.strata, &self.factors, of, seen);
        let by_time = self.by_time(&self.strata, of, seen);
        let by_cpu = by_cpu.map(|value| (value, self.spread_by_cpu(of, seen)));
        let by_time = by_time
            .map(|value| (value, spread_of(self.samples, self.strata, |left| self.by_time(left, of, seen))));
        let (value, sd) = match (by_cpu, by_time) {
            (Some(by_cpu), Some(by_time)) if self.is_paced(by_cpu, by_time, seen) => by_time,
            (Some((by_cpu, sd)), _) if sd.is_finite() => (by_cpu, sd),
            // A target that did little else than pay for traps: it kept its pace all the same if it got busier for them.
            (_, Some(by_time)) if self.busier_ratio() >= PACED_BUSIER_RATIO => by_time,
            (by_cpu, _) => by_cpu?,
        };
        let ci95_pct = if value > 0.0 { 100.0 * CI95_SD * sd / value } else { 0.0 };
        Some(Total { value, ci95_pct })
    }

    /// Whether the total by elapsed time is the better one; both with their standard deviations.
    fn is_paced(&self, by_cpu: (f64, f64), by_time: (f64, f64), seen: Seen) -> bool {
        let ((by_cpu, cpu_sd), (by_time, time_sd)) = (by_cpu, by_time);
        if by_time > by_cpu + CI95_SD * cpu_sd.hypot(time_sd) {
            return true;
        }
        let sums = seen(&self.strata);
        let traps_ns = self.factors.of(sums.alloc_traps_ns, sums.free_traps_ns);
        // Of what it would have done, at most the share of the time is missing that went to traps.
        let undisturbed_ns = (sums.elapsed_ns - traps_ns).max(0.0);
        let too_low = by_time * traps_ns / undisturbed_ns;
        let doubtful_ns = self.factors.doubtful(sums.alloc_traps_ns, sums.free_traps_ns);
        let doubt = by_cpu * doubtful_ns / sums.cpu_ns;
        // Scatter is nobody's fault and averages out, what is doubtful does not.
        let is_doubtful = doubt > MOST_DOUBT_RATIO * by_cpu && too_low < MUCH_LESS_RATIO * doubt;
        is_doubtful || time_sd.hypot(too_low) < MUCH_SURER_RATIO * cpu_sd.hypot(doubt)
    }

    /// How much more of the time the target was on a CPU within the windows than outside. One that never waits cannot
    /// get busier; one paced from outside does by what the traps cost it.
    fn busier_ratio(&self) -> f64 {
        let sums = self.strata.all();
        let (outside_cpu_ns, outside_ns) =
            (self.run.cpu_ns - sums.cpu_ns, self.run.elapsed_ns - sums.elapsed_ns);
        if outside_cpu_ns <= 0.0 || outside_ns <= 0.0 || sums.elapsed_ns <= 0.0 {
            return 1.0;
        }
        (sums.cpu_ns / sums.elapsed_ns) / (outside_cpu_ns / outside_ns)
    }

    /// Scatter between windows, and what is left of uncertainty in the cost of traps.
    fn spread_by_cpu(&self, of: Of, seen: Seen) -> f64 {
        let scatter = spread_of(self.samples, self.strata, |left| {
            self.by_cpu(left, &self.factors.of_remaining(left), of, seen)
        });
        let shift = |part: fn(&mut Factors) -> &mut Factor| {
            let shifted = |sign: f64| {
                let mut factors = self.factors;
                let factor = part(&mut factors);
                factor.value += sign * factor.sd;
                self.by_cpu(&self.strata, &factors, of, seen).unwrap_or(f64::INFINITY)
            };
            (shifted(1.0) - shifted(-1.0)).abs() / 2.0
        };
        scatter.hypot(shift(|factors| &mut factors.alloc)).hypot(shift(|factors| &mut factors.free))
    }
}
