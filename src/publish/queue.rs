//! The queue to the broker: waiting, submitted and in-flight messages. Pure: no sockets, no clock (`now` is an argument).
//!
//! ```text
//!  push ─▶ waiting ──next──▶ submitted ──written──▶ in flight (QoS 1) ──acknowledged──▶ done
//!             ▲                  │                        │
//!             └─ disconnected ───┴─────── (QoS 1) ────────┘   QoS 0: done when written, dropped at a disconnect
//! ```
//!
//! A message counts as `published` when its first copy was written to the socket and as `acknowledged` at its first PUBACK. At
//! every moment `taken = published + dropped + replaced + queued`.

mod admission;
mod entries;
mod jobs;
mod limits;
mod pictures;
mod poison;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use entries::{Packet, Properties};
pub use limits::{Limits, Refusal, packet_bytes};

use super::outbox::{Backlog, OutboxConfig};
use super::{Class, Message, Stats, Timing};
use entries::{Event, InFlight, InFlightMessage, QueuedResult, State, Submitted};
use pictures::{Picture, Pictures};
use poison::{Detector, QosClass};

/// Messages lost with a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Topic and size in bytes of a poison message that was given up.
    pub abandoned: Option<(String, usize)>,
}

/// Messages on their way to the broker.
#[derive(Debug)]
pub struct Queue {
    limits: Limits,
    states: Vec<State>,
    /// Indices of states to send, oldest change first.
    dirty: VecDeque<usize>,
    /// Events whose connection was lost while in flight, oldest first; before all of `events`.
    retry: VecDeque<Event>,
    /// Events that were not sent yet, in memory and on disk.
    events: Backlog,
    /// No event is sent any more: the disk takes them.
    holding: bool,
    /// Answers to requests, oldest first.
    responses: VecDeque<Event>,
    results: VecDeque<QueuedResult>,
    pictures: Pictures,
    result_bytes: usize,
    /// Given to the client library and not written yet, in the order of submission.
    submitted: VecDeque<Submitted>,
    /// Written with QoS 1 and not acknowledged yet, in the order of writing.
    in_flight: VecDeque<InFlight>,
    poison: Detector,
    stats: Stats,
}

impl Queue {
    /// An empty queue.
    pub fn new(limits: Limits) -> Self {
        Queue::with(limits, Backlog::in_memory(limits.room()))
    }

    /// An empty queue whose events go to disk while the broker is away.
    pub fn kept(limits: Limits, config: &OutboxConfig, now: Instant) -> Self {
        Queue::with(limits, Backlog::on_disk(limits.room(), config, now))
    }

    fn with(limits: Limits, events: Backlog) -> Self {
        Queue {
            limits,
            states: Vec::new(),
            dirty: VecDeque::new(),
            retry: VecDeque::new(),
            events,
            holding: false,
            responses: VecDeque::new(),
            results: VecDeque::new(),
            pictures: Pictures::new(limits.pictures, limits.picture_bytes),
            result_bytes: 0,
            submitted: VecDeque::new(),
            in_flight: VecDeque::new(),
            poison: Detector::new(limits.tries),
            stats: Stats::default(),
        }
    }

    /// Adds a message. A full queue drops the oldest result first, then (for an event) the oldest event.
    ///
    /// # Errors
    /// [`Refusal`] when the message can never be sent; it was counted as taken and dropped.
    pub fn push(&mut self, message: Message, now: Instant) -> Result<(), Refusal> {
        self.stats.taken += 1;
        let taken = self.admit(&message).and_then(|()| match message.class {
            Class::State => self.push_state(message),
            Class::Event => {
                self.push_event(message, now);
                Ok(())
            }
            Class::Result => {
                self.push_result(message, now);
                Ok(())
            }
            Class::Response => {
                self.push_response(message, now);
                Ok(())
            }
            Class::Picture => {
                let displaced = self.pictures.put(Picture { topic: message.topic, payload: message.payload });
                self.displaced(displaced);
                Ok(())
            }
        });
        if taken.is_err() {
            self.stats.dropped += 1;
        }
        taken
    }

    /// Notes a new connection: every state is sent again, since the broker may have lost it.
    pub fn connected(&mut self, now: Instant) {
        self.stats.connected = true;
        self.stats.connects += 1;
        self.expire(now);
        self.dirty.clear();
        for (index, state) in self.states.iter_mut().enumerate() {
            // The broker itself may have been at fault: a good connection gives abandoned states another attempt.
            state.abandoned &= self.poison.is_alert();
            state.dirty = !state.abandoned;
            if state.dirty {
                self.dirty.push_back(index);
            }
        }
    }

