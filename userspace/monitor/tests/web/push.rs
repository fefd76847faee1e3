//! Profiles on their way to a collector that takes them, refuses them, is slow, or is not there.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, UNIX_EPOCH};

use waytrace_monitor::web::{ProfileKind, PushConfig, PushProfile, Pusher, WebConfig};

use super::client::get;
use super::server::{loopback, start};

/// Answers each request with the next of `answers`, the last one for good; tells what came.
fn collector(answers: &'static [&'static str]) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for (stream, number) in listener.incoming().zip(0..) {
            let mut stream = stream.unwrap();
            let mut bytes = Vec::new();
            let mut chunk = [0; 4096];
            let text = loop {
                let count = stream.read(&mut chunk).unwrap_or(0);
                bytes.extend_from_slice(&chunk[..count]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let length = text.lines().find_map(|line| {
                    line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
                });
                if count == 0
                    || text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.len() >= length.unwrap_or(0))
                {
                    break text;
                }
            };
            let answer = answers[answers.len().min(number + 1) - 1];
            let _ = write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            if tell.send(text).is_err() {
                return;
            }
        }
    });
    (address, told)
}

fn config(url: &str, more: &str) -> PushConfig {
    serde_json::from_str(&format!("{{\"url\":\"{url}\"{more}}}")).unwrap()
}

fn profile(target: &str) -> PushProfile {
    let from = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let until = from + Duration::from_secs(10);
    PushProfile { target: target.into(), kind: ProfileKind::Heap, from, until, pprof: b"a profile".to_vec() }
}

fn wait_for(address: SocketAddr, line: &str) {
    let start = Instant::now();
    loop {
        let page = get(address, "/metrics").text();
        if page.lines().any(|found| found == line) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "no {line} in\n{page}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn pyroscope_gets_name_time_and_profile() {
    let (address, told) = collector(&["200 OK"]);
    let server = start(loopback());
    let pusher = Pusher::start(&config(&format!("http://{address}/"), ""), &server.state).unwrap();
    pusher.push(profile("web"));
    let request = told.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(request.starts_with("POST /ingest?name=waytrace.web%7Bkind%3Dheap%2Chost%3D"), "{request}");
    assert!(request.contains("&from=1700000000&until=1700000010&format=pprof"), "{request}");
    assert!(request.ends_with("\r\n\r\na profile"), "{request}");
    wait_for(server.address, "waytrace_push_sent_total 1");
    wait_for(server.address, "waytrace_push_up 1");
}

#[test]
fn parca_gets_json_and_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "0123456789abcdef\n").unwrap();
    let (address, told) = collector(&["200 OK"]);
    let server = start(loopback());
    let more = format!(",\"protocol\":\"parca\",\"token_file\":{token:?}");
    let pusher = Pusher::start(&config(&format!("http://{address}"), &more), &server.state).unwrap();
    pusher.push(profile("web"));
    let request = told.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(request.starts_with("POST /profiles/writeraw HTTP/1.1\r\n"), "{request}");
    assert!(request.to_lowercase().contains("authorization: bearer 0123456789abcdef\r\n"), "{request}");
    let body: serde_json::Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body["series"][0]["samples"][0]["rawProfile"], "YSBwcm9maWxl");
}

#[test]
fn trouble_that_may_pass_is_waited_for_and_other_is_not() {
    let (address, told) = collector(&["503 Busy", "429 Slow Down", "200 OK", "400 No"]);
    let server = start(loopback());
    let pusher = Pusher::start(&config(&format!("http://{address}"), ""), &server.state).unwrap();
    pusher.push(profile("first"));
    for _ in 0..3 {
        assert!(told.recv_timeout(Duration::from_secs(30)).unwrap().contains("waytrace.first"));
    }
    wait_for(server.address, "waytrace_push_sent_total 1");
    pusher.push(profile("second"));
    told.recv_timeout(Duration::from_secs(30)).unwrap();
    wait_for(server.address, "waytrace_push_dropped_total 1");
    wait_for(server.address, "waytrace_push_failed_total 3");
    wait_for(server.address, "waytrace_push_up 0");
}

#[test]
fn a_collector_that_is_not_there_or_never_answers_delays_nobody() {
    // Accepts into its backlog and never reads.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [silent.local_addr().unwrap(), gone] {
        let server = start(loopback());
        let pusher =
            Pusher::start(&config(&format!("http://{address}"), ",\"timeout_s\":1"), &server.state).unwrap();
        for n in 0..100 {
            pusher.push(profile(&n.to_string()));
        }
        wait_for(server.address, "waytrace_push_up 0");
        let page = get(server.address, "/metrics").text();
        let dropped: u64 = page
            .lines()
            .find_map(|line| line.strip_prefix("waytrace_push_dropped_total ")?.parse().ok())
            .unwrap();
        assert!((83..=84).contains(&dropped), "sixteen wait, one may be under way: {dropped}");
        assert_eq!(get(server.address, "/metrics").code, 200);
    }
}

#[test]
fn certificates_and_tokens_are_read_at_the_start() {
    let server = start(loopback());
    let refused = |more: &str| {
        Pusher::start(&config("https://collector", more), &server.state).err().unwrap().to_string()
    };
    assert!(
        refused(",\"ca_file\":\"nowhere\"").starts_with("http.push.ca_file = \"nowhere\" cannot be read")
    );
    assert!(
        refused(",\"token_file\":\"nowhere\"")
            .starts_with("http.push.token_file = \"nowhere\" cannot be read")
    );
    let with_push = WebConfig { push: Some(config("ftp://x", "")), ..loopback() };
    assert!(with_push.check().unwrap_err().to_string().contains("http.push.url = \"ftp://x\""));
}
