//! All channels of a source: which of them are not as usual or beyond a limit, and the events of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::channel::{Channel, Moment, Rules};
use super::limits::{Limit, LimitConfig};
use crate::frame::{AnomalyChannels, ChannelFault, Event, EventIds, Outcome, TaskKind, Trouble, Window};
use crate::task::contract::{Task, TaskError, TaskInput, TaskOutput};

/// Name of every event.
const LABEL: &str = "anomaly";

/// Channels that are looked at; a source gives no more.
const MOST_CHANNELS: usize = 512;

/// Rows that make usual how far they are apart, and times further than the longest one after which none has come for too long; that
/// is no less than so many seconds, since computers pause.
const LEAST_ROWS: u32 = 20;
const SILENCE: f64 = 5.0;
const LEAST_SILENCE_S: f64 = 5.0;

/// Version of what is kept; another one is thrown away.
const VERSION: u32 = 1;

/// Memory that is kept over a restart.
#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    version: u32,
    names: Vec<String>,
    channels: std::borrow::Cow<'a, [Channel]>,
}

/// The task: channels by what is usual of them, and limits.
pub(super) struct Watch {
    kind: TaskKind,
    rules: Option<Rules>,
    limits: Vec<Limit>,
    names: Arc<[String]>,
    channels: Vec<Channel>,
    /// Memory of an earlier run, until the channels are known.
    kept: Option<(Vec<String>, Vec<Channel>)>,
    /// Begun events by channel and whether they are of a limit.
    events: BTreeMap<(usize, bool), Event>,
    ids: EventIds,
    clock: Clock,
    rows: Rows,
}

impl Watch {
    pub(super) fn new(kind: TaskKind, rules: Option<Rules>, limits: Vec<LimitConfig>) -> Watch {
        Watch {
            kind,
            rules,
            limits: limits.into_iter().map(Limit::new).collect(),
            names: Arc::default(),
            channels: Vec::new(),
            kept: None,
            events: BTreeMap::new(),
            ids: EventIds::default(),
            clock: Clock::default(),
            rows: Rows::default(),
        }
    }

    /// Takes the names of a row's channels; other ones are other sensors, and nothing is known of them.
    fn know(&mut self, names: &Arc<[String]>) {
        if Arc::ptr_eq(names, &self.names) || (**names == *self.names && !self.channels.is_empty()) {
            return;
        }
        self.names = names.clone();
        let kept = self.kept.take().filter(|(kept, _)| **kept == **names);
        self.channels = kept.map_or_else(|| vec![Channel::default(); names.len()], |(_, channels)| channels);
    }

    /// The faults of a row: of the channel at a place, of what is usual (`false`) or of a limit.
    fn faults(&mut self, row: &[f32], at: Moment) -> BTreeMap<(usize, bool), ChannelFault> {
        let mut faults = BTreeMap::new();
        for limit in &mut self.limits {
            let Some(place) = self.names.iter().position(|name| name == limit.channel()) else { continue };
            let value = row.get(place).copied().unwrap_or(f32::NAN);
            if let Some(kind) = limit.take(at.time, value) {
                let usual = limit.value();
                let distance = if value.is_finite() { (value - usual).abs() } else { 0.0 };
                let fault = ChannelFault {
                    channel: limit.channel().into(),
                    fault: kind,
                    distance,
                    value: finite(value.into()),
                    usual: Some(usual),
                };
                faults.insert((place, true), fault);
            }
        }
        self.usual_faults(&mut faults);
        faults
    }

    /// Adds the faults of what is usual.
    fn usual_faults(&self, faults: &mut BTreeMap<(usize, bool), ChannelFault>) {
        for (place, (channel, name)) in self.channels.iter().zip(self.names.iter()).enumerate() {
            if let Some(fault) = channel.fault() {
                let fault = ChannelFault {
                    channel: name.clone(),
                    fault: fault.kind,
                    distance: fault.distance as f32,
                    value: finite(fault.value),
                    usual: finite(fault.usual).filter(|_| fault.kind != Trouble::Dead),
                };
                faults.insert((place, false), fault);
            }
        }
    }

