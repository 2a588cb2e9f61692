//! `trait Publisher` over MQTT 5 or 3.1.1: a pure queue and a pure link policy, driven by one thread around a connection.
//!
//! A connection is used once and holds no state beyond its end. Messages are submitted only while connected; a QoS 1 message is
//! removed from the queue only at its PUBACK.

pub mod attempt;
mod connection;
mod disk_thread;
mod driver;
pub mod link;
mod peer;
mod retained;
pub(crate) mod setup;
mod shared;
mod sweep;
pub mod wire;

use std::path::Path;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::inbox::{Inbox, Wake};
use super::latency::Overhead;
use super::outbox::{Segments, Storage};
use super::payload::{NodeState, json};
use super::queue::{Limits, Queue};
use super::topics::{self, Topics};
use super::{Class, Config, Message, PublishError, Publisher, Stats};
use crate::frame::names::NameKind;
use crate::frame::{Incoming, NodeName};
pub use retained::Keep;
use retained::Retained;
pub use setup::check_way;
use shared::Shared;

/// Files of a node in its state directory.
#[derive(Clone, Debug, Default)]
pub struct Kept<'a> {
    /// The manifest of retained messages.
    pub retained: Option<Keep>,
    /// Directory of events that were not delivered.
    pub outbox: Option<&'a Path>,
}

/// Time for writing events to disk at a stop.
const KEEPING: Duration = Duration::from_millis(500);

/// Time beyond its deadline for the thread to end.
const GRACE: Duration = Duration::from_millis(250);

/// A connection to a broker that reconnects for ever, with its queue.
pub struct Mqtt {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Mqtt {
    /// Connects as `node`: publishes `online` (retained) at every connection; `offline` is the will and is published at
    /// [`Mqtt::stop`]. Returns at once and connects in the background.
    ///
    /// # Errors
    /// [`PublishError`] naming the file or setting that cannot be used.
    pub fn start(config: &Config, node: &str) -> Result<Self, PublishError> {
        Self::start_keeping(config, node, Kept::default())
    }

    /// As [`Mqtt::start`]; keeps on disk what `kept` names. Events that an earlier run of `node` left there are sent first, and retained
    /// messages that are no longer this node's (of other names, prefixes and pipelines) are cleared.
    ///
    /// # Errors
    /// As [`Mqtt::start`]. Trouble with the directory is logged, and events go on in memory.
    pub fn start_keeping(config: &Config, node: &str, kept: Kept<'_>) -> Result<Self, PublishError> {
        let topics = Topics::new(&config.prefix, &NodeName::new(node)?)?;
        let outbox = &config.outbox;
        let ttl = Duration::from_secs(outbox.ttl_s);
        let storage = kept.outbox.map(|dir| {
            let segments = Segments::new(dir, &config.prefix, node, outbox.max_bytes, ttl);
            Box::new(segments) as Box<dyn Storage>
        });
        Self::open(config, &config.client_id(node), Some(topics.state()), kept.retained, storage)
    }

    /// Names the pipelines that this node has now: the retained messages of others are cleared.
    pub fn own_pipelines(&self, pipelines: Vec<String>) {
        let now = Instant::now();
        let mut state = self.shared.lock();
        for topic in state.retained.own(pipelines) {
            // A state that waits, or is sent again at the next connection, would be there again. Its topic was taken before.
            let _ = state.queue.push(Message { topic, payload: Vec::new(), class: Class::State, timing: None }, now);
        }
        drop(state);
        self.shared.wake.notify_one();
    }

    /// Connects without a state topic or will, as an observer.
    ///
    /// # Errors
    /// As [`Mqtt::start`].
    pub fn listen(config: &Config, client_id: &str) -> Result<Self, PublishError> {
        Self::open(config, client_id, None, None, None)
    }

    /// Subscribes to `filter` at this and every later connection. At most `capacity` messages wait in the channel and as many
    /// behind it; for a slower reader the oldest are dropped and counted. The channel ends when the publisher stops; dropping the
    /// receiver ends the subscription.
    ///
    /// # Errors
    /// [`PublishError::Name`] when `filter` is no topic filter.
    pub fn subscribe(&self, filter: &str, capacity: usize) -> Result<Receiver<Incoming>, PublishError> {
        self.subscribe_with(filter, capacity, None)
    }

    /// As [`Mqtt::subscribe`]; calls `wake` for every message put into the channel.
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

    /// Waits until the broker has granted the subscription to `filter` on the present connection, or until `deadline`. Returns
    /// `true` when it has.
    pub fn wait_subscribed(&self, filter: &str, deadline: Instant) -> bool {
        self.shared.wait(deadline, |state| state.granted.iter().any(|granted| granted == filter))
    }

