//! Patterns as shells have them: `*`, `?`, `[abc]`, `[a-z]`, `[!abc]`; in paths `*` stays within a component and `**` does not.
//!
//! There is no escape character, for names of systemd's units contain backslashes (`foo\x2dbar.service`); `[*]` is a star. Matching follows all
//! possible positions at once, so no pattern makes it take longer than pattern times text.

/// A pattern that is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    tokens: Vec<Token>,
    is_path: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Char(char),
    One,
    Star,
    StarStar,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

/// Longer patterns name nothing that exists: `PATH_MAX`.
const MOST_CHARS: usize = 4096;

impl Glob {
    /// A pattern for names, in which `/` is a character like any other.
    ///
    /// # Errors
    /// What is wrong, and the mend.
    pub fn new(pattern: &str) -> Result<Self, String> {
        Ok(Self { tokens: tokens(pattern)?, is_path: false })
    }

    /// A pattern for paths.
    ///
    /// # Errors
    /// What is wrong, and the mend.
    pub fn path(pattern: &str) -> Result<Self, String> {
        Ok(Self { tokens: tokens(pattern)?, is_path: true })
    }

    /// Whether it stands for itself alone.
    pub fn is_literal(&self) -> bool {
        self.tokens.iter().all(|token| matches!(token, Token::Char(_)))
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        let mut at = self.start();
        for c in text.chars() {
            at = self.step(&at, c);
        }
        at.last().copied().unwrap_or(false)
    }

    /// Whether the path or a directory it lies in matches.
    pub fn matches_within(&self, path: &str) -> bool {
        let mut at = self.start();
        for c in path.chars() {
            if c == '/' && at.last().copied().unwrap_or(false) {
                return true;
            }
            at = self.step(&at, c);
        }
        at.last().copied().unwrap_or(false)
    }

    /// Positions in the pattern before the first character.
    fn start(&self) -> Vec<bool> {
        let mut at = vec![false; self.tokens.len() + 1];
        if let Some(first) = at.first_mut() {
            *first = true;
        }
        self.pass_stars(&mut at);
        at
    }

    fn step(&self, at: &[bool], c: char) -> Vec<bool> {
        let mut next = vec![false; at.len()];
        for (index, token) in self.tokens.iter().enumerate() {
            if !at.get(index).copied().unwrap_or(false) {
                continue;
            }
            let slash = self.is_path && c == '/';
            let (stay, advance) = match token {
                Token::Char(own) => (false, *own == c),
                Token::One => (false, !slash),
                Token::Star => (!slash, false),
                Token::StarStar => (true, false),
                Token::Class { negated, ranges } => {
                    let within = ranges.iter().any(|(from, to)| (*from..=*to).contains(&c));
                    (false, within != *negated && !slash)
                }
            };
            if let Some(place) = next.get_mut(index) {
                *place |= stay;
            }
            if let Some(place) = next.get_mut(index + 1) {
                *place |= advance;
            }
        }
        self.pass_stars(&mut next);
        next
    }

    /// A star may stand for nothing.
    fn pass_stars(&self, at: &mut [bool]) {
        for (index, token) in self.tokens.iter().enumerate() {
            let here = at.get(index).copied().unwrap_or(false);
            if here
                && matches!(token, Token::Star | Token::StarStar)
                && let Some(next) = at.get_mut(index + 1)
            {
                *next = true;
            }
        }
    }
}

fn tokens(pattern: &str) -> Result<Vec<Token>, String> {
    if pattern.is_empty() {
        return Err("the pattern is empty; write a name, or `*` for all".to_owned());
    }
    if pattern.chars().any(char::is_control) {
        return Err(format!(
            "the pattern `{}` contains control characters; remove them",
            pattern.escape_debug()
        ));
    }
    if pattern.chars().count() > MOST_CHARS {
        return Err(format!("the pattern has more than {MOST_CHARS} characters; shorten it"));
    }
    let mut tokens = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        tokens.push(match c {
            '?' => Token::One,
            '*' if rest.next_if_eq(&'*').is_some() => Token::StarStar,
            '*' => Token::Star,
            '[' => class(&mut rest)
                .ok_or_else(|| format!("`[` without `]` in `{pattern}`; `[[]` is a bracket"))?,
            other => Token::Char(other),
        });
    }
    Ok(tokens)
}

