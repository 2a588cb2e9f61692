//! The last stage of a pipeline: what its task gives, with what is known over time, and the events of it.

use std::time::{Duration, SystemTime};

use super::condition::{Conditions, Sight};
use super::follow::Follower;
use super::life::{Look, Rules};
use super::settings::{ANOMALY, LABEL, Settings, Subject};
use crate::frame::{Detection, Event, Outcome};

/// Name of an anomaly in events.
const ANOMALOUS: &str = "anomaly";
/// A score this many times the threshold begins an anomaly at once.
const BLATANT: f32 = 2.0;

/// Makes events of outcomes. Keeps what it must remember between frames.
#[derive(Debug)]
pub struct Events(Kind);

#[derive(Debug)]
enum Kind {
    Objects(Box<Follower>),
    Label { conditions: Conditions, enter: f32, leave: Option<f32> },
    Anomaly { conditions: Conditions, hysteresis: f32 },
    Nothing,
}

impl Events {
    /// A stage that has seen nothing yet.
    pub fn new(settings: &Settings) -> Events {
        let event = &settings.config.event;
        Events(match &settings.subject {
            Subject::Objects(objects) => Kind::Objects(Box::new(Follower::new(settings, objects))),
            Subject::Label => Kind::Label {
                conditions: Conditions::new(Rules::new(event, &LABEL)),
                enter: event.enter_score.unwrap_or(0.0),
                leave: event.leave_score,
            },
            Subject::Anomaly { hysteresis } => {
                Kind::Anomaly { conditions: Conditions::new(Rules::new(event, &ANOMALY)), hysteresis: *hysteresis }
            }
            Subject::Nothing => Kind::Nothing,
        })
    }

    /// Least score of a detection that tells something; `None` where those that count are enough.
    pub fn least_score(&self) -> Option<f32> {
        match &self.0 {
            Kind::Objects(follower) => Some(follower.least_score()),
            Kind::Label { .. } | Kind::Anomaly { .. } | Kind::Nothing => None,
        }
    }

    /// Takes one frame: `outcome`, which it completes, and detections too `faint` to count. `now` is monotonic, `time` the frame's own.
    pub fn frame(&mut self, outcome: &mut Outcome, faint: &[Detection], now: Duration, time: SystemTime) -> Vec<Event> {
        match (&mut self.0, outcome) {
            (Kind::Objects(follower), outcome) => follower.frame(outcome, faint, now, time),
            (Kind::Label { conditions, enter, leave }, Outcome::Classify { label, score, top, unreadable }) => {
                let mut sights = Vec::new();
                if !label.is_empty() && *score >= *enter {
                    sights.push(Sight { label: label.as_str(), score: *score, look: Look::Seen, channels: &[] });
                }
                let stays = conditions.present().zip(*leave).filter(|_| unreadable.is_none());
                let held = stays.and_then(|(present, leave)| {
                    top.iter().find(|scored| *scored.label == *present && scored.score >= leave)
                });
                if let Some(held) = held.filter(|held| !sights.iter().any(|sight| *sight.label == *held.label)) {
                    sights.push(Sight { label: &held.label, score: held.score, look: Look::Seen, channels: &[] });
                }
                conditions.frame(&sights, now, time)
            }
            (Kind::Label { conditions, enter, .. }, Outcome::Text { text, score, .. }) => {
                let sure = text.as_deref().filter(|_| *score >= *enter);
                let sight = sure.map(|label| Sight { label, score: *score, look: Look::Seen, channels: &[] });
                conditions.frame(sight.as_slice(), now, time)
            }
            (
                Kind::Anomaly { conditions, hysteresis },
                Outcome::Anomaly { score, threshold: Some(threshold), anomalous, channels, .. },
            ) => {
                let look = match conditions.present() {
                    Some(_) if *score < *threshold * *hysteresis => Look::Unseen,
                    Some(_) => Look::Seen,
                    None if *score > *threshold * BLATANT => Look::Blatant,
                    None if *score > *threshold => Look::Seen,
                    None => Look::Unseen,
                };
                let sight = Sight { label: ANOMALOUS, score: *score, look, channels };
                let events = conditions.frame(&[sight], now, time);
                *anomalous = conditions.present().is_some();
                events
            }
            _ => Vec::new(),
        }
    }

    /// Ends what no frame has told of for long; called now and then, also while no frame comes.
    pub fn idle(&mut self, now: Duration) -> Vec<Event> {
        match &mut self.0 {
            Kind::Objects(follower) => follower.idle(now),
            Kind::Label { conditions, .. } | Kind::Anomaly { conditions, .. } => conditions.idle(now),
            Kind::Nothing => Vec::new(),
        }
    }

    /// Ends what is going on, since no frame will follow.
    pub fn end(&mut self, now: Duration) -> Vec<Event> {
        match &mut self.0 {
            Kind::Objects(follower) => follower.end(now),
            Kind::Label { conditions, .. } | Kind::Anomaly { conditions, .. } => conditions.end(),
            Kind::Nothing => Vec::new(),
        }
    }

    /// Nothing in the picture has moved since the last frame, so that none is looked at: what it showed is still there at `now`.
    pub fn unchanged(&mut self, now: Duration, time: SystemTime) {
        match &mut self.0 {
            Kind::Objects(follower) => follower.unchanged(now, time),
            Kind::Label { conditions, .. } | Kind::Anomaly { conditions, .. } => conditions.unchanged(now, time),
            Kind::Nothing => {}
        }
    }

    /// True while the next frame decides something: a candidate that is not confirmed yet, an object that was not seen in the last frame or
    /// has moved lately.
    pub fn is_unsettled(&self) -> bool {
        match &self.0 {
            Kind::Objects(follower) => follower.is_unsettled(),
            Kind::Label { conditions, .. } | Kind::Anomaly { conditions, .. } => conditions.is_unsettled(),
            Kind::Nothing => false,
        }
    }

    /// Something is known about an object that its event is to tell.
    pub fn touch(&mut self, track_id: u64) {
        if let Kind::Objects(follower) = &mut self.0 {
            follower.touch(track_id);
        }
    }
}
