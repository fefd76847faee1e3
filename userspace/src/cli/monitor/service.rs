//! Everything a window goes through, signals, and the end.

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use waytrace_hw::Machine;
use waytrace_hw::clock;
use waytrace_model::monitor::{Alert, HostWindow, ShareState};
use waytrace_monitor::config::{CollectorName, Config, Switch};
use waytrace_monitor::engine::{Members, Others};
use waytrace_monitor::history::{History, HistoryConfig};
use waytrace_monitor::hooks::Hooks;
use waytrace_monitor::life::{Notifier, NotifyError, Watchdog};
use waytrace_monitor::rules::{Event, Rules};
use waytrace_monitor::web::{About, HistoryState, HookState, JsonLines, Server, ServerHandle, WebState};
use waytrace_store::Session;

use super::args::Args;
use super::measuring::{Command, Measuring};
use super::profiles::OnDemand;
use super::recordings::Recordings;
use super::settings;
use crate::cli::Outcome;
use crate::cli::output::say;

/// How often is looked at what goes by itself: recordings, the watchdog.
const LOOK: Duration = Duration::from_millis(250);
/// Of the two seconds an end may take, what each part may wait.
const HISTORY_PATIENCE: Duration = Duration::from_millis(900);
const HOOKS_PATIENCE: Duration = Duration::from_millis(300);
const LINES_PATIENCE: Duration = Duration::from_millis(100);
const WEB_PATIENCE: Duration = Duration::from_millis(200);

