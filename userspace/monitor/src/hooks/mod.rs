//! Whom an alert is told.
//!
//! Each hook has a thread and a queue of its own ([`MOST_WAITING`] messages), so that a slow or dead endpoint delays neither the windows nor
//! other hooks. What fails and may pass is tried again after growing pauses; what is given up is counted.

mod command;
mod config;
mod error;
mod message;
#[cfg(test)]
mod tests;
mod webhook;
mod worker;

use std::time::{Duration, Instant};

pub use config::{HookConfig, Way};
pub use error::Error;
pub use message::Message;
pub use worker::{HookState, MOST_WAITING};
use worker::{Pace, Worker};

use crate::rules::Event;

/// All hooks at work.
pub struct Hooks {
    host: String,
    workers: Vec<(String, Worker)>,
}

impl Hooks {
    /// Starts them; `host` is what messages call this machine.
    ///
    /// # Errors
    /// The first hook that cannot be used, and why; then none is started.
    pub fn start(configs: &[HookConfig], host: &str) -> Result<Self, Error> {
        Self::start_at(configs, host, Pace::USUAL)
    }

    fn start_at(configs: &[HookConfig], host: &str, pace: Pace) -> Result<Self, Error> {
        for (position, config) in configs.iter().enumerate() {
            if config.name.trim().is_empty() {
                return Err(Error::NoName { position: position + 1 });
            }
            if configs.iter().take(position).any(|other| other.name == config.name) {
                return Err(Error::NameTaken { hook: config.name.clone() });
            }
            config.check()?;
        }
        let start = |config: &HookConfig| Ok((config.name.clone(), Worker::start(config, pace)?));
        let workers = configs.iter().map(start).collect::<Result<_, Error>>()?;
        Ok(Self { host: host.to_owned(), workers })
    }

    /// Whether there is a hook of that name.
    pub fn has(&self, name: &str) -> bool {
        self.workers.iter().any(|(known, _)| known == name)
    }

    /// Tells these hooks; returns at once. Names that are no hooks are passed over.
    pub fn tell(&self, names: &[String], event: &Event) {
        self.send(names, &Message::of(event, &self.host));
    }

    /// Tells these hooks that an alert's recording is there, or is not to be had.
    pub fn tell_recorded(&self, names: &[String], alert: &waytrace_model::monitor::Alert) {
        self.send(names, &Message { event: "recorded", host: self.host.clone(), alert: alert.clone() });
    }

    fn send(&self, names: &[String], message: &Message) {
        let told = self.workers.iter().filter(|(name, _)| names.contains(name));
        told.for_each(|(_, worker)| worker.tell(message.clone()));
    }

    /// How they fare, in the order of the configuration.
    pub fn states(&self) -> Vec<HookState> {
        self.workers.iter().map(|(_, worker)| worker.state()).collect()
    }

    /// Ends them: what waits is tried once more, and no longer than `patience` altogether.
    pub fn stop(mut self, patience: Duration) {
        let end = Instant::now() + patience;
        self.workers.iter().for_each(|(_, worker)| worker.end_by(end));
        self.workers.iter_mut().for_each(|(_, worker)| worker.join(end));
    }
}
