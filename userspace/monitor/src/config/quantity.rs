//! Durations and sizes in a file: text with a unit, or a number of seconds or bytes.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, Visitor};
use waytrace_model::units::{ParseError, parse_duration_ns, parse_size_bytes};

/// A duration, nanoseconds.
pub fn time<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    input.deserialize_any(Quantity { parse: parse_duration_ns, expected: "a duration such as \"10s\"" })
}

/// A size, bytes.
pub fn size<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    input.deserialize_any(Quantity { parse: parse_size_bytes, expected: "a size such as \"1GiB\"" })
}

struct Quantity {
    parse: fn(&str) -> Result<u64, ParseError>,
    expected: &'static str,
}

impl Visitor<'_> for Quantity {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        (self.parse)(text).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<u64, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<u64, E> {
        self.visit_str(&number.to_string())
    }
}
