//! A client of the daemon's embedded broker that collects what the daemon publishes; it needs no program beside the binary.

use std::io::Write;
use std::net::TcpStream;
use std::time::Instant;

use serde_json::Value;

use crate::common;
use crate::mosquitto::{SOON, wait_until};
use crate::publish::scripted::{client, connect, packet, published, read, string};

/// Lines of a configuration: a node called `test` with the broker inside on `port`.
pub fn node(port: u16, node: &str) -> String {
    format!("[node]\nname = \"test\"\n{node}\n[broker]\nenabled = true\nlisten = \"127.0.0.1:{port}\"\n")
}

/// A subscriber of `leptond/test/#`.
pub struct Subscriber {
    port: u16,
    stream: TcpStream,
    /// Topic below `leptond/test/`, and payload as JSON (`Null` when it is none).
    pub seen: Vec<(String, Value)>,
}

impl Subscriber {
    /// Waits until the broker on `port` listens, and subscribes.
    pub fn start(port: u16) -> Self {
        wait_until("the broker listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        let mut stream = client(port, &connect(2, b"ear", &[])).unwrap();
        stream.write_all(&packet(0x82, &[&[0, 1], string(b"leptond/test/#").as_slice(), &[0]].concat())).unwrap();
        Subscriber { port, stream, seen: Vec::new() }
    }

    /// Publishes with QoS 1, not retained, as a client of its own; returns once the broker has it.
    pub fn publish(&self, topic: &str, payload: &str) {
        let mut stream = client(self.port, &connect(2, b"mouth", &[])).unwrap();
        let body = [string(topic.as_bytes()).as_slice(), &[0, 1], payload.as_bytes()].concat();
        stream.write_all(&packet(0x32, &body)).unwrap();
        assert_eq!(read(&mut stream), Some((0x40, vec![0, 1])), "PUBACK for {topic}");
        stream.write_all(&packet(0xe0, &[])).unwrap();
    }

    /// Takes messages until they satisfy `predicate`; fails the test when they do not in time.
    pub fn wait_for(&mut self, what: &str, predicate: impl Fn(&[(String, Value)]) -> bool) {
        let deadline = Instant::now() + common::patiently(SOON);
        while !predicate(&self.seen) {
            assert!(Instant::now() < deadline, "no {what}: {:?}", self.seen);
            self.take();
        }
    }

    /// Takes the next message.
    pub fn take(&mut self) {
        let (first, body) = read(&mut self.stream).expect("a message of the broker's");
        if first >> 4 == 3 {
            let (topic, _, payload) = published(first, &body);
            let topic = topic.trim_start_matches("leptond/test/").to_owned();
            self.seen.push((topic, serde_json::from_slice(&payload).unwrap_or_default()));
        }
    }
}
