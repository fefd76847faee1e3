//! Detailed profiles because of alerts, and what they tell of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use waytrace_model::monitor::{Alert, HostWindow, Metric, RecordingLink};
use waytrace_monitor::config::Config;
use waytrace_monitor::record::{Kind, RecordConfig, Recorded, Recorder, Request, named_sites};
use waytrace_store::Store;

use super::settings;

/// How long a recording that is under way may take to end.
const PATIENCE: Duration = Duration::from_millis(900);
/// Sites an alert names.
const NAMED: usize = 3;

/// The recorder, and where its recordings go.
pub struct Recordings {
    recorder: Arc<Recorder>,
    done: Receiver<Recorded>,
    db: Option<PathBuf>,
    told_cpu_ns: u64,
}

/// A recording that is done, or cannot be made.
pub struct Done {
    /// The alert's rule.
    pub rule: String,
    /// Its target.
    pub target: String,
    /// What there is.
    pub link: RecordingLink,
    /// What it tells.
    pub detail: Option<String>,
}

impl Recordings {
    /// Starts the recorder.
    ///
    /// # Errors
    /// When it has no thread.
    pub fn start(config: &Config) -> anyhow::Result<Self> {
        let (recorder, done) = Recorder::start(record_config(config))?;
        Ok(Self { recorder: Arc::new(recorder), done, db: config.history.path.clone(), told_cpu_ns: 0 })
    }

    /// Who makes profiles.
    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// Takes other settings.
    pub fn reconfigure(&self, config: &Config) {
        self.recorder.reload(record_config(config));
    }

    /// Asks for the recording of an alert: of that process of the target that the rule's cause most likely is.
    pub fn request(&self, alert: &Alert, window: &HostWindow, seconds: u32) -> RecordingLink {
        if self.db.is_none() {
            return RecordingLink::Failed("no history is kept; set its path (--db)".to_owned());
        }
        let processes = window
            .targets
            .iter()
            .filter(|target| target.target == alert.target)
            .flat_map(|target| &target.processes);
        // A leak is where the memory is.
        let weight = |metric: Metric| {
            move |process: &&waytrace_model::monitor::ProcessWindow| {
                process.values.get(metric).unwrap_or(0.0) as u64
            }
        };
        let by_memory = alert.when.contains("rss") || alert.rule == "leak";
        let metric = if by_memory { Metric::Rss } else { Metric::Cpu };
        let Some(process) = processes.max_by_key(weight(metric)) else {
            return RecordingLink::Failed("the target has no process".to_owned());
        };
        let request = Request {
            target: alert.target.clone(),
            pid: process.pid,
            prefix: "alert",
            why: alert.rule.clone(),
            kind: if by_memory { Kind::Heap } else { Kind::All },
            seconds: Some(seconds),
        };
        match self.recorder.request(request) {
            Ok(_) => RecordingLink::Running,
            Err(refused) => RecordingLink::Failed(refused.to_string()),
        }
    }

    /// Recordings that are done since the last time.
    pub fn done(&self) -> Vec<Done> {
        self.done.try_iter().map(|recorded| self.told(recorded)).collect()
    }

    fn told(&self, recorded: Recorded) -> Done {
        let detail = match (&recorded.link, recorded.request.kind) {
            (RecordingLink::Run(name), Kind::Heap) => self.sites(name),
            _ => None,
        };
        Done { rule: recorded.request.why, target: recorded.request.target, link: recorded.link, detail }
    }

    /// Where the memory is that was allocated and not freed while it was recorded.
    fn sites(&self, run: &str) -> Option<String> {
        let report = Store::open_existing(Some(self.db.as_deref()?)).ok().and_then(|store| {
            let id = store.find(run).ok()?;
            store.report(id).ok()
        })?;
        let sites = named_sites(&report, NAMED);
        (!sites.is_empty()).then(|| format!("live at the end: {}", sites.join("; ")))
    }

    /// CPU time of recordings since the last time, nanoseconds.
    pub fn take_cpu_ns(&mut self) -> u64 {
        let now_ns = self.recorder.cpu_ns();
        now_ns.saturating_sub(std::mem::replace(&mut self.told_cpu_ns, now_ns))
    }

    /// Ends them.
    pub fn stop(&self) {
        self.recorder.stop(PATIENCE);
    }
}

fn record_config(config: &Config) -> RecordConfig {
    RecordConfig {
        exe: PathBuf::from("/proc/self/exe"),
        // Without a history nothing is recorded for alerts; profiles on demand have a place of their own.
        db: config.history.path.clone().unwrap_or_default(),
        seconds: settings::record_seconds(config),
        max_per_hour: config.record.max_per_hour,
        exact: config.record.exact,
    }
}
