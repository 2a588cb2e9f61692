//! A meter: positions of its drums and dials, joined to one number by their neighbours and by its history.

mod flow;
mod mount;
mod places;
mod rate;
mod settings;
mod zone;

use std::time::{Duration, SystemTime};

use crate::frame::{LastGood, MeterNumber, MeterProblem, MeterReading, PlaceRead, PositionRead, Quality};
use flow::{Flow, Limits, Verdict};
use mount::Mount;
use places::{Candidate, Movement, candidates, movements};
use rate::Rate;
pub use settings::{Kind, Settings};
use zone::Zone;

/// Counts after which a picture is another one.
const MOVED: u64 = 3;

/// State of a meter, to be kept over the end of the process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Remembered {
    /// The number that is believed, in counts of the lowest place.
    pub counts: u64,
    /// Time at which it was read (wall clock).
    pub time: SystemTime,
    /// Its score.
    pub score: f32,
}

/// One meter over time.
#[derive(Clone, Debug)]
pub struct Meter {
    settings: Settings,
    number: MeterNumber,
    flow: Flow,
    zones: Vec<Zone>,
    mounts: Vec<Mount>,
    /// The number that zones and mounts were last learnt from.
    learnt_from: Option<u64>,
    rate: Rate,
    /// From an earlier run, until the first picture says what time it is.
    remembered: Option<Remembered>,
    last: Option<Last>,
}

/// The last good reading.
#[derive(Clone, Copy, Debug)]
struct Last {
    counts: u64,
    score: f32,
    time: SystemTime,
    at: Duration,
    /// Age at `at`; `None` = not known.
    age: Option<Duration>,
}

impl Meter {
    /// A meter of which nothing is known yet.
    pub fn new(settings: Settings) -> Meter {
        let limits = Limits {
            range: settings.range(),
            max_rate: settings.max_rate.map(|per_hour| per_hour * settings.counts_per_unit() / 3600.0),
            negative: settings.negative,
            confirm: if settings.single { 1 } else { settings.confirm },
            relearn: settings.relearn,
        };
        let over = |next: Option<&Kind>| match next {
            Some(Kind::Digit) => Zone::OVER_DIGIT,
            _ => Zone::OVER_DIAL,
        };
        Meter {
            number: settings.number(),
            flow: Flow::new(limits),
            zones: (0..settings.places.len()).map(|index| over(settings.places.get(index + 1))).collect(),
            mounts: settings.places.iter().map(|kind| mount(*kind, settings.whole_digits)).collect(),
            learnt_from: None,
            rate: Rate::default(),
            remembered: None,
            last: None,
            settings,
        }
    }

    /// State worth keeping.
    pub fn memory(&self) -> Option<Remembered> {
        let Last { counts, score, time, .. } = self.last?;
        Some(Remembered { counts, time, score })
    }

    /// Takes over what an earlier run remembered. To be called before the first picture.
    pub fn restore(&mut self, remembered: Remembered) {
        self.remembered = Some(remembered);
    }

    /// Number of places.
    pub fn places(&self) -> usize {
        self.settings.places.len()
    }

    /// Reads a picture whose marks were not found.
    pub fn not_aligned(&mut self, now: Duration, time: SystemTime) -> MeterReading {
        self.recall(now, time);
        self.held(Vec::new(), Quality::Unreadable, MeterProblem::NotAligned, now)
    }

