//! What can be wrong with a rule, with the place and the mend.

use std::fmt;
use std::ops::Range;

use thiserror::Error;

/// A rule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// A condition that cannot be read.
    #[error("rule `{rule}`, key `{key}`: {mistake}")]
    Condition {
        /// Name of the rule.
        rule: String,
        /// `when` or `clear_when`.
        key: &'static str,
        /// What is wrong, and where.
        mistake: Mistake,
    },
    /// Names are what alerts, hooks and `reload` know rules by.
    #[error("rule {position} has no name; give it one: name = \"leak\"")]
    NoName {
        /// Which of the rules, from 1.
        position: usize,
    },
    /// Two rules of one name.
    #[error("two rules are called `{rule}`; rename one")]
    NameTaken {
        /// The name.
        rule: String,
    },
    /// `hold_for` or `clear_after` is 0 or absurd.
    #[error("rule `{rule}`, key `{key}`: {windows} windows; write a number from 1 to {most}")]
    Windows {
        /// Name of the rule.
        rule: String,
        /// `hold_for` or `clear_after`.
        key: &'static str,
        /// What was written.
        windows: u32,
        /// The most there may be.
        most: u32,
    },
    /// A recording of no or absurd length.
    #[error("rule `{rule}`, key `record`: {seconds} s; write true, false, or seconds from 1 to {most}")]
    Record {
        /// Name of the rule.
        rule: String,
        /// What was written.
        seconds: u32,
        /// The most there may be.
        most: u32,
    },
    /// A rule on the host cannot choose among targets.
    #[error("rule `{rule}`, key `target`: its condition speaks of the host only; leave `target` out")]
    HostOnly {
        /// Name of the rule.
        rule: String,
    },
    /// A pattern of targets that is none.
    #[error("rule `{rule}`, key `target`: `{target}`: {reason}")]
    Target {
        /// Name of the rule.
        rule: String,
        /// What was written.
        target: String,
        /// What is wrong, and the mend.
        reason: String,
    },
    /// More functions over history than are kept.
    #[error("the rules have {count} different functions over history; at most {most} are kept, so drop some")]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
}

/// What is wrong with a condition, shown with a line of carets under the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The condition.
    pub text: String,
    /// Where, in bytes.
    pub at: Range<usize>,
    /// What is wrong, and what is expected.
    pub message: String,
}

impl Mistake {
    /// In a condition, at these bytes.
    pub fn new(text: &str, at: Range<usize>, message: impl Into<String>) -> Self {
        Self { text: text.to_owned(), at, message: message.into() }
    }

    /// Line and column, from 1, in characters.
    pub fn position(&self) -> (usize, usize) {
        let before = self.text.get(..self.at.start).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.position();
        let shown = self.text.lines().nth(line - 1).unwrap_or_default();
        let marked = self.text.get(self.at.clone()).unwrap_or_default().lines().next().unwrap_or_default();
        // Tabs stay tabs, so that carets stand where the text does.
        let indent: String =
            shown.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let carets = "^".repeat(marked.chars().count().max(1));
        write!(f, "column {column}: {}\n  {shown}\n  {indent}{carets}", self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carets_stand_under_the_place() {
        let mistake = Mistake::new("rss_bytes > 1GiB and\n\tüse > 1", 22..26, "`üse` is no word");
        assert_eq!(mistake.position(), (2, 2));
        assert_eq!(mistake.to_string(), "column 2: `üse` is no word\n  \tüse > 1\n  \t^^^");
        let end = Mistake::new("lost >", 6..6, "a number is expected");
        assert_eq!(end.to_string(), "column 7: a number is expected\n  lost >\n        ^");
        assert_eq!(Mistake::new("", 0..0, "empty").to_string(), "column 1: empty\n  \n  ^");
    }
}
