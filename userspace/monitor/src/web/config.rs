//! The `[http]` table of the configuration.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Error;
use super::pprof::ProfileKind;

/// Where and for whom to serve, and where to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebConfig {
    /// Address and port, `127.0.0.1:9477`; `None` serves nothing.
    pub listen: Option<String>,
    /// File whose one line every request must carry as `Authorization: Bearer`.
    pub token_file: Option<PathBuf>,
    /// Certificate chain, PEM.
    pub tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    pub tls_key: Option<PathBuf>,
    /// Serve other machines without token or TLS.
    pub insecure: bool,
    /// Targets with metrics of their own, 1 to 100,000; the others are summed up as `_other`.
    pub max_targets: usize,
    /// Profiles on demand.
    pub pprof: PprofConfig,
    /// Profiles sent to a collector.
    pub push: Option<PushConfig>,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            listen: None,
            token_file: None,
            tls_cert: None,
            tls_key: None,
            insecure: false,
            max_targets: 500,
            pprof: PprofConfig::default(),
            push: None,
        }
    }
}

/// Bounds of `/debug/pprof`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PprofConfig {
    /// Profiles an hour, 0 to 3,600; 0 makes none.
    pub per_hour: u32,
    /// Longest profile, seconds, 1 to 3,600.
    pub max_seconds: u32,
    /// Also processes that belong to no target.
    pub any_pid: bool,
}

impl Default for PprofConfig {
    fn default() -> Self {
        Self { per_hour: 12, max_seconds: 60, any_pid: false }
    }
}

/// Who understands what is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PushProtocol {
    /// `POST {url}/ingest?…&format=pprof`.
    #[default]
    Pyroscope,
    /// `POST {url}/profiles/writeraw`, JSON around the profile.
    Parca,
}

/// Where profiles are sent, and which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushConfig {
    /// `http://` or `https://`, without the path of the interface.
    pub url: String,
    /// What listens there.
    #[serde(default)]
    pub protocol: PushProtocol,
    /// File whose one line is sent as `Authorization: Bearer`.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Certificates to trust, PEM, instead of the machine's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// A profile so often, seconds, 60 to 86,400: of one target after the other.
    #[serde(default = "PushConfig::every_s")]
    pub every_s: u32,
    /// Length of each, seconds, 1 to 600 and less than `every_s`.
    #[serde(default = "PushConfig::seconds")]
    pub seconds: u32,
    /// What of; nothing leaves it to recordings.
    #[serde(default = "PushConfig::kinds")]
    pub kinds: Vec<ProfileKind>,
    /// Longest time for one attempt, seconds, 1 to 300.
    #[serde(default = "PushConfig::timeout_s")]
    pub timeout_s: u32,
}

impl PushConfig {
    const fn every_s() -> u32 {
        600
    }

    const fn seconds() -> u32 {
        10
    }

    fn kinds() -> Vec<ProfileKind> {
        vec![ProfileKind::Heap]
    }

    const fn timeout_s() -> u32 {
        10
    }

    fn check(&self) -> Result<(), Error> {
        let host = self.url.strip_prefix("http://").or_else(|| self.url.strip_prefix("https://"));
        let is_url = host.is_some_and(|host| !host.is_empty() && !host.starts_with(['/', '?', '#', ':']))
            && !self.url.contains(|c: char| c.is_whitespace() || c.is_control());
        if !is_url {
            let expected = "must begin with http:// or https:// and name a host";
            return Err(Error::Value { key: "push.url", given: format!("\"{}\"", self.url), expected });
        }
        within("push.every_s", self.every_s, 60, 86_400, "must be from 60 to 86400 seconds")?;
        within("push.seconds", self.seconds, 1, 600, "must be from 1 to 600 seconds")?;
        within("push.seconds", self.seconds, 1, self.every_s - 1, "must be less than http.push.every_s")?;
        within("push.timeout_s", self.timeout_s, 1, 300, "must be from 1 to 300 seconds")
    }
}

