//! What every benchmark is given.

use super::cpus::Cpus;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// What every benchmark is given.
#[derive(Debug)]
pub struct Context {
    /// The waytrace to measure.
    pub waytrace: PathBuf,
    /// Where programs, databases and results go.
    pub folder: PathBuf,
    pub cpus: Cpus,
    /// Machine and versions, as they were before anything was built or measured.
    pub provenance: Value,
    /// Less of everything: to try a benchmark out, not for figures to quote.
    pub quick: bool,
    /// A directory of event files to plan for.
    pub catalogue: Option<PathBuf>,
    /// How many processes to kill.
    pub kills: Option<u64>,
    /// How long to soak.
    pub soak: Option<Duration>,
}

impl Context {
    /// The first, or with `--quick` the second.
    pub fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// The same in seconds.
    pub fn seconds(&self, full: u64, quick: u64) -> Duration {
        Duration::from_secs(self.pick(full, quick))
    }

    #[cfg(test)]
    pub fn for_tests(folder: &std::path::Path) -> Self {
        let cpus = Cpus { target: None, tool: None };
        Self {
            waytrace: PathBuf::new(),
            folder: folder.to_owned(),
            cpus,
            provenance: Value::Null,
            quick: true,
            catalogue: None,
            kills: None,
            soak: None,
        }
    }
}
