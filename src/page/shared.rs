//! The parts that every request uses.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::broadcast;

use super::feed::Feed;
use super::guard::Guard;

/// The address that a connection comes from.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// The parts that every request uses.
pub struct Shared {
    /// The newest of everything.
    pub feed: Arc<Feed>,
    /// The rules by which a request is let in.
    pub guard: Mutex<Guard>,
    /// News as text of an event stream.
    pub news: broadcast::Sender<Bytes>,
    /// Findings of the last look, one at a time.
    pub findings: tokio::sync::Mutex<Value>,
}

impl Shared {
    /// Nothing was looked for yet.
    pub fn new(feed: Arc<Feed>, guard: Mutex<Guard>, news: broadcast::Sender<Bytes>) -> Shared {
        Shared { feed, guard, news, findings: tokio::sync::Mutex::new(Value::Null) }
    }

    /// Hands text of an event stream to those who listen.
    pub fn tell(&self, text: Bytes) {
        // It fails where nobody listens.
        let _ = self.news.send(text);
    }
}
