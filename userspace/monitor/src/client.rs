//! The HTTP client of hooks and pushes, and whom it trusts.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Where distributions keep the certificates they trust: Debian and Alpine, Fedora, SUSE, and the link others set.
const TRUSTED: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What is wrong with a file of certificates.
#[derive(Debug)]
pub struct Untrusted {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: Why,
}

/// Why certificates could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It is something else.
    #[error("{0}")]
    Content(String),
}

/// A client for one URL, which follows no redirection and uses no proxy; `timeout` is for all of a request that has none of its own. Over TLS it trusts whom `ca_file` names, or the machine does.
///
/// # Errors
/// [`Untrusted`] where the URL is `https:` and certificates cannot be read.
pub fn agent(url: &str, ca_file: Option<&Path>, timeout: Option<Duration>) -> Result<Agent, Untrusted> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider);
    if url.starts_with("https://") {
        let of_machine = || TRUSTED.iter().map(Path::new).find(|path| path.exists());
        let path = ca_file.or_else(of_machine).unwrap_or(Path::new(TRUSTED[0]));
        let trusted = certificates(path).map_err(|why| Untrusted { path: path.to_owned(), why })?;
        tls = tls.root_certs(RootCerts::Specific(Arc::new(trusted)));
    }
    let agent = Agent::config_builder()
        .tls_config(tls.build())
        .timeout_global(timeout)
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent(concat!("waytrace/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent();
    Ok(agent)
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, Why> {
    let text = std::fs::read(path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text)
        .map(|read| read.map(|der| Certificate::from_der(der.as_ref()).to_owned()))
        .collect();
    match read {
        Ok(certificates) if certificates.is_empty() => {
            Err(Why::Content("holds no certificate: it must hold those to trust, as PEM".to_owned()))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(Why::Content(format!("is no PEM file: {error}"))),
    }
}
