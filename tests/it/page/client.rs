//! A client of HTTP/1.1 that can also misbehave.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Time for an answer.
const SOON: Duration = Duration::from_secs(30);

/// An answer that was read to its end.
pub struct Answer {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.set_write_timeout(Some(SOON)).unwrap();
    stream
}

/// Sends `head` as it is (with `Host` and the end of the connection where it has no `Host`) and reads the answer.
pub fn raw(address: SocketAddr, head: &str) -> Answer {
    let mut stream = connect(address);
    // An early answer may close the connection while this is still written.
    let _ = stream.write_all(head.as_bytes());
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    answer(&bytes)
}

fn answer(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(bytes.len());
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    Answer { status, head, body: bytes.get(end + 4..).unwrap_or_default().to_vec() }
}

/// GET with more lines of a head, each with its `\r\n`.
pub fn get_with(address: SocketAddr, path: &str, lines: &str) -> Answer {
    raw(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{lines}\r\n"))
}

pub fn get(address: SocketAddr, path: &str) -> Answer {
    get_with(address, path, "")
}

/// POST of `body` with more lines of a head, each with its `\r\n`.
pub fn post(address: SocketAddr, path: &str, lines: &str, body: &[u8]) -> Answer {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{lines}\r\n"
    );
    let mut stream = connect(address);
    // An early answer may close the connection while this is still written.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    answer(&bytes)
}

/// Reads a stream that does not end until `enough`, or for half a minute.
pub fn watch(address: SocketAddr, path: &str, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut stream = connect(address);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let (mut bytes, mut chunk, until) = (Vec::new(), [0; 8192], Instant::now() + SOON);
    while !enough(&bytes) {
        assert!(Instant::now() < until, "{path}: {} bytes: {}", bytes.len(), String::from_utf8_lossy(&bytes));
        let count = stream.read(&mut chunk).unwrap();
        assert!(count > 0, "{path} ended: {}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&chunk[..count]);
    }
    bytes
}
