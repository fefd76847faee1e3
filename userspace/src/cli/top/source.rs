//! Where windows come from. What joins `top` to a live engine is in this file and nowhere else.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use tokio::sync::mpsc::error::TryRecvError;
use waytrace_hw::Machine;
use waytrace_model::monitor::{Alert, HostWindow};
use waytrace_monitor::config::{Config, Flags, TargetConfig};
use waytrace_monitor::engine::{self, Members};

use super::host::HostCpu;
use super::replay::Replay;
use crate::cli::monitor::measuring::{Command, Measuring};
use crate::cli::monitor::settings;

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

    /// Whether it has something in place that is put away when it is dropped.
    fn has_to_end(&self) -> bool {
        false
    }

    /// What is known of the host beside the window returned last; asked once for each.
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
    /// Directory that stands in for / where caches are monitored.
    #[arg(long, value_name = "DIR", hide = true, default_value = "/")]
    pub host_root: PathBuf,
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
    Ok((Box::new(Live::start(whom, interval)?), Arc::new(record)))
}

/// Windows of this host, as they are measured.
struct Live {
    measuring: Measuring,
    settings: engine::Settings,
    targets: Vec<TargetConfig>,
    machine: bool,
    host: HostCpu,
}

/// How often it is looked whether a window has come.
const LOOK: Duration = Duration::from_millis(50);

impl Live {
    fn start(whom: &WhomArgs, interval: Duration) -> anyhow::Result<Self> {
        let flags = Flags {
            pids: whom.pid.clone(),
            comms: whom.comm.clone(),
            cgroups: whom.cgroup.iter().map(|path| path.display().to_string()).collect(),
            ..Flags::default()
        };
        let machine = whom.machine || flags == Flags::default();
        let config = Config::from_flags(&Flags { machine, ..flags })?;
        let settings = engine::Settings {
            window_ns: interval.as_nanos() as u64,
            ..settings::engine(&config, &whom.host_root)
        };
        let members = Members::new(&config.targets, config.machine, Machine::live().root().clone())?;
        let measuring = Measuring::start(settings.clone(), members)?;
        let host = HostCpu::new(Machine::live().root().clone());
        Ok(Self { measuring, settings, targets: config.targets, machine, host })
    }
}

impl Source for Live {
    fn next(&mut self, timeout: Duration) -> anyhow::Result<Option<HostWindow>> {
        let deadline = Instant::now() + timeout;
        loop {
            match self.measuring.windows.try_recv() {
                Ok(window) => return window.map(Some),
                Err(TryRecvError::Disconnected) => bail!("the thread that measures has gone"),
                Err(TryRecvError::Empty) if Instant::now() >= deadline => return Ok(None),
                Err(TryRecvError::Empty) => std::thread::sleep(LOOK),
            }
        }
    }

    fn has_to_end(&self) -> bool {
        true
    }

    fn facts(&mut self) -> Facts {
        let cpus = settings::cpus();
        Facts {
            cpus: Some(cpus as u32),
            host_cpu_pct: self.host.since_last(),
            budget_cpu_pct: Some(self.settings.cpu_pct * cpus),
            budget_rss_bytes: Some(self.settings.rss_bytes),
        }
    }

    fn set_interval(&mut self, interval: Duration) {
        self.settings.window_ns = interval.as_nanos() as u64;
        self.measuring.tell(Command::Reload(self.settings.clone(), self.targets.clone(), self.machine));
    }
}

/// Ten seconds of a process, by a waytrace of its own, in the usual database.
fn record(pid: u32) -> anyhow::Result<String> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let name = format!("top-{pid}-{seconds}");
    let output = std::process::Command::new("/proc/self/exe")
        .args(["profile", "--pid", &pid.to_string(), "--duration", "10s", "--name", &name, "--json"])
        .stdin(Stdio::null())
        .output()
        .context("starting a profile")?;
    if output.status.success() {
        return Ok(name);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    bail!("{}", said.lines().last().unwrap_or("the profile failed and did not say why").to_owned())
}