    /// The next packet to submit, if one is due: states, then responses, events, pictures, results.
    pub fn next(&mut self, now: Instant) -> Option<Packet> {
        self.expire(now);
        if !self.stats.connected || self.submitted.len() >= self.limits.submitted {
            return None;
        }
        let in_flight = self.in_flight_count();
        if in_flight == 0 && self.retry.is_empty() && self.dirty.is_empty() {
            self.poison.all_delivered();
            self.retry_abandoned(now);
        }
        if in_flight < if self.poison.cautious() { 1 } else { self.limits.in_flight } {
            let packet = if self.poison.cautious() { self.next_least_blamed(now) } else { None };
            let packet = packet.or_else(|| self.next_state(0)).or_else(|| self.next_event(0, now));
            if packet.is_some() {
                return packet;
            }
        }
        if self.poison.cautious() { None } else { self.next_picture().or_else(|| self.next_result()) }
    }

    /// Notes that the oldest submitted packet was written to the socket, with this packet id (0 for QoS 0). Returns its timing.
    pub fn written(&mut self, packet_id: u16, now: Instant) -> Option<Timing> {
        let mut timing = None;
        let (first, message) = match self.submitted.pop_front()? {
            Submitted::State { index, version, written, acknowledged } => {
                if let Some(state) = self.states.get_mut(index).filter(|s| s.version == version) {
                    state.written = true;
                }
                (!written, Some(InFlightMessage::State { index, version, acknowledged }))
            }
            Submitted::Event(mut event) => {
                let first = !std::mem::replace(&mut event.written, true);
                (first, Some(InFlightMessage::Event(event)))
            }
            Submitted::Result { timing: began } => {
                timing = began;
                (true, None)
            }
            Submitted::Picture(_) => (true, None),
        };
        if first {
            self.stats.published += 1;
        } else {
            self.stats.resent += 1;
        }
        if let Some(message) = message {
            self.in_flight.push_back(InFlight { packet_id, since: now, message });
        }
        timing
    }

    /// Notes a PUBACK. Returns `false` for an unknown packet id.
    pub fn acknowledged(&mut self, packet_id: u16) -> bool {
        let found = self.in_flight.iter().position(|f| f.packet_id == packet_id);
        let Some(in_flight) = found.and_then(|at| self.in_flight.remove(at)) else { return false };
        let first = match in_flight.message {
            InFlightMessage::Event(_) => {
                self.poison.acknowledged(QosClass::Event);
                true
            }
            InFlightMessage::State { index, version, acknowledged } => {
                self.poison.acknowledged(QosClass::State);
                if let Some(state) = self.states.get_mut(index).filter(|s| s.version == version) {
                    state.acknowledge();
                }
                !acknowledged
            }
        };
        self.stats.acknowledged += u64::from(first);
        true
    }

    /// Notes the end of the connection: unacknowledged messages wait again, in the old order; submitted results are dropped.
    /// `by_broker`: the broker closed the connection, as it does on a message that it does not accept.
    pub fn disconnected(&mut self, now: Instant, by_broker: bool) -> Loss {
        self.stats.connected = false;
        let loss = if by_broker { self.blame_in_flight(now) } else { Loss::default() };
        let mut again = VecDeque::with_capacity(self.in_flight.len() + self.submitted.len() + self.retry.len());
        for in_flight in self.in_flight.drain(..) {
            if let InFlightMessage::Event(event) = in_flight.message {
                again.push_back(event);
            }
        }
        for submitted in std::mem::take(&mut self.submitted) {
            match submitted {
                Submitted::Event(event) => again.push_back(event),
                Submitted::Result { .. } => self.stats.dropped += 1,
                Submitted::Picture(picture) => {
                    let displaced = self.pictures.put_back(picture);
                    self.displaced(displaced);
                }
                Submitted::State { index, version, written, .. } => {
                    let superseded = self.states.get(index).is_none_or(|s| s.version != version);
                    self.stats.replaced += u64::from(superseded && !written);
                }
            }
        }
        again.append(&mut self.retry);
        self.retry = again;
        for (index, state) in self.states.iter_mut().enumerate() {
            if !state.acknowledged && !state.dirty && !state.abandoned {
                state.dirty = true;
                self.dirty.push_back(index);
            }
        }
        self.expire(now);
        loss
    }

