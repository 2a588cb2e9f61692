//! One class per region, joined to one reading, as of the digits of a meter.

use std::time::Duration;

use super::classify::check_labels;
use super::output::{EventIds, Filter, Scores, Smoothing, get, items, label, wrong};
use super::{Config, SetupError, Task, TaskError, TaskInput, TaskOutput};
use crate::frame::{Event, EventKind, Label, Outcome, Scored, TaskSpec};

/// Score that each region needs for a good reading when the configuration does not say.
const MIN_SCORE: f32 = 0.5;

/// How long a surprising reading must persist when the configuration does not say.
const CONFIRM: Duration = Duration::from_secs(10);

/// A step is believed at once when every region has this score; below it, as between two drum positions, when the next
/// reading is the same.
const SURE_SCORE: f32 = 0.85;

/// How many readings in a row a surprising one needs at least, however far apart they are.
const CONFIRM_READINGS: u32 = 3;

/// The best class of each region (items `[regions, classes]` of output 0), joined in order.
///
/// A reading is good when every region reaches `min_score`. Good readings make events: `new` for the first, `update` (same
/// id) when it changes. With `monotonic`, [`Monotonic`] decides what is believed; what is not is published as the last
/// good reading with `held`.
pub(super) struct Reading {
    labels: Vec<Label>,
    filter: Filter,
    min_score: f32,
    regions: usize,
    scores: Scores,
    smoothing: Smoothing,
    monotonic: Option<Monotonic>,
    ids: EventIds,
    current: Option<Event>,
    values: Vec<f32>,
}

impl Reading {
    /// # Errors
    /// When a wanted label is none of the model's.
    pub fn new(config: &Config, spec: &TaskSpec) -> Result<Self, SetupError> {
        let confirm = match config.confirm_s {
            None => CONFIRM,
            Some(seconds) => Duration::try_from_secs_f32(seconds)
                .map_err(|e| SetupError { key: "confirm_s", reason: format!("{seconds}: {e}") })?,
        };
        Ok(Reading {
            filter: Filter::new(&config.labels, &spec.labels)?,
            labels: spec.labels.clone(),
            min_score: config.min_score.unwrap_or(MIN_SCORE),
            regions: spec.items.max(1),
            scores: Scores::new(config.softmax),
            smoothing: Smoothing::new(config.smoothing),
            monotonic: config.monotonic.then(|| Monotonic::new(confirm)),
            ids: EventIds::default(),
            current: None,
            values: Vec::new(),
        })
    }

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
            None => self.current.insert(Event {
                kind: EventKind::New,
                id: self.ids.next(input.time),
                label: reading.to_string(),
                score,
                bbox: None,
                start_time: input.time,
                end_time: None,
            }),
        };
        vec![event.clone()]
    }
}

impl Task for Reading {
    fn run(&mut self, input: &TaskInput<'_>) -> Result<TaskOutput, TaskError> {
        let output = get(input.outputs, 0)?;
        let (rows, classes) = items(output, input, self.regions, &mut self.values)?;
        check_labels(output, classes, &self.labels)?;
        if !rows.chunks(classes).all(|row| row.iter().any(|v| v.is_finite())) {
            return Err(wrong(output, "a region without a finite value".into()));
        }
        self.scores.apply(output, rows, classes);
        let best = |row: &[f32]| {
            let counted = row.iter().enumerate().filter(|(c, _)| self.filter.has(*c));
            let (class, &score) = counted.reduce(|a, b| if b.1.total_cmp(a.1).is_gt() { b } else { a })?;
            Some(Scored { label: label(&self.labels, class), score })
        };
        let regions: Vec<Scored> = self.smoothing.add(rows).chunks(classes).filter_map(best).collect();
        let score = regions.iter().map(|r| r.score).fold(f32::INFINITY, f32::min).min(1.0);
        let read: String = regions.iter().map(|r| &*r.label).collect();
        let good = regions.len() == self.regions && score >= self.min_score;
        let (label, held, believed) = match &mut self.monotonic {
            None => (read, None, good),
            Some(monotonic) => match monotonic.judge(good.then_some(&read), score >= SURE_SCORE, input.now) {
                Some(believed) if believed == read => (read, Some(false), good),
                Some(believed) => (believed.to_string(), Some(true), false),
                None => (read, Some(false), false),
            },
        };
        let events = if believed { self.events(&label, score, input) } else { Vec::new() };
        Ok(TaskOutput { outcome: Outcome::Classify { label, score, top: Vec::new(), regions, held }, events })
    }
}

