//! Telling an HTTP endpoint: one POST of JSON.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::Agent;
use ureq::http::StatusCode;

use super::config::HookConfig;
use super::error::Error;
use super::message::Message;
use super::worker::Attempt;
use crate::client;

/// An endpoint.
#[derive(Debug)]
pub struct Webhook {
    agent: Agent,
    url: String,
    header_file: Option<PathBuf>,
}

impl Webhook {
    /// Ready to send; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::File`]: headers or certificates that cannot be read.
    pub fn new(config: &HookConfig, url: &str) -> Result<Self, Error> {
        let wrong = |key, path: &Path, reason: String| Error::File {
            hook: config.name.clone(),
            key,
            path: path.to_owned(),
            reason,
        };
        if let Some(path) = &config.header_file {
            headers(path).map_err(|reason| wrong("header_file", path, reason))?;
        }
        let agent = client::agent(url, config.ca_file.as_deref(), None)
            .map_err(|untrusted| wrong("ca_file", &untrusted.path, untrusted.why.to_string()))?;
        Ok(Self { agent, url: url.to_owned(), header_file: config.header_file.clone() })
    }

    /// One attempt, which ends after `timeout` at the latest.
    pub fn send(&self, message: &Message, timeout: Duration) -> Attempt {
        let body = match serde_json::to_vec(message) {
            Ok(body) => body,
            Err(error) => return Attempt::Refused(error.to_string()),
        };
        let mut request = self.agent.post(&self.url).header("Content-Type", "application/json");
        match self.header_file.as_deref().map(headers).transpose() {
            Ok(headers) => {
                for (name, value) in headers.into_iter().flatten() {
                    request = request.header(name, value);
                }
            }
            // It may be being replaced.
            Err(reason) => return Attempt::Failed(format!("header_file: {reason}")),
        }
        match request.config().timeout_global(Some(timeout)).build().send(&body[..]) {
            Err(error) => Attempt::Failed(error.to_string()),
            Ok(answer) if answer.status().is_success() => Attempt::Delivered,
            Ok(answer) => {
                let (status, reason) = (answer.status(), format!("it answered {}", answer.status()));
                let may_pass = status.is_server_error()
                    || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
                if may_pass { Attempt::Failed(reason) } else { Attempt::Refused(reason) }
            }
        }
    }
}

/// `Name: value` in each line. What is wrong is told without the content, which is a secret.
fn headers(path: &Path) -> Result<Vec<(String, String)>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let (name, value) = (name.trim(), value.trim());
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let is_value = |c: char| c.is_ascii() && !c.is_ascii_control();
        let is_right = !name.is_empty() && name.chars().all(is_name) && value.chars().all(is_value);
        is_right.then(|| (name.to_owned(), value.to_owned()))
    };
    let wrong = |number| format!("line {} is no header; write `Authorization: Bearer …`", number + 1);
    lines.map(|(number, line)| header(line).ok_or_else(|| wrong(number))).collect()
}
