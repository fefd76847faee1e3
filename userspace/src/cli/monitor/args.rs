//! Arguments, and the configuration they and the file come to.

use std::path::PathBuf;

use anyhow::bail;
use waytrace_model::units::{parse_duration_ns, parse_percent};
use waytrace_monitor::config::{Config, Flags};

use crate::cli::whom::WhomArgs;

/// Arguments of `monitor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration; flags are put over it. Read again on SIGHUP.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say whether the configuration is in order, and end.
    #[arg(long)]
    pub check: bool,
    #[command(flatten)]
    pub whom: WhomArgs,
    /// Length of a window.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration_ns)]
    window: Option<u64>,
    /// What waytrace may take of all CPUs together, in percent.
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent)]
    budget: Option<f64>,
    /// What it may take of a target's CPU time, in percent.
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent)]
    target_slowdown: Option<f64>,
    /// Keep the history in this database; none is kept without it.
    #[arg(long, value_name = "PATH")]
    db: Option<PathBuf>,
    /// Answer HTTP here: metrics, health, profiles, the live page.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Print each window as a line of JSON.
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// The configuration of file and flags, checked.
    ///
    /// # Errors
    /// What is wrong with it, or that nobody is to be watched.
    pub fn config(&self) -> anyhow::Result<Config> {
        let config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        let flags = self.flags();
        let mut asked = config.clone();
        flags.apply(&mut asked);
        if asked.targets.is_empty() && !asked.machine {
            bail!(
                "nobody is to be watched; name processes by --pid, --comm or the like, a --config with targets, or --machine for all of them"
            );
        }
        Ok(config.with_flags(&flags)?)
    }

    fn flags(&self) -> Flags {
        Flags {
            window_ns: self.window,
            cpu_pct: self.budget,
            target_slowdown_pct: self.target_slowdown,
            db: self.db.clone(),
            listen: self.listen.clone(),
            ..self.whom.flags()
        }
    }

    /// What to call the configuration.
    pub fn named(&self) -> String {
        self.config.as_ref().map_or_else(|| "the command line".to_owned(), |path| path.display().to_string())
    }
}
