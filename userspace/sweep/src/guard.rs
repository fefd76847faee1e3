//! The guard: ends a sweep that costs the target more than was allowed.

use crate::slo::{Metrics, Slo};

/// A window is judged from this much of it on: less is noise.
pub const EARLIEST_NS: u64 = 40_000_000;

/// What is allowed, and the last reference.
#[derive(Debug, Default)]
pub struct Guard {
    max_slowdown: Option<f64>,
    slo: Option<Slo>,
    /// Instructions a second of the last reference point.
    reference: Option<f64>,
}

impl Guard {
    /// One that allows so much: `max_slowdown` is 0–1.
    pub fn new(max_slowdown: Option<f64>, slo: Option<Slo>) -> Self {
        Self { max_slowdown, slo, reference: None }
    }

    /// Whether anything is forbidden.
    pub fn is_on(&self) -> bool {
        self.max_slowdown.is_some() || self.slo.is_some()
    }

    /// Takes what a reference point came to, instructions a second.
    pub fn set_reference(&mut self, rate: Option<f64>) {
        self.reference = rate.or(self.reference);
    }

    /// Loss of instructions a second (0–1; negative where it is faster) against the last reference point.
    pub fn slowdown(&self, rate: Option<f64>) -> Option<f64> {
        let reference = self.reference.filter(|reference| *reference > 0.0)?;
        Some(1.0 - rate? / reference)
    }

    /// What is breached, in words.
    pub fn breach(&self, metrics: &Metrics, ways: u32) -> Option<String> {
        if let (Some(most), Some(slowdown)) = (self.max_slowdown, metrics.slowdown)
            && slowdown > most
        {
            return Some(format!(
                "with {ways} ways {:.1} % fewer instructions a second than with all; --max-slowdown allows {:.1} %",
                slowdown * 100.0,
                most * 100.0
            ));
        }
        let slo = self.slo.as_ref().filter(|slo| slo.holds(metrics) == Some(false))?;
        Some(format!("with {ways} ways `{}` does not hold: {}", slo.text(), told(metrics, slo)))
    }
}

fn told(metrics: &Metrics, slo: &Slo) -> String {
    let value = |name: &str| {
        let (number, unit) = match name {
            "ipc" => (metrics.ipc?, ""),
            "mpki" => (metrics.mpki?, ""),
            "miss_ratio" => (metrics.miss_ratio? * 100.0, " %"),
            "occupancy" => (metrics.occupancy_bytes? / 1048576.0, " MiB"),
            "bandwidth" => (metrics.bandwidth_bytes? / 1048576.0, " MiB/s"),
            "slowdown" => (metrics.slowdown? * 100.0, " %"),
            _ => (metrics.instruction_rate?, ""),
        };
        Some(format!("{name} is {number:.3}{unit}"))
    };
    slo.metrics().into_iter().filter_map(value).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slowdown_is_against_the_last_reference() {
        let mut guard = Guard::new(Some(0.2), None);
        let at = |guard: &Guard, rate| {
            let metrics = Metrics { slowdown: guard.slowdown(Some(rate)), ..Metrics::default() };
            guard.breach(&metrics, 3)
        };
        assert_eq!(at(&guard, 1.0), None, "nothing to compare with yet");
        guard.set_reference(Some(100.0));
        assert_eq!((at(&guard, 81.0), at(&guard, 130.0)), (None, None));
        let breach = at(&guard, 70.0).unwrap();
        assert!(breach.contains("with 3 ways 30.0 % fewer") && breach.contains("allows 20.0 %"), "{breach}");
        guard.set_reference(None);
        guard.set_reference(Some(80.0));
        assert_eq!(at(&guard, 70.0), None);
    }

    #[test]
    fn a_condition_is_breached_only_where_it_is_known_not_to_hold() {
        let guard = Guard::new(None, Some(Slo::parse("ipc > 0.5 && mpki < 20").unwrap()));
        let metrics = Metrics { ipc: Some(0.6), ..Metrics::default() };
        assert_eq!(guard.breach(&metrics, 3), None);
        let breach = guard.breach(&Metrics { mpki: Some(30.0), ..metrics }, 3).unwrap();
        assert!(breach.contains("ipc > 0.5 && mpki < 20") && breach.contains("mpki is 30.000"), "{breach}");
    }
}