/// Believes readings of a counter that does not run backwards.
///
/// Steps are counted modulo 10^digits, so that 99999 → 00000 is one step forward. A step of up to a hundredth of the range is
/// believed when it is sure or comes twice, unless it looks like a counter caught while rolling: every digit the old or the
/// next one's, the whole neither (00199 → 00190 or 00299 before 00200). Anything else (backwards, a leap) may be a misreading, or
/// the last good reading was one: it is believed when it was read, advancing in small steps at most, for the confirmation
/// time and at least [`CONFIRM_READINGS`] times, with no other good reading in between. So a misread leap cannot lock the
/// meter for ever.
///
/// ```text
///            small step forward, or the same
///            ┌──────────┐
///            ▼          │  surprising                  consistent
///        ┌────────────────┐ ─────────▶ ┌────────────┐ ◀───┐
///   ───▶ │    believing   │            │  doubting  │ ────┘
///        └────────────────┘ ◀───────── └────────────┘
///                  confirmed, or a small step from the last good one
/// ```
#[derive(Clone, Debug)]
struct Monotonic {
    confirm: Duration,
    good: Option<String>,
    /// A plausible step that was not sure, when it was the reading before this one.
    unsure: Option<String>,
    doubted: Option<Doubted>,
}

#[derive(Clone, Debug)]
struct Doubted {
    reading: String,
    since: Duration,
    times: u32,
}

impl Monotonic {
    fn new(confirm: Duration) -> Self {
        Monotonic { confirm, good: None, unsure: None, doubted: None }
    }

    /// The last reading that is believed, this one (`None`: not a good one) counted in; `None` before the first.
    fn judge(&mut self, read: Option<&String>, sure: bool, now: Duration) -> Option<&str> {
        let Some(read) = read.filter(|r| number(r).is_some()) else {
            return self.good.as_deref();
        };
        let plausible = match &self.good {
            None => true,
            Some(good) => is_small_step(good, read) && !is_rolling(good, read),
        };
        let repeated = self.unsure.take().is_some_and(|before| before == *read);
        if plausible {
            if sure || repeated || self.good.as_ref() == Some(read) {
                self.believe(read);
            } else {
                self.unsure = Some(read.clone());
            }
            return self.good.as_deref();
        }
        let doubted = match &mut self.doubted {
            Some(doubted) if is_small_step(&doubted.reading, read) => {
                doubted.reading.clone_from(read);
                doubted.times += 1;
                doubted
            }
            _ => self.doubted.insert(Doubted { reading: read.clone(), since: now, times: 1 }),
        };
        if doubted.times >= CONFIRM_READINGS && now.saturating_sub(doubted.since) >= self.confirm {
            self.believe(read);
        }
        self.good.as_deref()
    }

    fn believe(&mut self, read: &str) {
        self.good = Some(read.to_string());
        self.doubted = None;
    }
}

/// The value of a reading and its range, if it is made of 1 to 18 digits.
fn number(reading: &str) -> Option<(u64, u64)> {
    let digits = reading.bytes().all(|b| b.is_ascii_digit());
    let range = 10_u64.checked_pow(u32::try_from(reading.len()).ok()?).filter(|_| reading.len() <= 18)?;
    if digits { Some((reading.parse().ok()?, range)) } else { None }
}

/// Whether `to` is `from` or up to a hundredth of the range further on.
fn is_small_step(from: &str, to: &str) -> bool {
    match (number(from), number(to)) {
        (Some((a, range)), Some((b, other))) if range == other => (b + range - a) % range <= (range / 100).max(1),
        _ => false,
    }
}

/// Whether `read` mixes the digits of `good` and of its successor.
fn is_rolling(good: &str, read: &str) -> bool {
    let (Some((value, range)), Some((now, _))) = (number(good), number(read)) else {
        return false;
    };
    let next = (value + 1) % range;
    let next_digits = format!("{next:0width$}", width = good.len());
    let mixed = read.bytes().zip(good.bytes().zip(next_digits.bytes())).all(|(r, (old, new))| r == old || r == new);
    mixed && now != value && now != next
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
