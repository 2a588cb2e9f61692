//! `trait Publisher` over MQTT 3.1.1: a pure queue and a pure link policy, driven by one thread around a connection.
//!
//! The connection is treated as a pipe. A new one is made each time, so that nothing of the last one's memory matters;
//! messages are handed to it only while connected; a QoS 1 message is forgotten only at its PubAck.

pub mod attempt;
mod driver;
pub mod link;
mod peer;
pub(crate) mod setup;
mod shared;
pub mod wire;

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::inbox::{Inbox, Wake};
use super::latency::Overhead;
use super::payload::{NodeState, json};
use super::queue::{Limits, Queue};
use super::topics::{self, Topics};
use super::{Class, Config, Message, PublishError, Publisher, Stats};
use crate::frame::names::NameKind;
use crate::frame::{Incoming, NodeName};
use shared::Shared;

/// How long the thread may take to notice that it has to end, beyond the deadline it was given.
const GRACE: Duration = Duration::from_millis(250);

/// A connection to a broker that is kept up for ever, with everything that waits for it.
pub struct Mqtt {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Mqtt {
    /// Connects as `node`: `online` is published (retained) at every connection, `offline` is the will and is published at
    /// [`Mqtt::stop`]. Returns at once; the connection is made in the background, for ever.
    ///
    /// # Errors
    /// [`PublishError`] naming the file or setting that cannot be used.
    pub fn start(config: &Config, node: &str) -> Result<Self, PublishError> {
        let state = Topics::new(&config.prefix, &NodeName::new(node)?)?.state();
        Self::open(config, &config.client_id(node), Some(state))
    }

    /// Connects as somebody who says nothing about itself: for looking on.
    ///
    /// # Errors
    /// As [`Mqtt::start`].
    pub fn listen(config: &Config, client_id: &str) -> Result<Self, PublishError> {
        Self::open(config, client_id, None)
    }

    /// Subscribes to `filter` at this and every later connection. At most `capacity` messages wait in the channel and
    /// as many behind it; when the reader is slower than that the older ones are dropped and counted. The channel ends
    /// when the publisher was stopped; dropping the receiver ends the subscription.
    ///
    /// # Errors
    /// [`PublishError::Name`] when `filter` is none.
    pub fn subscribe(&self, filter: &str, capacity: usize) -> Result<Receiver<Incoming>, PublishError> {
        self.subscribe_with(filter, capacity, None)
    }

    /// As [`Mqtt::subscribe`]; `wake` is called for every message that was put into the channel.
    ///
    /// # Errors
    /// As [`Mqtt::subscribe`].
    pub fn subscribe_with(
        &self,
        filter: &str,
        capacity: usize,
        wake: Option<Wake>,
    ) -> Result<Receiver<Incoming>, PublishError> {
        NameKind::Filter.check(filter)?;
        let (inbox, receiver) = Inbox::new(filter, capacity, wake);
        let mut state = self.shared.lock();
        state.inboxes.push(inbox);
        state.subscribed = false;
        drop(state);
        self.shared.wake.notify_one();
        Ok(receiver)
    }

    /// Times from capture to the broker's socket of the latest results.
    pub fn overhead(&self) -> Overhead {
        self.shared.lock().latency.overhead()
    }

    /// Waits until the broker is there, or until `deadline`; whether it is.
    pub fn wait_connected(&self, deadline: Instant) -> bool {
        self.shared.wait(deadline, |state| state.queue.stats().connected)
    }

    /// Sends what waits, publishes `offline`, disconnects and ends the thread, all by `deadline`; whether everything
    /// was delivered. Without a connection it gives up at once unless events wait. What is published afterwards is
    /// dropped and counted.
    pub fn stop(&self, deadline: Instant) -> bool {
        let mut state = self.shared.lock();
        if state.stop.is_none_or(|before| deadline < before) {
            state.stop = Some(deadline);
        }
        drop(state);
        self.shared.wake.notify_one();
        let ended = self.shared.wait(deadline + GRACE, |state| state.ended.is_some());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (true, Some(thread)) = (ended, thread) {
            // The thread has done its work and is only returning; its panics were handled inside.
            let _ = thread.join();
        }
        self.shared.lock().ended == Some(true)
    }

    fn open(config: &Config, client_id: &str, state_topic: Option<String>) -> Result<Self, PublishError> {
        NameKind::Prefix.check(&config.prefix)?;
        if client_id.is_empty() || client_id.len() > 128 {
            let reason = format!("{client_id:?} is no client id: 1 to 128 bytes are allowed");
            return Err(PublishError::Setting { key: "mqtt.client_id", reason });
        }
        let will = state_topic.clone().map(|topic| (topic, json(&NodeState::Offline)));
        let options = setup::options(config, client_id, will)?;
        if state_topic.is_some() && setup::credential_in_the_clear(config, &options) {
            tracing::warn!(
                "the MQTT password goes to {} without encryption: add [mqtt.tls] with ca_file, where the broker speaks TLS",
                options.host
            );
        }
        let limits = Limits { waiting: config.queue, packet_bytes: config.max_packet_bytes, ..Limits::default() };
        let shared = Arc::new(Shared::new(Queue::new(limits)));
        let this = Mqtt { shared: shared.clone(), thread: Mutex::new(None) };
        if let Some(topic) = &state_topic {
            this.publish(Message {
                topic: topic.clone(),
                payload: json(&NodeState::Online),
                class: Class::State,
                timing: None,
            });
        }
        // One that was configured is what access lists may know.
        let short = topics::short_client_id(client_id);
        let short = Some(short).filter(|short| config.client_id.is_empty() && *short != client_id);
        let thread = driver::spawn(shared, options, short, state_topic)?;
        *this.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(this)
    }
}

impl Publisher for Mqtt {
    fn publish(&self, message: Message) {
        let now = Instant::now();
        let mut state = self.shared.lock();
        if state.stop.is_some() {
            state.queue.refuse();
            return;
        }
        if let Err(refusal) = state.queue.push(message, now) {
            state.log_refusal(&refusal, now);
            return;
        }
        let connected = state.queue.is_connected();
        drop(state);
        if connected {
            self.shared.wake.notify_one();
        }
    }

    fn stats(&self) -> Stats {
        self.shared.lock().queue.stats()
    }

    fn flush(&self, deadline: Instant) -> bool {
        self.shared.wait(deadline, |state| state.queue.settled() || state.ended.is_some())
            && self.shared.lock().queue.settled()
    }
}

impl Drop for Mqtt {
    fn drop(&mut self) {
        self.stop(Instant::now());
    }
}
