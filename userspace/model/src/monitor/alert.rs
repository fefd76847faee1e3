//! What rules say, and what was recorded because of it.

use serde::{Deserialize, Serialize};

/// A rule that held for a target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Name of the rule.
    pub rule: String,
    /// The target it held for; empty for the host itself.
    pub target: String,
    /// The rule's condition as written.
    pub when: String,
    /// Numbers that went into it, as text: `rss_bytes slope 1.1 MB/s over 60 s`.
    pub detail: String,
    /// When it began to hold, nanoseconds since the Unix epoch.
    pub began_unix_ns: u64,
    /// When it ceased to; `None` while it holds.
    pub ended: Option<AlertEnd>,
    /// What was recorded for it.
    pub recording: RecordingLink,
}

/// How an alert ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertEnd {
    /// When, nanoseconds since the Unix epoch.
    pub at_unix_ns: u64,
}

/// The detailed profile that belongs to an alert.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "what")]
pub enum RecordingLink {
    /// The rule asks for none.
    #[default]
    None,
    /// Under way.
    Running,
    /// Stored under this name of a run.
    Run(String),
    /// It could not be made, and why: too many within the hour, the target has gone, the profile failed.
    Failed(String),
}
