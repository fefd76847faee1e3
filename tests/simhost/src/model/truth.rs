//! What a program's curve truly is on a host: the model run alone, mask by mask, until it is in a steady state.

use super::cache::{Cache, Outcome};
use super::program::{Stream, Workload};
use crate::spec::{HostSpec, full_mask};

/// One point of a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Ways it may fill.
    pub ways: usize,
    /// Misses per access, 0–1.
    pub miss_ratio: f64,
    /// Instructions per cycle.
    pub ipc: f64,
}

/// Modelled accesses of each point, after a quarter of as many to warm up. Of a random program's miss ratio this leaves
/// a standard error of 0.0007.
const ACCESSES: usize = 500_000;

/// The curve of a program that runs alone, for 1 way up to all.
pub fn curve(host: &HostSpec, workload: &Workload) -> Vec<Point> {
    (1..=host.l3.ways).map(|ways| point(host, workload, ways)).collect()
}

/// The truth for one number of ways, without bandwidth limit or CDP.
pub fn point(host: &HostSpec, workload: &Workload, ways: usize) -> Point {
    let mut cache = Cache::new(host.l3.modelled_sets, host.l3.ways, 1);
    let mut stream = Stream::new(&workload.program, host.l3.modelled_line_bytes(), 0, 0x7275_7468);
    let mask = full_mask(ways);
    let mut misses = |accesses| {
        (0..accesses).filter(|_| cache.access(stream.next_access().line, mask, 0) == Outcome::Miss).count()
    };
    misses(ACCESSES / 4);
    let miss_ratio = misses(ACCESSES) as f64 / ACCESSES as f64;
    Point { ways, miss_ratio, ipc: ipc(host, workload, miss_ratio) }
}

/// Instructions per cycle at a miss ratio, from the host's [`Timing`](crate::spec::Timing).
pub fn ipc(host: &HostSpec, workload: &Workload, miss_ratio: f64) -> f64 {
    let timing = host.timing;
    let instructions = u64::from(workload.instructions_per_access.max(1));
    let issue = instructions.div_ceil(timing.width.max(1)) as f64;
    let wait = timing.hit as f64 * (1.0 - miss_ratio) + timing.memory as f64 * miss_ratio;
    instructions as f64 / (issue + wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::twelve;
    use crate::model::program::Program;

    fn ratios(program: Program) -> Vec<f64> {
        curve(&twelve(), &Workload::of(program)).into_iter().map(|point| point.miss_ratio).collect()
    }

    #[test]
    fn a_loop_is_a_cliff_at_its_length() {
        let ratios = ratios(Program::Loop { bytes: 5 * twelve().l3.way_bytes() });
        let expected: Vec<f64> = (1..=12).map(|ways| if ways >= 5 { 0.0 } else { 1.0 }).collect();
        assert_eq!(ratios, expected);
    }

    #[test]
    fn a_stream_always_misses_and_random_accesses_miss_by_what_does_not_fit() {
        assert!(ratios(Program::Stream).iter().all(|&ratio| ratio == 1.0));
        let ratios = ratios(Program::Random { bytes: 16 * twelve().l3.way_bytes() });
        for (ways, ratio) in (1..).zip(ratios) {
            let expected = 1.0 - f64::from(ways) / 16.0;
            assert!((ratio - expected).abs() < 0.004, "{ways} ways: {ratio} for {expected}");
        }
    }

    #[test]
    fn ipc_follows_from_misses() {
        let workload = Workload { program: Program::Stream, instructions_per_access: 20 };
        // 20 instructions at two a cycle, and 40 cycles for a hit or 200 for a miss.
        assert!((ipc(&twelve(), &workload, 0.0) - 20.0 / 50.0).abs() < 1e-12);
        assert!((ipc(&twelve(), &workload, 1.0) - 20.0 / 210.0).abs() < 1e-12);
    }
}
