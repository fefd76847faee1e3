//! What traps cost in the target, as a factor on calibration.
//!
//! A window has three parts one after the other: allocating functions probed, freeing ones, and both. CPU time per
//! call in the parts differs by what the traps cost and nothing else, whatever the machine does meanwhile:
//!
//! - the cost of frees' traps is what `Both` takes more than `Allocs` for as many allocations;
//! - the cost of allocations' traps is what `Both` takes more than `Frees` for as many frees.
//!
//! Both are combined with calibration by their precision, so that a few windows of a restless target move little.

use super::Sample;
use super::sums::{Strata, Sums};

/// Two traps close to each other share the caches they warm and spoil each other's branch prediction, so what one costs
/// beside the other is not quite what it costs alone: in tight loops by 2 to 3 % (2-CPU KVM guest, AMD EPYC, Linux 6.18).
const LEAST_SD: f64 = 0.03;

/// What traps cost over what they cost in calibration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Factor {
    /// Best guess.
    pub value: f64,
    /// How much of it comes from the windows, 0–1; the rest is calibration.
    pub trust: f64,
    /// Standard deviation that leaving out windows does not show.
    pub sd: f64,
}

/// The factors of a target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Factors {
    /// In allocating functions.
    pub alloc: Factor,
    /// In freeing functions.
    pub free: Factor,
}

/// What the target's traps cost by the windows alone; `None` if they cannot tell.
type Seen = fn(&Strata) -> Option<f64>;

impl Factor {
    fn new(samples: &[Sample], strata: Strata, seen: Seen, calibration_sd: f64) -> Self {
        let by_calibration = Self { value: 1.0, trust: 0.0, sd: calibration_sd };
        let Some(value) = seen(&strata) else { return by_calibration };
        let seen_sd = spread_of(samples, strata, seen);
        if !seen_sd.is_finite() {
            return by_calibration;
        }
        let (seen_var, calibration_var) = (seen_sd.powi(2), calibration_sd.powi(2));
        let trust = if seen_var + calibration_var > 0.0 {
            calibration_var / (seen_var + calibration_var)
        } else {
            1.0
        };
        let sd = ((1.0 - trust) * calibration_sd).hypot(trust * LEAST_SD);
        Self { trust, sd, ..by_calibration }.moved(Some(value))
    }

    /// With what is seen as it is now.
    fn moved(self, seen: Option<f64>) -> Self {
        let Some(value) = seen else { return self };
        Self { value: (self.trust * value + (1.0 - self.trust)).max(0.0), ..self }
    }
}

impl Factors {
    /// Calibration as it is.
    pub const CALIBRATED: Self = {
        let one = Factor { value: 1.0, trust: 0.0, sd: 0.0 };
        Self { alloc: one, free: one }
    };

    /// What traps took that take so much by calibration, in nanoseconds.
    pub fn of(&self, alloc_traps_ns: f64, free_traps_ns: f64) -> f64 {
        self.alloc.value * alloc_traps_ns + self.free.value * free_traps_ns
    }

    /// As much of what traps took as calibration alone says: rare traps may cost so much more.
    pub(super) fn doubtful(&self, alloc_traps_ns: f64, free_traps_ns: f64) -> f64 {
        let part = |factor: &Factor| (1.0 - factor.trust) * factor.value;
        part(&self.alloc) * alloc_traps_ns + part(&self.free) * free_traps_ns
    }

    /// The factors by calibration and all windows. `calibration_sd` is how far calibration may be off as one standard
    /// deviation, 0–1 of a trap's cost.
    pub fn new(samples: &[Sample], calibration_sd: f64) -> Self {
        let strata = Strata::of(samples);
        Self {
            alloc: Factor::new(samples, strata, seen_alloc, calibration_sd),
            free: Factor::new(samples, strata, seen_free, calibration_sd),
        }
    }

    /// With some windows left out.
    pub(super) fn of_remaining(&self, left: &Strata) -> Self {
        Self { alloc: self.alloc.moved(seen_alloc(left)), free: self.free.moved(seen_free(left)) }
    }
}

fn seen_alloc(strata: &Strata) -> Option<f64> {
    let Strata { frees, both, .. } = strata;
    seen(frees, both, frees.frees, both.frees, both.alloc_traps_ns)
}

fn seen_free(strata: &Strata) -> Option<f64> {
    let Strata { allocs, both, .. } = strata;
    seen(allocs, both, allocs.allocs, both.allocs, both.free_traps_ns)
}

/// What `many` took more than `few` for as many calls, over what the traps it had more took by calibration.
fn seen(few: &Sums, many: &Sums, few_calls: f64, many_calls: f64, more_traps_ns: f64) -> Option<f64> {
    (few_calls > 0.0 && many_calls > 0.0 && more_traps_ns > 0.0)
        .then(|| (many.cpu_ns - few.cpu_ns * many_calls / few_calls) / more_traps_ns)
}

/// Parts of a window.
const PARTS: usize = 3;

/// Standard deviation of a statistic by the jackknife: from its values with one window left out each.
pub(super) fn spread_of(
    samples: &[Sample],
    strata: Strata,
    statistic: impl Fn(&Strata) -> Option<f64>,
) -> f64 {
    let values: Vec<f64> =
        samples.chunks(PARTS).filter_map(|window| statistic(&strata.without(window))).collect();
    let n = values.len() as f64;
    if values.len() < 2 {
        return f64::INFINITY;
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    ((n - 1.0) / n * squares).sqrt()
}
