//! The thread around rumqttc: performs what the queue and the link policy decide.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, NetworkOptions, Outgoing, Packet, Publish, QoS, SubscribeReasonCode,
};
use tokio::select;
use tokio::time::{sleep, sleep_until};

use super::link::{Kind, Link, Trouble, Volume};
use super::{Shared, State};
use crate::frame::Incoming;
use crate::publish::payload::{NodeState, json};
use crate::publish::topics::matches;
use crate::publish::{Class, Message, PublishError, Stats};

/// Requests that rumqttc's channel takes; more than the queue ever hands over at once, plus subscriptions.
const CHANNEL: usize = 64;
/// For connecting, and for the socket to take one packet, in s.
const NETWORK_TIMEOUT_S: u64 = 10;
/// A connection whose oldest message stays unacknowledged for longer is given up and made anew.
const ACKNOWLEDGE: Duration = Duration::from_secs(30);
/// After a message that was too large to be received nothing is subscribed to for this long: it may be retained.
const SUBSCRIBE_AGAIN: Duration = Duration::from_secs(60);
/// Pause between two attempts while events must go before a stop.
const HURRY: Duration = Duration::from_millis(200);

/// Starts the thread.
pub(super) fn spawn(
    shared: Arc<Shared>,
    options: MqttOptions,
    client_id: &str,
    state_topic: Option<String>,
) -> Result<JoinHandle<()>, PublishError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let (host, port) = options.broker_address();
    let seed = seed(client_id);
    let mut driver = Driver {
        broker: format!("{host}:{port}"),
        options,
        state_topic,
        link: Link::new(client_id, seed),
        away_since: None,
        told: Stats::default(),
        subscribe_at: Instant::now(),
        shared,
    };
    let run = move || {
        let clean = loop {
            match std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(driver.work()))) {
                Ok(clean) => break clean,
                Err(_) => {
                    tracing::error!("the MQTT client library panicked; connecting anew");
                    driver.shared.lock().queue.lost(Instant::now(), false);
                    runtime.block_on(sleep(Duration::from_secs(1)));
                }
            }
        };
        // A name look-up may still be blocking a helper thread: it is left behind.
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
    options: MqttOptions,
    state_topic: Option<String>,
    link: Link,
    /// `host:port`, for logs.
    broker: String,
    away_since: Option<Instant>,
    /// Counters when losses were told last.
    told: Stats,
    subscribe_at: Instant,
}

/// One connection, from the attempt to its end.
#[derive(Default)]
struct Session {
    connected: Option<Instant>,
    /// `offline` was put into the queue, as the last message.
    farewell: bool,
    /// DISCONNECT was handed over.
    disconnecting: bool,
    /// Filters that were asked for on this connection.
    filters: Vec<String>,
    /// Filters whose SubAck is to come, in that order.
    asked: std::collections::VecDeque<String>,
}

enum End {
    /// The thread has to end; whether everything was delivered.
    Stop(bool),
    Lost(Trouble),
}

impl Driver {
    /// Connects again and again until told to stop; whether everything was delivered then.
    async fn work(&mut self) -> bool {
        loop {
            let mut session = Session::default();
            let end = self.connection(&mut session).await;
            let now = Instant::now();
            let hung_up = matches!(&end, End::Lost(trouble) if trouble.kind == Kind::Closed);
            let loss = self.shared.lock().queue.lost(now, hung_up);
            self.shared.changed.notify_all();
            let trouble = match end {
                End::Stop(clean) => return clean,
                End::Lost(trouble) => trouble,
            };
            if let Some((topic, bytes)) = loss.abandoned {
                tracing::error!(
                    "a message of {bytes} bytes for {topic} was given up: the broker at {} hangs up on it each time",
                    self.broker
                );
            }
            if trouble.kind == Kind::Oversize {
                self.subscribe_at = now + SUBSCRIBE_AGAIN;
            }
            self.away_since.get_or_insert(now);
            let lived = session.connected.map(|since| now.saturating_duration_since(since));
            let verdict = self.link.failed(&trouble, lived, now);
            match verdict.tell {
                Some((Volume::Warn, words)) => tracing::warn!("MQTT broker {}: {words}; trying again", self.broker),
                Some((Volume::Error, words)) => tracing::error!("MQTT broker {}: {words}", self.broker),
                None => tracing::debug!("MQTT broker {}: {}", self.broker, trouble.words),
            }
            if !self.pause(verdict.pause).await {
                return false;
            }
        }
    }

