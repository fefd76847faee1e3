//! The quantile behind a 95 % band.

use crate::correlate::of_student;

/// How many standard errors a two-sided 95 % interval reaches, by Student's t with so many degrees of freedom, at least 1.
pub(super) fn quantile(freedom: f64) -> f64 {
    // P(|T| > 13) is below 5 % with one degree of freedom, and falls with more.
    let (mut low, mut high) = (0.0, 13.0);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if of_student(middle, freedom.max(1.0)) > 0.05 { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::quantile;

    /// From the tables every textbook has.
    #[test]
    fn known_quantiles() {
        for (freedom, t) in [(1.0, 12.7062), (2.0, 4.3027), (4.0, 2.7764), (19.0, 2.0930), (1e6, 1.9600)] {
            assert!((quantile(freedom) - t).abs() < 1e-4, "{freedom} {}", quantile(freedom));
        }
        assert_eq!(quantile(0.0), quantile(1.0));
    }
}
