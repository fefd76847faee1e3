//! Where windows come from. What joins `top` to a live engine is in this file and nowhere else.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use waytrace_model::monitor::{Alert, HostWindow};

use super::replay::Replay;

/// Windows, one after the other. It has a thread to itself.
pub trait Source: Send {
    /// The next window; `None` when there is none within `timeout`.
    ///
    /// # Errors
    /// What ends the windows: a file with something else in it, a collector that cannot go on.
    fn next(&mut self, timeout: Duration) -> anyhow::Result<Option<HostWindow>>;

    /// Whether there will be no more.
    fn has_ended(&self) -> bool {
        false
    }

    /// What is known of the host beside the window returned last.
    fn facts(&mut self) -> Facts {
        Facts::default()
    }

    /// Alerts that began or ended since this was asked last.
    fn alerts(&mut self) -> Vec<Alert> {
        Vec::new()
    }

    /// Length of windows from now on; of a replay, the time between them.
    fn set_interval(&mut self, interval: Duration);
}

/// What a window does not tell. What is not known is not shown.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Facts {
    /// CPUs online.
    pub cpus: Option<u32>,
    /// CPU time of all that ran on the host in the window, percent of one CPU.
    pub host_cpu_pct: Option<f64>,
    /// What waytrace may take of CPU time, percent of one CPU.
    pub budget_cpu_pct: Option<f64>,
    /// What waytrace may hold in memory.
    pub budget_rss_bytes: Option<u64>,
}

/// Makes a detailed profile of a process and returns the run's name. It is called in a thread of its own and may take its time.
pub type Record = Arc<dyn Fn(u32) -> anyhow::Result<String> + Send + Sync>;

/// Whose windows.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct WhomArgs {
    /// Processes, with all their threads.
    #[arg(long, value_name = "PID", num_args = 1..)]
    pub pid: Vec<u32>,
    /// All processes of this name, those that start later too.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub comm: Vec<String>,
    /// All processes of a control group.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub cgroup: Vec<PathBuf>,
    /// Every process of the machine; the default.
    #[arg(long, conflicts_with_all = ["pid", "comm", "cgroup"])]
    pub machine: bool,
    /// Windows that were written as JSON, one on a line (`top --json`); `-` reads stdin.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pid", "comm", "cgroup", "machine"])]
    pub replay: Option<PathBuf>,
}

/// Opens what was asked for. `paced` is whether somebody watches, so that a replay takes its time.
///
/// # Errors
/// No such file, or nothing that windows can come from.
pub fn open(whom: &WhomArgs, interval: Duration, paced: bool) -> anyhow::Result<(Box<dyn Source>, Record)> {
    if let Some(path) = &whom.replay {
        let replay = Replay::open(path, if paced { interval } else { Duration::ZERO })?;
        let record: Record =
            Arc::new(|_| bail!("a replay has no processes to record; run `waytrace top` without --replay"));
        return Ok((Box::new(replay), record));
    }
    bail!("this build takes no windows itself; show those of a file with --replay FILE")
}
