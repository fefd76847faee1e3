//! Values as event files spell them: numbers as text, hexadecimal and decimal mixed, several ways to say "none".

use serde_json::{Map, Value};

use super::super::limits::{self, clean};

/// The fields of one entry.
pub struct Entry<'a>(pub &'a Map<String, Value>);

/// Why an entry cannot be used.
pub type Reason = String;

impl Entry<'_> {
    /// A field's text; `None` where it is missing, empty or says that there is nothing.
    pub fn text(&self, key: &str) -> Option<String> {
        let text = match self.0.get(key)? {
            Value::String(text) => clean(text, limits::TEXT_BYTES),
            Value::Number(number) => number.to_string(),
            Value::Bool(is) => u8::from(*is).to_string(),
            _ => return None,
        };
        let is_none = ["", "null", "na", "n/a", "none"].iter().any(|none| text.eq_ignore_ascii_case(none));
        (!is_none).then_some(text)
    }

    /// A number; 0 where there is none.
    pub fn number(&self, key: &str) -> Result<u64, Reason> {
        Ok(self.numbers(key)?.first().copied().unwrap_or(0))
    }

    /// A list of numbers.
    pub fn numbers(&self, key: &str) -> Result<Vec<u64>, Reason> {
        let Some(text) = self.text(key) else { return Ok(Vec::new()) };
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let numbers: Option<Vec<u64>> = parts.map(number).collect();
        numbers.ok_or_else(|| format!("`{key}` is `{}`, which is no number", clean(&text, 40)))
    }

    /// 0 or 1.
    pub fn flag(&self, key: &str) -> Result<bool, Reason> {
        self.number(key).map(|number| number != 0)
    }

    /// Words between commas, without those that stand for nothing.
    pub fn words(&self, key: &str) -> Vec<String> {
        self.text(key).map_or_else(Vec::new, |text| words(&text))
    }
}

/// Words between commas, without those that stand for nothing: `0`, `na`, `null`.
pub fn words(text: &str) -> Vec<String> {
    let is_word = |word: &&str| !["", "0", "na", "null"].iter().any(|none| word.eq_ignore_ascii_case(none));
    text.split(',').map(str::trim).filter(is_word).map(str::to_owned).collect()
}

/// `0x3c`, `60`.
pub fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = |text: &str| !text.starts_with(['+', '-']);
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok().filter(|_| digits(hex)),
        None => text.parse().ok().filter(|_| digits(text)),
    }
}

/// The counters a text lists.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// General counters, by bit.
    pub general: u64,
    /// Fixed counters, by the number written; the bit of a single unnumbered one is 0.
    pub fixed: u64,
}

/// `0,1,2,3`, `Fixed counter 0`, `FIXED`, `0,1,Fixed counter 2`, in files of newer cores also `32` for fixed counter 0.
pub fn counters(text: &str) -> Result<Listed, Reason> {
    let bad = || format!("`{}` lists no counters", clean(text, 40));
    let mut listed = Listed::default();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let lower = part.to_ascii_lowercase();
        let fixed = lower.strip_prefix("fixed").map(|rest| rest.trim_start_matches(" counter").trim());
        let bit = match fixed {
            Some("") => Some(0),
            Some(digits) => number(digits),
            None => number(&lower),
        };
        let bit = bit.filter(|bit| *bit < 64).ok_or_else(bad)?;
        match fixed {
            Some(_) => listed.fixed |= 1 << bit,
            None => listed.general |= 1 << bit,
        }
    }
    if listed == Listed::default() { Err(bad()) } else { Ok(listed) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(value: &Value) -> Entry<'_> {
        Entry(value.as_object().unwrap())
    }

    #[test]
    fn none_is_spelled_in_many_ways() {
        let value = json!({"a": "null", "b": "na", "c": "", "d": null, "e": "0", "f": " x ", "g": [1]});
        let entry = entry(&value);
        for key in ["a", "b", "c", "d", "g", "missing"] {
            assert_eq!(entry.text(key), None, "{key}");
        }
        assert_eq!((entry.text("e").as_deref(), entry.text("f").as_deref()), (Some("0"), Some("x")));
        assert!(entry.words("e").is_empty());
        assert_eq!(self::entry(&json!({"e": "SKL091, SKL044,"})).words("e"), ["SKL091", "SKL044"]);
    }

    #[test]
    fn numbers_are_hexadecimal_or_decimal_and_never_guessed() {
        let value =
            json!({"a": "0x1a6,0x1A7", "b": "10", "c": 12, "d": "1.5", "e": "0xg", "f": "-1", "g": "6,5x"});
        let entry = entry(&value);
        assert_eq!(entry.numbers("a").unwrap(), [0x1a6, 0x1a7]);
        assert_eq!(
            (entry.number("b").unwrap(), entry.number("c").unwrap(), entry.number("z").unwrap()),
            (10, 12, 0)
        );
        for key in ["d", "e", "f", "g"] {
            assert!(entry.number(key).unwrap_err().contains("no number"), "{key}");
        }
    }

    #[test]
    fn counters_are_lists_or_fixed() {
        let listed = |general, fixed| Listed { general, fixed };
        for (text, expected) in [
            ("0,1,2,3", listed(0xf, 0)),
            ("0,", listed(1, 0)),
            ("Fixed counter 2", listed(0, 4)),
            ("FIXED", listed(0, 1)),
            ("0,1, Fixed counter 0", listed(3, 1)),
            ("35", listed(1 << 35, 0)),
        ] {
            assert_eq!(counters(text).unwrap(), expected, "{text}");
        }
        for text in ["", ",", "64", "x", "fixed counter x", "-1"] {
            assert!(counters(text).is_err(), "{text}");
        }
    }
}
