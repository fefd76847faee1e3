//! Windows of this host as they are measured, judged by the rules that come with waytrace. What joins `top` to an engine is in this file and nowhere else.

use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use tokio::sync::mpsc::error::TryRecvError;
use waytrace_hw::{Machine, clock};
use waytrace_model::monitor::{Alert, HostWindow, RecordingLink};
use waytrace_monitor::config::{Config, Flags};
use waytrace_monitor::engine::{Members, Others};
use waytrace_monitor::record::{Kind, RecordConfig, Recorded, Recorder, Request};
use waytrace_monitor::rules::{Event, Rules};

use super::host::HostCpu;
use super::source::{Facts, Record, Source};
use crate::cli::monitor::measuring::{Command, Measuring};
use crate::cli::monitor::settings;
use crate::cli::whom::WhomArgs;

/// How often it is looked whether a window has come.
const LOOK: Duration = Duration::from_millis(50);
/// Length of a recording.
const RECORDED_SECONDS: u32 = 10;

/// Begins to measure.
///
/// # Errors
/// A selector that is wrong, or a kernel that refuses the kernel part.
pub fn open(whom: &WhomArgs, interval: Duration) -> anyhow::Result<(Box<dyn Source>, Record)> {
    let config = RecordConfig {
        exe: PathBuf::from("/proc/self/exe"),
        db: waytrace_store::default_path(),
        seconds: RECORDED_SECONDS,
        // Somebody asks for each.
        max_per_hour: u32::MAX,
        exact: false,
    };
    let (recorder, done) = Recorder::start(config)?;
    let recorder = Arc::new(recorder);
    let source = Live::start(whom, interval, Arc::clone(&recorder))?;
    let done = Mutex::new(done);
    Ok((Box::new(source), Arc::new(move |pid| record(&recorder, &done, pid))))
}

/// Records a process and waits for that.
fn record(recorder: &Recorder, done: &Mutex<Receiver<Recorded>>, pid: u32) -> anyhow::Result<String> {
    // One at a time asks, and takes what is its own.
    let done = done.lock().unwrap_or_else(PoisonError::into_inner);
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let request = Request {
        target: pid.to_string(),
        pid,
        prefix: "top",
        why: name.trim_end().to_owned(),
        kind: Kind::All,
        seconds: None,
    };
    recorder.request(request)?;
    match done.recv().context("the thread that records has gone")?.link {
        RecordingLink::Run(run) => Ok(run),
        RecordingLink::Failed(reason) => Err(anyhow!(reason)),
        RecordingLink::None | RecordingLink::Running => bail!("what became of it is not known"),
    }
}

struct Live {
    measuring: Measuring,
    config: Config,
    host_root: PathBuf,
    rules: Rules,
    /// Alerts that began or ended since they were asked for.
    alerts: Vec<Alert>,
    recorder: Arc<Recorder>,
    told_cpu_ns: u64,
    host: HostCpu,
}

impl Live {
    fn start(whom: &WhomArgs, interval: Duration, recorder: Arc<Recorder>) -> anyhow::Result<Self> {
        let mut flags = whom.flags();
        // Whoever names nobody means everybody.
        flags.machine |= flags == Flags { children: flags.children, ..Flags::default() };
        let config = Config { window_ns: nanoseconds(interval), ..Config::from_flags(&flags)? };
        let rules = Rules::new(&settings::rules(&config), config.window_ns)?;
        let members = Members::new(&config.targets, config.machine, Machine::live().root().clone())?;
        let measuring = Measuring::start(settings::engine(&config, &whom.host_root), members)?;
        let host = HostCpu::new(Machine::live().root().clone());
        let host_root = whom.host_root.clone();
        Ok(Self { measuring, config, host_root, rules, alerts: Vec::new(), recorder, told_cpu_ns: 0, host })
    }

    fn tell(&mut self, events: Vec<Event>) {
        self.alerts.extend(events.into_iter().map(|event| match event {
            Event::Began(alert) | Event::Ended(alert) => alert,
        }));
    }

    fn judge(&mut self, window: &HostWindow) {
        let events = self.rules.judge(window);
        self.tell(events);
        let now_ns = self.recorder.cpu_ns();
        let recording_cpu_ns = now_ns.saturating_sub(std::mem::replace(&mut self.told_cpu_ns, now_ns));
        self.measuring.tell(Command::Others(Others { recording_cpu_ns, ..Others::default() }));
    }
}

impl Source for Live {
    fn next(&mut self, timeout: Duration) -> anyhow::Result<Option<HostWindow>> {
        let deadline = Instant::now() + timeout;
        loop {
            match self.measuring.windows.try_recv() {
                Ok(window) => {
                    let window = window?;
                    self.judge(&window);
                    return Ok(Some(window));
                }
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
            budget_cpu_pct: Some(self.config.budget.cpu_pct * cpus),
            budget_rss_bytes: Some(self.config.budget.rss_mb << 20),
        }
    }

    fn alerts(&mut self) -> Vec<Alert> {
        std::mem::take(&mut self.alerts)
    }

    fn set_interval(&mut self, interval: Duration) {
        self.config.window_ns = nanoseconds(interval);
        let Config { targets, machine, window_ns, .. } = &self.config;
        let command =
            Command::Reload(settings::engine(&self.config, &self.host_root), targets.clone(), *machine);
        self.measuring.tell(command);
        match self.rules.reload(&settings::rules(&self.config), *window_ns, clock::unix_ns()) {
            Ok(events) => self.tell(events),
            Err(error) => tracing::warn!("rules judge windows as if they were as long as before: {error}"),
        }
    }
}

fn nanoseconds(interval: Duration) -> u64 {
    u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX)
}
