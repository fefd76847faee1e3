//! Totals from duty-cycled probing: the probes are in place for short windows only, and slow the target while they are.
//!
//! Within a window the target spends `T` of CPU time, makes `n` calls and pays `H` traps of `c` each, so its calls per
//! *undisturbed* CPU time are `n / (T - cH)`; times the undisturbed CPU time of the whole run that is the total. Windows
//! are placed at random in time, so the ratio of sums over windows is a consistent ratio estimator (Cochran, *Sampling
//! Techniques*, ch. 6).
//!
//! `c` decides how good that is for a target that allocates all the time. It is known beforehand by calibration, and
//! from the windows themselves: they have two halves, one with more traps a call than the other, and the difference in
//! CPU time a call between the halves is `c` times the difference in traps, whatever slows the target besides the trap
//! itself. Both are combined by their precision.
//!
//! A target paced from outside (a service with idle time) is another case: it makes its calls whatever they cost, so its
//! calls per *elapsed* time are undisturbed, while the rare trap it meets is a cold one that costs it several times the
//! calibrated figure. Probing can only lower either rate, a paced target's per CPU time and a busy one's per elapsed time,
//! so the total by elapsed time is taken where it exceeds the other by more than that one's own uncertainty.
//!
//! The interval is from the jackknife over windows (Efron & Tibshirani, ch. 11) and what is left of uncertainty in `c`.

/// Which functions a window probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Allocating functions only.
    Allocs,
    /// Allocating and freeing functions.
    Both,
}

/// What one half of a window saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// What was probed.
    pub kind: Kind,
    /// CPU time of the target within the window, in nanoseconds, traps included.
    pub cpu_ns: f64,
    /// Length of the window, in nanoseconds.
    pub elapsed_ns: f64,
    /// Traps taken.
    pub hits_count: f64,
    /// Allocations.
    pub alloc_count: f64,
    /// Bytes of them.
    pub alloc_bytes: f64,
    /// Frees; only of [`Kind::Both`].
    pub free_count: f64,
    /// Bytes of them, where known.
    pub freed_bytes: f64,
}

/// Cost of a trap as calibrated beforehand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prior {
    /// Nanoseconds.
    pub hit_ns: f64,
    /// How far the truth may be off, as one standard deviation, 0–1 of `hit_ns`.
    pub sd_ratio: f64,
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
    /// Frees; `None` if no window probed them.
    pub free_count: Option<Total>,
    /// Bytes freed, where known.
    pub freed_bytes: Option<Total>,
    /// Cost of a trap in this target, in nanoseconds.
    pub hit_ns: f64,
}

/// What the estimate cannot be made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// No window saw the target run.
    NoWindows,
    /// The target did little else than pay for traps while it was probed.
    Swamped,
}

/// The share of a window that must be left to the target itself.
const LEAST_UNDISTURBED_RATIO: f64 = 0.08;

/// A target that is so much busier within windows than outside has time to spare: it is paced from outside.
const PACED_BUSIER_RATIO: f64 = 1.5;

/// Sums over windows of one kind.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    cpu_ns: f64,
    elapsed_ns: f64,
    hits: f64,
    allocs: f64,
    alloc_bytes: f64,
    frees: f64,
    freed_bytes: f64,
    windows: f64,
}

impl Sums {
    fn add(&mut self, sample: &Sample, sign: f64) {
        self.cpu_ns += sign * sample.cpu_ns;
        self.elapsed_ns += sign * sample.elapsed_ns;
        self.hits += sign * sample.hits_count;
        self.allocs += sign * sample.alloc_count;
        self.alloc_bytes += sign * sample.alloc_bytes;
        self.frees += sign * sample.free_count;
        self.freed_bytes += sign * sample.freed_bytes;
        self.windows += sign;
    }

