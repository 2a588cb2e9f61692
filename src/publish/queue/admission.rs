//! Admission to the queue, and what gives way when it is full.

use std::time::Instant;

use super::Queue;
use super::entries::{Event, QueuedResult, State};
use super::limits::{Refusal, packet_bytes};
use super::pictures::Displaced;
use crate::publish::{Class, Message, payload};

impl Queue {
    pub(super) fn admit(&self, message: &Message) -> Result<(), Refusal> {
        let topic = &message.topic;
        if topic.is_empty() || topic.len() > usize::from(u16::MAX) || topic.contains(['+', '#', '\0']) {
            return Err(Refusal::Topic(topic.clone()));
        }
        let mark = if message.class == Class::Event { payload::RESENT_BYTES } else { 0 };
        let bytes = packet_bytes(topic, &message.payload) + mark;
        if bytes > self.limits.packet_bytes {
            return Err(Refusal::Oversize { topic: topic.clone(), bytes, limit: self.limits.packet_bytes });
        }
        Ok(())
    }

    pub(super) fn push_state(&mut self, message: Message) -> Result<(), Refusal> {
        let Some(index) = self.states.iter().position(|s| s.topic == message.topic) else {
            if self.states.len() >= self.limits.states {
                return Err(Refusal::States(message.topic));
            }
            self.dirty.push_back(self.states.len());
            self.states.push(State::new(message.topic, message.payload));
            return Ok(());
        };
        let state = &mut self.states[index];
        // An unsent payload is replaced; a submitted one is counted when its write or loss is noted.
        self.stats.replaced += u64::from(state.dirty && !state.written);
        if !state.dirty {
            self.dirty.push_back(index);
        }
        state.replace(message.payload);
        Ok(())
    }

    pub(super) fn push_event(&mut self, message: Message, now: Instant) {
        let bytes = message.payload.len();
        while self.full_for(bytes) {
            if !self.drop_oldest_result() && !self.events.drop_oldest() {
                break;
            }
        }
        self.events.push(message.topic, message.payload, now);
    }

    pub(super) fn push_response(&mut self, message: Message, now: Instant) {
        if self.responses.len() >= self.limits.responses {
            self.responses.pop_front();
            self.stats.dropped += 1;
        }
        self.responses.push_back(Event::response(message.topic, message.payload, now));
    }

    pub(super) fn displaced(&mut self, displaced: Displaced) {
        self.stats.replaced += displaced.replaced;
        self.stats.dropped += displaced.dropped;
    }

    pub(super) fn push_result(&mut self, message: Message, now: Instant) {
        self.expire(now);
        let bytes = message.payload.len();
        while self.full_for(bytes) {
            if !self.drop_oldest_result() {
                self.stats.dropped += 1;
                return;
            }
        }
        self.result_bytes += bytes;
        let Message { topic, payload, timing, .. } = message;
        self.results.push_back(QueuedResult { topic, payload, timing, since: now });
    }

    fn full_for(&self, bytes: usize) -> bool {
        let waiting = self.events.unstored() + self.results.len();
        let waiting_bytes = self.events.unstored_bytes() + self.result_bytes;
        waiting >= self.limits.waiting || (waiting > 0 && waiting_bytes + bytes > self.limits.waiting_bytes)
    }

    fn drop_oldest_result(&mut self) -> bool {
        let Some(oldest) = self.results.pop_front() else { return false };
        self.result_bytes -= oldest.payload.len();
        self.stats.dropped += 1;
        true
    }

    pub(super) fn expire(&mut self, now: Instant) {
        let age = self.limits.result_age;
        while self.results.front().is_some_and(|r| now.saturating_duration_since(r.since) > age) {
            self.drop_oldest_result();
        }
    }
}
