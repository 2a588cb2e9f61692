//! The connection's thread: performs the decisions of the queue and the link policy.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::select;
use tokio::time::{sleep, sleep_until};

use super::connection::{Session, pass_on, publication, subscribe, sweep};
use super::link::{Ended, Failure, FailureKind, Link, Severity};
use super::shared::{Shared, State};
use super::sweep::Sweep;
use super::wire::{Client, Event, Granted, Options, Origin, Received, Refused, Skipped, Version, Wire};
use crate::frame::Incoming;
use crate::publish::inbox::Inbox;
use crate::publish::payload::{NodeState, json};
use crate::publish::topics::matches;
use crate::publish::{Class, Message, PublishError, Stats};

/// Requests waiting for the connection; more than the queue ever submits at once, plus subscriptions.
const CHANNEL: usize = 64;
/// Age of an unacknowledged message at which the connection is replaced.
const ACKNOWLEDGE: Duration = Duration::from_secs(30);
/// Time for the answers to the first subscriptions, before which nothing is published: who sees `online` may send a request at once.
const SUBSCRIBE: Duration = Duration::from_secs(5);
/// Time without an answer to a subscription after which the connection is replaced.
const SUBSCRIBED: Duration = Duration::from_secs(30);
/// First pause between attempts while a stop waits for events; doubled each time.
const HURRY: Duration = Duration::from_millis(250);
/// Time before the end of a stop at which no more events are sent, where a disk takes them.
const LAST: Duration = Duration::from_millis(200);
/// Topics of oversize messages, each logged once; further ones are not logged.
const LARGE_TOPICS: usize = 16;

/// Starts the thread.
pub(super) fn spawn(
    shared: Arc<Shared>,
    options: Options,
    short_id: Option<String>,
    state_topic: Option<String>,
) -> Result<JoinHandle<()>, PublishError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let mut driver = Driver {
        broker: options.broker(),
        link: Link::new(&options.client_id, seed(&options.client_id)),
        options,
        short_id,
        guessed_version: false,
        state_topic,
        away_since: None,
        told: Stats::default(),
        large: Vec::new(),
        hurried: 0,
        shared,
    };
    let run = move || {
        let clean = loop {
            match std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(driver.work()))) {
                Ok(clean) => break clean,
                Err(_) => {
                    tracing::error!("the MQTT client panicked; connecting anew");
                    driver.shared.lock().queue.disconnected(Instant::now(), false);
                    runtime.block_on(sleep(Duration::from_secs(1)));
                }
            }
        };
        // A name look-up may still be blocking a helper thread, which is abandoned.
        runtime.shutdown_background();
        let mut state = driver.shared.lock();
        state.inboxes.clear();
        state.ended = Some(clean);
        drop(state);
        driver.shared.changed.notify_all();
    };
    Ok(std::thread::Builder::new().name("leptond-mqtt".into()).spawn(run)?)
}

struct Driver {
    shared: Arc<Shared>,
    options: Options,
    /// Client id to try when the broker refuses the first.
    short_id: Option<String>,
    /// MQTT 3.1.1 is spoken because an attempt with MQTT 5 came to nothing, for this connection alone.
    guessed_version: bool,
    state_topic: Option<String>,
    link: Link,
    /// The broker, for logs.
    broker: String,
    away_since: Option<Instant>,
    /// Counters at the last log of losses.
    told: Stats,
    /// Topics of oversize messages; at most [`LARGE_TOPICS`].
    large: Vec<String>,
    /// Attempts since the stop was requested.
    hurried: u32,
}

enum End {
    /// The thread has to end; `true` when everything was delivered.
    Stop(bool),
    Lost(Failure),
}

