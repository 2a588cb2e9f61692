//! The parts that every request uses.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{Semaphore, broadcast};

use super::feed::Feed;
use super::guard::{Guard, same};
use super::photos::Photos;

/// Picture files that are sent at once.
const UPLOADS: usize = 2;

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
    /// Things may be changed here.
    pub edits: bool,
    /// Word that a request has to know that changes something.
    pub token: String,
    /// Pictures that are drawn on.
    pub photos: Mutex<Photos>,
    /// The turn to work on a picture: one at a time, so that memory and processor are there for the pipelines.
    pub turn: Semaphore,
    /// Places for picture files that are being sent.
    pub uploads: Semaphore,
}

impl Shared {
    /// Nothing was looked for yet; `edits` lets things be changed by who knows `token`.
    pub fn new(
        feed: Arc<Feed>,
        guard: Mutex<Guard>,
        news: broadcast::Sender<Bytes>,
        edits: bool,
        token: String,
    ) -> Shared {
        let findings = tokio::sync::Mutex::new(Value::Null);
        let (turn, uploads) = (Semaphore::new(1), Semaphore::new(UPLOADS));
        Shared { feed, guard, news, findings, edits, token, photos: Mutex::default(), turn, uploads }
    }

    /// Compares a word with the token.
    pub fn is_token(&self, given: &[u8]) -> bool {
        same(given, self.token.as_bytes())
    }

    /// Hands text of an event stream to those who listen.
    pub fn tell(&self, text: Bytes) {
        // It fails where nobody listens.
        let _ = self.news.send(text);
    }
}
