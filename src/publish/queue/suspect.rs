//! Which message the broker hangs up on.
//!
//! Some brokers hang up on a message they do not like (too large for them, not allowed). Sent again at each connection it
//! would block everything for ever. Of several under way nobody can tell which one it was, since the acknowledgements of
//! the others may be lost with the connection. So after some hang-ups in a row messages go one at a time, and one that was alone
//! at several of them after all others, until the one that the broker hangs up on is found and given up.
//!
//! A network that breaks ends connections just so. What tells the two apart is that the broker takes other messages: no
//! message is given up unless another was acknowledged since its first hang-up. A state given up has another chance from
//! time to time, since the broker may have been changed.

use std::time::{Duration, Instant};

use super::{Handed, Loss, Packet, Queue, Sent};

/// Hang-ups in a row after which messages go one at a time: one may be a broker that was restarted.
const CAUTIOUS_AFTER: u32 = 2;

/// Time until a state that was given up is sent again over a connection that is in order; doubled each time.
const CHANCE_AFTER: Duration = Duration::from_secs(60);
/// Doublings of [`CHANCE_AFTER`] at most.
const CHANCE_DOUBLINGS: u32 = 6;

/// Messages acknowledged so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Acknowledged {
    pub(super) states: u64,
    pub(super) events: u64,
}

/// What speaks against a message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Doubt {
    /// Times that the connection ended with this message alone on its way.
    pub(super) tries: u32,
    /// What had been acknowledged before the first of them.
    before: Acknowledged,
}

impl Doubt {
    fn hung_up(&mut self, now: Acknowledged) {
        if self.tries == 0 {
            self.before = now;
        }
        self.tries = self.tries.saturating_add(1);
    }

    /// Whether the broker objects to it: it takes others of its kind, or, after twice as many tries, others at all.
    /// `only`: there is no other that could be tried.
    fn is_proved(&self, now: Acknowledged, state: bool, only: bool, limit: u32) -> bool {
        let states = now.states > self.before.states;
        let events = now.events > self.before.events;
        let alike = if state { states } else { events };
        self.tries >= limit && alike || self.tries >= 2 * limit && (states || events || only)
    }
}

impl Queue {
    /// QoS 1 messages handed over or written, and not acknowledged.
    pub fn under_way(&self) -> usize {
        self.window.len() + self.handed.iter().filter(|h| !matches!(h, Handed::Result { .. })).count()
    }

    /// One QoS 1 message at a time and nothing else, to find out which one the broker hangs up on.
    pub(super) fn cautious(&self) -> bool {
        self.hang_ups >= CAUTIOUS_AFTER
    }

    /// The oldest message with which few connections ended; of those with which many did, the one with the fewest. Order is
    /// kept while nothing speaks for another.
    pub(super) fn next_unsuspected(&mut self) -> Option<Packet> {
        let limit = self.limits.tries;
        let rank = |doubt: Doubt| if doubt.tries < limit { 0 } else { doubt.tries };
        let tries = |index: &usize| self.states.get(*index).map_or(0, |state| rank(state.doubt));
        let state = self.dirty.iter().map(tries).enumerate().min_by_key(|(_, tries)| *tries);
        let retried = self.retry.iter().map(|event| rank(event.doubt)).enumerate();
        // Those that were never sent come behind.
        let fresh = (!self.events.is_empty()).then_some((self.retry.len(), 0));
        let event = retried.chain(fresh).min_by_key(|(_, tries)| *tries);
        match (state, event) {
            (Some((at, tries)), event) if event.is_none_or(|(_, other)| tries <= other) => self.next_state(at),
            (_, Some((at, _))) => self.next_event(at),
            (_, None) => None,
        }
    }

    /// The broker hung up: finds out on which message, and gives it up in the end.
    pub(super) fn suspect(&mut self, now: Instant) -> Loss {
        let alone = self.cautious();
        self.hang_ups = self.hang_ups.saturating_add(u32::from(self.under_way() > 0));
        if !alone {
            return Loss::default();
        }
        if self.window.is_empty() {
            // The connection may have failed before it could be said that some of it was written.
            self.written(0, now);
        }
        let (limit, acknowledged) = (self.limits.tries, self.acknowledged);
        let waiting = self.retry.len() + self.events.len();
        let (states, events) = (self.states.len(), waiting);
        let abandoned = match self.window.front_mut().map(|f| &mut f.what) {
            Some(Sent::Event(event)) => {
                event.doubt.hung_up(acknowledged);
                let only = states == 0 && events == 0;
                let proved = event.doubt.is_proved(acknowledged, false, only, limit);
                proved.then(|| (event.topic.clone(), event.payload.len()))
            }
            Some(Sent::State { index, version, .. }) => self.states.get_mut(*index).and_then(|state| {
                state.doubt.hung_up(acknowledged);
                let only = states == 1 && events == 0;
                let proved = state.doubt.is_proved(acknowledged, true, only, limit);
                // A newer payload that waits may be better.
                state.abandoned = proved && state.version == *version;
                if state.abandoned {
                    state.chance = Some(now + CHANCE_AFTER * (1 << state.chances.min(CHANCE_DOUBLINGS)));
                    state.chances = state.chances.saturating_add(1);
                }
                state.abandoned.then(|| (state.topic.clone(), state.payload.len()))
            }),
            None => None,
        };
        if abandoned.is_some() {
            self.window.pop_front();
            self.stats.abandoned += 1;
        }
        Loss { abandoned }
    }

    /// The broker has taken everything else: states that were given up are sent again when their time has come.
    pub(super) fn give_chances(&mut self, now: Instant) {
        for (index, state) in self.states.iter_mut().enumerate() {
            if state.abandoned && state.chance.is_some_and(|chance| now >= chance) {
                (state.abandoned, state.dirty, state.chance) = (false, true, None);
                self.dirty.push_back(index);
            }
        }
    }
}