impl Driver {
    /// Reconnects until stopped. Returns `true` when everything was delivered.
    async fn work(&mut self) -> bool {
        loop {
            let mut session = Session::default();
            let end = self.connection(&mut session).await;
            let now = Instant::now();
            self.shared.lock().granted.clear();
            let by_broker =
                matches!(&end, End::Lost(failure) if matches!(failure.kind, FailureKind::Closed | FailureKind::Reset));
            let (idle, loss) = {
                let queue = &mut self.shared.lock().queue;
                (session.acknowledged && queue.in_flight_count() == 0, queue.disconnected(now, by_broker))
            };
            self.shared.changed.notify_all();
            let failure = match end {
                End::Stop(clean) => return clean,
                End::Lost(failure) => failure,
            };
            if let Some((topic, bytes)) = loss.abandoned {
                tracing::error!(
                    "a message of {bytes} bytes for {topic} was given up: the broker at {} closes the connection at each attempt",
                    self.broker
                );
            }
            self.away_since.get_or_insert(now);
            if failure.kind == FailureKind::ClientId
                && let Some(short) = self.short_id.take()
            {
                tracing::warn!("MQTT broker {}: {}; trying {short:?} now", self.broker, failure.words);
                self.link.rename(&short);
                self.options.client_id = short;
                continue;
            }
            if std::mem::take(&mut self.guessed_version) {
                self.options.version = Version::V5;
            } else if session.connected.is_none() && self.falls_back(&failure) {
                continue;
            }
            let ended = session.connected.map(|since| Ended { lived: now.saturating_duration_since(since), idle });
            let retry = self.link.failed(&failure, ended, now);
            match retry.tell {
                Some((Severity::Warn, words)) => tracing::warn!("MQTT broker {}: {words}; trying again", self.broker),
                Some((Severity::Error, words)) => tracing::error!("MQTT broker {}: {words}", self.broker),
                None => tracing::debug!("MQTT broker {}: {}", self.broker, failure.words),
            }
            if !self.pause(retry.pause, &failure).await {
                return false;
            }
        }
    }

    /// Chooses the version of the next attempt after one that made no connection. Returns `true` when that attempt is due at once.
    fn falls_back(&mut self, failure: &Failure) -> bool {
        if !self.options.may_fall_back {
            return false;
        }
        match (self.options.version, failure.kind) {
            (Version::V5, FailureKind::Version) => {
                tracing::info!("MQTT broker {}: {}; speaking MQTT 3.1.1 from now on", self.broker, failure.words);
                (self.options.version, self.options.may_fall_back) = (Version::V311, false);
                true
            }
            // An old broker may also close the connection, or a fault of the network has: the other version is tried once.
            (Version::V5, FailureKind::Closed | FailureKind::Reset | FailureKind::Protocol) => {
                (self.options.version, self.guessed_version) = (Version::V311, true);
                true
            }
            _ => false,
        }
    }

    /// Waits before the next attempt. Returns `false` when there will be none: a stop waits for events only while the next
    /// attempt may succeed.
    async fn pause(&mut self, pause: Duration, failure: &Failure) -> bool {
        let until = Instant::now() + pause;
        loop {
            let now = Instant::now();
            let stopping = self.stopping();
            let until = match stopping {
                Some((deadline, owes)) if now >= deadline || !owes || !failure.may_pass() => return false,
                Some((deadline, _)) => until.min(now + HURRY * (1 << self.hurried.min(6))).min(deadline),
                None => until,
            };
            select! {
                () = self.shared.wake.notified() => {}
                () = sleep_until(until.into()) => {
                    self.hurried += u32::from(stopping.is_some());
                    return true;
                }
            }
        }
    }

    /// Deadline of a requested stop, and `true` while events wait that would be lost.
    fn stopping(&self) -> Option<(Instant, bool)> {
        let state = self.shared.lock();
        state.stop.map(|deadline| (deadline, state.queue.owes_events()))
    }

    async fn connection(&mut self, session: &mut Session) -> End {
        let (client, mut wire) = Wire::new(self.options.clone(), CHANNEL);
        loop {
            let event = match self.next_event(&client, &mut wire, session).await {
                Ok(event) => event,
                Err(end) => return end,
            };
            match event {
                Event::Connected(granted) => self.connected(session, granted),
                Event::Acknowledged(id, refused) => self.acknowledged(session, id, refused),
                Event::Message(message) => self.deliver(session, message),
                Event::Subscribed(filter, refused) => self.subscribed(session, &filter, refused),
                Event::Written(packet_id, Origin::Queue) => {
                    let now = Instant::now();
                    let mut state = self.shared.lock();
                    if let Some(timing) = state.queue.written(packet_id, now) {
                        state.latency.record(timing, now);
                    }
                }
                Event::Written(packet_id, Origin::Housekeeping) => {
                    if let Some(sweep) = &mut session.sweep {
                        sweep.written(packet_id);
                    }
                }
                Event::Disconnected => return End::Stop(true),
                Event::Skipped(skipped) => self.log_skipped(skipped),
            }
            if let Err(end) = self.tend(&client, session) {
                return end;
            }
            self.shared.changed.notify_all();
        }
    }

