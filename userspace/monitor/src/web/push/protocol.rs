//! How Pyroscope and Parca take profiles.
//!
//! Pyroscope: `POST /ingest?name=app{label=value}&from=…&until=…&format=pprof` with the profile as the body; times are seconds since the Unix
//! epoch (its server API documentation, and `pkg/ingester/pyroscope/ingest_handler.go`). Parca: `POST /profiles/writeraw`, the JSON form of its
//! `ProfileStoreService.WriteRaw`, with the profile in base64 and its name as the label `__name__` (`profilestore.proto`).

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use ureq::Agent;
use ureq::http::StatusCode;

use super::PushProfile;
use crate::client::{self, Untrusted, Why};
use crate::web::Error;
use crate::web::config::{PushConfig, PushProtocol};
use crate::web::pprof::ProfileKind;
use crate::web::server::base64;

/// Sends to one collector.
pub(super) struct Sender {
    agent: Agent,
    url: String,
    protocol: PushProtocol,
    token: Option<String>,
    host: String,
}

/// Why a profile was not taken.
pub(super) struct Failure {
    pub(super) why: String,
    /// Another attempt may succeed.
    pub(super) may_pass: bool,
}

impl Sender {
    pub(super) fn new(config: &PushConfig, token: Option<String>) -> Result<Self, Error> {
        let timeout = Duration::from_secs(u64::from(config.timeout_s));
        let agent =
            client::agent(&config.url, config.ca_file.as_deref(), Some(timeout)).map_err(untrusted)?;
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let url = config.url.trim_end_matches('/').to_owned();
        Ok(Self { agent, url, protocol: config.protocol, token, host: host.trim().to_owned() })
    }

    /// One attempt.
    pub(super) fn send(&self, profile: &PushProfile) -> Result<(), Failure> {
        let (url, content_type) = match self.protocol {
            PushProtocol::Pyroscope => (self.ingest_url(profile), "application/octet-stream"),
            PushProtocol::Parca => (format!("{}/profiles/writeraw", self.url), "application/json"),
        };
        let mut request = self.agent.post(&url).header("Content-Type", content_type);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let answer = match self.protocol {
            PushProtocol::Pyroscope => request.send(&profile.pprof[..]),
            PushProtocol::Parca => request.send(self.raw(profile).as_bytes()),
        };
        let answer = answer.map_err(|error| Failure { why: error.to_string(), may_pass: true })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let may_pass = status.is_server_error()
            || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        Err(Failure { why: format!("{} answered {status}", self.url), may_pass })
    }

    fn ingest_url(&self, profile: &PushProfile) -> String {
        let target = plain(&profile.target);
        let name = format!("waytrace.{target}{{kind={},host={}}}", profile.kind, plain(&self.host));
        let (from, until) = (seconds(profile.from), seconds(profile.until).max(seconds(profile.from) + 1));
        let name = percent_encoded(&name);
        format!("{}/ingest?name={name}&from={from}&until={until}&format=pprof&spyName=waytrace", self.url)
    }

    fn raw(&self, profile: &PushProfile) -> String {
        let name = match profile.kind {
            ProfileKind::Heap | ProfileKind::Allocs => "memory",
            ProfileKind::Accesses => "accesses",
        };
        let labels = [
            ("__name__", name),
            ("job", "waytrace"),
            ("target", &profile.target),
            ("kind", profile.kind.as_str()),
            ("instance", &self.host),
        ];
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let samples = json!([{"rawProfile": base64(&profile.pprof)}]);
        json!({"series": [{"labels": {"labels": labels}, "samples": samples}], "normalized": false})
            .to_string()
    }
}

/// What names of applications and labels may hold everywhere; the rest becomes `_`.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_./".contains(c) { c } else { '_' }).collect()
}

fn untrusted(Untrusted { path, why }: Untrusted) -> Error {
    let key = "push.ca_file";
    match why {
        Why::Read(source) => Error::Read { key, path, source },
        Why::Content(what) => Error::Content { key, path, what },
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_pyroscope_takes() {
        let config: PushConfig = serde_json::from_str(r#"{"url":"http://collector:4040/"}"#).unwrap();
        let sender = Sender { host: "h 1".into(), ..Sender::new(&config, None).unwrap() };
        let from = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let (target, kind, pprof) = ("web{x}&y=é".to_owned(), ProfileKind::Heap, Vec::new());
        let profile = PushProfile { target, kind, from, until: from, pprof };
        assert_eq!(
            sender.ingest_url(&profile),
            "http://collector:4040/ingest?name=waytrace.web_x__y__%7Bkind%3Dheap%2Chost%3Dh_1%7D\
             &from=1700000000&until=1700000001&format=pprof&spyName=waytrace"
        );
        let raw: serde_json::Value = serde_json::from_str(&sender.raw(&profile)).unwrap();
        assert_eq!(raw["series"][0]["labels"]["labels"][2]["value"], "web{x}&y=é");
    }
}
