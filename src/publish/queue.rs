//! What waits for the broker, what is on its way and what was acknowledged. Pure: no sockets, no clock (`now` is an argument).
//!
//! ```text
//!  push ─▶ waiting ──next──▶ handed ──written──▶ window (QoS 1) ──acknowledged──▶ done
//!             ▲                │                    │
//!             └──── lost ──────┴──── (QoS 1) ───────┘        QoS 0: done when written, dropped when lost
//! ```
//!
//! A message counts as `published` when its first copy was written to the socket and as `acknowledged` at its first
//! PubAck. At every moment `taken = published + dropped + replaced + queued`.

mod limits;
mod suspect;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use limits::{Limits, Refusal, packet_bytes};

use super::{Class, Message, Stats, Timing};
use suspect::{Acknowledged, Doubt};

/// One packet to hand to the client library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Full topic.
    pub topic: String,
    /// Payload.
    pub payload: Vec<u8>,
    /// QoS 1 (else 0).
    pub acknowledged: bool,
    /// Kept by the broker.
    pub retain: bool,
}

/// What a lost connection cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Topic and size in bytes of a message that was given up because the broker hung up on it again and again.
    pub abandoned: Option<(String, usize)>,
}

/// The queue.
#[derive(Debug)]
pub struct Queue {
    limits: Limits,
    states: Vec<State>,
    /// Indices of states to send, oldest change first.
    dirty: VecDeque<usize>,
    /// Events whose connection was lost under way, oldest first; before all of `events`.
    retry: VecDeque<Event>,
    events: VecDeque<Event>,
    results: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// Given to the client library, not yet written; in the order they were given.
    handed: VecDeque<Handed>,
    /// Written with QoS 1, not yet acknowledged; in the order they were written.
    window: VecDeque<InFlight>,
    /// Times in a row that the broker hung up with a QoS 1 message under way; back to 0 when nothing is owed any more.
    hang_ups: u32,
    /// Messages acknowledged so far, copies included.
    acknowledged: Acknowledged,
    stats: Stats,
}

#[derive(Debug)]
struct State {
    topic: String,
    payload: Vec<u8>,
    /// Counts up with each new payload.
    version: u64,
    dirty: bool,
    written: bool,
    acknowledged: bool,
    /// Hang-ups on this topic alone since it was acknowledged last.
    doubt: Doubt,
    /// Given up until a new payload comes, a connection after a good one, or its next chance.
    abandoned: bool,
    /// When it is sent again although it was given up, and how often that was done since it was acknowledged last.
    chance: Option<Instant>,
    chances: u32,
}

#[derive(Debug)]
struct Event {
    topic: String,
    payload: Vec<u8>,
    written: bool,
    /// Hang-ups on it alone.
    doubt: Doubt,
}

#[derive(Debug)]
struct Waiting {
    topic: String,
    payload: Vec<u8>,
    timing: Option<Timing>,
    since: Instant,
}

#[derive(Debug)]
enum Handed {
    State { index: usize, version: u64, written: bool, acknowledged: bool },
    Event(Event),
    Result { timing: Option<Timing> },
}

#[derive(Debug)]
struct InFlight {
    packet_id: u16,
    since: Instant,
    what: Sent,
}

#[derive(Debug)]
enum Sent {
    State { index: usize, version: u64, acknowledged: bool },
    Event(Event),
}

impl Queue {
    /// An empty queue.
    pub fn new(limits: Limits) -> Self {
        Queue {
            limits,
            states: Vec::new(),
            dirty: VecDeque::new(),
            retry: VecDeque::new(),
            events: VecDeque::new(),
            results: VecDeque::new(),
            waiting_bytes: 0,
            handed: VecDeque::new(),
            window: VecDeque::new(),
            hang_ups: 0,
            acknowledged: Acknowledged::default(),
            stats: Stats::default(),
        }
    }

    /// Takes a message. When there is no room the oldest result goes first, then (for an event) the oldest event.
    ///
    /// # Errors
    /// [`Refusal`] when it can never be sent; it was counted as taken and dropped.
    pub fn push(&mut self, message: Message, now: Instant) -> Result<(), Refusal> {
        self.stats.taken += 1;
        let taken = self.admit(&message).and_then(|()| match message.class {
            Class::State => self.push_state(message),
            Class::Event => {
                self.push_event(message);
                Ok(())
            }
            Class::Result => {
                self.push_result(message, now);
                Ok(())
            }
        });
        if taken.is_err() {
            self.stats.dropped += 1;
        }
        taken
    }

    /// A connection was made: every state is sent again, since the broker may have forgotten them.
    pub fn connected(&mut self, now: Instant) {
        self.stats.connected = true;
        self.stats.connects += 1;
        self.expire(now);
        self.dirty.clear();
        for (index, state) in self.states.iter_mut().enumerate() {
            // What was given up may have been a broker out of its mind: after a good connection it has another chance.
            state.abandoned &= self.hang_ups > 0;
            state.dirty = !state.abandoned;
            if state.dirty {
                self.dirty.push_back(index);
            }
        }
    }

