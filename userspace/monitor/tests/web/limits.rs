//! Requests that are malformed, slow, huge, many, old or for something else.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use waytrace_monitor::web::Server;

use super::client::{Reply, connect, get, raw, request};
use super::server::{loopback, start, state, target, window};

#[test]
fn every_path_answers_as_it_should() {
    let server = start(loopback());
    server.state.publish(window(0, vec![target("web", 3)]));
    for path in
        ["/", "/metrics", "/healthz", "/readyz", "/api/v1/windows", "/api/v1/alerts", "/api/v1/overview"]
    {
        let reply = get(server.address, path);
        assert_eq!(reply.code, 200, "{path}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
        let head = request(server.address, "HEAD", path, "");
        assert_eq!((head.code, head.body.len()), (200, 0), "{path}");
        let length: usize = head.header("content-length").unwrap().parse().unwrap();
        assert!(length > 0, "{path}");
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            let reply = request(server.address, method, path, "");
            assert_eq!((reply.code, reply.header("allow")), (405, Some("GET, HEAD")), "{method} {path}");
        }
    }
    for path in
        ["/x", "/metrics/", "//", "/api/v1", "/debug/pprof/profile", "/../etc/passwd", "/%2e%2e/etc/passwd"]
    {
        assert_eq!(get(server.address, path).code, 404, "{path}");
    }
}

#[test]
fn malformed_requests_get_400_or_nothing_and_the_next_one_an_answer() {
    let server = start(loopback());
    let malformed: [&[u8]; 12] = [
        b"\r\n\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n b: folded\r\n\r\n",
        b"GET \x00 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: nonsense\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\xff\xfe\xfd\x00\x01",
    ];
    for bytes in malformed {
        let stream = connect(server.address);
        let _ = (&stream).write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = (&stream).read_to_end(&mut answer);
        let code = Reply::parse(&answer).map(|reply| reply.code);
        assert!(matches!(code, None | Some(400 | 404 | 413 | 421 | 501 | 505)), "{code:?} to {bytes:?}");
    }
    let broken = get(server.address, "/metrics").text();
    assert!(!broken.contains("waytrace_http_broken_total 0\n"), "they are counted");
}

#[test]
fn bodies_and_huge_heads_are_refused() {
    let server = start(loopback());
    let reply = request(server.address, "GET", "/", "Content-Length: 5\r\n");
    assert_eq!(reply.code, 413);
    let reply = request(server.address, "POST", "/metrics", "Transfer-Encoding: chunked\r\n");
    assert_eq!(reply.code, 413);
    let huge = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let code = Reply::parse(&raw(server.address, huge.as_bytes())).map(|reply| reply.code);
    assert!(matches!(code, None | Some(431 | 400)), "{code:?}");
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "a: b\r\n".repeat(500));
    let code = Reply::parse(&raw(server.address, many.as_bytes())).map(|reply| reply.code);
    assert!(matches!(code, None | Some(431 | 400)), "{code:?}");
    let path = format!("/{}", "x".repeat(12 << 10));
    assert!(matches!(get(server.address, &path).code, 404 | 414 | 431));
    assert_eq!(get(server.address, "/healthz").code, 200);
}

#[test]
fn old_and_pipelined_requests_are_answered() {
    let server = start(loopback());
    let old = Reply::parse(&raw(server.address, b"GET /healthz HTTP/1.0\r\n\r\n")).unwrap();
    assert_eq!((old.code, old.text().as_str()), (200, "ok\n"));
    let one = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let last = "GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answers =
        String::from_utf8(raw(server.address, format!("{}{last}", one.repeat(20)).as_bytes())).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 20);
    assert_eq!(answers.matches("HTTP/1.1 404 Not Found").count(), 1);
    assert!(answers.find("404").unwrap() > answers.rfind("200 OK").unwrap(), "in order");
}

#[test]
fn two_hundred_at_once_are_answered_or_refused() {
    let server = start(loopback());
    server.state.publish(window(0, (0..50).map(|n| target(&format!("t{n}"), n)).collect()));
    let address = server.address;
    let clients: Vec<_> = (0..200)
        .map(|_| {
            std::thread::spawn(move || {
                let text = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
                Reply::parse(&raw(address, text.as_bytes())).map(|reply| reply.code)
            })
        })
        .collect();
    let codes: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    let answered = codes.iter().filter(|code| **code == Some(200)).count();
    assert!(answered >= 64, "{answered} of 200: {codes:?}");
    assert!(codes.iter().all(|code| matches!(code, None | Some(200 | 503))), "{codes:?}");
}

#[test]
fn slow_ones_hold_their_place_only_so_long() {
    let server = start(loopback());
    let slow: Vec<_> = (0..64)
        .map(|_| {
            let mut stream = connect(server.address);
            stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").unwrap();
            stream
        })
        .collect();
    // All places are taken: refused, in so many words or by a close.
    let refused = raw(server.address, b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(Reply::parse(&refused).is_none_or(|reply| reply.code == 503));
    for mut stream in slow {
        let mut rest = Vec::new();
        // A client that waited for ever would get the time-out of its own read here.
        stream.read_to_end(&mut rest).unwrap();
        assert!(Reply::parse(&rest).is_none_or(|reply| reply.code == 408));
    }
    assert_eq!(get(server.address, "/x").code, 404);
}

#[test]
fn stopping_closes_what_is_idle_and_frees_the_port() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let handle =
        Server::start(loopback(), state(Duration::from_secs(1), 10), None, runtime.handle()).unwrap();
    let address = handle.address().unwrap();
    let mut idle = connect(address);
    let asked = runtime.block_on(async {
        let code = tokio::task::spawn_blocking(move || get(address, "/healthz").code).await.unwrap();
        handle.stop(Duration::from_secs(30)).await;
        code
    });
    assert_eq!(asked, 200);
    let mut rest = Vec::new();
    assert_eq!(idle.read_to_end(&mut rest).unwrap_or(0), 0, "without a word");
    std::net::TcpListener::bind(address).unwrap();
}

#[test]
fn health_is_that_windows_come() {
    let server = start(loopback());
    assert_eq!(get(server.address, "/readyz").code, 503);
    server.state.publish(window(0, Vec::new()));
    assert_eq!((get(server.address, "/readyz").code, get(server.address, "/healthz").code), (200, 200));
    let start = Instant::now();
    while get(server.address, "/healthz").code == 200 {
        assert!(start.elapsed() < Duration::from_secs(60), "three windows are three seconds here");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(get(server.address, "/healthz").text().starts_with("no window for"));
    assert_eq!(get(server.address, "/readyz").code, 200);
    server.state.publish(window(1, Vec::new()));
    assert_eq!(get(server.address, "/healthz").code, 200);
}