    /// Reads a picture: one position for each place, digits first. `now` is monotonic, `time` the picture's own.
    pub fn read(&mut self, positions: &[PositionRead], now: Duration, time: SystemTime) -> MeterReading {
        if self.settings.single {
            *self = Meter::new(self.settings.clone());
        }
        self.recall(now, time);
        let places = self.settings.places.len();
        let seen: Vec<f32> = positions.iter().filter_map(|read| read.position).collect();
        if seen.len() != places || places == 0 {
            let reads = positions.iter().map(|read| PlaceRead { digit: None, read: read.clone() }).collect();
            return self.held(reads, Quality::Unreadable, MeterProblem::Unreadable, now);
        }
        let found = candidates(&self.settings.places, &seen, &self.zones, &self.mounts);
        let score = positions.iter().map(|read| read.score).fold(1.0, f32::min);
        let doubtful = score < self.settings.min_score;
        let best = found.first().copied();
        let Verdict { quality, problem, chosen } = if doubtful {
            Verdict { quality: Quality::Uncertain, problem: Some(MeterProblem::Uncertain), chosen: best }
        } else {
            self.flow.judge(&found, now)
        };
        let reads = self.digits(positions, chosen);
        let raw_value = chosen.map(|chosen| self.number.value(chosen.counts));
        if quality != Quality::Good {
            let problem = problem.unwrap_or(MeterProblem::Uncertain);
            let held = self.held(reads, quality, problem, now);
            if let (true, Some(chosen)) = (self.settings.single, chosen) {
                let (value, label) = (self.number.value(chosen.counts), self.number.text(chosen.counts));
                return MeterReading { score, value: Some(value), label: Some(label), raw_value, held: false, ..held };
            }
            return MeterReading { score, raw_value, ..held };
        }
        if let (Some(chosen), Some(counts)) = (chosen, self.flow.believed()) {
            // Pictures of a meter that stands still are one picture: what is wrong in it would be learnt.
            if self.learnt_from.is_none_or(|before| before.abs_diff(counts) >= MOVED) {
                self.learnt_from = Some(counts);
                self.learn(&seen, &chosen);
            }
            self.rate.seen(counts, now, self.settings.range());
            self.last = Some(Last { counts, score, time, at: now, age: Some(Duration::ZERO) });
        }
        let held = self.held(reads, quality, MeterProblem::Uncertain, now);
        MeterReading { score, raw_value, problem: None, held: false, ..held }
    }

    /// Learns from positions of a number that is believed.
    fn learn(&mut self, positions: &[f32], chosen: &Candidate) {
        for Movement { index, ahead, below } in movements(&self.settings.places, positions, &self.mounts, chosen) {
            match self.settings.places[index] {
                Kind::Dial { .. } => self.mounts[index].learn(ahead - below),
                // Early in the turn below it, a drum is at rest.
                Kind::Digit if below < 0.5 && ahead.abs() < 0.3 => self.mounts[index].learn(ahead),
                Kind::Digit => self.zones[index].learn(ahead, below),
            }
        }
    }

    /// Takes over what is remembered from an earlier run, now that it is known how long ago that is.
    fn recall(&mut self, now: Duration, time: SystemTime) {
        let Some(Remembered { counts, time: then, score }) = self.remembered.take() else { return };
        // A board without a clock of its own may be behind the time of the reading: then its age is not known.
        let age = time.duration_since(then).ok();
        self.flow.restore(counts, age, now);
        self.last = Some(Last { counts, score, time: then, at: now, age });
    }

    /// Each place with its digit in the number that was decided for.
    fn digits(&self, positions: &[PositionRead], chosen: Option<Candidate>) -> Vec<PlaceRead> {
        let text = chosen.map(|chosen| format!("{:0width$}", chosen.counts, width = self.places()));
        let digit = |index: usize| text.as_ref()?.as_bytes().get(index).map(|byte| byte - b'0');
        positions
            .iter()
            .enumerate()
            .map(|(index, read)| PlaceRead { digit: digit(index), read: read.clone() })
            .collect()
    }

    /// The last good reading, held for `problem`.
    fn held(&self, reads: Vec<PlaceRead>, quality: Quality, problem: MeterProblem, now: Duration) -> MeterReading {
        let digits = self.settings.places.iter().filter(|kind| **kind == Kind::Digit).count();
        let dials = reads.get(digits..).map(<[PlaceRead]>::to_vec).unwrap_or_default();
        let age = |last: &Last| last.age.map(|age| age.saturating_add(now.saturating_sub(last.at)));
        MeterReading {
            value: self.last.map(|last| self.number.value(last.counts)),
            label: self.last.map(|last| self.number.text(last.counts)),
            raw_value: None,
            held: self.last.is_some(),
            rate_per_hour: self.rate.per_hour(now).map(|counts| counts / self.settings.counts_per_unit()),
            digits: reads.get(..digits.min(reads.len())).map(<[PlaceRead]>::to_vec).unwrap_or_default(),
            dials,
            last_good: self.last.as_ref().map(|last| LastGood::new(last.score, last.time, age(last))),
            quality,
            ..MeterReading::nothing(&self.settings.meter, problem)
        }
    }
}

/// A place of which nothing is known yet.
fn mount(kind: Kind, whole_digits: bool) -> Mount {
    if whole_digits && kind == Kind::Digit { Mount::WHOLE } else { Mount::default() }
}

#[cfg(test)]
mod tests;
