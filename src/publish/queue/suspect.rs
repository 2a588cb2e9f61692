//! Which message the broker hangs up on.
//!
//! Some brokers hang up on a message they do not like (too large for them, not allowed). Sent again at each connection it
//! would block everything for ever. Of several under way nobody can tell which one it was, since the acknowledgements of
//! the others may be lost with the connection. So after some hang-ups in a row messages go one at a time, until the one
//! that the broker hangs up on is found and given up.

use std::time::Instant;

use super::{Handed, Loss, Queue, Sent};

/// Hang-ups in a row after which messages go one at a time: one may be a broker that was restarted.
const CAUTIOUS_AFTER: u32 = 2;

impl Queue {
    /// QoS 1 messages handed over or written, and not acknowledged.
    pub(super) fn under_way(&self) -> usize {
        self.window.len() + self.handed.iter().filter(|h| !matches!(h, Handed::Result { .. })).count()
    }

    /// One QoS 1 message at a time and nothing else, to find out which one the broker hangs up on.
    pub(super) fn cautious(&self) -> bool {
        self.hang_ups >= CAUTIOUS_AFTER
    }

    /// The broker hung up: finds out on which message, and gives it up in the end.
    pub(super) fn suspect(&mut self, now: Instant) -> Loss {
        let alone = self.cautious();
        self.hang_ups = self.hang_ups.saturating_add(u32::from(self.under_way() > 0));
        if !alone {
            return Loss::default();
        }
        if self.window.is_empty() {
            // The client library may have failed before it could say that it had written some of it.
            self.written(0, now);
        }
        let limit = self.limits.tries;
        let abandoned = match self.window.front_mut().map(|f| &mut f.what) {
            Some(Sent::Event(event)) => {
                event.tries += 1;
                (event.tries >= limit).then(|| (event.topic.clone(), event.payload.len()))
            }
            Some(Sent::State { index, version, .. }) => self.states.get_mut(*index).and_then(|state| {
                state.tries = state.tries.saturating_add(1);
                // A newer payload that waits may be better.
                state.abandoned = state.tries >= limit && state.version == *version;
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
}