    fn plus(&self, other: &Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns + other.cpu_ns,
            elapsed_ns: self.elapsed_ns + other.elapsed_ns,
            hits: self.hits + other.hits,
            allocs: self.allocs + other.allocs,
            alloc_bytes: self.alloc_bytes + other.alloc_bytes,
            frees: self.frees + other.frees,
            freed_bytes: self.freed_bytes + other.freed_bytes,
            windows: self.windows + other.windows,
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Strata {
    allocs: Sums,
    both: Sums,
}

impl Strata {
    fn of(samples: &[Sample]) -> Self {
        let mut strata = Self::default();
        samples.iter().for_each(|sample| strata.add(sample, 1.0));
        strata
    }

    fn add(&mut self, sample: &Sample, sign: f64) {
        match sample.kind {
            Kind::Allocs => self.allocs.add(sample, sign),
            Kind::Both => self.both.add(sample, sign),
        }
    }

    fn without(mut self, sample: &Sample) -> Self {
        self.add(sample, -1.0);
        self
    }

    fn all(&self) -> Sums {
        self.allocs.plus(&self.both)
    }

    /// The windows that saw frees, or all.
    fn of_frees(&self, frees: bool) -> Sums {
        if frees { self.both } else { self.all() }
    }

    /// Cost of a trap by the difference between the kinds; `None` if they differ too little in traps a call.
    fn hit_ns(&self) -> Option<f64> {
        if self.allocs.allocs <= 0.0 || self.both.allocs <= 0.0 {
            return None;
        }
        let per_call = |sums: &Sums| (sums.cpu_ns / sums.allocs, sums.hits / sums.allocs);
        let ((cpu_few, hits_few), (cpu_many, hits_many)) = (per_call(&self.allocs), per_call(&self.both));
        let difference = hits_many - hits_few;
        (difference > 0.2).then(|| (cpu_many - cpu_few) / difference)
    }
}

/// A quantity with its standard deviation.
#[derive(Debug, Clone, Copy)]
struct Measured {
    value: f64,
    sd: f64,
}

/// The run the windows were taken from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    /// The target's CPU time *without* what the probes cost it, in nanoseconds.
    pub cpu_ns: f64,
    /// Its length, in nanoseconds.
    pub elapsed_ns: f64,
}

/// A quantity of the sums.
type Of = fn(&Sums) -> f64;

/// Which windows a total is made from, and how.
#[derive(Clone, Copy)]
struct Estimator<'a> {
    samples: &'a [Sample],
    strata: Strata,
    run: Run,
    prior: Prior,
    cost: Measured,
}

