//! A hook as it is written in the configuration.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use waytrace_model::units::{format_ns, parse_duration_ns};

use super::error::Error;

/// `[[hook]]`: exactly one of `webhook`, `command` and `log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookConfig {
    /// What rules call it.
    pub name: String,
    /// Where alerts are posted to, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// A file with headers for the webhook, `Name: value` in each line; read anew for each message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_file: Option<PathBuf>,
    /// Certificates to trust, as PEM, instead of the machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// A program and its arguments; without a shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// A line to standard error.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub log: bool,
    /// How long one attempt may take, like `10s`.
    #[serde(default = "usual_timeout", deserialize_with = "read_time", serialize_with = "write_time")]
    pub timeout: Duration,
}

/// How a hook tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// An HTTP POST.
    Webhook,
    /// A program.
    Command,
    /// A line to standard error.
    Log,
}

fn usual_timeout() -> Duration {
    Duration::from_secs(10)
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration_ns(&text).map(Duration::from_nanos).map_err(serde::de::Error::custom)
}

fn write_time<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_ns(time.as_nanos() as f64))
}

impl HookConfig {
    /// A hook of that name that tells in no way yet.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            webhook: None,
            header_file: None,
            ca_file: None,
            command: None,
            log: false,
            timeout: usual_timeout(),
        }
    }

    /// How it tells, if everything about it is right.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<Way, Error> {
        let hook = || self.name.clone();
        let given = [
            self.webhook.is_some().then_some(Way::Webhook),
            self.command.is_some().then_some(Way::Command),
            self.log.then_some(Way::Log),
        ];
        let mut ways = given.into_iter().flatten();
        let (Some(way), None) = (ways.next(), ways.next()) else {
            return Err(Error::Ways { hook: hook(), count: given.into_iter().flatten().count() });
        };
        if let Some(url) = self.webhook.as_ref().filter(|url| !is_address(url)) {
            return Err(Error::Url { hook: hook(), url: url.clone() });
        }
        if self.command.as_ref().is_some_and(|command| command.first().is_none_or(String::is_empty)) {
            return Err(Error::NoProgram { hook: hook() });
        }
        let files = [("header_file", &self.header_file), ("ca_file", &self.ca_file)];
        if let Some((key, _)) = files.into_iter().find(|(_, file)| file.is_some() && way != Way::Webhook) {
            return Err(Error::OnlyWebhook { hook: hook(), key });
        }
        if !(Duration::from_millis(1)..=Duration::from_secs(3600)).contains(&self.timeout) {
            return Err(Error::Timeout { hook: hook() });
        }
        Ok(way)
    }
}

fn is_address(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    !host.is_empty() && !url.contains(|c: char| c.is_whitespace() || c.is_control())
}