    /// Waits before the next attempt; `false` when there will be none.
    async fn pause(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            let now = Instant::now();
            let until = match self.stopping() {
                Some((deadline, owes)) if now >= deadline || !owes => return false,
                Some((deadline, _)) => until.min(now + HURRY).min(deadline),
                None => until,
            };
            select! {
                () = self.shared.wake.notified() => {}
                () = sleep_until(until.into()) => return true,
            }
        }
    }

    /// When the thread has to end, and whether events wait that would be lost.
    fn stopping(&self) -> Option<(Instant, bool)> {
        let state = self.shared.lock();
        state.stop.map(|deadline| (deadline, state.queue.owes()))
    }

    async fn connection(&mut self, session: &mut Session) -> End {
        let (client, mut events) = AsyncClient::new(self.options.clone(), CHANNEL);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(NETWORK_TIMEOUT_S);
        events.set_network_options(network);
        loop {
            let event = match self.next_event(&client, &mut events, session).await {
                Ok(event) => event,
                Err(end) => return end,
            };
            match event {
                Event::Incoming(Packet::ConnAck(_)) => self.connected(session),
                Event::Incoming(Packet::PubAck(ack)) => {
                    self.shared.lock().queue.acknowledged(ack.pkid);
                }
                Event::Incoming(Packet::Publish(publish)) => self.deliver(publish),
                Event::Incoming(Packet::SubAck(ack)) => {
                    let filter = session.asked.pop_front().unwrap_or_default();
                    if ack.return_codes.contains(&SubscribeReasonCode::Failure) {
                        tracing::error!("MQTT broker {}: it does not let us subscribe to {filter}", self.broker);
                    }
                }
                Event::Outgoing(Outgoing::Publish(packet_id)) => {
                    let now = Instant::now();
                    let mut state = self.shared.lock();
                    if let Some(origin) = state.queue.written(packet_id, now) {
                        state.latency.record(origin, now);
                    }
                }
                Event::Outgoing(Outgoing::Disconnect) => return End::Stop(true),
                _ => {}
            }
            if let Err(end) = self.tend(&client, session) {
                return end;
            }
            self.shared.changed.notify_all();
        }
    }

    /// Polls rumqttc for its next event, and looks after the queue whenever something is due meanwhile. The poll is never
    /// cancelled half-way: rumqttc would forget what it was about to write.
    async fn next_event(
        &mut self,
        client: &AsyncClient,
        events: &mut EventLoop,
        session: &mut Session,
    ) -> Result<Event, End> {
        let mut poll = pin!(events.poll());
        loop {
            select! {
                biased;
                event = &mut poll => return event.map_err(|e| End::Lost(Trouble::of(&e))),
                () = self.shared.wake.notified() => {}
                () = sleep(self.due(session)) => {}
            }
            self.tend(client, session)?;
        }
    }

    /// How long nothing needs to be looked at, unless something happens.
    fn due(&self, session: &Session) -> Duration {
        let state = self.shared.lock();
        let mut due = Duration::from_secs(1);
        if state.inboxes.iter().any(super::Inbox::waiting) {
            due = Duration::from_millis(20);
        }
        if let Some(deadline) = state.stop {
            due = due.min(deadline.saturating_duration_since(Instant::now()));
        }
        if !state.subscribed && session.connected.is_some() {
            due = due.min(self.subscribe_at.saturating_duration_since(Instant::now()));
        }
        due.max(Duration::from_millis(1))
    }

    fn connected(&mut self, session: &mut Session) {
        let now = Instant::now();
        session.connected = Some(now);
        let mut state = self.shared.lock();
        state.queue.connected(now);
        state.subscribed = false;
        let stats = state.queue.stats();
        drop(state);
        match self.away_since.take() {
            None => tracing::info!("connected to the MQTT broker {}", self.broker),
            Some(since) => {
                let away_s = now.saturating_duration_since(since).as_secs_f32();
                tracing::info!("connected to the MQTT broker {} again after {away_s:.1} s", self.broker);
            }
        }
        let dropped = stats.dropped - self.told.dropped;
        let events = stats.dropped_events - self.told.dropped_events;
        self.told = stats;
        if events > 0 {
            tracing::error!("{events} events were lost while the broker was away: mqtt.queue was full");
        }
        if dropped > events {
            tracing::warn!("{} results were dropped while the broker was away", dropped - events);
        }
    }

    /// Does whatever is due: hands over packets, subscribes, passes on what came in, says good-bye.
    fn tend(&self, client: &AsyncClient, session: &mut Session) -> Result<(), End> {
        let now = Instant::now();
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let deadline = state.stop;
        if deadline.is_some_and(|deadline| now >= deadline) {
            return Err(End::Stop(false));
        }
        if session.connected.is_none() {
            return if deadline.is_some() && !state.queue.owes() { Err(End::Stop(false)) } else { Ok(()) };
        }
        if state.queue.unacknowledged_for(now).is_some_and(|waiting| waiting > ACKNOWLEDGE) {
            return Err(End::Lost(Trouble::new(Kind::Silent, "the broker does not acknowledge what it is sent")));
        }
        pass_on(state, client, session);
        if !state.subscribed && now >= self.subscribe_at {
            subscribe(state, client, session).map_err(|()| stuck())?;
        }
        if deadline.is_some() && state.queue.settled() {
            self.farewell(state, client, session, now)?;
        }
        while let Some(packet) = state.queue.next(now) {
            let qos = if packet.acknowledged { QoS::AtLeastOnce } else { QoS::AtMostOnce };
            client.try_publish(packet.topic, qos, packet.retain, packet.payload).map_err(|_| stuck())?;
        }
        Ok(())
    }

    /// Everything is delivered and we are to stop: `offline`, and when that is acknowledged too, DISCONNECT.
    fn farewell(
        &self,
        state: &mut State,
        client: &AsyncClient,
        session: &mut Session,
        now: Instant,
    ) -> Result<(), End> {
        if session.disconnecting {
            return Ok(());
        }
        if let (Some(topic), false) = (&self.state_topic, session.farewell) {
            session.farewell = true;
            let offline = json(&NodeState::Offline);
            let message = Message { topic: topic.clone(), payload: offline, class: Class::State, origin: None };
            // The topic was accepted for `online` before: it is for `offline`.
            let _ = state.queue.push(message, now);
            return Ok(());
        }
        session.disconnecting = true;
        client.try_disconnect().map_err(|_| stuck())
    }

    fn deliver(&self, publish: Publish) {
        let mut state = self.shared.lock();
        let message = Incoming { topic: publish.topic, payload: publish.payload.to_vec(), retain: publish.retain };
        let mut dropped = 0;
        for inbox in &mut state.inboxes {
            if matches(&message.topic, inbox.filter()) {
                dropped += inbox.put(message.clone());
            }
        }
        state.queue.received(dropped);
    }
}