impl WebConfig {
    /// Looks for what is wrong in itself, without reading a file.
    ///
    /// # Errors
    /// The first mistake.
    pub fn check(&self) -> Result<(), Error> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => return Err(Error::TlsHalf { there: "tls_cert", missing: "tls_key" }),
            (None, Some(_)) => return Err(Error::TlsHalf { there: "tls_key", missing: "tls_cert" }),
            _ => {}
        }
        within("max_targets", self.max_targets, 1, 100_000, "must be from 1 to 100000")?;
        within("pprof.per_hour", self.pprof.per_hour, 0, 3600, "must be from 0 to 3600")?;
        within("pprof.max_seconds", self.pprof.max_seconds, 1, 3600, "must be from 1 to 3600 seconds")?;
        if let Some(push) = &self.push {
            push.check()?;
        }
        let Some(address) = self.address()? else { return Ok(()) };
        let is_guarded = self.token_file.is_some() && self.tls_cert.is_some();
        if !address.ip().is_loopback() && !is_guarded && !self.insecure {
            return Err(Error::Exposed { address });
        }
        Ok(())
    }

    /// Where to listen; `None` where nothing is served.
    ///
    /// # Errors
    /// What is written is no address and port. Names are not resolved, but for `localhost`.
    pub fn address(&self) -> Result<Option<SocketAddr>, Error> {
        let Some(given) = &self.listen else { return Ok(None) };
        let numeric = given
            .strip_prefix("localhost:")
            .map_or_else(|| given.clone(), |port| format!("127.0.0.1:{port}"));
        numeric.parse().map(Some).map_err(|_| Error::Listen { given: given.clone() })
    }
}

fn within<N: PartialOrd + ToString + Copy>(
    key: &'static str,
    given: N,
    low: N,
    high: N,
    expected: &'static str,
) -> Result<(), Error> {
    if given < low || given > high {
        return Err(Error::Value { key, given: given.to_string(), expected });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(address: &str) -> WebConfig {
        WebConfig { listen: Some(address.to_owned()), ..WebConfig::default() }
    }

    fn refusal(config: &WebConfig) -> String {
        config.check().expect_err("should be refused").to_string()
    }

    #[test]
    fn loopback_needs_nothing_and_others_need_token_and_tls() {
        for address in ["127.0.0.1:9477", "[::1]:9477", "127.8.8.8:1", "localhost:9477"] {
            listening(address).check().unwrap();
        }
        for address in ["0.0.0.0:9477", "[::]:9477", "192.168.1.7:9477"] {
            let mut config = listening(address);
            assert!(refusal(&config).contains("http.token_file"), "{address}");
            config.token_file = Some("token".into());
            refusal(&config);
            config.tls_cert = Some("cert".into());
            config.tls_key = Some("key".into());
            config.check().unwrap();
            WebConfig { insecure: true, ..listening(address) }.check().unwrap();
        }
    }

    #[test]
    fn mistakes_name_their_key() {
        assert!(refusal(&listening("9477")).contains("http.listen = \"9477\""));
        assert!(refusal(&listening("localhost:")).contains("127.0.0.1:9477"));
        let half = WebConfig { tls_cert: Some("c".into()), ..listening("127.0.0.1:1") };
        assert!(refusal(&half).contains("http.tls_key is not"));
        let none = WebConfig { max_targets: 0, ..WebConfig::default() };
        assert_eq!(refusal(&none), "http.max_targets = 0: must be from 1 to 100000");
        let push = |text: &str| {
            let push: PushConfig = serde_json::from_str(text).unwrap();
            refusal(&WebConfig { push: Some(push), ..WebConfig::default() })
        };
        assert!(push(r#"{"url":"collector:4040"}"#).contains("http.push.url = \"collector:4040\""));
        assert!(push(r#"{"url":"http://"}"#).contains("name a host"));
        assert!(push(r#"{"url":"http://c","every_s":60,"seconds":60}"#).contains("less than"));
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = serde_json::from_str::<WebConfig>(r#"{"listn":"127.0.0.1:1"}"#).unwrap_err();
        assert!(error.to_string().contains("listn"));
        assert!(serde_json::from_str::<WebConfig>(r#"{"pprof":{"any":true}}"#).is_err());
        assert_eq!(serde_json::from_str::<WebConfig>("{}").unwrap(), WebConfig::default());
    }
}
