//! Reliable counts of the objects that are there, by label: an object that a network sees in one frame and not in
//! the next neither comes nor goes with each.
//!
//! ```text
//!             seen in half of the frames      ┌─────────┐
//!   ┌────────┐ for `appear`, 2 at least       │         │ seen: by a score that is a little
//!   │ absent │ ─────────────────────────────▶ │ present │ below `min_score`, too
//!   └────────┘ ◀───────────────────────────── │         │
//!             not seen for `vanish`, in 2     └─────────┘
//!             frames at least; or no frame at all for long
//! ```
//!
//! Both need a time and a number of frames, since a pipeline may look fifteen times a second or every ten seconds. With a time of
//! 0, one frame is enough. The same holds for the second, third, … object of a label, of which only the number is told.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::frame::{Detection, Event, EventKind, Label};
use crate::task::output::EventIds;

/// Frames that a change takes at least.
const FRAMES: u32 = 2;
/// An object that is there stays for scores down to this share of the least score, which is a candidate's.
const STAYS: f32 = 0.8;
/// Without a frame for this long, and for [`GAP_FRAMES`] times the usual, nothing is known any more.
const GAP: Duration = Duration::from_secs(60);
/// See [`GAP`].
const GAP_FRAMES: u32 = 10;

/// Objects that are there, by label. Bounded by the labels and the objects of a frame.
pub(super) struct Presence {
    appear: Duration,
    vanish: Duration,
    min_score: f32,
    labels: BTreeMap<Label, Vec<Level>>,
    ids: EventIds,
    last: Option<Duration>,
    /// Time between the last two frames.
    interval: Option<Duration>,
}

/// The first, second, … object of a label.
struct Level {
    state: State,
    /// The best detection since it was first seen; for the first object.
    best: Option<Detection>,
    start_time: SystemTime,
    /// Time of the last sight.
    seen: Duration,
    seen_time: SystemTime,
}

enum State {
    /// Seen in `seen` of the last `frames` frames, since `since`.
    Candidate { since: Duration, frames: u32, seen: u32 },
    /// There; not seen in the last `missed` frames.
    Present { id: String, missed: u32 },
}

/// One frame.
#[derive(Clone, Copy)]
struct At {
    now: Duration,
    time: SystemTime,
}

impl Presence {
    pub fn new(appear: Duration, vanish: Duration, min_score: f32) -> Self {
        Presence {
            appear,
            vanish,
            min_score,
            labels: BTreeMap::new(),
            ids: EventIds::default(),
            last: None,
            interval: None,
        }
    }

    /// Least score of a detection that tells something: below `min_score` where an object may stay by it.
    pub fn least_score(&self) -> f32 {
        if self.labels.is_empty() { self.min_score } else { self.min_score * STAYS }
    }

    /// Takes the objects of a frame, the most confident first, down to [`Presence::least_score`]; `now` is monotonic.
    pub fn update(&mut self, detections: &[Detection], now: Duration, time: SystemTime) -> Vec<Event> {
        let mut events = self.idle(now);
        if let Some(last) = self.last.replace(now) {
            self.interval = Some(now.saturating_sub(last));
        }
        for detection in detections.iter().filter(|d| d.score >= self.min_score) {
            self.labels.entry(detection.label.clone()).or_default();
        }
        let at = At { now, time };
        let labels = std::mem::take(&mut self.labels);
        for (label, mut levels) in labels {
            let of_label = || detections.iter().filter(|d| d.label == label);
            let sure = of_label().filter(|d| d.score >= self.min_score).count();
            let all = of_label().count();
            let best = of_label().max_by(|a, b| a.score.total_cmp(&b.score));
            levels.extend((levels.len()..sure).map(|_| Level::candidate(at)));
            let first = levels.first().map(Level::is_present);
            for (index, level) in levels.iter_mut().enumerate() {
                let seen = if level.is_present() { all > index } else { sure > index };
                level.look(seen, best.filter(|_| index == 0), at);
                if level.appears(self.appear, at) {
                    let id = if index == 0 { self.ids.next(level.start_time) } else { String::new() };
                    level.state = State::Present { id, missed: 0 };
                }
            }
            match (first, levels.first()) {
                (Some(false), Some(level)) if level.is_present() => events.extend(level.event(&label, EventKind::New)),
                (Some(true), Some(level)) if level.is_over(self.vanish, at) => {
                    events.extend(level.event(&label, EventKind::End));
                }
                _ => {}
            }
            levels.retain(|level| !level.is_over(self.vanish, at));
            if !levels.is_empty() {
                self.labels.insert(label, levels);
            }
        }
        events
    }

