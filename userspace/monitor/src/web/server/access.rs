//! Who may ask: the token, and the certificate by which clients know whom they tell it.

use std::path::Path;
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::web::{Error, WebConfig};

/// A token is no shorter, so that it is not found by trying.
const SHORTEST_TOKEN: usize = 16;
/// Nor longer, so that a file given by mistake is not sent around.
const LONGEST_TOKEN: usize = 4096;

/// What is read from files, and again on reload.
pub(super) struct Access {
    token: Option<[u8; 32]>,
    pub(super) tls: Option<TlsAcceptor>,
}

impl Access {
    pub(super) fn read(config: &WebConfig) -> Result<Self, Error> {
        let token = config.token_file.as_deref().map(|path| read_token("token_file", path)).transpose()?;
        let tls = match (&config.tls_cert, &config.tls_key) {
            (Some(cert), Some(key)) => Some(acceptor(cert, key)?),
            _ => None,
        };
        Ok(Self { token: token.map(|token| sha256(token.as_bytes())), tls })
    }

    /// Whether everyone may ask.
    pub(super) const fn is_open(&self) -> bool {
        self.token.is_none()
    }

    /// Whether the value of an `Authorization` header allows it. Takes the same time whatever of it is right: digests are compared, and whole.
    pub(super) fn allows(&self, authorization: Option<&[u8]>) -> bool {
        let Some(token) = &self.token else { return true };
        let Some((scheme, given)) = authorization.and_then(|value| value.split_at_checked(7)) else {
            return false;
        };
        let given = sha256(given);
        let difference = token.iter().zip(given).fold(0, |difference, (a, b)| difference | (a ^ b));
        scheme.eq_ignore_ascii_case(b"bearer ") && std::hint::black_box(difference) == 0
    }
}

/// The one line of a token file.
pub(in crate::web) fn read_token(key: &'static str, path: &Path) -> Result<String, Error> {
    let content = |what: &str| Error::Content { key, path: path.to_owned(), what: what.to_owned() };
    let text =
        std::fs::read_to_string(path).map_err(|source| Error::Read { key, path: path.to_owned(), source })?;
    let token = text.trim_end_matches(['\r', '\n']);
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(content("must hold one line of visible ASCII characters without spaces"));
    }
    if token.len() < SHORTEST_TOKEN || token.len() > LONGEST_TOKEN {
        return Err(content(
            "must hold a token of 16 to 4096 characters; make one with: openssl rand -hex 24",
        ));
    }
    Ok(token.to_owned())
}

fn acceptor(cert: &Path, key: &Path) -> Result<TlsAcceptor, Error> {
    let read = |key, path: &Path| {
        std::fs::read(path).map_err(|source| Error::Read { key, path: path.to_owned(), source })
    };
    let bad = |key, path: &Path, what: String| Error::Content { key, path: path.to_owned(), what };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read("tls_cert", cert)?).collect();
    let chain = chain.map_err(|error| bad("tls_cert", cert, format!("is no PEM file: {error}")))?;
    if chain.is_empty() {
        return Err(bad("tls_cert", cert, "holds no certificate: it must hold the chain, as PEM".into()));
    }
    let private = PrivateKeyDer::from_pem_slice(&read("tls_key", key)?)
        .map_err(|error| bad("tls_key", key, format!("holds no private key as PEM: {error}")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad("tls_cert", cert, format!("cannot be used: {error}")))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| bad("tls_key", key, format!("does not go with http.tls_cert: {error}")))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The digest FIPS 180-4 describes.
pub(in crate::web) fn sha256(data: &[u8]) -> [u8; 32] {
    let digest = digest(&SHA256, data);
    std::array::from_fn(|at| digest.as_ref().get(at).copied().unwrap_or(0))
}

/// Base64 as RFC 4648 has it, padded.
pub(in crate::web) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0, |word, at| word << 8 | usize::from(chunk.get(at).copied().unwrap_or(0)));
        for digit in 0..4 {
            let is_known = digit <= chunk.len();
            text.push(if is_known { char::from(DIGITS[word >> (18 - 6 * digit) & 63]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_token(text: &str) -> Result<Access, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, text).unwrap();
        Access::read(&WebConfig { token_file: Some(path), ..WebConfig::default() })
    }

    #[test]
    fn only_the_token_opens() {
        let access = with_token("0123456789abcdef\n").unwrap();
        assert!(!access.is_open());
        assert!(access.allows(Some(b"Bearer 0123456789abcdef")));
        assert!(access.allows(Some(b"bearer 0123456789abcdef")));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Basic 0123456789abcdef",
        ] {
            assert!(!access.allows(Some(wrong.as_bytes())), "{wrong}");
        }
        assert!(!access.allows(None));
        assert!(Access::read(&WebConfig::default()).unwrap().allows(None));
    }

    #[test]
    fn bad_tokens_are_refused() {
        for bad in
            ["", "short", "two words of sixteen", "0123456789abcdef\n0123456789abcdef\n", "0123456789abcdé0"]
        {
            let error = with_token(bad).err().expect(bad).to_string();
            assert!(error.contains("http.token_file"), "{error}");
        }
        let missing = WebConfig { token_file: Some("nowhere".into()), ..WebConfig::default() };
        let error = Access::read(&missing).err().unwrap().to_string();
        assert!(error.starts_with("http.token_file = \"nowhere\" cannot be read"), "{error}");
    }

    /// RFC 4648, section 10, and the digest of the empty message.
    #[test]
    fn digests_and_base64_are_those_of_the_standards() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&sha256(b"")), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }
}
