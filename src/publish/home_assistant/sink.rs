//! The sink that publishes the discovery message.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use super::config::Config;
use super::discovery::{Discovery, Standing};
use super::entities::Controls;
use super::facts::{Facts, Readings};
use crate::frame::status::{self, NodeStatus};
use crate::frame::{Emission, Incoming, Sink};
use crate::publish::requests::{Requests, Verb};
use crate::publish::topics::Topics;
use crate::publish::{Class, Message, Publisher};

/// Messages of each subscription that may wait for the next status; the newest stay.
pub const WAITING: usize = 4;

/// Publishes and keeps up the discovery message of one node.
pub struct HomeAssistant {
    publisher: Arc<dyn Publisher>,
    topic: String,
    enabled: bool,
    state: Mutex<State>,
}

struct State {
    discovery: Discovery,
    readings: Readings,
    /// Messages on the discovery topic.
    own: Receiver<Incoming>,
    /// Births of Home Assistant.
    births: Receiver<Incoming>,
    /// Standing as logged, each part once.
    told: Standing,
}

impl HomeAssistant {
    /// For the node `node` with `topics`, obeying `requests`; `own` and `births` are what comes on [`Config::topic`] and
    /// [`Config::birth_topic`].
    pub fn new(
        publisher: Arc<dyn Publisher>,
        config: &Config,
        node: &str,
        topics: Topics,
        requests: &Requests,
        [own, births]: [Receiver<Incoming>; 2],
    ) -> HomeAssistant {
        let controls = Controls { mode: requests.allow(Verb::GovernorSet), pause: requests.allow(Verb::DetectSet) };
        let discovery = Discovery::new(config.enabled, topics, controls);
        let state = State { discovery, readings: Readings::default(), own, births, told: Standing::default() };
        HomeAssistant { publisher, topic: config.topic(node), enabled: config.enabled, state: Mutex::new(state) }
    }

    /// Its standing.
    pub fn status(&self) -> status::HomeAssistant {
        let Standing { published, seen, foreign: _ } = self.lock().discovery.standing();
        status::HomeAssistant { enabled: self.enabled, published, seen }
    }

    fn turn(&self, status: &NodeStatus) {
        let mut state = self.lock();
        let State { discovery, readings, own, births, told } = &mut *state;
        while let Ok(message) = own.try_recv() {
            discovery.received(&message.payload, message.retain, status.at);
        }
        while let Ok(message) = births.try_recv() {
            discovery.birth(&message.payload);
        }
        let facts = Facts::of(status, *readings);
        *readings = facts.readings;
        let due = discovery.turn(&facts, status.publisher.connected, status.at);
        self.tell(told, discovery.standing());
        drop(state);
        if let Some(payload) = due {
            let topic = self.topic.clone();
            self.publisher.publish(Message { topic, payload, class: Class::State, timing: None });
        }
    }

    /// Logs what a person who waits for entities wants to know, once.
    fn tell(&self, told: &mut Standing, now: Standing) {
        let topic = self.topic.as_str();
        if now.foreign && !told.foreign && self.enabled {
            tracing::warn!(topic, "Home Assistant: another program has this topic, give [node] another name");
        }
        if now.published && !told.published {
            tracing::info!(topic, "Home Assistant: the discovery message is published");
        }
        if now.seen && !told.seen {
            tracing::info!("Home Assistant is there");
        }
        told.published |= now.published;
        told.seen |= now.seen;
        told.foreign |= now.foreign;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for HomeAssistant {
    fn take(&self, emission: &Emission) {
        match emission {
            Emission::Status(status) => self.turn(status),
            Emission::Output(_) | Emission::Events { .. } | Emission::Removed(_) | Emission::Stopped(_) => {}
        }
    }
}
