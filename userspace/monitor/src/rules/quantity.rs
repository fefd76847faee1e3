//! Units of the language: what a number counts, so that bytes are not compared with seconds.
//!
//! Times are seconds inside, sizes bytes, shares 0 to 1. Where a name promises another unit (`cpu_ns`, `own_cpu_pct`), a bare
//! number beside it would be read in the wrong one and is refused.

use std::fmt;

use waytrace_model::units::{format_bytes, format_count, format_ns};

/// What a number counts: powers of bytes and of seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quantity {
    /// Power of bytes.
    pub bytes: i8,
    /// Power of seconds.
    pub seconds: i8,
    /// Made of numbers without a unit only: takes the unit of what it stands beside.
    pub bare: bool,
    /// Is called by another unit than it is counted in, so that bare numbers do not go with it.
    pub named_otherwise: bool,
}

impl Quantity {
    /// Things, and shares of things.
    pub const PLAIN: Self = Self { bytes: 0, seconds: 0, bare: false, named_otherwise: false };
    /// Bytes.
    pub const BYTES: Self = Self { bytes: 1, ..Self::PLAIN };
    /// Seconds, that are told as nanoseconds.
    pub const TIME: Self = Self { seconds: 1, named_otherwise: true, ..Self::PLAIN };
    /// A share that is told in percent.
    pub const PERCENT: Self = Self { named_otherwise: true, ..Self::PLAIN };
    /// A number without a unit.
    pub const BARE: Self = Self { bare: true, ..Self::PLAIN };

    /// A rate of this.
    pub fn per_second(self) -> Self {
        self.over(Self { seconds: 1, ..Self::PLAIN })
    }

    /// Of a product.
    pub fn times(self, other: Self) -> Self {
        self.with(other, other.bytes, other.seconds)
    }

    /// Of a quotient.
    pub fn over(self, other: Self) -> Self {
        self.with(other, other.bytes.saturating_neg(), other.seconds.saturating_neg())
    }

    fn with(self, other: Self, bytes: i8, seconds: i8) -> Self {
        let (bytes, seconds) = (self.bytes.saturating_add(bytes), self.seconds.saturating_add(seconds));
        let is_percent = (self.named_otherwise && (other.bare || other == Self::PLAIN)
            || other.named_otherwise && (self.bare || self == Self::PLAIN))
            && (bytes, seconds) == (0, 0);
        Self {
            bytes,
            seconds,
            bare: self.bare && other.bare,
            named_otherwise: is_percent || (bytes, seconds) == (0, 1),
        }
    }

    /// What a sum or a comparison of both is of; `None` where they do not go together.
    pub fn beside(self, other: Self) -> Option<Self> {
        match (self.bare, other.bare) {
            (true, true) => Some(self),
            (true, false) => (!other.named_otherwise).then_some(other),
            (false, true) => (!self.named_otherwise).then_some(self),
            (false, false) => ((self.bytes, self.seconds) == (other.bytes, other.seconds))
                .then_some(Self { named_otherwise: self.named_otherwise || other.named_otherwise, ..self }),
        }
    }

    /// A number of this as people write it.
    pub fn show(self, value: f64) -> String {
        match (self.bytes, self.seconds) {
            (1, 0) => format_bytes(value),
            (1, -1) => format!("{}/s", format_bytes(value)),
            (0, 1) => format_ns(value * 1e9),
            (0, -1) => format!("{}/s", short(value)),
            (0, 0) if self.named_otherwise => format!("{}%", short(value * 100.0)),
            _ => short(value),
        }
    }

    /// A literal that goes with it, for errors.
    pub fn example(self) -> &'static str {
        match (self.bytes, self.seconds) {
            (1, 0) => "1.5GiB",
            (1, -1) => "10MB/s",
            (0, 1) => "50ms",
            (0, -1) => "100/s",
            (0, 0) if self.named_otherwise => "1%",
            _ => "0.5",
        }
    }
}

/// Three digits at least, of large numbers thousands.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        1000.0.. => format_count(value),
        digits => {
            let places = (2 - digits.log10().floor() as i32).clamp(0, 9) as usize;
            let text = format!("{value:.places$}");
            if text.contains('.') {
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            } else {
                text
            }
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.bytes, self.seconds) {
            _ if self.bare => "a number",
            (1, 0) => "bytes",
            (1, -1) => "bytes per second",
            (0, 1) => "a time",
            (0, -1) => "a rate per second",
            (0, 0) if self.named_otherwise => "a percentage",
            (0, 0) => "a count or a share",
            (bytes, seconds) => return write!(f, "bytes^{bytes}*seconds^{seconds}"),
        })
    }
}

/// The factor to bytes, seconds or shares, and what it makes of a number.
///
/// Sizes are binary, also without the `i`, as everywhere in waytrace.
pub fn unit(name: &str) -> Option<(f64, Quantity)> {
    const K: f64 = 1024.0;
    let time = |seconds: f64| Some((seconds, Quantity { named_otherwise: true, ..Quantity::TIME }));
    let size = |bytes: f64| Some((bytes, Quantity::BYTES));
    match name {
        "%" => Some((0.01, Quantity::PLAIN)),
        "ns" => time(1e-9),
        "us" => time(1e-6),
        "ms" => time(1e-3),
        "s" => time(1.0),
        "m" | "min" => time(60.0),
        "h" => time(3600.0),
        "d" => time(86_400.0),
        "B" => size(1.0),
        "k" | "kB" | "KB" | "KiB" => size(K),
        "M" | "MB" | "MiB" => size(K * K),
        "G" | "GB" | "GiB" => size(K * K * K),
        "T" | "TB" | "TiB" => size(K * K * K * K),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_quotients_have_their_units() {
        let rate = Quantity::BYTES.per_second();
        assert_eq!((rate.bytes, rate.seconds), (1, -1));
        assert!(rate.times(Quantity::TIME).beside(Quantity::BYTES).is_some());
        assert!(rate.beside(Quantity::BYTES).is_none());
        assert!(Quantity::BYTES.over(Quantity::BYTES).beside(Quantity::PLAIN).is_some());
        let cores = Quantity::TIME.over(Quantity::TIME);
        assert!(cores.beside(Quantity::BARE).is_some(), "a quotient of times is a plain number");
    }

    #[test]
    fn bare_numbers_go_with_what_is_counted_in_its_own_name() {
        assert!(Quantity::BYTES.beside(Quantity::BARE).is_some());
        assert!(Quantity::TIME.beside(Quantity::BARE).is_none(), "0.5 of cpu_ns is not half a second");
        assert!(Quantity::PERCENT.beside(Quantity::BARE).is_none(), "1 of own_cpu_pct is not all of it");
        assert!(Quantity::PERCENT.times(Quantity::BARE).beside(Quantity::BARE).is_none());
        assert!(Quantity::PERCENT.beside(Quantity::PLAIN).is_some());
    }

    #[test]
    fn numbers_read_well() {
        for (quantity, value, text) in [
            (Quantity::BYTES.per_second(), 1_153_434.0, "1.10MiB/s"),
            (Quantity::TIME, 0.05, "50.0ms"),
            (Quantity::PERCENT, 0.0123, "1.23%"),
            (Quantity::PLAIN, 0.5, "0.5"),
            (Quantity::PLAIN, 123_456.0, "123k"),
            (Quantity::PLAIN, 0.0, "0"),
            (Quantity::PLAIN, 120.0, "120"),
        ] {
            assert_eq!(quantity.show(value), text);
        }
    }
}
