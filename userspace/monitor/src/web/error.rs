//! What keeps the HTTP side from starting or from taking a new configuration.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

/// Each names the key or file, and what mends it.
#[derive(Debug, Error)]
pub enum Error {
    /// Not an address and a port.
    #[error("http.listen = \"{given}\" is no address and port: write it like 127.0.0.1:9477 or [::1]:9477")]
    Listen {
        /// What was written.
        given: String,
    },
    /// Others could read it.
    #[error(
        "http.listen = \"{address}\" can be reached from other machines, which would read what runs here: set http.token_file, http.tls_cert and \
         http.tls_key, or listen on 127.0.0.1, or set http.insecure = true where the network itself keeps others out"
    )]
    Exposed {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// A certificate without its key, or the other way round.
    #[error("http.{there} is set and http.{missing} is not: TLS needs both")]
    TlsHalf {
        /// The key that is set.
        there: &'static str,
        /// The key that is not.
        missing: &'static str,
    },
    /// A number or text out of its range.
    #[error("http.{key} = {given}: {expected}")]
    Value {
        /// The key, with its table.
        key: &'static str,
        /// What was written.
        given: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A file that could not be read.
    #[error("http.{key} = \"{}\" cannot be read: {source}", path.display())]
    Read {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file without what it is for.
    #[error("http.{key} = \"{}\" {what}", path.display())]
    Content {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what it must hold.
        what: String,
    },
    /// The address is taken, or not this machine's, or the port is privileged.
    #[error("http.listen = \"{address}\": {source}; stop what listens there, or choose another port")]
    Bind {
        /// Where it was to listen.
        address: SocketAddr,
        /// Why it does not.
        source: io::Error,
    },
    /// The machine is out of threads.
    #[error("no thread for {what}: {source}")]
    Thread {
        /// What it was for.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}
