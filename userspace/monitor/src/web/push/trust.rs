//! The HTTP client of pushes: whom it trusts, and how long it waits.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::web::{Error, PushConfig};

/// Where distributions keep the certificates they trust: Debian and Alpine, Fedora, SUSE, and the link others set.
const MACHINES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

pub(super) fn agent(config: &PushConfig) -> Result<Agent, Error> {
    let mut builder = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
    if config.url.starts_with("https://") {
        builder = builder.root_certs(RootCerts::Specific(Arc::new(trusted(config.ca_file.as_deref())?)));
    }
    Ok(Agent::config_builder()
        .tls_config(builder.build())
        .timeout_global(Some(Duration::from_secs(u64::from(config.timeout_s))))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent("waytrace")
        .build()
        .new_agent())
}

fn trusted(file: Option<&Path>) -> Result<Vec<Certificate<'static>>, Error> {
    let machine = MACHINES.iter().map(Path::new).find(|path| path.exists());
    let path = file.or(machine).unwrap_or(Path::new(MACHINES[0]));
    let content = |what: String| Error::Content { key: "push.ca_file", path: path.to_owned(), what };
    let text = std::fs::read(path).map_err(|source| Error::Read {
        key: "push.ca_file",
        path: path.to_owned(),
        source,
    })?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text)
        .map(|read| read.map(|der| Certificate::from_der(der.as_ref()).to_owned()))
        .collect();
    let certificates = certificates.map_err(|error| content(format!("is no PEM file: {error}")))?;
    if certificates.is_empty() {
        return Err(content("holds no certificate: it must hold those to trust, as PEM".into()));
    }
    Ok(certificates)
}
