//! Rates of the last windows in one row.

use super::theme::Theme;

/// One character for each rate, from nothing to the largest; a gap where there is none.
pub fn sparkline(rates: &[Option<f64>], theme: Theme) -> String {
    let most = rates.iter().flatten().copied().fold(0.0, f64::max);
    let heights = theme.heights();
    let height = |rate: f64| {
        let share = if most > 0.0 { (rate / most).clamp(0.0, 1.0) } else { 0.0 };
        heights[((share * 7.0).round() as usize).min(7)]
    };
    rates.iter().map(|rate| rate.map_or(' ', height)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_are_in_proportion() {
        let rates = [None, Some(0.0), Some(1.0), Some(7.0), Some(3.5)];
        assert_eq!(sparkline(&rates, Theme::new(true, true)), " ▁▂█▅");
        assert_eq!(sparkline(&rates, Theme::new(true, false)), " _.#=");
        assert_eq!(sparkline(&[Some(0.0), Some(-1.0)], Theme::new(true, true)), "▁▁");
    }
}