impl Estimator<'_> {
    /// The total by calls per undisturbed CPU time; `None` where too little of it is left.
    fn by_cpu(&self, strata: &Strata, hit_ns: f64, of: Of, frees: bool) -> Option<f64> {
        let sums = strata.of_frees(frees);
        let undisturbed = sums.cpu_ns - hit_ns * sums.hits;
        (undisturbed > LEAST_UNDISTURBED_RATIO * sums.cpu_ns)
            .then(|| of(&sums) / undisturbed * self.run.cpu_ns)
    }

    /// The total by calls per elapsed time.
    fn by_time(&self, strata: &Strata, of: Of, frees: bool) -> Option<f64> {
        let sums = strata.of_frees(frees);
        (sums.elapsed_ns > 0.0).then(|| of(&sums) / sums.elapsed_ns * self.run.elapsed_ns)
    }

    fn total(&self, of: Of, frees: bool) -> Option<Total> {
        let by_cpu = self.by_cpu(&self.strata, self.cost.value, of, frees);
        let by_time = self.by_time(&self.strata, of, frees);
        let by_cpu = by_cpu.map(|value| (value, self.spread_by_cpu(of, frees)));
        let timed = |value| (value, self.spread(|left| self.by_time(left, of, frees)));
        let (value, sd) = match (by_cpu, by_time) {
            (Some((by_cpu, sd)), Some(by_time)) if by_time > by_cpu + 1.96 * sd => timed(by_time),
            (Some((by_cpu, sd)), _) if sd.is_finite() => (by_cpu, sd),
            // A target that did little else than pay for traps: it kept its pace all the same if it got busier for them.
            (_, Some(by_time)) if self.busier_ratio() >= PACED_BUSIER_RATIO => timed(by_time),
            (by_cpu, _) => by_cpu?,
        };
        let ci95_pct = if value > 0.0 { 100.0 * 1.96 * sd / value } else { 0.0 };
        Some(Total { value, ci95_pct })
    }

    /// How much more of the time the target was on a CPU within the windows than outside. One that never waits cannot
    /// get busier; one paced from outside does by what the traps cost it.
    fn busier_ratio(&self) -> f64 {
        let sums = self.strata.all();
        let outside_cpu_ns = self.run.cpu_ns + self.prior.hit_ns * sums.hits - sums.cpu_ns;
        let outside_ns = self.run.elapsed_ns - sums.elapsed_ns;
        if outside_cpu_ns <= 0.0 || outside_ns <= 0.0 || sums.elapsed_ns <= 0.0 {
            return 1.0;
        }
        (sums.cpu_ns / sums.elapsed_ns) / (outside_cpu_ns / outside_ns)
    }

    /// Scatter between windows, and what is left of uncertainty in the cost of a trap.
    fn spread_by_cpu(&self, of: Of, frees: bool) -> f64 {
        let hit_ns = |left: &Strata| cost_without(left, self.cost, self.prior);
        let spread = self.spread(|left| self.by_cpu(left, hit_ns(left), of, frees));
        spread.hypot(self.spread_by_cost(of, frees))
    }

    /// Scatter between windows.
    fn spread(&self, of: impl Fn(&Strata) -> Option<f64>) -> f64 {
        jackknife_sd(without_each_window(self.samples, self.strata).filter_map(|left| of(&left)))
    }

    /// What the uncertainty in the cost of a trap makes of a total.
    fn spread_by_cost(&self, of: Of, frees: bool) -> f64 {
        let shifted = |sign: f64| {
            self.by_cpu(&self.strata, self.cost.value + sign * self.cost.sd, of, frees)
                .unwrap_or(f64::INFINITY)
        };
        (shifted(1.0) - shifted(-1.0)).abs() / 2.0
    }
}

/// Estimates the run's totals from the halves of its windows, the two of a window one after the other.
///
/// # Errors
/// [`Unusable`] where the windows cannot carry an estimate.
pub fn estimate(samples: &[Sample], run: Run, prior: Prior) -> Result<Estimate, Unusable> {
    let strata = Strata::of(samples);
    if strata.all().cpu_ns <= 0.0 {
        return Err(Unusable::NoWindows);
    }
    let estimator = Estimator { samples, strata, run, prior, cost: cost_of_hit(samples, strata, prior) };
    let frees = strata.both.windows > 0.0;
    Ok(Estimate {
        alloc_count: estimator.total(|sums| sums.allocs, false).ok_or(Unusable::Swamped)?,
        alloc_bytes: estimator.total(|sums| sums.alloc_bytes, false).ok_or(Unusable::Swamped)?,
        free_count: frees.then(|| estimator.total(|sums| sums.frees, true)).flatten(),
        freed_bytes: frees.then(|| estimator.total(|sums| sums.freed_bytes, true)).flatten(),
        hit_ns: estimator.cost.value,
    })
}

/// The cost of a trap: calibration and windows, weighted by precision.
fn cost_of_hit(samples: &[Sample], strata: Strata, prior: Prior) -> Measured {
    let prior_sd = (prior.hit_ns * prior.sd_ratio).max(f64::MIN_POSITIVE);
    let Some(seen) = strata.hit_ns() else { return Measured { value: prior.hit_ns, sd: prior_sd } };
    let sd = jackknife_sd(without_each_window(samples, strata).filter_map(|left| left.hit_ns())).max(1e-9);
    let (w_prior, w_seen) = (prior_sd.powi(-2), sd.powi(-2));
    let value = (prior.hit_ns * w_prior + seen * w_seen) / (w_prior + w_seen);
    Measured { value: value.max(0.0), sd: (w_prior + w_seen).sqrt().recip() }
}

