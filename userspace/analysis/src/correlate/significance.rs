//! Whether a coefficient may be chance: Student's t distribution, by the regularised incomplete beta function.

/// Two-sided p of a correlation coefficient of so many independent samples, by t = r √((n − 2) / (1 − r²)), which for ranks is
/// an approximation (Kendall & Stuart, ch. 31). `None` with two samples or fewer.
pub(super) fn of_correlation(coefficient: f64, samples: f64) -> Option<f64> {
    let freedom = samples - 2.0;
    // P(|T| > t) = I(ν / (ν + t²); ν/2, 1/2), and ν / (ν + t²) = 1 − r².
    (freedom > 0.0).then(|| beta(1.0 - coefficient * coefficient, freedom / 2.0, 0.5))
}

/// Probability that `groups` groups of together so many samples differ by chance by a share of the variation as large as `between`, 0–1:
/// Fisher's F test, for under normality that share has the beta distribution. `None` with too few groups or samples to say.
pub(crate) fn of_groups(between: f64, groups: usize, samples: usize) -> Option<f64> {
    let own = samples.checked_sub(groups).filter(|own| *own > 0 && groups > 1)?;
    Some(beta(1.0 - between, own as f64 / 2.0, (groups - 1) as f64 / 2.0))
}

/// Probability that a variable of Student's distribution with so many degrees of freedom, above 0, is at least this far from 0.
pub(crate) fn of_student(t: f64, freedom: f64) -> f64 {
    beta(freedom / (freedom + t * t), freedom / 2.0, 0.5)
}

/// I(x; a, b) by its continued fraction (DLMF 8.17.22), evaluated by Lentz's method.
fn beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    // The fraction converges fast below this point; beyond it the complement does.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta(1.0 - x, b, a);
    }
    let front = a * x.ln() + b * (1.0 - x).ln() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b);
    (front.exp() / a * fraction(x, a, b)).clamp(0.0, 1.0)
}

fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut c, mut d) = (1.0, 1.0 / away(1.0 - (a + b) * x / (a + 1.0)));
    let mut value = d;
    for step in 1..500 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = value;
        for term in [even, odd] {
            d = 1.0 / away(1.0 + term * d);
            c = away(1.0 + term / c);
            value *= c * d;
        }
        if (value - before).abs() <= 1e-15 * value.abs() {
            break;
        }
    }
    value
}

/// ln Γ(x) for x > 0, to some 1e-12: Stirling's series (DLMF 5.11.1) above 10, recurrence below.
fn ln_gamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 10.0 {
        shift += x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    let series = (1.0 / 12.0 - inverse * (1.0 / 360.0 - inverse * (1.0 / 1260.0 - inverse / 1680.0))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - shift
}

/// Probability that a standard normal variable is at least this far from 0: by its series near 0, by the continued fraction
/// of Mills' ratio further out (DLMF 7.6.2, 7.9.3).
pub(crate) fn of_normal(z: f64) -> f64 {
    let z = z.abs();
    let density = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt();
    if z < 3.0 {
        let (mut term, mut sum) = (z, z);
        for odd in (3..200).step_by(2) {
            term *= z * z / f64::from(odd);
            sum += term;
        }
        return (1.0 - 2.0 * density * sum).clamp(0.0, 1.0);
    }
    2.0 * density / (1..100).rev().fold(z, |below, step| z + f64::from(step) / below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(one: f64, other: f64) -> bool {
        (one - other).abs() <= 1e-9 * other.abs().max(1e-3)
    }

    /// Γ(1/2) = √π, Γ(5) = 24.
    /// Two groups: F of 1 and n − 2 degrees is Student's t squared, and the share between them the squared correlation with which
    /// is which. With 2 degrees between, P = (1 − share)^(own/2).
    #[test]
    fn groups_that_differ_by_chance() {
        for (r, samples) in [(0.3, 12), (0.9, 5), (0.0, 7)] {
            let two = of_groups(r * r, 2, samples).unwrap();
            assert!(close(two, of_correlation(r, samples as f64).unwrap()), "{r} {two}");
        }
        assert!(close(of_groups(0.36, 3, 9).unwrap(), 0.64_f64.powi(3)));
        assert_eq!(
            (of_groups(0.5, 1, 9), of_groups(0.5, 3, 3), of_groups(1.0, 2, 4)),
            (None, None, Some(0.0))
        );
    }

    #[test]
    fn gamma_has_known_values() {
        assert!(close(ln_gamma(0.5), std::f64::consts::PI.sqrt().ln()), "{}", ln_gamma(0.5));
        assert!(close(ln_gamma(5.0), 24.0_f64.ln()), "{}", ln_gamma(5.0));
    }

    /// With one degree of freedom T is Cauchy's: P(|T| > t) = 1 − 2/π atan t; with two, 1 − t / √(2 + t²).
    #[test]
    fn student_with_few_degrees_of_freedom_is_known() {
        for r in [0.0, 0.1, 0.5, 0.9, 0.999] {
            let t = |freedom: f64| (freedom * r * r / (1.0 - r * r)).sqrt();
            let cauchy = 1.0 - t(1.0).atan() * 2.0 / std::f64::consts::PI;
            assert!(close(of_correlation(r, 3.0).unwrap(), cauchy), "{r}");
            let two = 1.0 - t(2.0) / (2.0 + t(2.0) * t(2.0)).sqrt();
            assert!(close(of_correlation(-r, 4.0).unwrap(), two), "{r}");
        }
        assert_eq!(of_correlation(0.5, 2.0), None);
        assert_eq!(of_correlation(1.0, 10.0), Some(0.0));
    }

    /// The 5 % point of t with 10 degrees of freedom is 2.228139; of the normal distribution, 1.959964.
    #[test]
    fn tabulated_points() {
        let t: f64 = 2.228_138_852;
        let r = t / (10.0 + t * t).sqrt();
        assert!((of_correlation(r, 12.0).unwrap() - 0.05).abs() < 1e-9);
        assert!((of_normal(1.959_963_985) - 0.05).abs() < 1e-7, "{}", of_normal(1.959_963_985));
        assert!((of_normal(-3.290_526_731) - 0.001).abs() < 1e-7);
    }
}