    /// Age of the oldest unacknowledged message.
    pub fn unacknowledged_for(&self, now: Instant) -> Option<Duration> {
        self.in_flight.front().map(|f| now.saturating_duration_since(f.since))
    }

    /// `true` when everything taken was acknowledged or, for results, written (or given up).
    pub fn settled(&self) -> bool {
        self.dirty.is_empty()
            && (self.holding || self.retry.is_empty() && self.events.waiting() == 0)
            && self.responses.is_empty()
            && self.pictures.len() == 0
            && self.results.is_empty()
            && self.submitted.is_empty()
            && self.in_flight.is_empty()
    }

    /// `true` while events wait that would be lost at a stop.
    pub fn owes_events(&self) -> bool {
        !self.events.is_safe() && (self.events.waiting() > 0 || self.outstanding().next().is_some())
    }

    /// `true` while the disk takes at a stop what was not sent.
    pub fn is_safe(&self) -> bool {
        self.events.is_safe()
    }

    /// `true` when events wait on disk only.
    pub fn has_events_on_disk(&self) -> bool {
        self.events.on_disk_only() > 0
    }

    /// Notes that a stop was asked for: events wait for no other owner of their directory any more.
    pub fn hurry(&mut self) {
        self.events.hurry();
    }

    /// Sends no more events; those that are in flight may be acknowledged.
    pub fn hold_events(&mut self) {
        self.holding = true;
    }

    /// `true` while connected.
    pub fn is_connected(&self) -> bool {
        self.stats.connected
    }

    /// Counts a received message, and older ones dropped for it because of a slow reader.
    pub fn received(&mut self, dropped: u64) {
        self.stats.received += 1;
        self.stats.received_dropped += dropped;
    }

    /// Counts a message that the broker acknowledged and did not take.
    pub fn refused_by_broker(&mut self) {
        self.stats.refused += 1;
    }

    /// Counts a message published after the stop.
    pub fn refuse(&mut self) {
        self.stats.taken += 1;
        self.stats.dropped += 1;
    }

    /// The counters, with the present `queued` and `unacknowledged`.
    pub fn stats(&self) -> Stats {
        let states = self.states.iter().filter(|s| s.dirty && !s.written).count();
        let retry_unwritten = self.retry.iter().filter(|e| !e.written).count();
        let events = self.events.waiting() as usize + retry_unwritten;
        let submitted = self.submitted.iter().filter(|h| match h {
            Submitted::State { written, .. } => !written,
            Submitted::Event(event) => !event.written,
            Submitted::Result { .. } | Submitted::Picture(_) => true,
        });
        let retry = self.retry.iter().filter(|e| e.written).count();
        let (recovered, expired, lost) = self.events.counts();
        Stats {
            taken: self.stats.taken + recovered,
            dropped: self.stats.dropped + expired + lost,
            dropped_events: lost,
            outbox: self.events.status(self.outstanding()),
            queued: (states
                + events
                + self.responses.len()
                + self.pictures.len()
                + self.results.len()
                + submitted.count()) as u64,
            unacknowledged: (self.in_flight.len() + retry) as u64,
            ..self.stats
        }
    }

    /// The waiting state at `at`.
    fn next_state(&mut self, at: usize) -> Option<Packet> {
        let index = self.dirty.remove(at)?;
        let state = self.states.get_mut(index)?;
        state.dirty = false;
        let (version, written, acknowledged) = (state.version, state.written, state.acknowledged);
        self.submitted.push_back(Submitted::State { index, version, written, acknowledged });
        let (topic, payload) = (state.topic.clone(), state.payload.clone());
        Some(Packet { topic, payload, acknowledged: true, retain: true, ..Packet::default() })
    }

    /// The waiting event or response at `at`; those lost in flight come first.
    fn next_event(&mut self, at: usize, now: Instant) -> Option<Packet> {
        let lost = if self.holding { None } else { self.retry.remove(at) };
        let mut event = lost
            .or_else(|| self.responses.pop_front())
            .or_else(|| if self.holding { None } else { self.events.take(now).map(Event::new) })?;
        let packet = event.packet();
        self.submitted.push_back(Submitted::Event(event));
        Some(packet)
    }

