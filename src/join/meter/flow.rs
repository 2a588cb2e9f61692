//! Belief in a meter's numbers: nothing that its flow cannot explain.

use std::time::Duration;

use super::places::Candidate;
use crate::frame::{MeterProblem, Quality};

/// Candidates whose costs differ by less cannot be told apart.
const TOLD_APART: f32 = 3.0;
/// A candidate of this much more cost than the likeliest is believed where it follows from the last number and the likeliest does not.
const SECOND: f32 = 6.0;
/// A place may cost this much: two and a half times what is usual.
const WORST: f32 = 6.25;
/// The same in a first number, which nothing else speaks for.
const FIRST_WORST: f32 = 2.25;
/// The lowest place may be read this many counts too low or too high.
const JITTER: u64 = 2;
/// A step of this many counts or more after which every lower place stands where it stood, within this many counts, is that of one
/// place that is misread: water that runs turns the lower places too.
const ALONE: f64 = 10.0;
const STOOD: f64 = 0.25;
/// Pictures after which a step of less than ten times [`ALONE`] is believed all the same: by chance, one in twenty is so.
const BY_CHANCE: u32 = 5;
/// Cost of a place up to which every place has moved with the others, so that none of them moved alone.
const TOGETHER: f32 = 1.5;
/// A number this much older than the usual time between two pictures is old: what follows is confirmed.
const OLD: u32 = 6;
/// It is not old before this.
const OLD_AT_LEAST: Duration = Duration::from_secs(60);
/// Without a known rate, a meter may count up to this part of its range at once, after a confirmation.
const STEP: u64 = 1000;

/// Verdict on one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    /// Quality of the picture's own reading.
    pub quality: Quality,
    /// Reason for which it is not believed.
    pub problem: Option<MeterProblem>,
    /// The candidate that was decided for, where one was.
    pub chosen: Option<Candidate>,
}

/// Limits of a meter's flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limits {
    /// One more than the largest count.
    pub range: u64,
    /// Counts per second at most; `None` = not limited.
    pub max_rate: Option<f64>,
    /// It may run backwards as well.
    pub negative: bool,
    /// Pictures in a row for a confirmation.
    pub confirm: u32,
    /// Time after which a contradiction is believed; `None` = never.
    pub relearn: Option<Duration>,
}

/// Believes numbers that follow from the one before.
///
/// - A candidate follows where the counts from the believed number to it are within `max_rate` in the time since, and [`JITTER`]. Of
///   several candidates that a picture allows, the one that follows is taken; where two follow that are not the same, none is.
/// - A first number, and the first one after a long time, is read in `confirm` pictures before it is believed.
/// - A number that does not follow is never believed, unless it is read without contradiction for `relearn`.
/// - A number up to [`JITTER`] below the believed one is that one: its lowest place was read a little too low.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    limits: Limits,
    believed: Option<Sighting>,
    waiting: Option<Waiting>,
    /// Usual time between two pictures.
    usual: Option<Duration>,
    looked: Option<Duration>,
}

/// A number that is believed.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sighting {
    counts: u64,
    /// Position of all places, in counts; `None` = not known.
    stood: Option<f64>,
    at: Duration,
    /// Age at `at`; `None` = not known.
    age: Option<Duration>,
}

/// A number that is not believed yet.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Waiting {
    counts: u64,
    since: Duration,
    at: Duration,
    times: u32,
}

impl Flow {
    pub(super) fn new(limits: Limits) -> Flow {
        Flow { limits, believed: None, waiting: None, usual: None, looked: None }
    }

    /// The number that is believed.
    pub(super) fn believed(&self) -> Option<u64> {
        self.believed.map(|sighting| sighting.counts)
    }

    /// Believes `counts` from an earlier run, read `age` ago (`None` = not known).
    pub(super) fn restore(&mut self, counts: u64, age: Option<Duration>, now: Duration) {
        self.believed = Some(Sighting { counts: counts % self.limits.range, stood: None, at: now, age });
    }

    /// Judges a picture by the numbers that it may show, the likeliest first; at least one.
    pub(super) fn judge(&mut self, candidates: &[Candidate], now: Duration) -> Verdict {
        self.look(now);
        let Some(best) = candidates.first().copied() else {
            return Verdict { quality: Quality::Unreadable, problem: Some(MeterProblem::Unreadable), chosen: None };
        };
        let uncertain = |chosen| Verdict {
            quality: Quality::Uncertain,
            problem: Some(MeterProblem::Uncertain),
            chosen: Some(chosen),
        };
        let Some(believed) = self.believed else {
            if !alone(best, candidates.iter()) || best.worst > FIRST_WORST || best.guessed {
                return uncertain(best);
            }
            return self.wait(best, MeterProblem::Unconfirmed, self.limits.confirm, now);
        };
        let follows = |c: &&Candidate| c.cost <= best.cost + SECOND && self.follows(&believed, c.counts, now);
        let following: Vec<&Candidate> = candidates.iter().filter(follows).collect();
        if let Some(chosen) = following.first().map(|chosen| **chosen) {
            if !alone(chosen, following.iter().copied()) || chosen.worst > WORST {
                return uncertain(chosen);
            }
            if self.is_old(&believed, now) && self.forward(believed.counts, chosen.counts) > JITTER {
                return self.wait(chosen, MeterProblem::Unconfirmed, self.limits.confirm, now);
            }
            if let Some(times) = moved_alone(&believed, &chosen).filter(|_| chosen.worst > TOGETHER) {
                return self.wait(chosen, MeterProblem::Unconfirmed, times, now);
            }
            return self.believe(chosen, now);
        }
        if !alone(best, candidates.iter()) || best.worst > WORST {
            return uncertain(best);
        }
        let back = self.limits.range - self.forward(believed.counts, best.counts);
        let problem = if back <= self.limits.range / 2 { MeterProblem::Backwards } else { MeterProblem::TooFast };
        self.wait(best, problem, self.limits.confirm, now)
    }