    /// The outcome of these faults, with the events that tell of what has changed.
    fn output(&mut self, faults: BTreeMap<(usize, bool), ChannelFault>, time: SystemTime) -> TaskOutput {
        let mut events = Vec::new();
        let over: Vec<_> = self.events.keys().filter(|key| !faults.contains_key(key)).copied().collect();
        events.extend(over.into_iter().filter_map(|key| self.events.remove(&key)).map(|event| event.ended(time)));
        for (key, fault) in &faults {
            match self.events.get_mut(key) {
                Some(event) => {
                    event.score = event.score.max(fault.distance);
                    let known =
                        |faults: &[ChannelFault]| faults.first().is_some_and(|known| known.fault == fault.fault);
                    let changed = !matches!(&event.channels, AnomalyChannels::Faults(faults) if known(faults));
                    event.channels = AnomalyChannels::Faults(vec![fault.clone()]);
                    if changed {
                        event.kind = crate::frame::EventKind::Update;
                        events.push(event.clone());
                    }
                }
                None => {
                    let mut event = Event::begin(self.ids.next(time), LABEL, fault.distance, time);
                    event.channels = AnomalyChannels::Faults(vec![fault.clone()]);
                    events.push(event.clone());
                    self.events.insert(*key, event);
                }
            }
        }
        let mut channels: Vec<ChannelFault> = faults.into_values().collect();
        channels.sort_by(|a, b| b.distance.total_cmp(&a.distance));
        let ready = |rules: &Rules| self.channels.iter().any(|channel| channel.is_ready(rules));
        let calibrating = self.rules.as_ref().is_some_and(|rules| !ready(rules));
        let distance =
            self.channels.iter().map(|channel| channel.distance).filter(|d| d.is_finite()).fold(0.0, f64::max);
        let outcome = Outcome::Channels {
            task: self.kind,
            score: self.rules.map(|_| if calibrating { 0.0 } else { distance as f32 }),
            anomalous: !channels.is_empty(),
            calibrating,
            channels,
        };
        TaskOutput { outcome, events, faint: Vec::new() }
    }
}

impl Task for Watch {
    fn run(&mut self, input: &TaskInput<'_>) -> Result<TaskOutput, TaskError> {
        let wrong = |reason: &str| Err(TaskError { tensor: "readings".into(), reason: reason.into() });
        let Some(Window { channels, data, noted, .. }) = input.window else {
            return wrong("the source gives no numbers");
        };
        let width = channels.len();
        if width == 0 || width > MOST_CHANNELS || data.len() < width {
            let most = format!(
                "{width} channels, of 1 to {MOST_CHANNELS} that are watched: `channels` of the source names them"
            );
            return wrong(&most);
        }
        self.know(channels);
        let at = self.clock.moment(*noted, input.now, input.time);
        self.rows.add(input.now);
        let row = data.get(data.len() - width..).unwrap_or_default();
        if let Some(rules) = &self.rules {
            for (channel, value) in self.channels.iter_mut().zip(row) {
                channel.take(at, *value, rules);
            }
        }
        let faults = self.faults(row, at);
        Ok(self.output(faults, input.time))
    }

    fn silence(&mut self, now: Duration, time: SystemTime) -> Option<TaskOutput> {
        let rules = self.rules?;
        if !self.rows.are_overdue(now) {
            return None;
        }
        let was =
            self.channels.iter().filter(|channel| channel.fault().is_some_and(|f| f.kind == Trouble::Dead)).count();
        self.channels.iter_mut().for_each(|channel| channel.silence(self.rows.excess(now), &rules));
        let is =
            self.channels.iter().filter(|channel| channel.fault().is_some_and(|f| f.kind == Trouble::Dead)).count();
        (is > was).then(|| {
            let mut faults = BTreeMap::new();
            self.usual_faults(&mut faults);
            self.output(faults, time)
        })
    }

