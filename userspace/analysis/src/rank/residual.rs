//! What the chosen events leave unexplained: their covariances once the chosen ones are projected out.

use crate::correlate::Matrix;

/// Below this a variance is what rounding left.
const ROUNDING: f64 = 1e-9;

/// Covariances of the residuals of all events, at first their correlations.
pub(super) struct Residual {
    rows: Vec<Vec<f64>>,
    total: f64,
}

impl Residual {
    /// Pairs without a coefficient count as unrelated, events without any as not varying.
    pub(super) fn of(matrix: &Matrix) -> Self {
        let size = matrix.size();
        let row = |one: usize| -> Vec<f64> {
            let varies = (0..size).any(|other| matrix.get(one, other).is_some());
            let own = if varies { 1.0 } else { 0.0 };
            let with = |other| matrix.get(one, other).map_or(0.0, |pair| pair.coefficient);
            (0..size).map(|other| if other == one { own } else { with(other) }).collect()
        };
        let mut residual = Self { rows: (0..size).map(row).collect(), total: 0.0 };
        residual.total = residual.variances().sum();
        residual
    }

    fn variances(&self) -> impl Iterator<Item = f64> + '_ {
        self.rows.iter().enumerate().map(|(at, row)| row.get(at).copied().unwrap_or(0.0).max(0.0))
    }

    /// Share of all variation that is explained, 0–1.
    pub(super) fn explained(&self) -> f64 {
        if self.total > 0.0 {
            (1.0 - self.variances().sum::<f64>() / self.total).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    /// The event that explains most, of those that `may` be chosen and have more than `least` variance left.
    pub(super) fn best(&self, may: impl Fn(usize) -> bool, least: f64) -> Option<usize> {
        let mut best: Option<(f64, usize)> = None;
        for ((at, row), variance) in self.rows.iter().enumerate().zip(self.variances()) {
            if variance <= least.max(ROUNDING) || !may(at) {
                continue;
            }
            let gain = row.iter().map(|with| with * with).sum::<f64>() / variance;
            // The first of equals.
            if best.is_none_or(|(most, _)| gain > most) {
                best = Some((gain, at));
            }
        }
        best.map(|(_, at)| at)
    }

    /// Projects an event out of all.
    pub(super) fn take(&mut self, item: usize) {
        let Some(chosen) = self.rows.get(item).cloned() else { return };
        let variance = chosen.get(item).copied().unwrap_or(0.0);
        if variance <= ROUNDING {
            return;
        }
        for (row, with) in self.rows.iter_mut().zip(&chosen) {
            for (value, other) in row.iter_mut().zip(&chosen) {
                *value -= with * other / variance;
            }
        }
    }
}
