//! What earlier turns of the same target have seen, for a turn that alone tells too little.
//!
//! Of a target that seldom allocates, in bursts, a turn of two seconds sees one burst or none, and the one it sees ends its tokens: the mean of many such
//! estimates is half as much again as the truth, though calls and time summed over all turns are right. So a turn takes earlier windows along until its
//! interval is narrow, and no more than it needs: the rate is that of the last minute at the longest, of the turn alone where that suffices.

use std::collections::VecDeque;

use waytrace_analysis::duty::{self, Estimate, Factors, Run, Sample, Total, Unusable};

use super::CALIBRATION_SD_RATIO;
use super::control::CostRate;

/// For so long windows say something about now.
const KEPT_NS: u64 = 60_000_000_000;
/// Parts of windows kept, at most.
const MAX_SAMPLES: usize = 180;
/// An interval that needs no more windows, percent; that of fewer parts than this is narrow by chance too often.
const NARROW_CI95_PCT: f64 = 20.0;
const LEAST_SAMPLES: usize = 24;

/// Earlier turns of one target.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// What probes cost while they are in place.
    pub(super) rate: CostRate,
    turns: VecDeque<Observed>,
}

/// The windows of one turn.
#[derive(Debug, Clone)]
pub(super) struct Observed {
    pub end_ns: u64,
    pub samples: Vec<Sample>,
    pub run: Run,
}

impl Past {
    /// An estimate for a turn, and the factors it was made with.
    ///
    /// # Errors
    /// As [`duty::estimate`], of all windows there are.
    pub(super) fn estimate(&self, turn: &Observed) -> Result<(Estimate, Factors), Unusable> {
        let mut samples = turn.samples.clone();
        let mut run = turn.run;
        let of = |samples: &[Sample], run: Run| {
            let factors = Factors::new(samples, CALIBRATION_SD_RATIO);
            duty::estimate(samples, run, factors).map(|estimate| (estimate, factors))
        };
        let mut found = of(&samples, run);
        for earlier in self.turns.iter().rev().take_while(|earlier| earlier.end_ns + KEPT_NS > turn.end_ns) {
            let is_narrow = found.is_ok_and(|(estimate, _)| estimate.alloc_bytes.ci95_pct <= NARROW_CI95_PCT);
            if is_narrow && samples.len() >= LEAST_SAMPLES {
                break;
            }
            samples.splice(0..0, earlier.samples.iter().copied());
            run.cpu_ns += earlier.run.cpu_ns;
            run.elapsed_ns += earlier.run.elapsed_ns;
            found = of(&samples, run);
        }
        let share = if run.cpu_ns > 0.0 { turn.run.cpu_ns / run.cpu_ns } else { 1.0 };
        found.map(|(estimate, factors)| (scaled(estimate, share), factors))
    }

    /// Remembers a turn.
    pub(super) fn add(&mut self, turn: Observed) {
        let is_kept = |old: &Observed| old.end_ns + KEPT_NS > turn.end_ns;
        self.turns.retain(is_kept);
        self.turns.push_back(turn);
        while self.turns.iter().map(|turn| turn.samples.len()).sum::<usize>() > MAX_SAMPLES
            && self.turns.len() > 1
        {
            self.turns.pop_front();
        }
    }
}

fn scaled(estimate: Estimate, share: f64) -> Estimate {
    let part = |total: Total| Total { value: total.value * share, ..total };
    Estimate {
        alloc_count: part(estimate.alloc_count),
        alloc_bytes: part(estimate.alloc_bytes),
        free_count: estimate.free_count.map(part),
        freed_bytes: estimate.freed_bytes.map(part),
    }
}

#[cfg(test)]
mod tests {
    use waytrace_analysis::duty::Kind;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A turn of two seconds with windows of 100 ms each, in which so many calls were seen.
    fn turn(end_s: u64, calls: &[f64]) -> Observed {
        let part = |kind, calls: f64| Sample {
            kind,
            cpu_ns: 1e5 + calls * 3e3,
            elapsed_ns: 1e8,
            alloc_traps_ns: calls * 1e3,
            free_traps_ns: 0.0,
            alloc_count: calls,
            alloc_bytes: calls * 100.0,
            free_count: 0.0,
            freed_bytes: 0.0,
        };
        let window = |calls: &f64| {
            [part(Kind::Allocs, calls / 2.0), part(Kind::Both, calls / 2.0), part(Kind::Frees, 0.0)]
        };
        let samples = calls.iter().flat_map(window).collect();
        Observed { end_ns: end_s * SECOND, samples, run: Run { cpu_ns: 8e6, elapsed_ns: 2e9 } }
    }

    #[test]
    fn a_turn_that_suffices_stands_alone() {
        let mut past = Past::default();
        past.add(turn(10, &[0.0, 0.0, 0.0, 0.0]));
        let now = turn(12, &[200.0, 201.0, 202.0, 198.0, 199.0, 200.0, 201.0, 199.0]);
        let alone = Past::default().estimate(&now).unwrap();
        assert_eq!(past.estimate(&now).unwrap(), alone);
    }

    #[test]
    fn one_that_does_not_takes_earlier_ones_along() {
        let mut past = Past::default();
        for end_s in 0..10 {
            past.add(turn(100 + 2 * end_s, &[0.0, 200.0, 0.0, 200.0]));
        }
        // By itself it would be 400 calls in 0.2 s; by all it is 2,200 in 10.25 windows of 0.2 s.
        let (estimate, _) = past.estimate(&turn(120, &[200.0])).unwrap();
        let calls_hz = estimate.alloc_count.value / 2.0;
        assert!((450.0..600.0).contains(&calls_hz), "{calls_hz}");
        // What it saw is not lost when the minute is over: it is all there is.
        let (late, _) = past.estimate(&turn(500, &[200.0])).unwrap();
        assert!(late.alloc_count.value / 2.0 > 900.0, "{late:?}");
    }

    #[test]
    fn only_so_much_is_kept() {
        let mut past = Past::default();
        (0..1000).for_each(|number| past.add(turn(number / 100, &[1.0; 10])));
        assert!(past.turns.iter().map(|turn| turn.samples.len()).sum::<usize>() <= MAX_SAMPLES);
        past.add(turn(10_000, &[1.0; 100]));
        assert_eq!(past.turns.len(), 1);
    }
}