    /// Waits for the next event, and serves the queue whenever something is due meanwhile. The poll is never cancelled, because
    /// an attempt to connect would start over.
    async fn next_event(&mut self, client: &Client, wire: &mut Wire, session: &mut Session) -> Result<Event, End> {
        let mut poll = pin!(wire.poll());
        loop {
            select! {
                biased;
                event = &mut poll => {
                    return event.map_err(|failure| End::Lost(Failure::of(&failure, &self.options.client_id)));
                }
                () = self.shared.wake.notified() => {}
                () = sleep(self.due()) => {}
            }
            self.tend(client, session)?;
        }
    }

    /// Time until something is due.
    fn due(&self) -> Duration {
        let state = self.shared.lock();
        let mut due = Duration::from_secs(1);
        if state.inboxes.iter().any(Inbox::waiting) {
            due = Duration::from_millis(20);
        }
        if let Some(deadline) = state.stop {
            due = due.min(deadline.saturating_duration_since(Instant::now()));
        }
        due.max(Duration::from_millis(1))
    }

    fn connected(&mut self, session: &mut Session, granted: Granted) {
        let now = Instant::now();
        session.connected = Some(now);
        session.sweep = Some(Sweep::new(self.options.keep_alive, now));
        let mut state = self.shared.lock();
        state.queue.connected(now);
        state.subscribed = false;
        let stats = state.queue.stats();
        drop(state);
        let version = self.options.version;
        match self.away_since.take() {
            None => tracing::info!("connected to the MQTT broker {} by {version}", self.broker),
            Some(since) => {
                let away_s = now.saturating_duration_since(since).as_secs_f32();
                tracing::info!("connected to the MQTT broker {} again by {version} after {away_s:.1} s", self.broker);
            }
        }
        if !granted.retains {
            tracing::warn!(
                "MQTT broker {}: it keeps no retained messages: states are unknown to whoever comes later",
                self.broker
            );
        }
        let dropped = stats.dropped - self.told.dropped;
        let events = stats.dropped_events - self.told.dropped_events;
        self.told = stats;
        if events > 0 {
            tracing::error!(
                "{events} events were lost while the broker was away: mqtt.queue was full, or the disk failed"
            );
        }
        if dropped > events {
            tracing::warn!("{} results were dropped while the broker was away", dropped - events);
        }
    }

    /// Does everything that is due: submits packets, subscribes, delivers received messages, disconnects.
    fn tend(&self, client: &Client, session: &mut Session) -> Result<(), End> {
        let now = Instant::now();
        self.remember_retained();
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let deadline = state.stop;
        if deadline.is_some() {
            state.queue.hurry();
        }
        if deadline.is_some_and(|deadline| now >= deadline) {
            return Err(End::Stop(false));
        }
        if session.connected.is_none() {
            return if deadline.is_some() && !state.queue.owes_events() { Err(End::Stop(false)) } else { Ok(()) };
        }
        if state.queue.unacknowledged_for(now).is_some_and(|waiting| waiting > ACKNOWLEDGE) {
            return Err(End::Lost(Failure::new(
                FailureKind::Silent,
                "the broker does not acknowledge what it is sent",
            )));
        }
        pass_on(state, client, session);
        if !state.subscribed {
            subscribe(state, client, session, now).map_err(|_| queue_full())?;
        }
        if !self.may_publish(session, now)? {
            return Ok(());
        }
        if deadline.is_some() && state.queue.is_safe() && (state.queue.has_events_on_disk() || near(deadline, now)) {
            state.queue.hold_events();
        }
        if deadline.is_some() && state.queue.settled() {
            self.send_offline(state, client, session, now)?;
        }
        while let Some(packet) = state.queue.next(now) {
            client.publish(publication(packet), Origin::Queue).map_err(|_| queue_full())?;
        }
        if deadline.is_none() {
            sweep(state, client, session, now).map_err(|_| queue_full())?;
        }
        if state.queue.has_events_on_disk() {
            self.shared.wake_disk();
        }
        Ok(())
    }

    /// `true` once the answers to the first subscriptions are there, or were waited for.
    fn may_publish(&self, session: &mut Session, now: Instant) -> Result<bool, End> {
        let Some(since) = session.asked.iter().map(|(_, since)| *since).min() else {
            session.open = true;
            return Ok(true);
        };
        let waiting = now.saturating_duration_since(since);
        if waiting > SUBSCRIBED {
            return Err(End::Lost(Failure::new(FailureKind::Silent, "the broker does not answer a subscription")));
        }
        if !session.open && waiting > SUBSCRIBE {
            tracing::warn!("MQTT broker {}: no answer to a subscription so far; publishing all the same", self.broker);
            session.open = true;
        }
        Ok(session.open)
    }