/// Gives readers what they have room for, and gives up the subscriptions of readers that went away.
fn pass_on(state: &mut State, client: &AsyncClient, session: &mut Session) {
    let mut gone = Vec::new();
    state.inboxes.retain_mut(|inbox| {
        let read = inbox.pass_on();
        if !read {
            gone.push(inbox.filter().to_string());
        }
        read
    });
    for filter in gone {
        if !state.inboxes.iter().any(|inbox| inbox.filter() == filter) {
            session.filters.retain(|asked| *asked != filter);
            // If it cannot be sent, messages that nobody wants keep coming until the next connection: harmless.
            let _ = client.try_unsubscribe(filter);
        }
    }
}

/// Asks for every inbox's filter. Filters asked for before are asked for again, which brings their retained messages
/// again, so only new ones are sent on a connection that has some already.
fn subscribe(state: &mut State, client: &AsyncClient, session: &mut Session) -> Result<(), ()> {
    for inbox in &state.inboxes {
        if !session.filters.iter().any(|filter| filter == inbox.filter()) {
            client.try_subscribe(inbox.filter(), QoS::AtMostOnce).map_err(|_| ())?;
            session.filters.push(inbox.filter().to_string());
            session.asked.push_back(inbox.filter().to_string());
        }
    }
    state.subscribed = true;
    Ok(())
}

/// rumqttc's channel cannot be full by what the queue hands over; if it is, a new client is needed.
fn stuck() -> End {
    End::Lost(Trouble::new(Kind::Silent, "the client library takes no more requests"))
}

/// Different for each node and start; only keeps nodes from connecting at the same moment.
fn seed(client_id: &str) -> u64 {
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), client_id)
}
