//! Interleaving: every mode once per round, so that what drifts (frequency, neighbours, caches) meets all alike.

use anyhow::Result;

/// Measures all `modes` in each of `count` rounds; every other round goes backwards (A B C, C B A, …), so that a
/// steady drift cancels. Gives back `[round][mode]`.
pub fn rounds<M: Copy, T>(
    count: usize,
    modes: &[M],
    mut measure: impl FnMut(M) -> Result<T>,
) -> Result<Vec<Vec<T>>> {
    (0..count).map(|round| one_round(round % 2 == 1, modes, &mut measure)).collect()
}

fn one_round<M: Copy, T>(
    backwards: bool,
    modes: &[M],
    measure: &mut impl FnMut(M) -> Result<T>,
) -> Result<Vec<T>> {
    let mut results = if backwards {
        modes.iter().rev().map(|mode| measure(*mode)).collect::<Result<Vec<_>>>()?
    } else {
        modes.iter().map(|mode| measure(*mode)).collect::<Result<Vec<_>>>()?
    };
    if backwards {
        results.reverse();
    }
    Ok(results)
}

/// By how many percent a cost is above its pair's: time per unit of work with, over without.
pub fn slowdown_pct(without: f64, with: f64) -> f64 {
    100.0 * (with / without - 1.0)
}

/// How many percent of a rate are lost against its pair's.
pub fn loss_pct(without: f64, with: f64) -> f64 {
    100.0 * (1.0 - with / without)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_alternate_and_results_stay_with_their_modes() {
        let mut order = Vec::new();
        let results = rounds(3, &['a', 'b', 'c'], |mode| {
            order.push(mode);
            Ok((mode, order.len()))
        });
        assert_eq!(order.iter().collect::<String>(), "abccbaabc");
        let modes = |round: &Vec<(char, usize)>| round.iter().map(|(mode, _)| *mode).collect::<String>();
        assert!(results.unwrap().iter().all(|round| modes(round) == "abc"));
    }

    #[test]
    fn a_steady_drift_cancels_over_two_rounds() {
        let mut time = 0.0;
        let drifting = |_| {
            time += 1.0;
            Ok(100.0 + time)
        };
        let results = rounds(2, &["off", "on"], drifting).unwrap();
        let mean = |mode: usize| (results[0][mode] + results[1][mode]) / 2.0;
        assert_eq!(mean(0), mean(1));
    }

    #[test]
    fn slowdown_is_of_time_and_loss_of_rate() {
        assert_eq!(slowdown_pct(2.0, 3.0), 50.0);
        assert_eq!(loss_pct(4.0, 3.0), 25.0);
    }
}
