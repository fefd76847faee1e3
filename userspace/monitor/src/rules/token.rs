//! Words, numbers with units, and signs of a condition.

use std::ops::Range;

use super::error::Mistake;
use super::quantity::{Quantity, unit};

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A name, or one of the words `and`, `or`, `not`.
    Name(String),
    /// A number in bytes, seconds or shares.
    Number(f64, Quantity),
    /// One of `+ - * / ( ) , < <= > >= == != && || !`.
    Sign(&'static str),
    /// The end of the text.
    End,
}

/// A token and where it stands, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub at: Range<usize>,
}

/// Longer ones first, for `<` begins `<=`.
const SIGNS: [&str; 17] =
    ["<=", ">=", "==", "!=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "(", ")", ",", "="];

/// The tokens of a text, with [`Kind::End`] last.
///
/// # Errors
/// What is no token.
pub fn tokens(text: &str) -> Result<Vec<Token>, Mistake> {
    let mut reader = Reader { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        reader.skip(char::is_whitespace);
        let start = reader.at;
        let kind = reader.next()?;
        let is_end = kind == Kind::End;
        tokens.push(Token { kind, at: start..reader.at });
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Takes characters while they are of a kind.
    fn skip(&mut self, is: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !is(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn next(&mut self) -> Result<Kind, Mistake> {
        let Some(first) = self.rest().chars().next() else { return Ok(Kind::End) };
        if first.is_ascii_digit() || first == '.' {
            return self.number();
        }
        if first.is_alphabetic() || first == '_' {
            return Ok(Kind::Name(self.skip(is_in_name).to_owned()));
        }
        let Some(sign) = SIGNS.into_iter().find(|sign| self.rest().starts_with(sign)) else {
            return Err(self.wrong(first.len_utf8(), format!("`{first}` has no meaning here")));
        };
        if sign == "=" {
            return Err(self.wrong(1, "write == to compare"));
        }
        self.at += sign.len();
        Ok(Kind::Sign(sign))
    }

    fn wrong(&self, len: usize, message: impl Into<String>) -> Mistake {
        Mistake::new(self.text, self.at..self.at + len, message)
    }

    fn number(&mut self) -> Result<Kind, Mistake> {
        let start = self.at;
        self.skip(|c| c.is_ascii_digit() || c == '.');
        self.exponent();
        let digits = self.text.get(start..self.at).unwrap_or_default();
        let Some(number) = digits.parse::<f64>().ok().filter(|number| number.is_finite()) else {
            let message = format!("`{digits}` is no number; write it like 0.5, 20 or 1e6");
            return Err(Mistake::new(self.text, start..self.at, message));
        };
        let (factor, quantity) = self.unit()?;
        let value = number * factor;
        if !value.is_finite() {
            return Err(Mistake::new(self.text, start..self.at, "the number is too large"));
        }
        Ok(Kind::Number(value, quantity))
    }

    /// `e6`, `e-3`: only with a digit, for else it would be a unit.
    fn exponent(&mut self) {
        let Some(after) = self.rest().strip_prefix(['e', 'E']) else { return };
        let digits = after.strip_prefix(['+', '-']).unwrap_or(after);
        if digits.starts_with(|c: char| c.is_ascii_digit()) {
            self.at += self.rest().len() - digits.len();
            self.skip(|c| c.is_ascii_digit());
        }
    }

    /// The unit right behind a number, or after blanks where it cannot be anything else; and `/s`.
    fn unit(&mut self) -> Result<(f64, Quantity), Mistake> {
        let start = self.at;
        if self.rest().starts_with(char::is_whitespace) {
            self.skip(char::is_whitespace);
            let name = self.peek_name();
            if unit(name).is_none() {
                self.at = start;
                return Ok((1.0, Quantity::BARE));
            }
        }
        let name = self.peek_name();
        let (factor, quantity) = match (name, unit(name)) {
            ("", _) => (1.0, Quantity::BARE),
            (_, Some(known)) => known,
            (name, None) => {
                let known = "ns us ms s m h d, B KiB MiB GiB TiB, %, each size also with /s";
                return Err(self.wrong(name.len(), format!("`{name}` is no unit; there are {known}")));
            }
        };
        self.at += name.len();
        let is_time = quantity.seconds != 0;
        if !is_time && name != "%" && per_second(self.rest()) {
            self.at += "/s".len();
            return Ok((factor, Quantity { bare: false, ..quantity }.per_second()));
        }
        Ok((factor, quantity))
    }

    fn peek_name(&self) -> &'t str {
        let rest = self.rest();
        if rest.starts_with('%') {
            return rest.get(..1).unwrap_or_default();
        }
        let end = rest.find(|c| !is_in_name(c)).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }
}

fn is_in_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn per_second(rest: &str) -> bool {
    rest.strip_prefix("/s").is_some_and(|after| !after.starts_with(is_in_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> (f64, i8, i8) {
        let tokens = tokens(text).unwrap();
        assert_eq!(tokens.len(), 2, "{text}: {tokens:?}");
        let Kind::Number(value, quantity) = tokens[0].kind else { panic!("{text}: {tokens:?}") };
        (value, quantity.bytes, quantity.seconds)
    }

    #[test]
    fn numbers_have_units() {
        for (text, expected) in [
            ("20%", (0.2, 0, 0)),
            ("1.5GiB", (1.5 * 1024.0 * 1024.0 * 1024.0, 1, 0)),
            ("10MB/s", (10.0 * 1024.0 * 1024.0, 1, -1)),
            ("10 MB/s", (10.0 * 1024.0 * 1024.0, 1, -1)),
            ("50ms", (0.05, 0, 1)),
            ("2h", (7200.0, 0, 1)),
            ("2 h", (7200.0, 0, 1)),
            ("100/s", (100.0, 0, -1)),
            ("1e6", (1e6, 0, 0)),
            ("2.5E-3", (0.0025, 0, 0)),
            (".5", (0.5, 0, 0)),
        ] {
            let (value, bytes, seconds) = number(text);
            assert!((value - expected.0).abs() < 1e-12 * expected.0, "{text}");
            assert_eq!((bytes, seconds), (expected.1, expected.2), "{text}");
        }
    }

    #[test]
    fn a_slash_before_another_word_divides() {
        let kinds: Vec<Kind> =
            tokens("6 /store_ratio").unwrap().into_iter().map(|token| token.kind).collect();
        assert_eq!(
            kinds,
            [
                Kind::Number(6.0, Quantity::BARE),
                Kind::Sign("/"),
                Kind::Name("store_ratio".to_owned()),
                Kind::End
            ]
        );
        assert_eq!(tokens("6/store_ratio").unwrap().len(), 4);
        assert_eq!(tokens("20 and 3").unwrap().len(), 4);
    }

    #[test]
    fn what_is_no_token_is_named_where_it_stands() {
        for (text, at, needle) in [
            ("rss_bytes > 5 # x", 14, "`#` has no meaning"),
            ("rss_bytes = 5", 10, "write =="),
            ("lost > 5sheep", 8, "`sheep` is no unit; there are ns"),
            ("lost > 1.2.3", 7, "`1.2.3` is no number"),
            ("lost > .", 7, "is no number"),
            ("lost > 1e999", 7, "is no number"),
            ("lost > 1e308TiB", 7, "too large"),
        ] {
            let mistake = tokens(text).unwrap_err();
            assert_eq!(mistake.at.start, at, "{text}: {mistake}");
            assert!(mistake.message.contains(needle), "{text}: {mistake}");
        }
    }
}
