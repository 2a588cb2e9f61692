//! Decides when a discovery message is published, and which entities it takes away. The broker's copy of an earlier run is the memory of it.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::component::{Platform, owner};
use super::entities::{self, Controls};
use super::facts::Facts;
use super::naming::title;
use super::states;
use crate::publish::payload;
use crate::publish::topics::Topics;

/// Time after a connection for the retained message to come, if there is one.
const LISTEN: Duration = Duration::from_secs(2);

/// Time for a message to come back from the broker, after which it is taken for published.
const ECHO: Duration = Duration::from_secs(30);

/// Least time between two messages.
const PAUSE: Duration = Duration::from_secs(5);

/// Components that are remembered at most; there are no more in any of our messages.
const MOST_REMEMBERED: usize = 4096;

/// The name by which a message is known as one of this program.
const ORIGIN: &str = "leptond";

/// The discovery message of one node, as far as the broker has it.
pub(super) struct Discovery {
    enabled: bool,
    topics: Topics,
    controls: Controls,
    /// Until when the retained message may still come; `None` = not connected.
    listening: Option<Instant>,
    /// The payload that was sent last, or found; empty = none.
    kept: Vec<u8>,
    /// The broker has been seen to have `kept`.
    confirmed: bool,
    /// The facts of `kept`.
    facts: Option<Facts>,
    /// `kept` may not be what is wanted, although the facts are the same.
    stale: bool,
    /// Components that Home Assistant may have, by id.
    components: Map<String, Value>,
    /// Ids of `components` that the last message takes away.
    leaving: Vec<String>,
    sent: Option<Instant>,
    /// Home Assistant started and may not have the message.
    asked: bool,
    /// A payload of another program is kept under this topic.
    foreign: bool,
    seen: bool,
}

/// Standing of the discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Standing {
    /// The broker has the message.
    pub(super) published: bool,
    /// Home Assistant said that it is there.
    pub(super) seen: bool,
    /// Another program has the topic.
    pub(super) foreign: bool,
}

impl Discovery {
    /// Nothing published yet. Unless `enabled`, what an earlier run published is taken away.
    pub(super) fn new(enabled: bool, topics: Topics, controls: Controls) -> Discovery {
        Discovery {
            enabled,
            topics,
            controls,
            listening: None,
            kept: Vec::new(),
            confirmed: false,
            facts: None,
            stale: false,
            components: Map::new(),
            leaving: Vec::new(),
            sent: None,
            asked: false,
            foreign: false,
            seen: false,
        }
    }

    /// Its standing.
    pub(super) fn standing(&self) -> Standing {
        let published = self.enabled && self.confirmed && !self.kept.is_empty();
        Standing { published, seen: self.seen, foreign: self.foreign }
    }

    /// Takes what came on the discovery topic at `now`: what the broker keeps, or what this node or another client publishes.
    pub(super) fn received(&mut self, payload: &[u8], retained: bool, now: Instant) {
        if payload == self.kept {
            self.confirmed = true;
            self.left();
        } else if retained {
            self.found(payload);
        } else if payload.is_empty() {
            // A person has deleted the device; it comes back with the next change, or the next start of either side.
            self.confirmed = false;
        }
        if retained {
            self.listening = Some(now);
        }
    }

    /// Home Assistant said `online` or `offline`.
    pub(super) fn birth(&mut self, payload: &[u8]) {
        if payload == b"online" {
            self.asked = true;
            self.seen = true;
        }
    }

    /// The payload to publish at `now`, if one is due.
    pub(super) fn turn(&mut self, facts: &Facts, connected: bool, now: Instant) -> Option<Vec<u8>> {
        if !connected {
            self.listening = None;
            return None;
        }
        let until = *self.listening.get_or_insert_with(|| {
            // A broker that was started again may have forgotten it.
            self.kept.clear();
            self.confirmed = false;
            self.stale = true;
            now + LISTEN
        });
        if now < until || self.sent.is_some_and(|sent| now < sent + PAUSE) || self.foreign {
            return None;
        }
        if self.sent.is_some_and(|sent| now >= sent + ECHO) {
            self.left();
        }
        let asked = self.enabled && std::mem::take(&mut self.asked);
        if !self.stale && !asked && self.facts.as_ref() == Some(facts) {
            return None;
        }
        let payload = if self.enabled { self.message(facts) } else { Vec::new() };
        self.facts = Some(facts.clone());
        self.stale = false;
        if payload == self.kept && !asked {
            return None;
        }
        self.sent = Some(now);
        self.confirmed = false;
        self.kept.clone_from(&payload);
        Some(payload)
    }

    /// Takes over a message of an earlier run, or notices one of another program.
    fn found(&mut self, payload: &[u8]) {
        self.kept = payload.to_vec();
        self.confirmed = true;
        self.stale = true;
        let message = serde_json::from_slice::<Value>(payload).unwrap_or_default();
        let origin = message.pointer("/origin/name").and_then(Value::as_str);
        self.foreign = origin.is_some_and(|name| name != ORIGIN);
        let Some(Value::Object(found)) = message.get("components").filter(|_| !self.foreign) else { return };
        for (id, component) in found.iter().filter(|(_, component)| Platform::of(component).is_some()) {
            if self.components.len() < MOST_REMEMBERED && !self.components.contains_key(id) {
                self.components.insert(id.clone(), component.clone());
            }
        }
    }

    /// Forgets the components that the last message took away.
    fn left(&mut self) {
        for id in self.leaving.drain(..) {
            self.components.remove(&id);
            self.stale = true;
        }
    }

    /// The message, with what is to be taken away.
    fn message(&mut self, facts: &Facts) -> Vec<u8> {
        let mut components = entities::components(facts, &self.topics, self.controls);
        let absent = |id: &str| owner(id).is_some_and(|name| facts.absent.iter().any(|absent| *absent == name));
        self.leaving.clear();
        for (id, before) in std::mem::take(&mut self.components) {
            if components.contains_key(&id) {
                continue;
            }
            // The entities of a pipeline that waits for its model or device are those that it had.
            if absent(&id) {
                components.insert(id, before);
            } else if let Some(platform) = Platform::of(&before) {
                components.insert(id.clone(), platform.removed());
                self.leaving.push(id);
            }
        }
        self.components.clone_from(&components);
        let mut origin = json!({ "name": ORIGIN, "sw_version": facts.version });
        if let Some(url) = Some(env!("CARGO_PKG_REPOSITORY")).filter(|url| !url.is_empty()) {
            origin["support_url"] = url.into();
        }
        payload::json(&json!({
            "device": {
                "identifiers": [format!("leptond_{}", facts.node)],
                "name": title(&facts.node),
                "model": &*facts.board,
                "sw_version": facts.version,
            },
            "origin": origin,
            "availability": [{
                "topic": self.topics.state(),
                "value_template": states::ONLINE,
            }],
            "components": components,
        }))
    }
}

#[cfg(test)]
#[path = "discovery_tests.rs"]
mod tests;
