//! One class per region, joined to one reading, as of the digits of a meter.

mod counter;
mod pace;

use std::time::{Duration, SystemTime};

use counter::{Counter, Drums, Verdict};
use pace::Limits;

use super::classify::config::ClassifyConfig;
use super::contract::{Memory, SetupError, Task, TaskError, TaskInput, TaskOutput};
use super::number::MAX_DIGITS;
use super::output::{Filter, Scores, Smoothing, check_labels, get, items, label, wrong};
use crate::frame::{
    Event, EventIds, EventKind, Label, LastGood, Outcome, Quality, Reading, RegionRead, TaskSpec, Unreadable,
    VALUE_DIGITS,
};

/// Score that each region needs for a good reading where neither the configuration nor the model's bundle says. Upright regions over a
/// slanted row of digits, which show parts of two, were read with 0.53 to 0.62. The bundle of a digit model has the figure that was measured
/// for it (`min_score` in its `[defaults]`).
const MIN_SCORE: f32 = 0.8;

/// Time for which a surprising reading must persist when the configuration does not say.
const CONFIRM: Duration = Duration::from_secs(10);

/// A step is believed at once when every region has this score; below it, as between two drum positions, when the next
/// reading is the same.
const SURE_SCORE: f32 = 0.85;

/// The best class of each region (items `[regions, classes]` of output 0), joined in order.
///
/// A reading is good when every region shows something (it is not [`Unreadable`], and its best class is not the one for "nothing to read
/// here") with a score of at least `min_score`. Good readings make events: `new` for the first, `update` (same id) when it changes. With
/// `monotonic`, [`Counter`] decides what is believed. Any other picture shows the last good reading, held.
pub(super) struct Reader {
    labels: Vec<Label>,
    filter: Filter,
    none: Option<usize>,
    min_score: f32,
    regions: usize,
    scores: Scores,
    smoothing: Smoothing,
    counter: Option<Counter>,
    /// From an earlier run, until the first picture says what time it is.
    remembered: Option<Memory>,
    last: Option<Last>,
    ids: EventIds,
    current: Option<Event>,
    values: Vec<f32>,
    digits: Vec<Option<u8>>,
}

/// The last good reading.
struct Last {
    label: String,
    score: f32,
    time: SystemTime,
    at: Duration,
    /// Age at `at`; `None` = not known.
    age: Option<Duration>,
}

impl Reader {
    /// # Errors
    /// A wanted label that is none of the model's, or settings for a counter that do not fit the model.
    pub fn new(config: &ClassifyConfig, spec: &TaskSpec) -> Result<Self, SetupError> {
        let regions = spec.items.max(1);
        Ok(Reader {
            filter: Filter::new(&config.labels, &spec.labels)?,
            labels: spec.labels.clone(),
            none: spec.none,
            min_score: config.min_score.unwrap_or(MIN_SCORE),
            regions,
            scores: Scores::new(config.softmax),
            smoothing: Smoothing::new(config.smoothing),
            counter: if config.monotonic { Some(counter(config, &spec.labels, regions)?) } else { None },
            remembered: None,
            last: None,
            ids: EventIds::default(),
            current: None,
            values: Vec::new(),
            digits: Vec::new(),
        })
    }

    /// Reads one frame's part of a run; `values` is a buffer.
    fn look(&mut self, input: &TaskInput<'_>, values: &mut Vec<f32>) -> Result<TaskOutput, TaskError> {
        let output = get(input.outputs, 0)?;
        let (rows, classes) = items(output, input, self.regions, values)?;
        check_labels(output, classes, &self.labels)?;
        if !rows.chunks(classes).all(|row| row.iter().any(|v| v.is_finite())) {
            return Err(wrong(output, "a region without a finite value".into()));
        }
        self.scores.apply(output, rows, classes);
        self.recall(input.now, input.time);
        let mut regions = self.read(rows, classes, input.unreadable);
        let quality = self.judge(&mut regions, input.now);
        let score = regions.iter().map(|r| r.score).fold(1.0, f32::min);
        let mut events = Vec::new();
        if quality == Quality::Good {
            let label: String = regions.iter().filter_map(|r| r.label.as_deref()).collect();
            events = self.events(&label, score, input);
            self.last = Some(Last { label, score, time: input.time, at: input.now, age: Some(Duration::ZERO) });
        }
        let last = self.last.as_ref();
        let reading = Reading {
            label: last.map(|l| l.label.clone()),
            value: last.and_then(|l| value(&l.label)),
            score,
            quality,
            held: quality != Quality::Good && last.is_some(),
            regions,
            last_good: last.map(|l| {
                LastGood::new(l.score, l.time, l.age.map(|age| age.saturating_add(input.now.saturating_sub(l.at))))
            }),
        };
        Ok(TaskOutput { events, ..Outcome::Reading(reading).into() })
    }

    /// Takes over what is remembered from an earlier run, now that it is known how long ago that is.
    fn recall(&mut self, now: Duration, time: SystemTime) {
        let (Some(memory), Some(counter)) = (self.remembered.take(), &mut self.counter) else { return };
        // A board without a clock of its own starts somewhere in the past and is set later. Where that is before the reading, the time
        // since is not known, and nothing is concluded from it. Where it is after, but too early, a step looks larger for its time than
        // it is: it is confirmed, which costs little.
        let age = time.duration_since(memory.time).ok();
        counter.restore(memory.reading, age, memory.fastest_per_hour, now);
        let Memory { reading, score, time, .. } = memory;
        self.last = Some(Last { label: reading.to_string(), score, time, at: now, age });
    }

