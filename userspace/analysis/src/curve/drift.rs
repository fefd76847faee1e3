//! How much a target changes by itself: the windows with all ways between the points, and what they take out of those.

use waytrace_model::sweep_curve::Reference;

/// Standard deviation, of the mean, below which a drift is not worth a word.
const LEAST_SPREAD: f64 = 0.01;
/// One-sided 5 % quantile of a standard normal variable.
const Z: f64 = 1.644_854;

/// A reference window: when it was, and what it counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub at_ns: u64,
    pub instructions: f64,
    pub cycles: f64,
}

impl Mark {
    fn ipc(&self) -> f64 {
        self.instructions / self.cycles
    }
}

/// The reference windows in order of time; `None` without any.
pub(super) fn reference(marks: &[Mark]) -> Option<Reference> {
    let ipc: Vec<f64> = marks.iter().map(Mark::ipc).collect();
    let spread = crate::spread::Spread::of(&ipc)?;
    let matters = spread.std.is_some_and(|std| std >= LEAST_SPREAD * spread.mean);
    Some(Reference {
        windows: u32::try_from(marks.len()).unwrap_or(u32::MAX),
        ipc: overall(marks)?,
        least_ipc: spread.min,
        most_ipc: spread.max,
        drifts: matters && changes_in_time(&ipc, spread.mean),
    })
}

/// By how much the target was better than over all reference windows at this time, as a factor of IPC: between the windows
/// around it, in proportion to the time from each.
pub(super) fn factor(marks: &[Mark], at_ns: u64) -> Option<f64> {
    let overall = overall(marks)?;
    let after = marks.partition_point(|mark| mark.at_ns <= at_ns);
    let (before, after) = (after.checked_sub(1).and_then(|at| marks.get(at)), marks.get(after));
    let local = match (before, after) {
        (Some(before), Some(after)) => {
            let share = (at_ns - before.at_ns) as f64 / (after.at_ns - before.at_ns) as f64;
            before.ipc() + (after.ipc() - before.ipc()) * share
        }
        (Some(one), None) | (None, Some(one)) => one.ipc(),
        (None, None) => return None,
    };
    Some(local / overall).filter(|factor| *factor > 0.0)
}

fn overall(marks: &[Mark]) -> Option<f64> {
    let (instructions, cycles) =
        marks.iter().fold((0.0, 0.0), |sum, mark| (sum.0 + mark.instructions, sum.1 + mark.cycles));
    (instructions > 0.0 && cycles > 0.0).then(|| instructions / cycles)
}

/// Whether neighbours differ less than any two: von Neumann's ratio (Ann. Math. Stat. 12, 1941), which of independent values is about
/// normal with mean 2 and variance 4 (n − 2) / (n² − 1).
fn changes_in_time(values: &[f64], mean: f64) -> bool {
    let n = values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    if values.len() < 4 || squares <= 0.0 {
        return false;
    }
    let steps: f64 =
        values.windows(2).map(|pair| if let [one, next] = pair { (next - one).powi(2) } else { 0.0 }).sum();
    let ratio = steps / (n - 1.0) / (squares / n);
    let deviation = (4.0 * (n - 2.0) / (n * n - 1.0)).sqrt();
    // The mean of the ratio so defined is 2n/(n − 1).
    ratio < 2.0 * n / (n - 1.0) - Z * deviation
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spread::Random;

    fn marks(ipc: impl IntoIterator<Item = f64>) -> Vec<Mark> {
        let mark = |(at, ipc): (usize, f64)| Mark {
            at_ns: 100 * at as u64,
            instructions: 1000.0 * ipc,
            cycles: 1000.0,
        };
        ipc.into_iter().enumerate().map(mark).collect()
    }

    #[test]
    fn a_trend_drifts_and_chance_does_not() {
        assert!(reference(&marks((0..10).map(|at| 1.0 + 0.02 * f64::from(at)))).unwrap().drifts);
        assert!(
            !reference(&marks((0..10).map(|at| 1.0 + 0.0002 * f64::from(at)))).unwrap().drifts,
            "too little"
        );
        assert!(!reference(&marks([1.0, 1.2, 1.0, 1.2, 1.0, 1.2])).unwrap().drifts, "to and fro is no drift");
        assert!(!reference(&marks([1.0; 5])).unwrap().drifts);
        assert_eq!(reference(&[]), None);
        let mut random = Random::new(5);
        let mut chance = || marks((0..12).map(|_| 1.0 + random.below(1000) as f64 / 5000.0));
        let found = (0..400).filter(|_| reference(&chance()).unwrap().drifts).count();
        assert!((4..=36).contains(&found), "{found} of 400 at a level of 5 %");
    }

    #[test]
    fn factors_lie_between_the_marks_around() {
        let marks = marks([1.0, 2.0]);
        let near = |at_ns, expected: f64| (factor(&marks, at_ns).unwrap() - expected).abs() < 1e-12;
        assert!(near(0, 1.0 / 1.5) && near(50, 1.0) && near(100, 2.0 / 1.5) && near(900, 2.0 / 1.5));
        assert_eq!(factor(&[], 1), None);
        assert_eq!(reference(&marks).unwrap().ipc, 1.5);
    }
}