    /// The next packet to hand over, if one is due: states, then events, then results.
    pub fn next(&mut self, now: Instant) -> Option<Packet> {
        self.expire(now);
        if !self.stats.connected || self.handed.len() >= self.limits.handed {
            return None;
        }
        let under_way = self.under_way();
        if under_way == 0 && self.retry.is_empty() && self.dirty.is_empty() {
            self.hang_ups = 0;
            self.give_chances(now);
        }
        if under_way < if self.cautious() { 1 } else { self.limits.window } {
            let packet = if self.cautious() { self.next_unsuspected() } else { None };
            let packet = packet.or_else(|| self.next_state(0)).or_else(|| self.next_event(0));
            if packet.is_some() {
                return packet;
            }
        }
        if self.cautious() { None } else { self.next_result() }
    }

    /// The oldest handed packet was written to the socket, with this packet id (0 for QoS 0). Gives where its time began.
    pub fn written(&mut self, packet_id: u16, now: Instant) -> Option<Timing> {
        let mut timing = None;
        let (first, what) = match self.handed.pop_front()? {
            Handed::State { index, version, written, acknowledged } => {
                if let Some(state) = self.states.get_mut(index).filter(|s| s.version == version) {
                    state.written = true;
                }
                (!written, Some(Sent::State { index, version, acknowledged }))
            }
            Handed::Event(mut event) => {
                let first = !std::mem::replace(&mut event.written, true);
                (first, Some(Sent::Event(event)))
            }
            Handed::Result { timing: began } => {
                timing = began;
                (true, None)
            }
        };
        if first {
            self.stats.published += 1;
        } else {
            self.stats.resent += 1;
        }
        if let Some(what) = what {
            self.window.push_back(InFlight { packet_id, since: now, what });
        }
        timing
    }

    /// The broker acknowledged this packet id; whether it was one of ours.
    pub fn acknowledged(&mut self, packet_id: u16) -> bool {
        let found = self.window.iter().position(|f| f.packet_id == packet_id);
        let Some(in_flight) = found.and_then(|at| self.window.remove(at)) else { return false };
        let first = match in_flight.what {
            Sent::Event(_) => {
                self.acknowledged.events += 1;
                true
            }
            Sent::State { index, version, acknowledged } => {
                self.acknowledged.states += 1;
                if let Some(state) = self.states.get_mut(index).filter(|s| s.version == version) {
                    state.acknowledged = true;
                    (state.doubt, state.chance, state.chances) = (Doubt::default(), None, 0);
                }
                !acknowledged
            }
        };
        self.stats.acknowledged += u64::from(first);
        true
    }

