//! Who is answered: the token, TLS, other names, other sites. And who is not learns nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use waytrace_monitor::web::WebConfig;

use super::client::{Reply, connect, get, raw, request};
use super::server::{Running, loopback, start, state, target, try_start, window};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn guarded(folder: &Path) -> Running {
    let path = folder.join("token");
    std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
    let server = start(WebConfig { token_file: Some(path), ..loopback() });
    server.state.publish(window(0, vec![target("secret-service", 3)]));
    server
}

#[test]
fn without_the_token_all_paths_are_alike() {
    let folder = tempfile::tempdir().unwrap();
    let server = guarded(folder.path());
    let wrong = format!("Authorization: Bearer {}x\r\n", &TOKEN[1..]);
    let dateless = |reply: &Reply| {
        reply
            .head
            .lines()
            .filter(|line| !line.to_ascii_lowercase().starts_with("date:"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let first = get(server.address, "/");
    assert_eq!(first.code, 401);
    let text = first.text().to_lowercase() + &first.head.to_lowercase();
    assert!(!text.contains("waytrace") && !text.contains("secret-service") && !text.contains("0.0-test"));
    for path in
        ["/", "/metrics", "/healthz", "/readyz", "/api/v1/windows", "/nowhere", "/debug/pprof/heap?pid=1030"]
    {
        for (method, headers) in [
            ("GET", ""),
            ("GET", wrong.as_str()),
            ("POST", ""),
            ("GET", "Host: evil.example\r\n"),
            ("PUT", "Content-Length: 3\r\n"),
        ] {
            let reply = request(server.address, method, path, headers);
            assert_eq!(dateless(&reply), dateless(&first), "{method} {path} {headers}");
            assert_eq!(reply.body, first.body, "{method} {path}");
        }
    }
}

#[test]
fn with_the_token_everything_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = guarded(folder.path());
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    for path in ["/", "/metrics", "/healthz", "/api/v1/windows"] {
        assert_eq!(request(server.address, "GET", path, &token).code, 200, "{path}");
    }
    assert_eq!(request(server.address, "GET", "/nowhere", &token).code, 404);
    let metrics = request(server.address, "GET", "/metrics", &token).text();
    assert!(metrics.contains("secret-service"));
}

#[test]
fn a_token_changes_on_reload_and_a_bad_one_does_not_take_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let server = guarded(folder.path());
    let code = |token: &str| {
        request(server.address, "GET", "/healthz", &format!("Authorization: Bearer {token}\r\n")).code
    };
    let path = folder.path().join("token");
    std::fs::write(&path, "short").unwrap();
    let error = server.handle.as_ref().unwrap().reload().unwrap_err().to_string();
    assert!(error.contains("16 to 4096"), "{error}");
    assert_eq!(code(TOKEN), 200);
    let other = "fedcba9876543210fedcba9876543210";
    std::fs::write(&path, other).unwrap();
    server.handle.as_ref().unwrap().reload().unwrap();
    assert_eq!((code(TOKEN), code(other)), (401, 200));
}

#[test]
fn other_names_and_other_sites_are_refused() {
    let server = start(loopback());
    server.state.publish(window(0, Vec::new()));
    let asked = |host: &str, more: &str, path: &str| {
        let text = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n");
        Reply::parse(&raw(server.address, text.as_bytes())).unwrap().code
    };
    assert_eq!(asked("127.0.0.1:9477", "", "/metrics"), 200);
    assert_eq!(asked("evil.example:9477", "", "/metrics"), 421);
    assert_eq!(asked("localhost", "Sec-Fetch-Site: cross-site\r\n", "/debug/pprof/heap?pid=1"), 403);
    assert_eq!(asked("localhost", "Sec-Fetch-Site: same-origin\r\n", "/metrics"), 200);
    assert_eq!(asked("localhost", "Sec-Fetch-Site: cross-site\r\n", "/"), 200, "a link to the page");
}

#[test]
fn an_open_address_is_refused_before_anything_listens() {
    let config = WebConfig { listen: Some("0.0.0.0:0".into()), ..WebConfig::default() };
    let error = try_start(config.clone(), state(Duration::from_secs(1), 10), None).err().unwrap().to_string();
    assert!(error.contains("http.token_file") && error.contains("http.insecure"), "{error}");
    let insecure = WebConfig { insecure: true, ..config };
    let server = try_start(insecure, state(Duration::from_secs(1), 10), None).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], server.address.port()));
    assert_eq!(get(address, "/healthz").code, 200);
}

#[test]
fn a_taken_port_is_told() {
    let first = start(loopback());
    let config = WebConfig { listen: Some(first.address.to_string()), ..WebConfig::default() };
    let error = try_start(config, state(Duration::from_secs(1), 10), None).err().unwrap().to_string();
    assert!(
        error.starts_with(&format!("http.listen = \"{}\": Address already in use", first.address)),
        "{error}"
    );
}

/// A self-signed certificate for localhost, or false where there is no openssl.
pub fn certificate(folder: &Path) -> bool {
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("cert.pem"))
        .output();
    match output {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            true
        }
        Err(_) => {
            println!("SKIP: no openssl");
            false
        }
    }
}

fn over_tls(address: SocketAddr, cert: &Path) -> std::io::Result<Reply> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(cert).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream: StreamOwned<_, TcpStream> = StreamOwned::new(connection, connect(address));
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(Reply::parse(&answer).unwrap())
}

#[test]
fn tls_is_spoken_and_its_certificate_changes_on_reload() {
    let folder = tempfile::tempdir().unwrap();
    let (first, next) = (folder.path().join("first"), folder.path().join("next"));
    std::fs::create_dir_all(&first).unwrap();
    std::fs::create_dir_all(&next).unwrap();
    if !certificate(&first) || !certificate(&next) {
        return;
    }
    let used = |name: &str| folder.path().join(name);
    let install = |from: &Path| {
        for name in ["cert.pem", "key.pem"] {
            std::fs::copy(from.join(name), used(name)).unwrap();
        }
    };
    install(&first);
    let config = WebConfig { tls_cert: Some(used("cert.pem")), tls_key: Some(used("key.pem")), ..loopback() };
    let server = start(config);
    assert_eq!(over_tls(server.address, &first.join("cert.pem")).unwrap().code, 200);
    let plain = raw(server.address, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(!plain.starts_with(b"HTTP"), "nothing is told in the clear");

    std::fs::copy(next.join("cert.pem"), used("cert.pem")).unwrap();
    let error = server.handle.as_ref().unwrap().reload().unwrap_err().to_string();
    assert!(error.contains("http.tls_key") && error.contains("does not go with"), "{error}");
    assert_eq!(over_tls(server.address, &first.join("cert.pem")).unwrap().code, 200);

    install(&next);
    server.handle.as_ref().unwrap().reload().unwrap();
    assert_eq!(over_tls(server.address, &next.join("cert.pem")).unwrap().code, 200);
    over_tls(server.address, &first.join("cert.pem")).unwrap_err();
}