    /// The picture that has waited longest. One at a time, since everything behind it waits for its last byte.
    fn next_picture(&mut self) -> Option<Packet> {
        if self.submitted.iter().any(|submitted| matches!(submitted, Submitted::Picture(_))) {
            return None;
        }
        let picture = self.pictures.take()?;
        let (topic, payload) = (picture.topic.clone(), picture.payload.clone());
        self.submitted.push_back(Submitted::Picture(picture));
        Some(Packet { topic, payload, retain: true, ..Packet::default() })
    }

    fn next_result(&mut self) -> Option<Packet> {
        let QueuedResult { topic, payload, timing, .. } = self.results.pop_front()?;
        self.result_bytes -= payload.len();
        self.submitted.push_back(Submitted::Result { timing });
        // An old result is of no use to a client that comes later: its `frame_age_ms` would be wrong.
        let expiry_s = u32::try_from(self.limits.result_age.as_secs()).ok();
        let properties = Properties { expiry_s, ..Properties::default() };
        Some(Packet { topic, payload, properties, ..Packet::default() })
    }

    /// QoS 1 messages submitted or written, and not acknowledged.
    pub fn in_flight_count(&self) -> usize {
        self.in_flight.len()
            + self.submitted.iter().filter(|s| !matches!(s, Submitted::Result { .. } | Submitted::Picture(_))).count()
    }

    /// The oldest message of the lowest [rank](Detector::rank). Messages of equal rank keep their order.
    fn next_least_blamed(&mut self, now: Instant) -> Option<Packet> {
        let rank = |index: &usize| self.states.get(*index).map_or(0, |state| self.poison.rank(state.disconnects));
        let state = self.dirty.iter().map(rank).enumerate().min_by_key(|(_, rank)| *rank);
        let retried = self.retry.iter().map(|event| self.poison.rank(event.disconnects)).enumerate();
        // Events that were never sent come last.
        let fresh = self.events.has_next(now) || !self.responses.is_empty();
        let fresh = fresh.then_some((self.retry.len(), 0));
        let event = retried.chain(fresh).min_by_key(|(_, rank)| *rank);
        match (state, event) {
            (Some((at, rank)), event) if event.is_none_or(|(_, other)| rank <= other) => self.next_state(at),
            (_, Some((at, _))) => self.next_event(at, now),
            (_, None) => None,
        }
    }

    /// Counts a disconnect against the message in flight, if it is alone, and gives up a poison message.
    fn blame_in_flight(&mut self, now: Instant) -> Loss {
        if !self.poison.disconnected(self.in_flight_count() > 0) {
            return Loss::default();
        }
        if self.in_flight.is_empty() {
            // The connection may have failed before the client reported the write.
            self.written(0, now);
        }
        let (states, events) = (self.states.len(), self.retry.len() as u64 + self.events.waiting());
        let abandoned = match self.in_flight.front_mut().map(|f| &mut f.message) {
            Some(InFlightMessage::Event(event)) => {
                let only = states == 0 && events == 0;
                let poison = self.poison.is_poison(&mut event.disconnects, QosClass::Event, only);
                poison.then(|| (event.item.topic.as_ref().to_owned(), event.item.payload.len()))
            }
            Some(InFlightMessage::State { index, version, .. }) => self.states.get_mut(*index).and_then(|state| {
                let only = states == 1 && events == 0;
                let poison = self.poison.is_poison(&mut state.disconnects, QosClass::State, only);
                // A newer payload that waits may be accepted.
                state.abandoned = poison && state.version == *version;
                if state.abandoned {
                    state.retry_at = Some(now + poison::retry_pause(state.retries));
                    state.retries = state.retries.saturating_add(1);
                }
                state.abandoned.then(|| (state.topic.clone(), state.payload.len()))
            }),
            None => None,
        };
        if abandoned.is_some() {
            self.in_flight.pop_front();
            self.stats.abandoned += 1;
        }
        Loss { abandoned }
    }

    /// Marks abandoned states whose retry is due as waiting.
    fn retry_abandoned(&mut self, now: Instant) {
        for (index, state) in self.states.iter_mut().enumerate() {
            if state.abandoned && state.retry_at.is_some_and(|at| now >= at) {
                (state.abandoned, state.dirty, state.retry_at) = (false, true, None);
                self.dirty.push_back(index);
            }
        }
    }
}

#[cfg(test)]
mod tests;