    /// The connection was lost: what was not acknowledged waits again, in the old order; results under way are dropped.
    /// `hung_up`: the broker closed the connection, as it does on a message that it does not like.
    pub fn lost(&mut self, now: Instant, hung_up: bool) -> Loss {
        self.stats.connected = false;
        let loss = if hung_up { self.suspect(now) } else { Loss::default() };
        let mut again = VecDeque::with_capacity(self.window.len() + self.handed.len() + self.retry.len());
        for in_flight in self.window.drain(..) {
            if let Sent::Event(event) = in_flight.what {
                again.push_back(event);
            }
        }
        for handed in self.handed.drain(..) {
            match handed {
                Handed::Event(event) => again.push_back(event),
                Handed::Result { .. } => self.stats.dropped += 1,
                Handed::State { index, version, written, .. } => {
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

    /// How long the oldest unacknowledged message has been waiting for its acknowledgement.
    pub fn unacknowledged_for(&self, now: Instant) -> Option<Duration> {
        self.window.front().map(|f| now.saturating_duration_since(f.since))
    }

    /// Everything taken was acknowledged or, for results, written (or given up).
    pub fn settled(&self) -> bool {
        self.dirty.is_empty()
            && self.retry.is_empty()
            && self.events.is_empty()
            && self.results.is_empty()
            && self.handed.is_empty()
            && self.window.is_empty()
    }

    /// Whether an event waits that would be lost if nothing was sent any more.
    pub fn owes(&self) -> bool {
        let event = |f: &InFlight| matches!(f.what, Sent::Event(_));
        let handed = |h: &Handed| matches!(h, Handed::Event(_));
        !self.events.is_empty()
            || !self.retry.is_empty()
            || self.window.iter().any(event)
            || self.handed.iter().any(handed)
    }

    /// Whether there is a connection.
    pub fn connected_now(&self) -> bool {
        self.stats.connected
    }

    /// A message came in, and this many older ones were dropped for it because their reader was slow.
    pub fn received(&mut self, dropped: u64) {
        self.stats.received += 1;
        self.stats.received_dropped += dropped;
    }

    /// Counts a message that came too late to be taken.
    pub fn refuse(&mut self) {
        self.stats.taken += 1;
        self.stats.dropped += 1;
    }

    /// The counters; `queued` and `unacknowledged` are of this moment.
    pub fn stats(&self) -> Stats {
        let states = self.states.iter().filter(|s| s.dirty && !s.written).count();
        let events = self.events.len() + self.retry.iter().filter(|e| !e.written).count();
        let handed = self.handed.iter().filter(|h| match h {
            Handed::State { written, .. } => !written,
            Handed::Event(event) => !event.written,
            Handed::Result { .. } => true,
        });
        let retry = self.retry.iter().filter(|e| e.written).count();
        Stats {
            queued: (states + events + self.results.len() + handed.count()) as u64,
            unacknowledged: (self.window.len() + retry) as u64,
            ..self.stats
        }
    }

    fn admit(&self, message: &Message) -> Result<(), Refusal> {
        let topic = &message.topic;
        if topic.is_empty() || topic.len() > usize::from(u16::MAX) || topic.contains(['+', '#', '\0']) {
            return Err(Refusal::Topic(topic.clone()));
        }
        let bytes = packet_bytes(topic, &message.payload);
        if bytes > self.limits.packet_bytes {
            return Err(Refusal::Oversize { topic: topic.clone(), bytes, limit: self.limits.packet_bytes });
        }
        Ok(())
    }

    fn push_state(&mut self, message: Message) -> Result<(), Refusal> {
        let Some(index) = self.states.iter().position(|s| s.topic == message.topic) else {
            if self.states.len() >= self.limits.states {
                return Err(Refusal::States(message.topic));
            }
            self.dirty.push_back(self.states.len());
            self.states.push(State {
                topic: message.topic,
                payload: message.payload,
                version: 0,
                dirty: true,
                written: false,
                acknowledged: false,
                doubt: Doubt::default(),
                abandoned: false,
                chance: None,
                chances: 0,
            });
            return Ok(());
        };
        let state = &mut self.states[index];
        // A payload that waits unsent is replaced; one that is on its way is counted where it arrives.
        self.stats.replaced += u64::from(state.dirty && !state.written);
        if !state.dirty {
            self.dirty.push_back(index);
        }
        *state = State {
            topic: std::mem::take(&mut state.topic),
            payload: message.payload,
            version: state.version + 1,
            dirty: true,
            written: false,
            acknowledged: false,
            doubt: state.doubt,
            abandoned: false,
            chance: None,
            chances: state.chances,
        };
        Ok(())
    }

    fn push_event(&mut self, message: Message) {
        let bytes = message.payload.len();
        while self.full_for(bytes) {
            if !self.drop_oldest_result() {
                let Some(oldest) = self.events.pop_front() else { break };
                self.waiting_bytes -= oldest.payload.len();
                self.stats.dropped += 1;
                self.stats.dropped_events += 1;
            }
        }
        self.waiting_bytes += bytes;
        self.events.push_back(Event {
            topic: message.topic,
            payload: message.payload,
            written: false,
            doubt: Doubt::default(),
        });
    }

    fn push_result(&mut self, message: Message, now: Instant) {
        self.expire(now);
        let bytes = message.payload.len();
        while self.full_for(bytes) {
            if !self.drop_oldest_result() {
                self.stats.dropped += 1;
                return;
            }
        }
        self.waiting_bytes += bytes;
        let Message { topic, payload, timing, .. } = message;
        self.results.push_back(Waiting { topic, payload, timing, since: now });
    }

    fn full_for(&self, bytes: usize) -> bool {
        let waiting = self.events.len() + self.results.len();
        waiting >= self.limits.waiting || (waiting > 0 && self.waiting_bytes + bytes > self.limits.waiting_bytes)
    }

    fn drop_oldest_result(&mut self) -> bool {
        let Some(oldest) = self.results.pop_front() else { return false };
        self.waiting_bytes -= oldest.payload.len();
        self.stats.dropped += 1;
        true
    }

    fn expire(&mut self, now: Instant) {
        let age = self.limits.result_age;
        while self.results.front().is_some_and(|r| now.saturating_duration_since(r.since) > age) {
            self.drop_oldest_result();
        }
    }

    /// The state at `at` of those to send.
    fn next_state(&mut self, at: usize) -> Option<Packet> {
        let index = self.dirty.remove(at)?;
        let state = self.states.get_mut(index)?;
        state.dirty = false;
        let (version, written, acknowledged) = (state.version, state.written, state.acknowledged);
        self.handed.push_back(Handed::State { index, version, written, acknowledged });
        let (topic, payload) = (state.topic.clone(), state.payload.clone());
        Some(Packet { topic, payload, acknowledged: true, retain: true })
    }

    /// The event at `at` of those to send, where those that were lost under way come first.
    fn next_event(&mut self, at: usize) -> Option<Packet> {
        let event = self.retry.remove(at).or_else(|| {
            let event = self.events.pop_front()?;
            self.waiting_bytes -= event.payload.len();
            Some(event)
        })?;
        let (topic, payload) = (event.topic.clone(), event.payload.clone());
        self.handed.push_back(Handed::Event(event));
        Some(Packet { topic, payload, acknowledged: true, retain: false })
    }

    fn next_result(&mut self) -> Option<Packet> {
        let Waiting { topic, payload, timing, .. } = self.results.pop_front()?;
        self.waiting_bytes -= payload.len();
        self.handed.push_back(Handed::Result { timing });
        Some(Packet { topic, payload, acknowledged: false, retain: false })
    }
}

#[cfg(test)]
mod tests;
