//! Life of what may be worth an event: seen often enough it is there, not seen for long enough it is gone.
//!
//! ```text
//!             confirmed: seen for `appear`,    ┌─────────┐
//!   ┌───────────┐ and often enough             │         │ seen
//!   │ candidate │ ───────────────────────────▶ │ present │ ──┐
//!   └───────────┘                              │         │ ◀─┘
//!     │ not often enough                       └─────────┘
//!     ▼                                             │ not seen for `vanish`, in `missed` frames at least
//!   over ◀──────────────────────────────────────────┘
//! ```
//!
//! Both ways need a time and a number of frames, since a pipeline may look fifteen times a second or every ten seconds. With a time of
//! 0, one frame is enough.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use super::config::{Confirm, EventConfig, time};

/// The moment of a frame, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct At {
    /// Monotonic.
    pub(super) now: Duration,
    /// Wall clock.
    pub(super) time: SystemTime,
}

/// When something counts as there and as gone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rules {
    appear: Duration,
    /// Sightings that it takes.
    seen: u32,
    often: Often,
    vanish: Duration,
    /// Frames without a sighting that it takes.
    missed: u32,
    /// A sighting may be so clear that it needs no confirmation.
    at_once: bool,
}

/// Required closeness of the sightings.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Often {
    /// In half of the frames since the first.
    Half,
    /// In so many frames.
    Of(u32),
    /// Each so soon after the one before.
    Within(Duration),
}

/// Defaults of a kind of task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Defaults {
    /// Time for which it must be seen.
    pub(super) appear: Duration,
    /// Time for which it must not be seen.
    pub(super) vanish: Duration,
    /// Sightings and frames without them; `None` = by the times.
    pub(super) frames: Option<Confirm>,
}

impl Rules {
    /// The rules of `config`, with `defaults` for what it leaves unset.
    pub(super) fn new(config: &EventConfig, defaults: &Defaults) -> Rules {
        let appear = config.appear_s.map_or(defaults.appear, time);
        let vanish = config.vanish_s.map_or(defaults.vanish, time);
        let least = |time: Duration| if time.is_zero() { 1 } else { 2 };
        let confirm = config.confirm.or(defaults.frames.filter(|_| config.repeat_within_s.is_none()));
        let within = config.repeat_within_s.map(time);
        let often = match (within, confirm) {
            (Some(within), _) => Often::Within(within),
            (None, Some(Confirm { of, .. })) => Often::Of(of),
            (None, None) => Often::Half,
        };
        let usual = if within.is_some() { 2 } else { least(appear) };
        Rules {
            appear,
            seen: confirm.map_or(usual, |confirm| confirm.seen).max(1),
            often,
            vanish,
            missed: defaults.frames.map_or(least(vanish), |frames| frames.seen),
            at_once: config.confirm.is_none() && config.appear_s.is_none() && within.is_none(),
        }
    }

    /// True where something that is not seen any more is waited for.
    pub(super) fn waits(&self) -> bool {
        !self.vanish.is_zero()
    }

    /// Time for which something that is not seen may still be the same.
    pub(super) fn memory(&self) -> Duration {
        match self.often {
            Often::Within(within) => within.max(self.vanish),
            Often::Half | Often::Of(_) => self.vanish,
        }
    }

    /// Longest time between two sightings of a candidate, where it has one.
    pub(super) fn within(&self) -> Option<Duration> {
        match self.often {
            Often::Within(within) => Some(within),
            Often::Half | Often::Of(_) => None,
        }
    }
}

/// Sight of it in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing.
    Unseen,
    /// It.
    Seen,
    /// So clearly that it needs no confirmation.
    Blatant,
}

/// Change of a [`Life`] by a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// None.
    Stays,
    /// It is there.
    Begins,
    /// It is gone.
    Ends,
    /// It never was.
    Dropped,
}

/// One candidate, or something that is there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Life {
    present: bool,
    /// Time of the first sighting that counts.
    since: At,
    /// Time of the last one.
    seen_at: At,
    /// Frames and sightings of the candidate.
    frames: u32,
    sightings: u32,
    /// Frames since the last sighting.
    missed: u32,
    /// Sightings in the last frames, each with the number of its frame; as many as may confirm it at most.
    recent: VecDeque<(u32, At)>,
}

impl Life {
    /// A candidate whose first look follows.
    pub(super) fn new(at: At) -> Life {
        Life { present: false, since: at, seen_at: at, frames: 0, sightings: 0, missed: 0, recent: VecDeque::new() }
    }

    /// It is there.
    pub(super) fn is_present(&self) -> bool {
        self.present
    }

    /// Time of the first sighting (wall clock).
    pub(super) fn start_time(&self) -> SystemTime {
        self.since.time
    }

    /// Time of the last sighting (wall clock).
    pub(super) fn seen_time(&self) -> SystemTime {
        self.seen_at.time
    }

    /// Takes one frame.
    pub(super) fn look(&mut self, look: Look, rules: &Rules, at: At) -> Step {
        let seen = look != Look::Unseen;
        self.missed = if seen { 0 } else { self.missed.saturating_add(1) };
        if self.present {
            if seen {
                self.seen_at = at;
            }
            let gone = self.missed >= rules.missed && at.now.saturating_sub(self.seen_at.now) >= rules.vanish;
            return if gone { Step::Ends } else { Step::Stays };
        }
        self.count(seen, rules, at);
        let long = at.now.saturating_sub(self.since.now) >= rules.appear;
        if seen && (look == Look::Blatant && rules.at_once || long && self.is_often(rules)) {
            self.present = true;
            self.recent = VecDeque::new();
            return Step::Begins;
        }
        if self.is_rare(rules, at) { Step::Dropped } else { Step::Stays }
    }

    /// The next frame decides something.
    pub(super) fn is_unsettled(&self) -> bool {
        !self.present || self.missed > 0
    }

    /// It is still there, since nothing has moved.
    pub(super) fn unchanged(&mut self, at: At) {
        if self.missed == 0 && at.now > self.seen_at.now {
            self.seen_at = at;
        }
    }

    fn count(&mut self, seen: bool, rules: &Rules, at: At) {
        self.frames = self.frames.saturating_add(1);
        if seen {
            self.sightings = self.sightings.saturating_add(1);
            self.seen_at = at;
            if self.sightings == 1 {
                self.since = at;
            }
        }
        if let Often::Of(of) = rules.often {
            if seen {
                self.recent.push_back((self.frames, at));
            }
            while self.recent.front().is_some_and(|(frame, _)| self.frames - frame >= of) {
                self.recent.pop_front();
            }
            if let Some((_, first)) = self.recent.front() {
                self.since = *first;
            }
        }
    }

    fn is_often(&self, rules: &Rules) -> bool {
        match rules.often {
            Often::Half => self.sightings >= rules.seen && self.sightings * 2 >= self.frames,
            Often::Of(_) => self.recent.len() >= rules.seen as usize,
            Often::Within(_) => self.sightings >= rules.seen,
        }
    }

    fn is_rare(&self, rules: &Rules, at: At) -> bool {
        match rules.often {
            Often::Half => self.sightings * 2 < self.frames,
            Often::Of(_) => self.recent.is_empty(),
            Often::Within(within) => at.now.saturating_sub(self.seen_at.now) > within,
        }
    }
}

#[cfg(test)]
#[path = "life_tests.rs"]
mod tests;