    /// Reads each region from its row of scores, one per class.
    fn read(&mut self, rows: &[f32], classes: usize, unreadable: &[Option<Unreadable>]) -> Vec<RegionRead> {
        let Reader { labels, filter, none, smoothing, .. } = self;
        // Scores of what could not be seen are no part of an average.
        let seen = unreadable.iter().all(Option::is_none);
        let rows = if seen { smoothing.add(rows) } else { rows };
        let best = |row: &[f32]| {
            let counted = row.iter().enumerate().filter(|(c, _)| filter.has(*c) || *none == Some(*c));
            counted.reduce(|a, b| if b.1.total_cmp(a.1).is_gt() { b } else { a }).map(|(class, score)| (class, *score))
        };
        let nothing = |reason| RegionRead { label: None, score: 0.0, unreadable: Some(reason) };
        let region = |(index, row): (usize, &[f32])| match (unreadable.get(index).copied().flatten(), best(row)) {
            (Some(reason), _) => nothing(reason),
            (None, Some((class, _))) if *none == Some(class) => nothing(Unreadable::NoDigit),
            (None, Some((class, score))) => RegionRead { label: Some(label(labels, class)), score, unreadable: None },
            // No class counts: the filter names others.
            (None, None) => nothing(Unreadable::NoDigit),
        };
        rows.chunks(classes).enumerate().map(region).collect()
    }

    /// Judges this picture's reading by itself and against those before it.
    fn judge(&mut self, regions: &mut [RegionRead], now: Duration) -> Quality {
        let Some(counter) = &mut self.counter else {
            return quality(regions, self.min_score);
        };
        self.digits.clear();
        for region in regions.iter_mut() {
            let digit = region.label.as_deref().and_then(digit);
            if region.label.is_some() && digit.is_none() {
                *region = RegionRead { label: None, score: 0.0, unreadable: Some(Unreadable::NoDigit) };
            }
            self.digits.push(digit.filter(|_| region.score >= self.min_score));
        }
        let drums = Drums {
            digits: &self.digits,
            visible: regions.iter().all(|r| r.unreadable != Some(Unreadable::LowContrast)),
            sure: regions.iter().all(|r| r.score >= SURE_SCORE),
        };
        match counter.judge(drums, now) {
            Verdict::Believed => Quality::Good,
            Verdict::Rolling => Quality::Rolling,
            Verdict::Doubted => Quality::Unconfirmed,
            Verdict::Unseen => quality(regions, self.min_score),
        }
    }

    /// The events of a good reading.
    fn events(&mut self, reading: &str, score: f32, input: &TaskInput<'_>) -> Vec<Event> {
        let event = match &mut self.current {
            Some(current) if current.label == reading => return Vec::new(),
            Some(current) => {
                current.kind = EventKind::Update;
                current.label.clear();
                current.label.push_str(reading);
                current.score = score;
                current
            }
            None => self.current.insert(Event::begin(self.ids.next(input.time), reading, score, input.time)),
        };
        vec![event.clone()]
    }
}

impl Task for Reader {
    fn run(&mut self, input: &TaskInput<'_>) -> Result<TaskOutput, TaskError> {
        let mut values = std::mem::take(&mut self.values);
        let result = self.look(input, &mut values);
        self.values = values;
        result
    }

    fn memory(&self) -> Option<Memory> {
        let (Some(counter), Some(last)) = (&self.counter, &self.last) else { return None };
        Some(Memory {
            reading: counter.established()?,
            score: last.score,
            time: last.time,
            fastest_per_hour: counter.fastest_per_hour(),
        })
    }

    fn restore(&mut self, memory: Memory) {
        self.remembered = Some(memory).filter(|m| self.counter.is_some() && m.reading.digits() == self.regions);
    }
}

/// The counter that `config` asks for.
fn counter(config: &ClassifyConfig, labels: &[Label], regions: usize) -> Result<Counter, SetupError> {
    let wrong = |key: &'static str, reason: String| Err(SetupError { key, reason });
    if regions > MAX_DIGITS {
        return wrong(
            "monotonic",
            format!("{regions} regions: a counter of at most {MAX_DIGITS} digits can be judged"),
        );
    }
    if !labels.is_empty() && !labels.iter().any(|l| digit(l).is_some()) {
        return wrong(
            "monotonic",
            "none of the model's labels is a digit: there is no number that could run backwards".into(),
        );
    }
    if let Some(rate) = config.max_rate.filter(|rate| !(rate.is_finite() && *rate > 0.0)) {
        return wrong("max_rate", format!("found {rate}, a number of counts per hour above 0 is allowed"));
    }
    if config.max_step == Some(0) {
        return wrong("max_step", "found 0, at least 1 is allowed".into());
    }
    let confirm = match config.confirm_s {
        None => CONFIRM,
        Some(seconds) => Duration::try_from_secs_f32(seconds)
            .map_err(|e| SetupError { key: "confirm_s", reason: format!("{seconds}: {e}") })?,
    };
    Ok(Counter::new(confirm, Limits { max_rate: config.max_rate, max_step: config.max_step }))
}

/// Quality of a reading by its regions alone.
fn quality(regions: &[RegionRead], min_score: f32) -> Quality {
    if regions.iter().any(|r| r.label.is_none()) {
        Quality::Unreadable
    } else if regions.iter().all(|r| r.score >= min_score) {
        Quality::Good
    } else {
        Quality::Uncertain
    }
}

/// The digit that a label is, if it is one.
fn digit(label: &str) -> Option<u8> {
    match label.as_bytes() {
        [digit @ b'0'..=b'9'] => Some(digit - b'0'),
        _ => None,
    }
}

/// A reading as a number, if it is one that a double holds exactly.
fn value(label: &str) -> Option<u64> {
    let exact = label.len() <= VALUE_DIGITS && label.bytes().all(|b| b.is_ascii_digit());
    label.parse().ok().filter(|_| exact)
}

#[cfg(test)]
mod tests;
