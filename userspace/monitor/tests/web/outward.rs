//! Hooks and pushes over TLS: to whom the named certificate belongs, and to nobody else.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use waytrace_model::monitor::Alert;
use waytrace_monitor::hooks::{HookConfig, HookState, Hooks};
use waytrace_monitor::rules::Event;

use super::access::certificate;

/// Takes one request after the other with the certificate of a folder and tells what it was; tells "" of who hung up.
fn endpoint(folder: &Path) -> (String, Receiver<String>) {
    let certificate = CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}/alerts", listener.local_addr().unwrap().port());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            let mut bytes = vec![0; 1 << 16];
            let mut length = 0;
            // The body is JSON and ends with the brace that closes it.
            while !bytes[..length].ends_with(b"}") {
                match stream.read(&mut bytes[length..]) {
                    Ok(count) if count > 0 => length += count,
                    _ => break,
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.flush();
            if tell.send(String::from_utf8_lossy(&bytes[..length]).into_owned()).is_err() {
                return;
            }
        }
    });
    (url, told)
}

fn told(hook: HookConfig, is_so: impl Fn(&HookState) -> bool) -> HookState {
    let hooks = Hooks::start(&[hook], "host-7").unwrap();
    hooks.tell(&["ops".to_owned()], &Event::Began(Alert { rule: "leak".to_owned(), ..Alert::default() }));
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let state = hooks.states().remove(0);
        if is_so(&state) || Instant::now() > end {
            return state;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_webhook_is_told_over_tls_if_it_is_who_was_named() {
    let (ours, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    if !certificate(ours.path()) || !certificate(others.path()) {
        return;
    }
    let (url, requests) = endpoint(ours.path());
    let hook = |trusted: &Path| HookConfig {
        webhook: Some(url.clone()),
        ca_file: Some(trusted.join("cert.pem")),
        timeout: Duration::from_secs(20),
        ..HookConfig::new("ops")
    };
    let state = told(hook(ours.path()), |state| state.delivered == 1);
    assert_eq!((state.delivered, state.failed), (1, 0), "{state:?}");
    let request = requests.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(request.starts_with("POST /alerts HTTP/1.1") && request.contains("\"leak\""), "{request}");

    let state = told(hook(others.path()), |state| state.failed > 0);
    assert_eq!(state.delivered, 0);
    let why = state.last_error.unwrap();
    assert!(why.contains("certificate"), "{why}");
    let request = requests.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(request, "", "nothing is told to strangers");
}
