//! Durations, sizes and percentages as people type and read them.

use thiserror::Error;

/// Text that is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseError {
    /// Not a duration.
    #[error("`{0}` is not a duration; write a number and a unit: 500us, 10ms, 1.5s, 2m, 1h, 30d")]
    Duration(String),
    /// Not a size.
    #[error("`{0}` is not a size; write a number and a unit: 512B, 4KiB, 1.5MiB, 2GiB")]
    Size(String),
    /// Not a count.
    #[error("`{0}` is not a count; write a number, with k, M, G or T if it is large: 500k, 20M")]
    Count(String),
    /// Not a percentage.
    #[error("`{0}` is not a percentage between 0 and 100; write it like 1% or 0.5%")]
    Percent(String),
}

/// Parses a count (`500`, `20M`, `1.5k`, `2G`), with decimal factors.
///
/// # Errors
/// [`ParseError::Count`] when the text has another form, or is beyond 2^64.
pub fn parse_count(text: &str) -> Result<u64, ParseError> {
    scaled(text, &[("", 1.0), ("k", 1e3), ("m", 1e6), ("g", 1e9), ("t", 1e12)])
        .ok_or_else(|| ParseError::Count(text.to_owned()))
}

fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: f64 = number.parse().ok()?;
    Some((number, unit.trim()))
}

fn scaled(text: &str, factors: &[(&str, f64)]) -> Option<u64> {
    let (number, unit) = split(text)?;
    let (_, factor) = factors.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    let value = (number * factor).round();
    (value.is_finite() && value < u64::MAX as f64).then_some(value as u64)
}

/// Parses a duration (`500us`, `10ms`, `1.5s`, `2m`, `1h`, `30d`; a bare number is seconds) into nanoseconds.
///
/// # Errors
/// [`ParseError::Duration`] when the text has another form, or is beyond 584 years.
pub fn parse_duration_ns(text: &str) -> Result<u64, ParseError> {
    const FACTORS: [(&str, f64); 9] = [
        ("", 1e9),
        ("ns", 1.0),
        ("us", 1e3),
        ("ms", 1e6),
        ("s", 1e9),
        ("m", 60e9),
        ("min", 60e9),
        ("h", 3600e9),
        ("d", 86_400e9),
    ];
    scaled(text, &FACTORS).ok_or_else(|| ParseError::Duration(text.to_owned()))
}

/// Parses a size (`512`, `4KiB`, `4k`, `1.5MiB`, `2GB`) into bytes; KB and KiB both mean 1024.
///
/// # Errors
/// [`ParseError::Size`] when the text has another form, or is beyond 2^64.
pub fn parse_size_bytes(text: &str) -> Result<u64, ParseError> {
    const K: f64 = 1024.0;
    const FACTORS: [(&str, f64); 14] = [
        ("", 1.0),
        ("b", 1.0),
        ("k", K),
        ("kb", K),
        ("kib", K),
        ("m", K * K),
        ("mb", K * K),
        ("mib", K * K),
        ("g", K * K * K),
        ("gb", K * K * K),
        ("gib", K * K * K),
        ("t", K * K * K * K),
        ("tb", K * K * K * K),
        ("tib", K * K * K * K),
    ];
    scaled(text, &FACTORS).ok_or_else(|| ParseError::Size(text.to_owned()))
}

/// Parses a percentage (`1%`, `0.5`) in 0–100.
///
/// # Errors
/// [`ParseError::Percent`] when it is no number or out of range.
pub fn parse_percent(text: &str) -> Result<f64, ParseError> {
    let wrong = || ParseError::Percent(text.to_owned());
    let value: f64 = text.trim().trim_end_matches('%').trim().parse().map_err(|_| wrong())?;
    (0.0..=100.0).contains(&value).then_some(value).ok_or_else(wrong)
}

fn with_unit(value: f64, step: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut unit = 0;
    while value.abs() >= step * 0.9995 && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let digits = if unit == 0 || value.abs() >= 99.95 {
        0
    } else if value.abs() >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.digits$}{}", units[unit])
}

/// `1.50MiB`, `512B`.
pub fn format_bytes(bytes: f64) -> String {
    with_unit(bytes, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
}

/// `1.50M`, `512`.
pub fn format_count(count: f64) -> String {
    with_unit(count, 1000.0, &["", "k", "M", "G", "T"])
}

/// `1.50ms`, `90.0s`, `10.0m`.
pub fn format_ns(ns: f64) -> String {
    match ns {
        ns if ns < 120e9 => with_unit(ns, 1000.0, &["ns", "us", "ms", "s"]),
        ns if ns < 7200e9 => format!("{:.1}m", ns / 60e9),
        ns => format!("{:.1}h", ns / 3600e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_take_decimal_factors() {
        for (text, count) in
            [("20M", 20_000_000), ("500k", 500_000), ("123456", 123_456), ("1.5G", 1_500_000_000)]
        {
            assert_eq!(parse_count(text), Ok(count), "{text}");
        }
        for text in ["", "M", "-1", "20Mi", "1e6", "20 ms"] {
            assert_eq!(parse_count(text), Err(ParseError::Count(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn durations_take_units_and_bare_seconds() {
        for (text, ns) in [
            ("10ms", 10_000_000),
            ("1.5s", 1_500_000_000),
            ("2", 2_000_000_000),
            ("30d", 2_592_000_000_000_000),
        ] {
            assert_eq!(parse_duration_ns(text), Ok(ns), "{text}");
        }
        for text in ["", "ms", "-1s", "1 fortnight", "1e9s", "999999999999h"] {
            assert!(parse_duration_ns(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        for (text, bytes) in [("4KiB", 4096), ("4k", 4096), ("1.5MiB", 1_572_864), ("0", 0)] {
            assert_eq!(parse_size_bytes(text), Ok(bytes), "{text}");
        }
        assert!(parse_size_bytes("4 sheep").is_err());
    }

    #[test]
    fn percentages_stay_in_range() {
        assert_eq!(parse_percent("1%"), Ok(1.0));
        assert_eq!(parse_percent("0.5"), Ok(0.5));
        for text in ["", "101%", "-1", "NaN", "one"] {
            assert!(parse_percent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn quantities_read_well() {
        assert_eq!(format_bytes(1_572_864.0), "1.50MiB");
        assert_eq!(format_bytes(512.0), "512B");
        assert_eq!(format_bytes(1023.9), "1.00KiB");
        assert_eq!(format_count(1_234_567.0), "1.23M");
        assert_eq!(format_ns(100e6), "100ms");
        assert_eq!(format_ns(90e9), "90.0s");
    }
}
