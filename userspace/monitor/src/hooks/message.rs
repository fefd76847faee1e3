//! What hooks are told.

use serde::Serialize;
use waytrace_model::monitor::{Alert, RecordingLink};

use crate::rules::Event;

/// One message, the same to webhooks (the body) and to commands (standard input), as JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// `began`, `recorded` or `ended`.
    pub event: &'static str,
    /// Name of the host.
    pub host: String,
    /// The alert.
    pub alert: Alert,
}

impl Message {
    /// Of what rules say.
    pub fn of(event: &Event, host: &str) -> Self {
        let (event, alert) = match event {
            Event::Began(alert) => ("began", alert),
            Event::Ended(alert) => ("ended", alert),
        };
        Self { event, host: host.to_owned(), alert: alert.clone() }
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let Self { event, host, alert } = self;
        let whom = if alert.target.is_empty() { host } else { &alert.target };
        let recorded = match &alert.recording {
            RecordingLink::Run(name) => format!("; recorded as {name}"),
            RecordingLink::Failed(reason) => format!("; not recorded: {reason}"),
            RecordingLink::None | RecordingLink::Running => String::new(),
        };
        let line = format!("alert {event}: {} on {whom}: {}{recorded}", alert.rule, alert.detail);
        // What targets are called must not make lines of its own.
        line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }

    /// Environment of a command: name and value.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let alert = &self.alert;
        let run = match &alert.recording {
            RecordingLink::Run(name) => name.clone(),
            _ => String::new(),
        };
        [
            ("WAYTRACE_EVENT", self.event.to_owned()),
            ("WAYTRACE_HOST", self.host.clone()),
            ("WAYTRACE_RULE", alert.rule.clone()),
            ("WAYTRACE_TARGET", alert.target.clone()),
            ("WAYTRACE_DETAIL", alert.detail.clone()),
            ("WAYTRACE_RUN", run),
        ]
        .into_iter()
        .map(|(name, value)| (name, value.replace('\0', " ")))
        .collect()
    }
}