/// What follows `[`. A `]` that comes first belongs to the class.
fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Token> {
    let negated = rest.next_if(|c| matches!(c, '!' | '^')).is_some();
    let mut ranges = Vec::new();
    loop {
        let from = rest.next()?;
        if from == ']' && !ranges.is_empty() {
            return Some(Token::Class { negated, ranges });
        }
        let mut ahead = rest.clone();
        match (ahead.next(), ahead.next()) {
            (Some('-'), Some(to)) if to != ']' => {
                ranges.push((from, to));
                *rest = ahead;
            }
            _ => ranges.push((from, from)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cases_worked_out_by_hand() {
        for (pattern, text, expected) in [
            ("redis", "redis", true),
            ("redis", "redis2", false),
            ("redis*", "redis", true),
            ("*", "", true),
            ("?", "", false),
            ("r?dis", "redis", true),
            ("[rs]edis", "sedis", true),
            ("[!rs]edis", "sedis", false),
            ("[a-f0-9]x", "7x", true),
            ("[a-]x", "-x", true),
            ("[]]x", "]x", true),
            ("[*]", "a", false),
            ("a**b", "a/x/b", true),
            (r"foo\x2dbar.service", r"foo\x2dbar.service", true),
        ] {
            assert_eq!(Glob::new(pattern).unwrap().matches(text), expected, "{pattern} {text}");
        }
        for (pattern, text, expected) in [
            ("/usr/*/redis", "/usr/bin/redis", true),
            ("/usr/*/redis", "/usr/local/bin/redis", false),
            ("/usr/**/redis", "/usr/local/bin/redis", true),
            ("/a?b", "/a/b", false),
            ("/a[!x]b", "/a/b", false),
        ] {
            assert_eq!(Glob::path(pattern).unwrap().matches(text), expected, "{pattern} {text}");
        }
        for (pattern, text, expected) in [
            ("/system.slice", "/system.slice/redis.service", true),
            ("/system.slice", "/system.slice2/redis.service", false),
            ("/system.slice/*", "/system.slice/redis.service/worker", true),
            ("/system.slice/*", "/system.slice", false),
            ("/a", "/b/a", false),
        ] {
            assert_eq!(Glob::path(pattern).unwrap().matches_within(text), expected, "{pattern} {text}");
        }
        for wrong in ["", "[abc", "[", "[]", "a\nb"] {
            assert!(Glob::new(wrong).is_err(), "{wrong}");
        }
        assert!(Glob::new("redis").unwrap().is_literal());
        assert!(!Glob::new("redi[s]").unwrap().is_literal());
    }

    #[test]
    fn patterns_that_ruin_backtracking_are_quick() {
        let glob = Glob::new(&"*a".repeat(200)).unwrap();
        assert!(!glob.matches(&("a".repeat(199) + &"b".repeat(2000))));
    }

    /// The definition, tried out in every way.
    fn naive(tokens: &[Token], text: &[char], is_path: bool) -> bool {
        let Some((token, rest)) = tokens.split_first() else { return text.is_empty() };
        let first = text.first().copied();
        let slash = |c: char| is_path && c == '/';
        match token {
            Token::Char(own) => first == Some(*own) && naive(rest, &text[1..], is_path),
            Token::One => first.is_some_and(|c| !slash(c)) && naive(rest, &text[1..], is_path),
            Token::Class { negated, ranges } => {
                first.is_some_and(|c| {
                    ranges.iter().any(|(from, to)| *from <= c && c <= *to) != *negated && !slash(c)
                }) && naive(rest, &text[1..], is_path)
            }
            Token::Star => (0..=text.len()).any(|taken| {
                text[..taken].iter().all(|c| !slash(*c)) && naive(rest, &text[taken..], is_path)
            }),
            Token::StarStar => (0..=text.len()).any(|taken| naive(rest, &text[taken..], is_path)),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab/*?\\[\\]!-]{1,8}", text in "[ab/\\]!-]{0,8}", is_path: bool) {
            let glob = if is_path { Glob::path(&pattern) } else { Glob::new(&pattern) };
            if let Ok(glob) = glob {
                let chars: Vec<char> = text.chars().collect();
                prop_assert_eq!(glob.matches(&text), naive(&glob.tokens, &chars, is_path));
                let within = (0..=chars.len()).any(|end| {
                    chars.get(end).is_none_or(|c| *c == '/') && naive(&glob.tokens, &chars[..end], is_path)
                });
                prop_assert_eq!(glob.matches_within(&text), within);
            }
        }

        #[test]
        fn no_pattern_panics(pattern in ".*", text in ".*") {
            if let Ok(glob) = Glob::path(&pattern) {
                let _ = glob.matches(&text) || glob.matches_within(&text);
            }
        }
    }
}