    /// Counts from one number forward to another, over the end of the range where that is the way.
    fn forward(&self, from: u64, to: u64) -> u64 {
        let range = self.limits.range;
        (to % range + range - from % range) % range
    }

    /// Most counts in `elapsed`; where that is not known, as many as a meter without a known rate.
    fn most(&self, elapsed: Option<Duration>) -> u64 {
        let unlimited = self.limits.range / STEP;
        let by_rate = |rate: f64, elapsed: Duration| (rate * elapsed.as_secs_f64()) as u64;
        let most = match (self.limits.max_rate, elapsed) {
            (Some(rate), Some(elapsed)) => by_rate(rate, elapsed),
            _ => unlimited,
        };
        most.saturating_add(JITTER).min(self.limits.range / 10)
    }

    fn follows(&self, believed: &Sighting, counts: u64, now: Duration) -> bool {
        let elapsed = believed.age.map(|age| age.saturating_add(now.saturating_sub(believed.at)));
        self.is_within(believed.counts, counts, self.most(elapsed))
    }

    fn is_within(&self, from: u64, to: u64, most: u64) -> bool {
        let step = self.forward(from, to);
        let back = self.limits.range - step;
        step <= most || back <= if self.limits.negative { most } else { JITTER }
    }

    /// True where the believed number is so old that several may follow from it.
    fn is_old(&self, believed: &Sighting, now: Duration) -> bool {
        let least = self.usual.map_or(OLD_AT_LEAST, |usual| (usual * OLD).max(OLD_AT_LEAST));
        believed.age.is_none_or(|age| age.saturating_add(now.saturating_sub(believed.at)) > least)
    }

    fn believe(&mut self, chosen: Candidate, now: Duration) -> Verdict {
        let counts = match self.believed {
            // What was read a little too low has not run backwards.
            Some(before)
                if !self.limits.negative && (1..=JITTER).contains(&self.forward(chosen.counts, before.counts)) =>
            {
                before.counts
            }
            _ => chosen.counts,
        };
        self.waiting = None;
        self.believed = Some(Sighting { counts, stood: Some(position(&chosen)), at: now, age: Some(Duration::ZERO) });
        Verdict { quality: Quality::Good, problem: None, chosen: Some(chosen) }
    }

    /// Waits for the number to be read again, or believes it now that it was read `times` times.
    fn wait(&mut self, chosen: Candidate, problem: MeterProblem, times: u32, now: Duration) -> Verdict {
        let goes_on = |waiting: &Waiting| {
            self.is_within(waiting.counts, chosen.counts, self.most(Some(now.saturating_sub(waiting.at))))
        };
        let waiting = match self.waiting.filter(goes_on) {
            Some(before) => Waiting { counts: chosen.counts, at: now, times: before.times.saturating_add(1), ..before },
            None => Waiting { counts: chosen.counts, since: now, at: now, times: 1 },
        };
        self.waiting = Some(waiting);
        let enough = waiting.times >= times.max(1);
        let lasted = self.limits.relearn.is_some_and(|relearn| now.saturating_sub(waiting.since) >= relearn);
        if enough && (problem == MeterProblem::Unconfirmed || lasted) {
            self.believed = None;
            return self.believe(chosen, now);
        }
        Verdict { quality: Quality::Unconfirmed, problem: Some(problem), chosen: Some(chosen) }
    }

    /// Learns the usual time between two pictures.
    fn look(&mut self, now: Duration) {
        if let Some(before) = self.looked.replace(now) {
            let gap = now.saturating_sub(before);
            // A gap says nothing of the usual time, two in a row of the same do.
            self.usual = Some(self.usual.map_or(gap, |usual| if gap > usual { (usual + gap) / 2 } else { gap }));
        }
    }
}

/// Position of a candidate's places, in counts.
fn position(candidate: &Candidate) -> f64 {
    candidate.counts as f64 + f64::from(candidate.rest)
}

/// Pictures in which a number has to be read that differs from the believed one by a place that moved alone; `None` where none did.
fn moved_alone(believed: &Sighting, chosen: &Candidate) -> Option<u32> {
    let step = (position(chosen) - believed.stood?).abs();
    let stands = |of: f64| step >= of - STOOD && (step / of - (step / of).round()).abs() * of <= STOOD;
    match (stands(ALONE), stands(ALONE * 10.0)) {
        (_, true) => Some(u32::MAX),
        (true, false) if step < ALONE * 10.0 - STOOD => Some(BY_CHANCE),
        _ => None,
    }
}

/// True where no other of `candidates` is as likely as `chosen` and another number.
fn alone<'a>(chosen: Candidate, mut candidates: impl Iterator<Item = &'a Candidate>) -> bool {
    !candidates.any(|c| c.counts != chosen.counts && c.cost < chosen.cost + TOLD_APART)
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
