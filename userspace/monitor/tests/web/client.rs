//! A client that sends exactly the bytes it is given.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    pub code: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value)
        });
        found.map(str::trim)
    }

    /// Reads what a server sent until it closed.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let split = bytes.windows(4).position(|end| end == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
        let code = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self { code, head, body: bytes[split + 4..].to_vec() })
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Sends bytes, and reads until the server closes. A reset ends it like a close.
pub fn raw(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(address);
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut chunk = [0; 65536];
    while let Ok(count) = stream.read(&mut chunk) {
        if count == 0 {
            break;
        }
        answer.extend_from_slice(&chunk[..count]);
    }
    answer
}

/// A request with more headers, each with its line end.
pub fn request(address: SocketAddr, method: &str, path: &str, headers: &str) -> Reply {
    let text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    let bytes = raw(address, text.as_bytes());
    Reply::parse(&bytes)
        .unwrap_or_else(|| panic!("no answer to {method} {path}: {:?}", String::from_utf8_lossy(&bytes)))
}

pub fn get(address: SocketAddr, path: &str) -> Reply {
    request(address, "GET", path, "")
}
