//! Belief in the readings of a counter: it does not run backwards and does not leap.

use std::time::Duration;

use super::pace::{Limits, Pace};
use crate::task::number::Number;

/// Least readings in a row of a surprising one, however far apart they are.
const CONFIRM_READINGS: u32 = 3;

/// Verdict on one picture's reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the counter's reading.
    Believed,
    /// Drums stand between the believed reading and a neighbour.
    Rolling,
    /// A reading that has to be confirmed.
    Doubted,
    /// No reading.
    Unseen,
}

/// One picture's drums.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drums<'a> {
    /// Digits from left to right; `None` where there is none or it is uncertain.
    pub digits: &'a [Option<u8>],
    /// The picture was good enough to judge: no region was in the dark.
    pub visible: bool,
    /// Every digit is as certain as the surest readings are.
    pub sure: bool,
}

/// Believes readings of a counter that does not run backwards.
///
/// Steps are counted modulo 10^digits, so that 99999 → 00000 is one step forward. A step forward of up to [`Limits`] is believed
/// at once when it is sure, else when it comes twice in a row. Anything else (backwards, a leap) may be a misreading, or the last believed
/// reading was one: it is believed when it was read, advancing in small steps at most, for the confirmation time and at least
/// [`CONFIRM_READINGS`] times, with no other reading in between. So a misread leap cannot lock the counter for ever.
///
/// ```text
///            small step forward, or the same
///            ┌──────────┐
///            ▼          │  surprising                  consistent
///        ┌────────────────┐ ─────────▶ ┌────────────┐ ◀───┐
///   ───▶ │    believing   │            │  doubting  │ ────┘
///        └────────────────┘ ◀───────── └────────────┘
///          confirmed, or a small step from the last believed one
/// ```
///
/// - **What cannot be seen says nothing.** A picture without a reading neither confirms nor contradicts, and the time until the next
///   reading does not count towards the confirmation.
/// - **Drums beside the believed reading say nothing either** ([`Number::is_beside`]), also when they stand there for hours: the counter
///   is within one count of it. They are never confirmed.
/// - **A reading that was believed by confirmation is on probation until it advances**: what follows from the one before it is believed at
///   once, since a live counter moves and a misread picture does not.
/// - **What runs by itself explains its first step**: doubted readings that advance at a pace at which the counter would have come to the
///   first of them are those of a fast counter, and believed without waiting.
/// - **A first reading that was read once only** gives way to [`CONFIRM_READINGS`] that contradict it, without waiting.
#[derive(Clone, Debug)]
pub(super) struct Counter {
    confirm: Duration,
    limits: Limits,
    pace: Pace,
    believed: Option<Sighting>,
    /// The belief before, while the present one is on probation.
    replaced: Option<Sighting>,
    /// A plausible step that was not sure, when it was the reading before this one.
    unsure: Option<Number>,
    doubted: Option<Doubt>,
}

/// Time of the last sight of a reading.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    number: Number,
    at: Duration,
    /// Age at `at`: 0, unless it is from an earlier run; `None` = not known.
    age: Option<Duration>,
    /// It was read more than once, or has been believed before.
    established: bool,
}

impl Sighting {
    fn elapsed(&self, now: Duration) -> Option<Duration> {
        self.age.map(|age| age.saturating_add(now.saturating_sub(self.at)))
    }
}

#[derive(Clone, Copy, Debug)]
struct Doubt {
    first: Number,
    first_at: Duration,
    number: Number,
    at: Duration,
    times: u32,
    /// Time for which it was in sight.
    in_sight: Duration,
    /// Since when it is, unless a picture without a reading came since.
    in_sight_since: Option<Duration>,
}

impl Doubt {
    fn new(number: Number, now: Duration) -> Self {
        Doubt {
            first: number,
            first_at: now,
            number,
            at: now,
            times: 1,
            in_sight: Duration::ZERO,
            in_sight_since: Some(now),
        }
    }

    /// A picture has come: until then it was in sight.
    fn pass(&mut self, now: Duration) {
        if let Some(since) = self.in_sight_since.take() {
            self.in_sight = self.in_sight.saturating_add(now.saturating_sub(since));
        }
    }

    /// The known pace with this in mind: it ran by itself since the doubt began.
    fn pace(&self, mut known: Pace) -> Pace {
        known.interrupt();
        if let Some(counts) = self.first.step_to(self.number).filter(|counts| *counts > 1) {
            known.seen(counts - 1, self.at.saturating_sub(self.first_at));
        }
        known
    }

    /// It was read again, or went on to `number`.
    fn again(self, number: Number, now: Duration) -> Self {
        Doubt { number, at: now, times: self.times.saturating_add(1), in_sight_since: Some(now), ..self }
    }
}

impl Counter {
    /// Believes nothing yet.
    pub fn new(confirm: Duration, limits: Limits) -> Self {
        Counter { confirm, limits, pace: Pace::default(), believed: None, replaced: None, unsure: None, doubted: None }
    }