    /// Objects that can be relied on, by label.
    pub fn counts(&self) -> BTreeMap<Label, usize> {
        let present = |levels: &[Level]| levels.iter().filter(|level| level.is_present()).count();
        let counts = self.labels.iter().map(|(label, levels)| (label.clone(), present(levels)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// True while the next frame decides something: a candidate, or an object that was not seen in the last one.
    pub fn is_unsettled(&self) -> bool {
        let decides = |level: &Level| match level.state {
            State::Candidate { .. } => true,
            State::Present { missed, .. } => missed > 0,
        };
        self.labels.values().flatten().any(decides)
    }

    /// Nothing has moved: what the last frame showed is still there.
    pub fn unchanged(&mut self, now: Duration, time: SystemTime) {
        self.last = self.last.map(|_| now);
        for level in self.labels.values_mut().flatten() {
            if matches!(level.state, State::Present { missed: 0, .. }) {
                (level.seen, level.seen_time) = (now, time);
            }
        }
    }

    /// Ends what no frame has told of for long: nothing is known of it any more.
    pub fn idle(&mut self, now: Duration) -> Vec<Event> {
        let Some(last) = self.last else { return Vec::new() };
        let silence = now.saturating_sub(last);
        let usual = self.interval.unwrap_or(silence).saturating_mul(GAP_FRAMES);
        if silence <= GAP.max(self.vanish) || silence <= usual {
            return Vec::new();
        }
        self.end()
    }

    /// Ends everything, as of when it was seen last.
    pub fn end(&mut self) -> Vec<Event> {
        let labels = std::mem::take(&mut self.labels);
        let first = |(label, levels): (&Label, &Vec<Level>)| levels.first()?.event(label, EventKind::End);
        labels.iter().filter_map(first).collect()
    }
}

impl Level {
    fn candidate(at: At) -> Level {
        let state = State::Candidate { since: at.now, frames: 0, seen: 0 };
        Level { state, best: None, start_time: at.time, seen: at.now, seen_time: at.time }
    }

    fn is_present(&self) -> bool {
        matches!(self.state, State::Present { .. })
    }

    /// Counts a frame in which it was seen or not.
    fn look(&mut self, is_seen: bool, best: Option<&Detection>, at: At) {
        match &mut self.state {
            State::Candidate { frames, seen, .. } => {
                *frames += 1;
                *seen += u32::from(is_seen);
            }
            State::Present { missed, .. } => *missed = if is_seen { 0 } else { *missed + 1 },
        }
        if is_seen {
            (self.seen, self.seen_time) = (at.now, at.time);
            if let Some(best) = best.filter(|best| self.best.as_ref().is_none_or(|kept| best.score > kept.score)) {
                self.best = Some(best.clone());
            }
        }
    }

    fn appears(&self, appear: Duration, at: At) -> bool {
        match self.state {
            State::Candidate { since, frames, seen } => {
                let long = at.now.saturating_sub(since) >= appear && seen >= if appear.is_zero() { 1 } else { FRAMES };
                long && self.seen == at.now && seen * 2 >= frames
            }
            State::Present { .. } => false,
        }
    }

    /// True if it has gone, or never was.
    fn is_over(&self, vanish: Duration, at: At) -> bool {
        match self.state {
            State::Candidate { frames, seen, .. } => seen * 2 < frames,
            State::Present { missed, .. } => {
                let least = if vanish.is_zero() { 1 } else { FRAMES };
                missed >= least && at.now.saturating_sub(self.seen) >= vanish
            }
        }
    }

    /// The event that tells of it; none of a candidate.
    fn event(&self, label: &Label, kind: EventKind) -> Option<Event> {
        let (State::Present { id, .. }, Some(best)) = (&self.state, &self.best) else { return None };
        let begun = Event { bbox: Some(best.bbox), ..Event::begin(id.clone(), &**label, best.score, self.start_time) };
        Some(if kind == EventKind::End { begun.ended(self.seen_time) } else { begun })
    }
}

#[cfg(test)]
#[path = "presence_tests.rs"]
mod tests;
