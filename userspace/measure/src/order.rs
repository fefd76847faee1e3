//! The order of epochs: every run as often as asked, shuffled, the same for the same seed.
//!
//! Shuffled, so that what changes slowly (temperature, caches of the disk, a target's own day) meets all runs alike.

use waytrace_analysis::spread::Random;

/// One epoch to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// In the whole order, from 0.
    pub position: u64,
    /// Place of its run in the plan.
    pub run: usize,
    /// Which epoch of that run, from 1.
    pub repetition: u32,
}

/// The order that `seed` gives.
pub fn of(runs: usize, repeat: u32, seed: u64) -> Vec<Step> {
    let steps =
        (0..runs).flat_map(|run| (1..=repeat).map(move |repetition| Step { position: 0, run, repetition }));
    let mut steps: Vec<Step> = steps.collect();
    Random::new(seed).shuffle(&mut steps);
    for (position, step) in steps.iter_mut().enumerate() {
        step.position = position as u64;
    }
    steps
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_epoch_comes_once_and_the_seed_decides_when() {
        let steps = of(20, 3, 1);
        let all: BTreeSet<_> = steps.iter().map(|step| (step.run, step.repetition)).collect();
        assert_eq!((steps.len(), all.len()), (60, 60));
        assert!(steps.iter().enumerate().all(|(index, step)| step.position == index as u64));
        assert_eq!(of(20, 3, 1), steps);
        assert_ne!(of(20, 3, 2), steps);
        assert!(of(0, 3, 1).is_empty());
    }
}
