//! Telling an HTTP endpoint: one POST of JSON.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use ureq::Agent;
use ureq::http::StatusCode;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::config::HookConfig;
use super::error::Error;
use super::message::Message;
use super::worker::Attempt;

/// Where distributions keep the certificates they trust: Debian and Alpine, Fedora, SUSE, and the link others set.
const TRUSTED: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

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
        let mut tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        if url.starts_with("https://") {
            let machines = || TRUSTED.iter().map(Path::new).find(|path| path.exists());
            let path = config.ca_file.as_deref().or_else(machines).unwrap_or(Path::new(TRUSTED[0]));
            let trusted = certificates(path).map_err(|reason| wrong("ca_file", path, reason))?;
            tls = tls.root_certs(RootCerts::Specific(Arc::new(trusted)));
        }
        let agent = Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("waytrace/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
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

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text)
        .map(|read| read.map(|der| Certificate::from_der(der.as_ref()).to_owned()))
        .collect();
    match read {
        Ok(certificates) if certificates.is_empty() => {
            Err("it holds no certificate; it must hold those to trust, as PEM".to_owned())
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("it is no PEM file: {error}")),
    }
}
