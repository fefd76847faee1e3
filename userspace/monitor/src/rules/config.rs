//! A rule as it is written in the configuration.

use serde::{Deserialize, Serialize};

/// `[[rule]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// What alerts call it; a shipped rule of this name is replaced.
    pub name: String,
    /// The condition; `false` switches a shipped rule off.
    pub when: String,
    /// Which targets, by name, as shells match names: `*`, `?`, `[a-z]`.
    #[serde(default = "any_target")]
    pub target: String,
    /// Windows in a row it must hold before it is told.
    #[serde(default = "usual_hold")]
    pub hold_for: u32,
    /// Windows in a row it must not hold before it is over.
    #[serde(default = "usual_clear")]
    pub clear_after: u32,
    /// What must hold for it to be over, where that is not the opposite of `when`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear_when: Option<String>,
    /// Whether a detailed profile is made when it begins.
    #[serde(default)]
    pub record: Record,
    /// Names of the hooks that are told.
    #[serde(default)]
    pub hooks: Vec<String>,
}

/// `record = true`, `record = 20`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "`record` is true, false, or a number of seconds")]
pub enum Record {
    /// As long as `[record]` says, or not at all.
    Switch(bool),
    /// So many seconds.
    Seconds(u32),
}

impl Default for Record {
    fn default() -> Self {
        Self::Switch(false)
    }
}

impl Record {
    /// Longest recording of an alert.
    pub const MOST_SECONDS: u32 = 3600;

    /// For how many seconds; `usual` is what `[record]` says.
    pub fn seconds(self, usual: u32) -> Option<u32> {
        match self {
            Self::Switch(is_on) => is_on.then_some(usual),
            Self::Seconds(seconds) => Some(seconds),
        }
    }
}

/// Most windows of `hold_for` and `clear_after`.
pub const MOST_WINDOWS: u32 = 10_000;

fn any_target() -> String {
    "*".to_owned()
}

fn usual_hold() -> u32 {
    2
}

fn usual_clear() -> u32 {
    3
}

impl RuleConfig {
    /// A rule on any target, with the usual hysteresis, that records and tells nobody.
    pub fn new(name: &str, when: &str) -> Self {
        Self {
            name: name.to_owned(),
            when: when.to_owned(),
            target: any_target(),
            hold_for: usual_hold(),
            clear_after: usual_clear(),
            clear_when: None,
            record: Record::default(),
            hooks: Vec::new(),
        }
    }

    /// Whether both are told of at the same moments, so that what one saw is right for the other.
    pub fn judges_like(&self, other: &Self) -> bool {
        let judged = |rule: &Self| {
            (rule.when.clone(), rule.clear_when.clone(), rule.target.clone(), rule.hold_for, rule.clear_after)
        };
        judged(self) == judged(other)
    }
}
