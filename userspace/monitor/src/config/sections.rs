//! The sections of a file but targets and collectors.

use std::path::PathBuf;

use serde::Deserialize;

use super::quantity;

/// `[budget]`: what watching may cost.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// CPU time of waytrace itself, recordings included, percent of all CPUs together.
    pub cpu_pct: f64,
    /// Its resident memory, MiB.
    pub rss_mb: u64,
    /// What probes and samples may take of a target's CPU time, percent.
    pub target_slowdown_pct: f64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { cpu_pct: 1.0, rss_mb: 150, target_slowdown_pct: 1.0 }
    }
}

/// `[history]`: what is kept.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistorySection {
    /// The database; none is kept without it.
    pub path: Option<PathBuf>,
    /// How long the steps are kept.
    pub keep: Keep,
    /// All that is kept, bytes.
    #[serde(deserialize_with = "quantity::size")]
    pub max_bytes: u64,
}

impl Default for HistorySection {
    fn default() -> Self {
        Self { path: None, keep: Keep::default(), max_bytes: 1 << 30 }
    }
}

/// `keep` of `[history]`: how long each step is kept, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    /// Windows as they were measured.
    #[serde(rename = "window", deserialize_with = "quantity::time")]
    pub window_ns: u64,
    /// Steps of a minute.
    #[serde(rename = "minute", deserialize_with = "quantity::time")]
    pub minute_ns: u64,
    /// Steps of an hour.
    #[serde(rename = "hour", deserialize_with = "quantity::time")]
    pub hour_ns: u64,
}

impl Default for Keep {
    fn default() -> Self {
        const DAY_NS: u64 = 86_400_000_000_000;
        Self { window_ns: DAY_NS, minute_ns: 14 * DAY_NS, hour_ns: 400 * DAY_NS }
    }
}

/// `[http]`: whom to answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSection {
    /// Address and port; nobody is answered without it.
    pub listen: Option<String>,
    /// File with the token that requests must carry.
    pub token_file: Option<PathBuf>,
    /// Certificate chain, PEM.
    pub tls_cert: Option<PathBuf>,
    /// Its key, PEM.
    pub tls_key: Option<PathBuf>,
    /// Answers others than this machine without token or TLS.
    pub insecure: bool,
    /// Targets with metrics of their own; the others are summed up.
    pub max_targets: usize,
}

impl Default for HttpSection {
    fn default() -> Self {
        Self {
            listen: None,
            token_file: None,
            tls_cert: None,
            tls_key: None,
            insecure: false,
            max_targets: 500,
        }
    }
}

/// `[record]`: detailed profiles because of alerts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordSection {
    /// How many an hour at most.
    pub max_per_hour: u32,
    /// How long each takes, where its rule does not say, nanoseconds.
    #[serde(rename = "duration", deserialize_with = "quantity::time")]
    pub duration_ns: u64,
    /// Every allocator call is seen, whatever that costs the target.
    pub exact: bool,
}

impl Default for RecordSection {
    fn default() -> Self {
        Self { max_per_hour: 6, duration_ns: 10_000_000_000, exact: false }
    }
}

/// `[[rule]]`: a condition that raises an alert.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSection {
    /// What it is called in alerts.
    pub name: String,
    /// The condition.
    pub when: String,
    /// Targets it is judged for, a glob.
    #[serde(default = "every")]
    pub target: String,
    /// Windows in a row it must hold until there is an alert.
    #[serde(default = "usual_hold")]
    pub hold_for: u32,
    /// Windows in a row it must not hold until the alert ends.
    #[serde(default = "usual_clear")]
    pub clear_after: u32,
    /// What must hold for the alert to end, where that is not the opposite of `when`.
    #[serde(default)]
    pub clear_when: Option<String>,
    /// Whether a detailed profile is made.
    #[serde(default)]
    pub record: Record,
    /// Hooks that are told, by name.
    #[serde(default)]
    pub hooks: Vec<String>,
}

/// `record` of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
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

/// `[[hook]]`: whom an alert is told; one of `webhook`, `command` and `log`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookSection {
    /// What rules call it.
    pub name: String,
    /// URL the alert is posted to as JSON.
    pub webhook: Option<String>,
    /// File with headers for the webhook, `Name: value` in each line.
    pub header_file: Option<PathBuf>,
    /// Certificates the webhook's are checked against, PEM, instead of the machine's.
    pub ca_file: Option<PathBuf>,
    /// Program and arguments; it gets the alert as JSON on its standard input.
    pub command: Option<Vec<String>>,
    /// A line in waytrace's own log.
    #[serde(default)]
    pub log: bool,
    /// When it is given up, nanoseconds.
    #[serde(default, rename = "timeout", deserialize_with = "quantity::some_time")]
    pub timeout_ns: Option<u64>,
}

fn usual_hold() -> u32 {
    2
}

fn usual_clear() -> u32 {
    3
}

fn every() -> String {
    "*".to_owned()
}