/// The cost with one window left out, moved by as much as that window moves the windows' own figure.
fn cost_without(left: &Strata, cost: Measured, prior: Prior) -> f64 {
    let prior_sd = (prior.hit_ns * prior.sd_ratio).max(f64::MIN_POSITIVE);
    let trust = 1.0 - (cost.sd / prior_sd).powi(2);
    match left.hit_ns() {
        Some(seen) if trust > 0.0 => (prior.hit_ns * (1.0 - trust) + seen * trust).max(0.0),
        _ => cost.value,
    }
}

/// The sums with one window, that is two successive halves, left out each.
fn without_each_window(samples: &[Sample], strata: Strata) -> impl Iterator<Item = Strata> + '_ {
    samples.chunks(2).map(move |halves| halves.iter().fold(strata, |left, half| left.without(half)))
}

/// Standard deviation of a statistic from its values with one window left out each.
fn jackknife_sd(pseudo: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = pseudo.collect();
    let n = values.len() as f64;
    if values.len() < 2 {
        return f64::INFINITY;
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    ((n - 1.0) / n * squares).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deterministic noise in -1..1.
    struct Noise(u64);

    impl Noise {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        }
    }

    const RUN: Run = Run { cpu_ns: 30e9, elapsed_ns: 30e9 };

    /// Windows of a target whose calls take `call_ns`, scattering by `scatter`, at a true trap cost of 500 ns.
    fn windows(call_ns: f64, scatter: f64, seed: u64) -> Vec<Sample> {
        let mut noise = Noise(seed);
        let window = |index: usize| {
            let kind = if index.is_multiple_of(2) { Kind::Allocs } else { Kind::Both };
            let hits_per_call = if kind == Kind::Both { 2.0 } else { 1.0 };
            let per_call = call_ns * (1.0 + scatter * noise.next()) + 500.0 * hits_per_call;
            let calls = 2e6 / per_call;
            Sample {
                kind,
                cpu_ns: 2e6,
                elapsed_ns: 2e6,
                hits_count: calls * hits_per_call,
                alloc_count: calls,
                alloc_bytes: calls * 100.0,
                free_count: if kind == Kind::Both { calls } else { 0.0 },
                freed_bytes: if kind == Kind::Both { calls * 96.0 } else { 0.0 },
            }
        };
        (0..120).map(window).collect()
    }

    fn off_pct(total: Total, truth: f64) -> f64 {
        100.0 * (total.value / truth - 1.0).abs()
    }

    #[test]
    fn a_steady_target_is_found_exactly_even_with_a_wrong_calibration() {
        let prior = Prior { hit_ns: 450.0, sd_ratio: 0.15 };
        let estimate = estimate(&windows(1000.0, 0.0, 1), RUN, prior).unwrap();
        assert!(off_pct(estimate.alloc_count, 30e6) < 0.1, "{estimate:?}");
        assert!(off_pct(estimate.alloc_bytes, 3e9) < 0.1, "{estimate:?}");
        assert!(off_pct(estimate.free_count.unwrap(), 30e6) < 0.1, "{estimate:?}");
        assert!((estimate.hit_ns - 500.0).abs() < 1.0, "{estimate:?}");
    }

    #[test]
    fn the_interval_covers_the_truth() {
        let prior = Prior { hit_ns: 480.0, sd_ratio: 0.1 };
        let covered = (0..200u64).filter(|seed| {
            let estimate = estimate(&windows(1000.0, 0.3, seed * 7919 + 13), RUN, prior).unwrap();
            off_pct(estimate.alloc_count, 30e6) <= estimate.alloc_count.ci95_pct
        });
        let covered = covered.count();
        assert!(covered >= 184, "{covered} of 200");
    }

    #[test]
    fn calibration_alone_serves_where_frees_are_not_probed() {
        let only_allocs: Vec<_> =
            windows(1000.0, 0.0, 1).into_iter().filter(|sample| sample.kind == Kind::Allocs).collect();
        let prior = Prior { hit_ns: 500.0, sd_ratio: 0.05 };
        let estimate = estimate(&only_allocs, RUN, prior).unwrap();
        assert!(off_pct(estimate.alloc_count, 30e6) < 0.1);
        assert!(estimate.alloc_count.ci95_pct > 1.0, "the calibration's own error must show: {estimate:?}");
        assert_eq!(estimate.free_count, None);
    }

    /// One call every 500 us of a target that sleeps in between; every trap costs it 3 us instead of the calibrated 0.5.
    #[test]
    fn a_paced_target_keeps_its_rate_per_elapsed_time() {
        let window = Sample {
            kind: Kind::Both,
            cpu_ns: 100.0 * (2e3 + 2.0 * 3e3),
            elapsed_ns: 50e6,
            hits_count: 200.0,
            alloc_count: 100.0,
            alloc_bytes: 100e3,
            free_count: 100.0,
            freed_bytes: 100e3,
        };
        let run = Run { cpu_ns: 60e3 * 2e3, elapsed_ns: 30e9 };
        let estimate = estimate(&[window; 20], run, Prior { hit_ns: 500.0, sd_ratio: 0.1 }).unwrap();
        assert!(off_pct(estimate.alloc_count, 60e3) < 0.1, "{estimate:?}");
    }

    /// 200 k calls a second of 20 ns each: probed, nearly all of its time are traps, but it has time to spare.
    #[test]
    fn a_paced_target_swamped_by_traps_keeps_its_rate_per_elapsed_time() {
        let window = |kind, hits_per_call: f64| Sample {
            kind,
            cpu_ns: 400.0 * (20.0 + 500.0 * hits_per_call),
            elapsed_ns: 2e6,
            hits_count: 400.0 * hits_per_call,
            alloc_count: 400.0,
            alloc_bytes: 40e3,
            free_count: if hits_per_call > 1.0 { 400.0 } else { 0.0 },
            freed_bytes: 0.0,
        };
        let windows: Vec<_> =
            (0..40).flat_map(|_| [window(Kind::Allocs, 1.0), window(Kind::Both, 2.0)]).collect();
        let run = Run { cpu_ns: 6e6 * 20.0, elapsed_ns: 30e9 };
        let estimate = estimate(&windows, run, Prior { hit_ns: 500.0, sd_ratio: 0.2 }).unwrap();
        assert!(off_pct(estimate.alloc_count, 6e6) < 0.1, "{estimate:?}");
    }

    #[test]
    fn what_cannot_be_known_is_said() {
        let prior = Prior { hit_ns: 500.0, sd_ratio: 0.1 };
        assert_eq!(estimate(&[], RUN, prior), Err(Unusable::NoWindows));
        assert_eq!(estimate(&windows(5.0, 0.0, 1), RUN, prior), Err(Unusable::Swamped));
    }

    #[test]
    fn a_target_that_does_not_allocate_is_zero() {
        let idle = Sample {
            kind: Kind::Both,
            cpu_ns: 1e6,
            elapsed_ns: 1e6,
            hits_count: 0.0,
            alloc_count: 0.0,
            alloc_bytes: 0.0,
            free_count: 0.0,
            freed_bytes: 0.0,
        };
        let prior = Prior { hit_ns: 500.0, sd_ratio: 0.1 };
        let estimate = estimate(&[idle; 5], RUN, prior).unwrap();
        assert_eq!((estimate.alloc_count.value, estimate.alloc_count.ci95_pct), (0.0, 0.0));
    }
}
