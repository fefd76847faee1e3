//! What is wrong with a configuration.

use std::path::PathBuf;

use thiserror::Error;

/// A configuration that is not taken.
#[derive(Debug, Error)]
pub enum Error {
    /// The file could not be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{place}: {what}")]
    Bad {
        /// File, line and section; or the command line.
        place: String,
        /// What is wrong, and the mend.
        what: String,
    },
    /// It is right, but not for a monitor that runs already.
    #[error("not reloaded, for these need a restart: {}; set them back, or restart waytrace", keys.join("; "))]
    NeedsRestart {
        /// Keys with their old and new values.
        keys: Vec<String>,
    },
}

/// Something no single value shows. [`super::Config::parse`] adds file and line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}{what}", self.prefix())]
pub struct Problem {
    /// Name of the table, `target` of `[[target]]`; empty for keys before the first one.
    pub table: &'static str,
    /// Which of the tables of that name, from 0.
    pub nth: usize,
    /// Its name, where it has one.
    pub name: String,
    /// The key.
    pub key: &'static str,
    /// What is wrong, and the mend.
    pub what: String,
}

impl Problem {
    /// A problem with a key of a table there is once.
    pub(super) fn of(table: &'static str, key: &'static str, what: impl Into<String>) -> Self {
        Self { table, nth: 0, name: String::new(), key, what: what.into() }
    }

    /// A problem with a key of one of several tables.
    pub(super) fn nth(
        table: &'static str,
        (nth, name): (usize, &str),
        key: &'static str,
        what: impl Into<String>,
    ) -> Self {
        Self { table, nth, name: name.to_owned(), key, what: what.into() }
    }

    /// The section as people call it, with a colon: `[budget]: `, ``[[target]] `redis`: ``.
    fn prefix(&self) -> String {
        match (self.table, self.name.as_str()) {
            ("", _) => String::new(),
            // What HTTP, rules and hooks say themselves, they say with the place.
            _ if ["http.", "rule `", "hook `"].iter().any(|start| self.what.starts_with(start)) => {
                String::new()
            }
            ("target" | "rule" | "hook", "") => format!("[[{}]] {}: ", self.table, self.nth + 1),
            ("target" | "rule" | "hook", name) => {
                format!("[[{}]] `{}`: ", self.table, name.escape_debug())
            }
            (table, _) => format!("[{table}]: "),
        }
    }
}
