//! The patterns CPUs are named by in a `mapfile.csv`: `GenuineIntel-6-55-[01234]`, `GenuineIntel-6-(97|9A)`,
//! `AuthenticAMD-25-([12][[:xdigit:]]|[[:xdigit:]])`.
//!
//! The part of POSIX extended expressions these files use. A set of positions is walked through the pattern, so time is
//! bounded by pattern × text, whatever the pattern. Source: POSIX.1-2017 9.4, `tools/perf/util/header.c` (`strcmp_cpuid_str`).

/// Longest text matched: positions are bits of a word.
const TEXT: usize = 127;
/// Longest pattern.
const LONGEST: usize = 1000;
/// Deepest nesting of parentheses; each level multiplies the worst case.
const DEEPEST: usize = 4;

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Node);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// One byte out of a set, by value.
    Byte(Box<[bool; 256]>),
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    /// How often at least (0 or 1), and whether more than once.
    Repeat(Box<Node>, bool, bool),
}

impl Pattern {
    /// Parses a pattern; `None` where it is none of this kind.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let mut parser = Parser { rest: text.as_bytes() };
        let node = parser.either(0)?;
        parser.rest.is_empty().then_some(Self(node))
    }

    /// Whether it matches the whole of `text`.
    pub fn matches(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        bytes.len() <= TEXT && self.0.walk(bytes, 1) >> bytes.len() & 1 == 1
    }
}

impl Node {
    /// Positions reached from any of `from`.
    fn walk(&self, text: &[u8], from: u128) -> u128 {
        match self {
            Self::Byte(set) => {
                let mut reached = 0;
                for (at, byte) in text.iter().enumerate() {
                    let is_in = set.get(usize::from(*byte)).copied().unwrap_or(false);
                    reached |= u128::from(is_in && from >> at & 1 == 1) << (at + 1);
                }
                reached
            }
            Self::Sequence(nodes) => nodes.iter().fold(from, |from, node| node.walk(text, from)),
            Self::Either(nodes) => nodes.iter().fold(0, |all, node| all | node.walk(text, from)),
            Self::Repeat(node, needed, many) => {
                let mut reached = node.walk(text, from);
                let mut before = if *many { 0 } else { reached };
                while before != reached {
                    before = reached;
                    reached |= node.walk(text, reached);
                }
                if *needed { reached } else { reached | from }
            }
        }
    }
}

struct Parser<'a> {
    rest: &'a [u8],
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is = self.peek() == Some(byte);
        if is {
            self.next();
        }
        is
    }

    fn either(&mut self, depth: usize) -> Option<Node> {
        if depth > DEEPEST {
            return None;
        }
        let mut branches = vec![self.sequence(depth)?];
        while self.eat(b'|') {
            branches.push(self.sequence(depth)?);
        }
        Some(Node::Either(branches))
    }

    fn sequence(&mut self, depth: usize) -> Option<Node> {
        let mut nodes = Vec::new();
        while let Some(byte) = self.peek().filter(|byte| !matches!(byte, b'|' | b')')) {
            let mut node = match byte {
                b'(' => {
                    self.next();
                    let inner = self.either(depth + 1)?;
                    self.eat(b')').then_some(inner)?
                }
                b'[' => self.class()?,
                b'*' | b'+' | b'?' | b'{' => return None,
                _ => self.literal()?,
            };
            while let Some(sign) = self.peek().filter(|sign| matches!(sign, b'*' | b'+' | b'?')) {
                self.next();
                // `x**` means what `x*` does; nesting it would only deepen the tree.
                node = match node {
                    Node::Repeat(inner, needed, many) => {
                        Node::Repeat(inner, needed && sign == b'+', many || sign != b'?')
                    }
                    node => Node::Repeat(Box::new(node), sign == b'+', sign != b'?'),
                };
            }
            nodes.push(node);
        }
        Some(Node::Sequence(nodes))
    }

    fn literal(&mut self) -> Option<Node> {
        let mut set = Box::new([false; 256]);
        match self.next()? {
            b'.' => set.fill(true),
            // The whole text is matched anyway.
            b'^' | b'$' => return Some(Node::Sequence(Vec::new())),
            b'\\' => mark(&mut set, self.next()?),
            byte => mark(&mut set, byte),
        }
        Some(Node::Byte(set))
    }

    /// `[0-9A-F]`, `[^x]`, `[[:xdigit:]]`.
    fn class(&mut self) -> Option<Node> {
        self.next();
        let mut set = Box::new([false; 256]);
        let negated = self.eat(b'^');
        let mut first = true;
        while first || self.peek()? != b']' {
            first = false;
            if self.rest.starts_with(b"[:") {
                let end = self.rest.windows(2).position(|pair| pair == b":]")?;
                let is_in = named(self.rest.get(2..end)?)?;
                self.rest = self.rest.get(end + 2..)?;
                (0..=255u8).filter(is_in).for_each(|byte| mark(&mut set, byte));
                continue;
            }
            let low = self.next()?;
            let is_range = self.peek() == Some(b'-') && self.rest.get(1).is_some_and(|byte| *byte != b']');
            let high = if is_range { self.next().and_then(|_| self.next())? } else { low };
            (low..=high).for_each(|byte| mark(&mut set, byte));
        }
        self.next();
        if negated {
            set.iter_mut().for_each(|is_in| *is_in = !*is_in);
        }
        Some(Node::Byte(set))
    }
}