    fn end(&mut self, time: SystemTime) -> Vec<Event> {
        std::mem::take(&mut self.events).into_values().map(|event| event.ended(time)).collect()
    }

    fn learnt(&self) -> Option<String> {
        self.rules?;
        let (names, channels) = (self.names.to_vec(), self.channels.as_slice());
        if names.is_empty() {
            return None;
        }
        serde_json::to_string(&Kept { version: VERSION, names, channels: channels.into() }).ok()
    }

    fn recall(&mut self, learnt: &str) {
        let kept = serde_json::from_str::<Kept<'_>>(learnt).ok();
        let whole = kept.filter(|kept| kept.version == VERSION && kept.names.len() == kept.channels.len());
        self.kept = whole.map(|kept| (kept.names, kept.channels.into_owned()));
    }
}

fn finite(value: f64) -> Option<f32> {
    Some(value as f32).filter(|value| value.is_finite())
}

/// Rows of a source that is live: when the next one is overdue, by the computer's own clock.
#[derive(Debug, Default)]
struct Rows {
    last: Option<Duration>,
    longest: Duration,
    count: u32,
}

impl Rows {
    fn add(&mut self, now: Duration) {
        if let Some(last) = self.last.replace(now) {
            let since = now.saturating_sub(last);
            // After a silence the usual time is not as long as that was.
            let usual = if self.count < LEAST_ROWS { since } else { since.min(self.longest.mul_f64(1.5)) };
            self.longest = self.longest.max(usual);
            self.count = self.count.saturating_add(1);
        }
    }

    fn are_overdue(&self, now: Duration) -> bool {
        let limit = (SILENCE * self.longest.as_secs_f64()).max(LEAST_SILENCE_S);
        let since = self.last.map_or(0.0, |last| now.saturating_sub(last).as_secs_f64());
        self.count >= LEAST_ROWS && since > limit
    }

    /// Time since the last row in longest usual times.
    fn excess(&self, now: Duration) -> f64 {
        let since = self.last.map_or(Duration::ZERO, |last| now.saturating_sub(last));
        since.as_secs_f64() / self.longest.as_secs_f64().max(1e-3)
    }
}

/// The time of rows: as their writer noted it, else the computer's own, which goes on evenly where its clock is set.
#[derive(Debug, Default)]
struct Clock {
    /// The last noted time, and how far the even one is ahead of it: a clock may be set back.
    noted: Option<(f64, f64)>,
}

impl Clock {
    fn moment(&mut self, noted: Option<f64>, now: Duration, time: SystemTime) -> Moment {
        let wall = time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let Some(clock) = noted else {
            return Moment { time: now.as_secs_f64(), clock: wall };
        };
        let (last, ahead) = self.noted.unwrap_or((clock, 0.0));
        let ahead = if clock < last { ahead + last - clock } else { ahead };
        self.noted = Some((clock, ahead));
        Moment { time: clock + ahead, clock }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: f64 = 86_400.0;

    fn rules(learn: f64) -> Rules {
        Rules { spreads: 6.0, learn, accept: f64::INFINITY }
    }

    /// The watch of one channel over values a minute apart from `from` on; the faults of each.
    fn over(watch: &mut Watch, from: f64, values: &[f32]) -> Vec<Option<Trouble>> {
        let names: Arc<[String]> = Arc::from(["a".to_owned()]);
        let mut faults = Vec::new();
        for (i, value) in values.iter().enumerate() {
            let time = from + 60.0 * i as f64;
            let window = Window { channels: names.clone(), rows: 1, data: vec![*value], noted: Some(time) };
            let input = TaskInput {
                inputs: &[],
                outputs: &[],
                first_item: 0,
                geometry: &[],
                unreadable: &[],
                faint_score: None,
                window: Some(&window),
                now: Duration::from_secs_f64(60.0 * i as f64),
                time: UNIX_EPOCH + Duration::from_secs_f64(time),
            };
            let output = watch.run(&input).unwrap();
            let Outcome::Channels { channels, anomalous, .. } = output.outcome else { panic!("{:?}", output.outcome) };
            assert_eq!(anomalous, !channels.is_empty());
            faults.push(channels.first().map(|found| found.fault));
        }
        faults
    }

    /// Values with some noise, by a linear congruence.
    fn noise(count: usize, level: f32) -> Vec<f32> {
        let mut state = 1_u32;
        let mut one = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 16_777_216.0 - 0.5
        };
        (0..count).map(|_| level + one() + one() + one()).collect()
    }