    /// Believes `number` from an earlier run, which at `now` was last read `age` ago (`None` = not known).
    pub fn restore(&mut self, number: Number, age: Option<Duration>, fastest_per_hour: f64, now: Duration) {
        self.pace = Pace::remembered(fastest_per_hour);
        self.believed = Some(Sighting { number, at: now, age, established: true });
    }

    /// The last reading that is believed; `None` before the first.
    fn believed(&self) -> Option<Number> {
        self.believed.map(|b| b.number)
    }

    /// The last reading that is believed, where it is worth remembering: it was read more than once.
    pub fn established(&self) -> Option<Number> {
        self.believed.filter(|b| b.established).map(|b| b.number)
    }

    /// The fastest pace that was seen, in counts per hour.
    pub fn fastest_per_hour(&self) -> f64 {
        self.pace.fastest_per_s * 3600.0
    }

    /// Judges the drums of one picture.
    pub fn judge(&mut self, drums: Drums<'_>, now: Duration) -> Verdict {
        if let Some(doubted) = &mut self.doubted {
            doubted.pass(now);
        }
        let read = Number::of(drums.digits).filter(|_| drums.visible);
        if self.believed().is_some_and(|number| drums.visible && number.is_beside(drums.digits)) {
            if read.is_some() {
                // It speaks for what is believed, and so against what is doubted.
                self.doubted = None;
            }
            return Verdict::Rolling;
        }
        let Some(read) = read else { return Verdict::Unseen };
        let repeated = self.unsure.take() == Some(read);
        let follows = |sighting: &Sighting| self.follows(sighting.number, read, sighting.elapsed(now));
        let returns = self.replaced.as_ref().is_some_and(follows);
        if self.believed.as_ref().is_none_or(follows) || returns {
            if drums.sure || repeated || self.believed() == Some(read) {
                self.believe(read, now);
                return Verdict::Believed;
            }
            self.unsure = Some(read);
            return Verdict::Doubted;
        }
        self.doubt(read, drums, now)
    }

    /// True if `to` is `from`, or as little ahead of it as is believed at once.
    fn follows(&self, from: Number, to: Number, elapsed: Option<Duration>) -> bool {
        from.step_to(to)
            .is_some_and(|step| step == 0 || step <= self.limits.largest_step(from.range(), elapsed, &self.pace))
    }

    /// Believes a reading that follows from what is believed, or from what was.
    fn believe(&mut self, read: Number, now: Duration) {
        let before = self.believed;
        let step = before.and_then(|b| b.number.step_to(read));
        let follows = before.is_none_or(|b| self.follows(b.number, read, b.elapsed(now)));
        match (before, step) {
            (Some(before), Some(step)) if follows && step > 0 => {
                self.pace.advance(step, before.at, now);
                self.replaced = None;
            }
            _ if !follows => {
                self.pace.interrupt();
                self.replaced = None;
            }
            _ => {}
        }
        self.doubted = None;
        self.believed =
            Some(Sighting { number: read, at: now, age: Some(Duration::ZERO), established: before.is_some() });
    }

    /// Doubts a reading, or believes it when it is confirmed by this one.
    fn doubt(&mut self, read: Number, drums: Drums<'_>, now: Duration) -> Verdict {
        let doubted = match self.doubted {
            Some(doubted) if doubted.number.is_beside(drums.digits) => {
                self.doubted = Some(Doubt { in_sight_since: Some(now), ..doubted });
                return Verdict::Doubted;
            }
            Some(doubted) if self.continues(&doubted, read, now) => doubted.again(read, now),
            _ => Doubt::new(read, now),
        };
        self.doubted = Some(doubted);
        let established = self.believed.filter(|b| b.established);
        let pace = doubted.pace(self.pace);
        let explained = self.believed.is_some_and(|b| self.explains(&pace, &b, &doubted));
        let lasted = doubted.in_sight >= self.confirm;
        if doubted.times < CONFIRM_READINGS || !(lasted || explained || established.is_none()) {
            return Verdict::Doubted;
        }
        self.replaced = established.filter(|_| !explained);
        self.believed = Some(Sighting { number: read, at: now, age: Some(Duration::ZERO), established: true });
        self.doubted = None;
        self.pace = pace;
        Verdict::Believed
    }

    /// True if a counter of this pace, without set limits, has come from what is believed to where the doubt began.
    fn explains(&self, pace: &Pace, believed: &Sighting, doubted: &Doubt) -> bool {
        let largest = Limits::default().largest_step(doubted.first.range(), believed.elapsed(doubted.first_at), pace);
        !self.limits.are_set() && believed.number.step_to(doubted.first).is_some_and(|step| step <= largest)
    }

    /// True if `read` goes on where the doubted reading was: as far as the limits that are set allow, else a hundredth of the range.
    fn continues(&self, doubted: &Doubt, read: Number, now: Duration) -> bool {
        let range = read.range();
        let largest = if self.limits.are_set() {
            self.limits.largest_step(range, Some(now.saturating_sub(doubted.at)), &self.pace)
        } else {
            (range / 100).max(1)
        };
        doubted.number.step_to(read).is_some_and(|step| step <= largest)
    }
}

#[cfg(test)]
mod tests;