fn mark(set: &mut [bool; 256], byte: u8) {
    if let Some(entry) = set.get_mut(usize::from(byte)) {
        *entry = true;
    }
}

fn named(name: &[u8]) -> Option<fn(&u8) -> bool> {
    match name {
        b"xdigit" => Some(u8::is_ascii_hexdigit),
        b"digit" => Some(u8::is_ascii_digit),
        b"alpha" => Some(u8::is_ascii_alphabetic),
        b"alnum" => Some(u8::is_ascii_alphanumeric),
        b"upper" => Some(u8::is_ascii_uppercase),
        b"lower" => Some(u8::is_ascii_lowercase),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_mapfiles_match_what_they_mean() {
        let cases: [(&str, &[&str], &[&str]); 6] = [
            (
                "GenuineIntel-6-55-[01234]",
                &["GenuineIntel-6-55-4"],
                &["GenuineIntel-6-55", "GenuineIntel-6-55-5"],
            ),
            (
                "GenuineIntel-6-(97|9A|B[7A]?)",
                &["GenuineIntel-6-9A", "GenuineIntel-6-B", "GenuineIntel-6-BA"],
                &["GenuineIntel-6-99"],
            ),
            (
                "AuthenticAMD-25-([12][[:xdigit:]]|[[:xdigit:]])",
                &["AuthenticAMD-25-1", "AuthenticAMD-25-2F"],
                &["AuthenticAMD-25-3F", "AuthenticAMD-25-", "AuthenticAMD-25-111"],
            ),
            ("AuthenticAMD-23-[[:xdigit:]]+", &["AuthenticAMD-23-71"], &["AuthenticAMD-23-"]),
            ("a.*z", &["az", "abcz"], &["abc", "za"]),
            ("[^x-][]a]", &["y]", "ya"], &["x]", "-a"]),
        ];
        for (text, yes, no) in cases {
            let pattern = Pattern::parse(text).unwrap();
            assert!(yes.iter().all(|text| pattern.matches(text)), "{text}");
            assert!(!no.iter().any(|text| pattern.matches(text)), "{text}");
        }
    }

    #[test]
    fn others_are_refused_and_none_takes_long() {
        for text in ["(", "a)", "[a", "*a", "a{2}", "[[:zdigit:]]", "\\", &"(".repeat(30), &"a".repeat(2000)]
        {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
        let slow = Pattern::parse(&format!("{}b", "(a*)*".repeat(80))).unwrap();
        assert!(!slow.matches(&"a".repeat(TEXT)));
        assert!(!Pattern::parse(".*").unwrap().matches(&"a".repeat(TEXT + 1)));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_pattern_or_none(text in "[a-c()|*+?.^$\\[\\]:-]{0,30}", subject in "[a-c-]{0,12}") {
            if let Some(pattern) = Pattern::parse(&text) {
                pattern.matches(&subject);
            }
        }

        #[test]
        fn a_plain_text_matches_itself_only(text in "[A-Za-z0-9-]{1,30}", other in "[A-Za-z0-9-]{1,30}") {
            let pattern = Pattern::parse(&text).unwrap();
            proptest::prop_assert!(pattern.matches(&text));
            proptest::prop_assert_eq!(pattern.matches(&other), text == other);
        }
    }
}