    #[test]
    fn nothing_is_told_while_it_learns() {
        let mut watch = Watch::new(TaskKind::Baseline, Some(rules(DAY)), Vec::new());
        let mut values = noise(1430, 20.0);
        values[700] = 1e6;
        values[900..1000].fill(f32::NAN);
        values[1100..1200].fill(3.0);
        assert!(over(&mut watch, 0.0, &values).iter().all(Option::is_none));
    }

    #[test]
    fn memory_is_bounded_and_what_was_kept_is_taken_back() {
        let mut watch = Watch::new(TaskKind::Baseline, Some(rules(DAY)), Vec::new());
        let mut values = noise(20_000, 20.0);
        // Also with faults that go on, numbers at the end of the range, and gaps.
        values[9000..9100].fill(f32::NAN);
        values[15_000] = f32::MAX;
        values[15_001] = f32::MIN;
        values[19_990..].fill(60.0);
        let faults = over(&mut watch, 0.0, &values);
        assert_eq!(faults.last(), Some(&Some(Trouble::Level)));
        let kept = watch.learnt().unwrap();
        assert!(kept.len() < 16_000, "{} bytes", kept.len());
        let mut again = Watch::new(TaskKind::Baseline, Some(rules(DAY)), Vec::new());
        again.recall(&kept);
        let faults = over(&mut again, 30.0 * DAY, &[60.0, 60.0, 20.0, 20.0, 20.0, 20.0, 20.1, 85.0, 20.0]);
        assert_eq!(faults[0], Some(Trouble::Level), "it goes on");
        assert_eq!((faults[5], faults[7]), (None, Some(Trouble::Spike)), "{faults:?}");
        for damaged in ["", "null", "{}", &kept[..kept.len() / 2], &kept.replace("\"version\":1", "\"version\":0")] {
            let mut anew = Watch::new(TaskKind::Baseline, Some(rules(DAY)), Vec::new());
            anew.recall(damaged);
            assert!(over(&mut anew, 0.0, &[60.0, 85.0]).iter().all(Option::is_none), "{damaged}");
        }
    }

    #[test]
    fn no_row_for_long_is_told_once_and_ends_when_they_are_back() {
        let mut watch = Watch::new(TaskKind::Baseline, Some(rules(0.0)), Vec::new());
        over(&mut watch, 0.0, &noise(100, 20.0));
        let last = Duration::from_secs(99 * 60);
        assert!(watch.silence(last + Duration::from_secs(290), UNIX_EPOCH).is_none(), "five times the usual are 300 s");
        let output = watch.silence(last + Duration::from_secs(301), UNIX_EPOCH).unwrap();
        assert_eq!(output.events.len(), 1);
        let AnomalyChannels::Faults(faults) = &output.events[0].channels else { panic!("{output:?}") };
        assert_eq!((faults[0].fault, faults[0].value), (Trouble::Dead, None));
        assert!(watch.silence(last + Duration::from_secs(900), UNIX_EPOCH).is_none());
        assert_eq!(over(&mut watch, 7000.0, &noise(4, 20.0)).last(), Some(&None));
    }

    #[test]
    fn a_clock_that_is_set_back_or_stands_still_is_no_fault() {
        let mut watch = Watch::new(TaskKind::Baseline, Some(rules(3600.0)), Vec::new());
        let faults = over(&mut watch, 1e9, &noise(500, 20.0));
        let back = over(&mut watch, 1e9, &noise(500, 20.0));
        assert!(faults.iter().chain(&back).all(Option::is_none));
    }
}