    /// Writes down what is published before it is sent.
    fn remember_retained(&self) {
        let Some((file, bytes)) = self.shared.lock().retained.unsaved() else { return };
        if let Err(error) = crate::sys::atomic::replace(&file, &bytes) {
            let words =
                format!("{}: {error}: retained messages will not be cleared after a change of names", file.display());
            self.shared.lock().log_limited("retained", &words, Instant::now());
        }
    }

    /// Notes the broker's answer to a message. One that was refused is lost: it would be refused again.
    fn acknowledged(&self, session: &mut Session, id: u16, refused: Option<Refused>) {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        if let Some(sweep) = &mut session.sweep
            && sweep.acknowledged(id, refused.is_some(), &mut state.retained)
        {
            return;
        }
        session.acknowledged |= state.queue.acknowledged(id);
        if let Some(Refused { topic, reason }) = refused {
            state.queue.refused_by_broker();
            let words = format!("MQTT broker {}: it refuses a message on {topic}: {reason}", self.broker);
            state.log_limited("refused", &words, Instant::now());
        }
    }

    fn subscribed(&self, session: &mut Session, filter: &str, refused: Option<String>) {
        let asked = session.asked.iter().position(|(asked, _)| asked == filter);
        if let Some(sweep) = &mut session.sweep {
            sweep.subscribed(filter, refused.is_some(), Instant::now());
        }
        let Some(at) = asked else { return };
        session.asked.remove(at);
        match refused {
            None => self.shared.lock().granted.push(filter.to_owned()),
            Some(reason) => {
                tracing::error!("MQTT broker {}: the subscription to {filter} is refused: {reason}", self.broker);
            }
        }
    }

    /// Ends a connection after everything is delivered: `offline`, and after its acknowledgement DISCONNECT.
    fn send_offline(&self, state: &mut State, client: &Client, session: &mut Session, now: Instant) -> Result<(), End> {
        if session.disconnecting {
            return Ok(());
        }
        if let (Some(topic), false) = (&self.state_topic, session.offline_queued) {
            session.offline_queued = true;
            let offline = json(&NodeState::Offline);
            let message = Message { topic: topic.clone(), payload: offline, class: Class::State, timing: None };
            // The topic was accepted for `online`, so it is valid for `offline`.
            let _ = state.queue.push(message, now);
            return Ok(());
        }
        session.disconnecting = true;
        client.disconnect().map_err(|_| queue_full())
    }

    /// Logs the topic of an oversize message once.
    fn log_skipped(&mut self, skipped: Skipped) {
        let Skipped { topic, bytes, .. } = skipped;
        self.shared.lock().queue.received(1);
        if self.large.contains(&topic) || self.large.len() >= LARGE_TOPICS {
            tracing::debug!("a message of {bytes} bytes on {topic:?} was read over");
            return;
        }
        let most = self.options.packet_bytes;
        tracing::warn!(
            "MQTT broker {}: a message of {bytes} bytes on {topic:?} is over mqtt.max_packet_bytes = {most} and was skipped; \
             if it is retained, publish an empty one there",
            self.broker
        );
        self.large.push(topic);
    }

    fn deliver(&self, session: &mut Session, message: Received) {
        if let Some(sweep) = &mut session.sweep {
            sweep.received(&message.topic, &message.payload, Instant::now());
        }
        let mut state = self.shared.lock();
        let message = Incoming { topic: message.topic, payload: message.payload, retain: message.retain };
        let mut dropped = 0;
        for inbox in &mut state.inboxes {
            if matches(&message.topic, inbox.filter()) {
                dropped += inbox.put(message.clone());
            }
        }
        state.queue.received(dropped);
    }
}

/// `true` when a stop is so near that what was not sent is left to the disk.
fn near(deadline: Option<Instant>, now: Instant) -> bool {
    deadline.is_some_and(|deadline| deadline.saturating_duration_since(now) < LAST)
}

/// The channel holds more than the queue submits; if it is full all the same, a new connection is needed.
fn queue_full() -> End {
    End::Lost(Failure::new(FailureKind::Silent, "the connection takes no more requests"))
}

/// Differs for each node and start, so that nodes do not connect at the same moment.
fn seed(client_id: &str) -> u64 {
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), client_id)
}
