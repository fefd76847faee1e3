//! The configuration: a TOML file or flags, one type.
//!
//! A file is taken whole or not at all: [`Config::read`] parses, checks every value and every name that refers to another part, and gives one error
//! with file, line, key and mend. [`Config::reload_from`] tells what a changed file means for a monitor that runs. Every key is described in
//! `docs/monitor-config.md`, which a test compares with the types here.

mod check;
mod error;
mod flags;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod packaging_tests;
mod place;
mod quantity;
mod reload;
mod sections;
mod switch;
mod target;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;

use crate::hooks::HookConfig;
use crate::rules::RuleConfig;
use crate::web::WebConfig;

pub use error::{Error, Problem};
pub use flags::Flags;
pub use reload::Reload;
pub use sections::{Budget, HistorySection, Keep, RecordSection};
pub use switch::{Collect, CollectorName, Switch};
pub use target::{TargetBudget, TargetConfig};

/// Larger files are refused: nobody writes them by hand, and what is named by mistake may be a disk.
const MOST_BYTES: u64 = 1 << 20;

/// What `monitor` is told, by a file or by flags.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Length of a window, nanoseconds.
    #[serde(rename = "window", deserialize_with = "quantity::time")]
    pub window_ns: u64,
    /// Every process is watched; those of no configured target belong to one named after their command.
    pub machine: bool,
    /// The rules that come with waytrace are judged as well.
    pub default_rules: bool,
    /// What watching may cost.
    pub budget: Budget,
    /// What is kept, where and for how long.
    pub history: HistorySection,
    /// Whom to answer over HTTP, and how.
    pub http: WebConfig,
    /// Detailed profiles because of alerts.
    pub record: RecordSection,
    /// What is measured.
    pub collect: Collect,
    /// Whom to watch, in the order in which a process is claimed.
    #[serde(rename = "target")]
    pub targets: Vec<TargetConfig>,
    /// Conditions that raise alerts.
    #[serde(rename = "rule")]
    pub rules: Vec<RuleConfig>,
    /// Whom an alert is told.
    #[serde(rename = "hook")]
    pub hooks: Vec<HookConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            window_ns: 10_000_000_000,
            machine: false,
            default_rules: true,
            budget: Budget::default(),
            history: HistorySection::default(),
            http: WebConfig::default(),
            record: RecordSection::default(),
            collect: Collect::default(),
            targets: Vec::new(),
            rules: Vec::new(),
            hooks: Vec::new(),
        }
    }
}

impl Config {
    /// Reads, parses and checks a file.
    ///
    /// # Errors
    /// [`Error::Read`] where there is no text, [`Error::Bad`] at the first mistake in it.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let unread = |source| Error::Read { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(unread)?;
        file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unread)?;
        let refused = |what: &str| Error::Bad { place: path.display().to_string(), what: what.to_owned() };
        if bytes.len() as u64 > MOST_BYTES {
            return Err(refused("larger than 1 MiB, which no configuration is; name the right file"));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
            let line = valid.filter(|byte| **byte == b'\n').count() + 1;
            refused(&format!("line {line} is not UTF-8; save the file in that encoding"))
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Parses and checks text; `origin` names it in errors.
    ///
    /// # Errors
    /// [`Error::Bad`] at the first mistake.
    pub fn parse(text: &str, origin: &str) -> Result<Self, Error> {
        let config: Self = toml::from_str(text).map_err(|error| place::of_parse(text, origin, &error))?;
        config.check().map_err(|problem| place::of_problem(text, origin, &problem))?;
        Ok(config)
    }

    /// Looks for what no single value shows: names used twice or unknown, targets nobody can belong to, sizes and times out of all proportion.
    ///
    /// # Errors
    /// The first problem, with its section and key.
    pub fn check(&self) -> Result<(), Problem> {
        check::check(self)
    }

    /// What it means to go on by `new`.
    ///
    /// # Errors
    /// [`Error::NeedsRestart`] naming every key that is fixed while a monitor runs and that differs; then nothing is to be changed.
    pub fn reload_from(&self, new: &Self) -> Result<Reload, Error> {
        reload::compare(self, new)
    }
}
