//! The thread that measures.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use anyhow::Context as _;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use waytrace_model::monitor::HostWindow;
use waytrace_monitor::config::TargetConfig;
use waytrace_monitor::engine::{Engine, Members, Others, Settings, Step};

/// What the thread is told.
pub enum Command {
    /// Go on with these settings and targets; `true`: and with every other process.
    Reload(Settings, Vec<TargetConfig>, bool),
    /// What others of waytrace's processes took.
    Others(Others),
}

/// The thread, from outside.
pub struct Measuring {
    commands: Sender<Command>,
    stop: Arc<AtomicBool>,
    /// Windows as they end; an error is the last.
    pub windows: UnboundedReceiver<anyhow::Result<HostWindow>>,
    thread: Option<JoinHandle<()>>,
}

impl Measuring {
    /// Loads the kernel part and starts the thread.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn start(settings: Settings, members: Members) -> anyhow::Result<Self> {
        let engine = Engine::start(settings, members)?;
        let (commands, told) = channel();
        let (ended, windows) = unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        let is_stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || {
                let mut engine = engine;
                loop {
                    match measure(&mut engine, &told, &is_stopped) {
                        Ok(Some(window)) => {
                            if ended.send(Ok(window)).is_err() {
                                return;
                            }
                        }
                        Ok(None) => {
                            // Nobody listens any more: it was to end anyway.
                            let _ = ended.send(engine.cut().map_err(Into::into));
                            return;
                        }
                        Err(error) => {
                            // Nobody listens any more: it was to end anyway.
                            let _ = ended.send(Err(error));
                            return;
                        }
                    }
                }
            })
            .context("starting the thread that measures")?;
        Ok(Self { commands, stop, windows, thread: Some(thread) })
    }

    /// Tells it something; it listens some times a second.
    pub fn tell(&self, command: Command) {
        // A thread that has ended has said why through the windows.
        let _ = self.commands.send(command);
    }

    /// Ends it; the window under way is told as far as it went. No probe is left when it returns.
    pub fn stop(&mut self) -> Option<HostWindow> {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that measures panicked");
        }
        let mut last = None;
        while let Ok(Ok(window)) = self.windows.try_recv() {
            last = Some(window);
        }
        last
    }
}

impl Drop for Measuring {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One window; `None` when it is to end.
fn measure(
    engine: &mut Engine<Members>,
    told: &Receiver<Command>,
    stop: &AtomicBool,
) -> anyhow::Result<Option<HostWindow>> {
    loop {
        let (mut reload, mut others) = (None, None);
        // What others took is no reason to cut a closer look short.
        let mut is_interrupted = || {
            loop {
                match told.try_recv() {
                    Ok(Command::Others(new)) => others = Some(new),
                    Ok(new) => {
                        reload = Some(new);
                        return true;
                    }
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
                        return stop.load(Ordering::Acquire);
                    }
                }
            }
        };
        let step = engine.run(&mut is_interrupted)?;
        if let Some(others) = others {
            engine.set_others(others);
        }
        if let Some(Command::Reload(settings, targets, machine)) = reload {
            engine.reconfigure(settings);
            if let Err(error) = engine.members().reload(&targets, machine) {
                tracing::error!("targets stay as they were: {error}");
            }
        }
        match step {
            Step::Window(window) => return Ok(Some(*window)),
            Step::Interrupted if stop.load(Ordering::Acquire) => return Ok(None),
            Step::Interrupted => {}
        }
    }
}
