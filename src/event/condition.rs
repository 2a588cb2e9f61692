//! Conditions of a whole picture or window: the best label, an anomaly. One goes on at a time.

use std::time::{Duration, SystemTime};

use super::life::{At, Life, Look, Rules, Step};
use super::silence::Silence;
use crate::frame::{ChannelShare, Event, EventIds};

/// Candidates that are kept at most; further ones wait until others are over.
const MAX_CASES: usize = 16;

/// Sight of one condition in a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sight<'a> {
    /// Its name in events.
    pub(super) label: &'a str,
    /// Its score.
    pub(super) score: f32,
    /// Its clearness.
    pub(super) look: Look,
    /// The channels that it is of, of a window.
    pub(super) channels: &'a [ChannelShare],
}

/// Conditions of which one goes on at a time.
#[derive(Debug)]
pub(super) struct Conditions {
    rules: Rules,
    cases: Vec<Case>,
    ids: EventIds,
    silence: Silence,
}

/// A candidate, or the condition that goes on.
#[derive(Debug)]
struct Case {
    label: String,
    life: Life,
    /// Since it was confirmed.
    event: Option<Event>,
}

impl Conditions {
    pub(super) fn new(rules: Rules) -> Conditions {
        Conditions { rules, cases: Vec::new(), ids: EventIds::default(), silence: Silence::default() }
    }

    /// Label of the condition that goes on.
    pub(super) fn present(&self) -> Option<&str> {
        self.cases.iter().find(|case| case.event.is_some()).map(|case| case.label.as_str())
    }

    /// Takes one frame; `now` is monotonic. What it shows nothing of is not seen.
    pub(super) fn frame(&mut self, sights: &[Sight<'_>], now: Duration, time: SystemTime) -> Vec<Event> {
        let mut events = self.idle(now);
        self.silence.frame(now);
        let at = At { now, time };
        for sight in sights.iter().filter(|sight| sight.look != Look::Unseen) {
            if !self.cases.iter().any(|case| case.label == sight.label) && self.cases.len() < MAX_CASES {
                self.cases.push(Case { label: sight.label.to_owned(), life: Life::new(at), event: None });
            }
        }
        // The one that goes on comes first, so that its end is told before another's begin.
        self.cases.sort_by_key(|case| case.event.is_none());
        let mut over = Vec::new();
        for index in 0..self.cases.len() {
            let case = &mut self.cases[index];
            let sight = sights.iter().find(|sight| sight.label == case.label);
            if let (Some(event), Some(sight)) = (&mut case.event, sight)
                && sight.score > event.score
            {
                event.score = sight.score;
                event.channels = sight.channels.to_vec();
            }
            match case.life.look(sight.map_or(Look::Unseen, |sight| sight.look), &self.rules, at) {
                Step::Stays => {}
                Step::Ends | Step::Dropped => {
                    events.extend(case.end(&self.rules, at));
                    over.push(index);
                }
                Step::Begins => {
                    let (id, score) = (self.ids.next(case.life.start_time()), sight.map_or(0.0, |sight| sight.score));
                    let channels = sight.map_or(Vec::new(), |sight| sight.channels.to_vec());
                    let begun =
                        Event { channels, ..Event::begin(id, case.label.clone(), score, case.life.start_time()) };
                    case.event = Some(begun.clone());
                    for other in (0..self.cases.len()).filter(|other| *other != index) {
                        if self.cases[other].event.is_some() {
                            events.extend(self.cases[other].end(&self.rules, at));
                            over.push(other);
                        }
                    }
                    events.push(begun);
                }
            }
        }
        let mut index = 0;
        self.cases.retain(|_| {
            index += 1;
            !over.contains(&(index - 1))
        });
        events
    }

    /// The picture is that of the last frame: what it showed goes on at `now`.
    pub(super) fn unchanged(&mut self, now: Duration, time: SystemTime) {
        self.silence.frame(now);
        self.cases.iter_mut().for_each(|case| case.life.unchanged(At { now, time }));
    }

    /// The next frame decides something.
    pub(super) fn is_unsettled(&self) -> bool {
        self.cases.iter().any(|case| case.life.is_unsettled())
    }

    /// Ends what no frame has told of for long: nothing is known of it any more.
    pub(super) fn idle(&mut self, now: Duration) -> Vec<Event> {
        if self.silence.is_long(now, self.rules.memory()) { self.end() } else { Vec::new() }
    }

    /// Ends everything, as of when it was seen last.
    pub(super) fn end(&mut self) -> Vec<Event> {
        let seen = |case: Case| Some(case.event?.ended(case.life.seen_time()));
        std::mem::take(&mut self.cases).into_iter().filter_map(seen).collect()
    }
}

impl Case {
    /// The end of its event: now, or when it was seen last where it is waited for.
    fn end(&mut self, rules: &Rules, at: At) -> Option<Event> {
        let time = if rules.waits() { self.life.seen_time() } else { at.time };
        self.event.take().map(|event| event.ended(time))
    }
}

#[cfg(test)]
#[path = "condition_tests.rs"]
mod tests;