/// The running service.
pub struct Service<'a> {
    args: &'a Args,
    config: Config,
    measuring: Measuring,
    history: Option<History>,
    state: WebState,
    server: ServerHandle,
    lines: Option<JsonLines>,
    rules: Rules,
    hooks: Hooks,
    recordings: Recordings,
    notifier: Notifier,
    watchdog: Watchdog,
    signals: Signals,
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl<'a> Service<'a> {
    /// Starts all parts; the kernel part last, so that nothing is in a target before all else is known to work.
    ///
    /// # Errors
    /// The first part that cannot start.
    pub fn start(args: &'a Args, config: Config) -> anyhow::Result<Self> {
        let rules = Rules::new(&settings::rules(&config), config.window_ns)?;
        let host = waytrace_hw::topology::host(Machine::live().root());
        let hooks = Hooks::start(&config.hooks, &host.hostname)?;
        let session = Session {
            started_at_unix_ns: clock::unix_ns(),
            window_ns: config.window_ns,
            command: std::env::args().collect::<Vec<_>>().join(" "),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host,
        };
        let history = config.history.path.as_deref().map(|path| {
            let history =
                HistoryConfig { retention: settings::retention(&config), ..HistoryConfig::new(session) };
            History::start(path, history)
        });
        let history = history.transpose()?;
        let window = Duration::from_nanos(config.window_ns);
        let state = WebState::new(About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            window,
            budget_cpu_pct: Some(config.budget.cpu_pct * settings::cpus()),
            budget_rss_bytes: Some(config.budget.rss_mb << 20),
            max_targets: config.http.max_targets,
        });
        let recordings = Recordings::start(&config)?;
        let profiles = Arc::new(OnDemand::new(Arc::clone(recordings.recorder()), state.clone()));
        let server = Server::start(config.http.clone(), state.clone(), Some(profiles), &Handle::current())?;
        let lines = if args.json { Some(JsonLines::start(std::io::stdout())?) } else { None };
        let members = Members::new(&config.targets, config.machine, Machine::live().root().clone())?;
        let signals = Signals {
            interrupt: signal(SignalKind::interrupt()).context("watching for signals")?,
            terminate: signal(SignalKind::terminate()).context("watching for signals")?,
            hang_up: signal(SignalKind::hangup()).context("watching for signals")?,
        };
        let measuring = Measuring::start(settings::engine(&config, &args.whom.host_root), members)?;
        let notifier = Notifier::from_env()?;
        let watchdog = Watchdog::from_env(window, Instant::now());
        Ok(Self {
            args,
            config,
            measuring,
            history,
            state,
            server,
            lines,
            rules,
            hooks,
            recordings,
            notifier,
            watchdog,
            signals,
        })
    }

    /// Runs until it is told to end.
    ///
    /// # Errors
    /// When the kernel part cannot be read any more.
    pub async fn run(mut self) -> Outcome {
        let status = format!("watching {}", self.args.named());
        logged(self.notifier.ready(&status));
        self.announce();
        let mut look = tokio::time::interval(LOOK);
        let failure = loop {
            tokio::select! {
                window = self.measuring.windows.recv() => match window {
                    Some(Ok(window)) => {
                        if let Some(error) = self.lacking(&window) {
                            break Some(error);
                        }
                        self.window(window);
                    }
                    Some(Err(error)) => break Some(error),
                    None => break Some(anyhow::anyhow!("the thread that measures has gone")),
                },
                _ = self.signals.interrupt.recv() => break None,
                _ = self.signals.terminate.recv() => break None,
                _ = self.signals.hang_up.recv() => self.reload(),
                _ = look.tick() => self.look(),
            }
        };
        logged(self.notifier.stopping());
        self.end().await;
        match failure {
            Some(error) => Err(error),
            None => Ok(ExitCode::SUCCESS),
        }
    }

    fn announce(&self) {
        if let Some(address) = self.server.address() {
            say(&format!(
                "answering at http{}://{address}",
                if self.config.http.tls_cert.is_some() { "s" } else { "" }
            ));
        }
        let kept = self.config.history.path.as_ref().map(|path| format!(", history in {}", path.display()));
        say(&format!("watching{}", kept.unwrap_or_default()));
        if self.args.whom.host_root != Path::new("/") {
            say(&format!(
                "caches are those of the simulated host below {}: figures of no machine",
                self.args.whom.host_root.display()
            ));
        }
        if self.server.address().is_none()
            && self.history.is_none()
            && self.lines.is_none()
            && std::io::stderr().is_terminal()
        {
            say("nobody will see what is measured but rules: name a --db, a --listen address, or --json");
        }
    }

    /// A collector that the configuration asks for by `true`, and that cannot run here.
    fn lacking(&self, window: &HostWindow) -> Option<anyhow::Error> {
        let is_wanted = |name: &str| {
            CollectorName::ALL
                .iter()
                .any(|known| known.as_str() == name && self.config.collect.switch(*known) == Switch::On)
        };
        let known = |name: &str| window.collectors.iter().find(|collector| collector.name == name);
        CollectorName::ALL.iter().filter(|collector| is_wanted(collector.as_str())).find_map(|collector| {
            let name = collector.as_str();
            match known(name) {
                Some(share) if share.state != ShareState::Unavailable => None,
                share => {
                    let why = share.and_then(|share| share.reason.clone());
                    let why = why.unwrap_or_else(|| "`monitor` does not take it".to_owned());
                    Some(anyhow::anyhow!("[collect] `{name} = true`, and it cannot run here: {why}; write \"auto\" to go on without"))
                }
            }
        })
    }

    /// A window is over.
    fn window(&mut self, window: HostWindow) {
        self.watchdog.window(Instant::now());
        let events = self.rules.judge(&window);
        let window = Arc::new(window);
        self.state.publish(Arc::clone(&window));
        if let Some(history) = &self.history {
            history.append(Arc::clone(&window));
        }
        if let Some(lines) = &self.lines {
            lines.write(Arc::clone(&window));
            self.state.set_lines(lines.state());
        }
        for event in events {
            self.tell(&window, &event);
        }
        self.publish_states();
        let others = Others {
            recording_cpu_ns: self.recordings.take_cpu_ns(),
            store_bytes: self.history.as_ref().map(|history| history.state().bytes),
            store_waiting: self.history.as_ref().map_or(0, |history| history.state().waiting),
        };
        self.measuring.tell(Command::Others(others));
    }

    /// An alert began or ended.
    fn tell(&mut self, window: &HostWindow, event: &Event) {
        let (Event::Began(alert) | Event::Ended(alert)) = event;
        let mut alert = alert.clone();
        let rule = self.rules.config(&alert.rule).cloned();
        let hooks = rule.as_ref().map(|rule| rule.hooks.clone()).unwrap_or_default();
        if let (Event::Began(_), Some(rule)) = (event, &rule)
            && let Some(seconds) = rule.record.seconds(settings::record_seconds(&self.config))
        {
            let link = self.recordings.request(&alert, window, seconds);
            if let Some(noted) = self.rules.recorded(&alert.rule, &alert.target, link, None).cloned() {
                alert = noted;
            }
        }
        self.hooks.tell(&hooks, event);
        self.keep(&alert);
    }

    fn keep(&self, alert: &Alert) {
        self.state.set_alert(alert.clone());
        if let Some(history) = &self.history {
            history.alert(alert);
        }
    }

    /// Takes note of recordings that are done, and pings the watchdog.
    fn look(&mut self) {
        for done in self.recordings.done() {
            let Some(alert) =
                self.rules.recorded(&done.rule, &done.target, done.link, done.detail.as_deref()).cloned()
            else {
                continue;
            };
            let hooks = self.rules.config(&done.rule).map(|rule| rule.hooks.clone()).unwrap_or_default();
            self.hooks.tell_recorded(&hooks, &alert);
            self.keep(&alert);
        }
        if self.watchdog.is_due(Instant::now()) {
            logged(self.notifier.ping());
        }
    }

    fn publish_states(&self) {
        if let Some(history) = &self.history {
            let state = history.state();
            self.state.set_history(HistoryState {
                written: state.written,
                waiting: state.waiting,
                dropped: state.dropped,
                errors: state.errors,
                bytes: state.bytes,
                trouble: state.last_error.filter(|_| !state.ok),
            });
        }
        let hooks = self.hooks.states().into_iter();
        self.state.set_hooks(
            hooks
                .map(|hook| HookState {
                    name: hook.name,
                    sent: hook.delivered,
                    failed: hook.failed,
                    dropped: hook.dropped,
                    waiting: hook.waiting,
                })
                .collect(),
        );
    }

    /// Reads the configuration again: all of it is taken, or nothing.
    fn reload(&mut self) {
        logged(self.notifier.reloading());
        match self.reloaded() {
            Ok(what) => say(&what),
            Err(error) => say(&format!("the configuration stays as it was: {error:#}")),
        }
        logged(self.notifier.ready(&format!("watching {}", self.args.named())));
    }

    fn reloaded(&mut self) -> anyhow::Result<String> {
        let new = self.args.config()?;
        let differs = self.config.reload_from(&new)?;
        self.server.reload()?;
        let hooks = if new.hooks == self.config.hooks {
            None
        } else {
            Some(Hooks::start(&new.hooks, &waytrace_hw::topology::host(Machine::live().root()).hostname)?)
        };
        // The last that can be refused: from here on all of it is taken.
        let events = self.rules.reload(&settings::rules(&new), new.window_ns, clock::unix_ns())?;
        if let Some(hooks) = hooks {
            std::mem::replace(&mut self.hooks, hooks).stop(HOOKS_PATIENCE);
        }
        for event in events {
            let (Event::Began(alert) | Event::Ended(alert)) = &event;
            self.keep(alert);
        }
        if let Some(history) = &self.history {
            history.set_retention(settings::retention(&new));
        }
        self.recordings.reconfigure(&new);
        self.measuring.tell(Command::Reload(
            settings::engine(&new, &self.args.whom.host_root),
            new.targets.clone(),
            new.machine,
        ));
        self.config = new;
        Ok(match differs.is_empty() {
            true => "the configuration was read again; nothing differs".to_owned(),
            false => format!(
                "the configuration was read again: {} targets added, {} removed, {} changed",
                differs.added.len(),
                differs.removed.len(),
                differs.changed.len()
            ),
        })
    }

    /// Ends all parts, the kernel part first, and keeps what was measured.
    async fn end(mut self) {
        let last = self.measuring.stop();
        if let Some(window) = last {
            self.window(window);
        }
        self.recordings.stop();
        if let Some(lines) = self.lines.take()
            && !lines.finish(LINES_PATIENCE)
        {
            say("nobody read the last windows in time; the last line may be cut");
        }
        self.server.stop(WEB_PATIENCE).await;
        self.hooks.stop(HOOKS_PATIENCE);
        if let Some(history) = self.history {
            let unwritten = history.finish(HISTORY_PATIENCE);
            if unwritten > 0 {
                say(&format!("{unwritten} windows and alerts could not be written in time"));
            }
        }
    }
}

/// A service manager that does not listen is worth a line, and no more.
fn logged(result: Result<(), NotifyError>) {
    if let Err(error) = result {
        tracing::warn!("{error}");
    }
}
