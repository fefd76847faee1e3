//! What a handful of repeated measurements says: the median, and how far the others lie from it.
//!
//! Medians and quartiles, never means: on a shared machine a few repetitions are always far off. Quartiles
//! interpolate between neighbours (Hyndman and Fan 1996, type 7).

use serde_json::{Value, json};

/// Repeated measurements of one quantity, at least one of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    ordered: Vec<f64>,
}

impl Spread {
    /// The spread of `values`; `None` if there are none, or one of them is no number.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut ordered: Vec<f64> = values.into_iter().collect();
        if ordered.is_empty() || !ordered.iter().all(|value| value.is_finite()) {
            return None;
        }
        ordered.sort_by(f64::total_cmp);
        Some(Self { ordered })
    }

    /// The value that the share `ratio` (0–1) of the measurements does not exceed.
    pub fn quantile(&self, ratio: f64) -> f64 {
        let place = ratio.clamp(0.0, 1.0) * (self.ordered.len() - 1) as f64;
        let (below, above) = (self.ordered[place.floor() as usize], self.ordered[place.ceil() as usize]);
        below + (above - below) * place.fract()
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// First and third quartile.
    pub fn quartiles(&self) -> (f64, f64) {
        (self.quantile(0.25), self.quantile(0.75))
    }

    pub fn min(&self) -> f64 {
        self.quantile(0.0)
    }

    pub fn max(&self) -> f64 {
        self.quantile(1.0)
    }

    pub fn count(&self) -> usize {
        self.ordered.len()
    }

    pub fn json(&self) -> Value {
        let (q1, q3) = self.quartiles();
        json!({
            "median": self.median(), "q1": q1, "q3": q3, "min": self.min(), "max": self.max(),
            "values": self.ordered,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_interpolate_whatever_the_order() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(spread.median(), 2.5);
        assert_eq!(spread.quartiles(), (1.75, 3.25));
        assert_eq!((spread.min(), spread.max(), spread.count()), (1.0, 4.0, 4));
    }

    #[test]
    fn an_outlier_moves_neither_median_nor_quartiles() {
        let calm = Spread::of([1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let wild = Spread::of([1.0, 2.0, 3.0, 4.0, 5000.0]).unwrap();
        assert_eq!((wild.median(), wild.quartiles()), (calm.median(), calm.quartiles()));
        assert_eq!(wild.max(), 5000.0);
    }

    #[test]
    fn one_measurement_is_its_own_spread() {
        let spread = Spread::of([7.0]).unwrap();
        assert_eq!((spread.median(), spread.quartiles()), (7.0, (7.0, 7.0)));
    }

    #[test]
    fn nothing_and_no_number_have_no_spread() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([1.0, f64::NAN]), None);
        assert_eq!(Spread::of([0.0 / 1.0, 1.0 / 0.0]), None);
    }
}