    /// Time from capture to the broker's socket of the latest results.
    pub fn overhead(&self) -> Overhead {
        self.shared.lock().latency.overhead()
    }

    /// Waits for a connection until `deadline`. Returns `true` when connected.
    pub fn wait_connected(&self, deadline: Instant) -> bool {
        self.shared.wait(deadline, |state| state.queue.stats().connected)
    }

    /// Sends waiting messages, publishes `offline`, disconnects and ends the threads, all by `deadline`. Returns `true` when every
    /// event was delivered or is on disk, and everything else was delivered. Without a connection it gives up at once unless events wait
    /// that no disk takes. Messages published later are dropped and counted.
    pub fn stop(&self, deadline: Instant) -> bool {
        let mut state = self.shared.lock();
        let keeps = state.queue.is_safe();
        let send_until = if keeps { deadline.checked_sub(KEEPING).unwrap_or(deadline) } else { deadline };
        if state.stop.is_none_or(|before| send_until < before) {
            state.stop = Some(send_until);
        }
        drop(state);
        self.shared.wake.notify_one();
        let ended = self.shared.wait(deadline + GRACE, |state| state.ended.is_some());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (true, Some(thread)) = (ended, thread) {
            // The thread has finished its work and is only returning; its panics were handled inside.
            let _ = thread.join();
        }
        let delivered = self.shared.lock().ended == Some(true);
        let kept = self.keep(deadline.max(Instant::now() + KEEPING));
        delivered || kept
    }

    /// Ends the thread of the disk after it has written what was not acknowledged. Returns `true` when there is
    /// one and every event is on disk or delivered.
    fn keep(&self, deadline: Instant) -> bool {
        self.shared.lock().queue.keep();
        self.shared.wake_disk();
        self.shared.wait(deadline, |state| state.disk_ended || !state.keeps);
        let state = self.shared.lock();
        let unstored = state.queue.unstored_events();
        if state.keeps && unstored > 0 {
            tracing::error!("{unstored} events are lost: the disk did not take them before the stop");
        }
        state.keeps && unstored == 0
    }

    fn open(
        config: &Config,
        client_id: &str,
        state_topic: Option<String>,
        keep: Option<Keep>,
        storage: Option<Box<dyn Storage>>,
    ) -> Result<Self, PublishError> {
        NameKind::Prefix.check(&config.prefix)?;
        if client_id.is_empty() || client_id.len() > 128 {
            let reason = format!("{client_id:?} is no client id: 1 to 128 bytes are allowed");
            return Err(PublishError::Setting { key: "mqtt.client_id", reason });
        }
        let will = state_topic.clone().map(|topic| (topic, json(&NodeState::Offline)));
        let options = setup::options(config, client_id, will)?;
        if state_topic.is_some() && setup::credential_in_the_clear(config, &options) {
            tracing::warn!(
                "the MQTT password goes to {} without encryption: add [mqtt.tls], where the broker speaks TLS",
                options.host
            );
        }
        let limits = Limits { waiting: config.queue, packet_bytes: config.max_packet_bytes, ..Limits::default() };
        let queue = match &storage {
            Some(_) => Queue::kept(limits, &config.outbox, Instant::now()),
            None => Queue::new(limits),
        };
        let root = state_topic.as_deref().and_then(|topic| topic.strip_suffix("/state")).unwrap_or_default();
        let retained = keep.map(|keep| Retained::open(keep, options.broker(), root.to_owned()));
        let shared = Arc::new(Shared::new(queue, retained.unwrap_or_default()));
        let this = Mqtt { shared: shared.clone(), thread: Mutex::new(None) };
        if let Some(topic) = &state_topic {
            this.publish(Message {
                topic: topic.clone(),
                payload: json(&NodeState::Online),
                class: Class::State,
                timing: None,
            });
        }
        // Access lists may contain a configured client id.
        let short = topics::short_client_id(client_id);
        let short = Some(short).filter(|short| config.client_id.is_empty() && *short != client_id);
        if let Some(storage) = storage {
            shared.lock().keeps = true;
            disk_thread::spawn(shared.clone(), storage)?;
        }
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
        if matches!(message.class, Class::State | Class::Picture) {
            state.retained.publish(&message.topic, message.payload.is_empty());
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
        let mut state = self.shared.lock();
        // A disk that hangs has no thread to say so.
        let notices = state.queue.notices(Instant::now());
        let stats = state.queue.stats();
        drop(state);
        notices.iter().for_each(disk_thread::log);
        stats
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
