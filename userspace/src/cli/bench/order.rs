//! What is run when: the repetitions of all workloads shuffled, within a mode, modes one after another; or all together.

use waytrace_analysis::spread::Random;
use waytrace_model::bench::Matrix;

/// One repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// In the whole order, from 0.
    pub position: u64,
    /// Index of its mode.
    pub mode: usize,
    /// Index of its workload.
    pub workload: usize,
    /// Which of the repetitions of these two, from 1.
    pub repetition: u32,
}

/// The order that `seed` gives: the same whenever a series goes on. Modes that are skipped keep their positions, so that
/// they can be measured later.
pub fn of(matrix: &Matrix, seed: u64) -> Vec<Step> {
    let mut random = Random::new(seed);
    let of_workload = |mode, workload| {
        (1..=matrix.repeat).map(move |repetition| Step { position: 0, mode, workload, repetition })
    };
    let of_mode = |mode| (0..matrix.workloads.len()).flat_map(move |workload| of_workload(mode, workload));
    let mut steps: Vec<Step> = (0..matrix.modes.len()).flat_map(of_mode).collect();
    if matrix.interleave {
        random.shuffle(&mut steps);
    } else {
        let of_one_mode = steps.len().checked_div(matrix.modes.len()).unwrap_or(0).max(1);
        steps.chunks_mut(of_one_mode).for_each(|chunk| random.shuffle(chunk));
    }
    for (position, step) in steps.iter_mut().enumerate() {
        step.position = position as u64;
    }
    steps
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn matrix() -> Matrix {
        let text = r#"{"repeat": 10, "workload": [{"name": "a", "command": ["a"]}, {"name": "b", "command": ["b"]}],
                       "mode": [{"name": "x"}, {"name": "y"}, {"name": "z"}]}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn every_repetition_comes_once_and_modes_stay_together() {
        let steps = of(&matrix(), 1);
        assert!(steps.iter().enumerate().all(|(index, step)| step.position == index as u64));
        assert!(steps.iter().enumerate().all(|(index, step)| step.mode == index / 20));
        let all: BTreeSet<_> = steps.iter().map(|step| (step.mode, step.workload, step.repetition)).collect();
        assert_eq!((steps.len(), all.len()), (60, 60));
    }

    #[test]
    fn interleaved_modes_are_mixed() {
        let steps = of(&Matrix { interleave: true, ..matrix() }, 1);
        let all: BTreeSet<_> = steps.iter().map(|step| (step.mode, step.workload, step.repetition)).collect();
        assert_eq!((steps.len(), all.len()), (60, 60));
        assert!(steps.iter().enumerate().all(|(index, step)| step.position == index as u64));
        let first: BTreeSet<usize> = steps[..20].iter().map(|step| step.mode).collect();
        assert_eq!(first.len(), 3, "{steps:?}");
    }

    #[test]
    fn the_seed_decides_and_each_mode_has_an_order_of_its_own() {
        let order = |seed| of(&matrix(), seed);
        assert_eq!(order(5), order(5));
        assert_ne!(order(5), order(6));
        let of_mode = |mode: usize| -> Vec<(usize, u32)> {
            order(5)[mode * 20..][..20].iter().map(|step| (step.workload, step.repetition)).collect()
        };
        assert_ne!(of_mode(0), of_mode(1));
        let workloads: Vec<usize> = of_mode(0).iter().map(|step| step.0).collect();
        assert!(!workloads.is_sorted(), "repetitions of the workloads are mixed: {workloads:?}");
    }
}
