//! A scenario file: surroundings, faults and work of a board, and the expectations of the governor.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::board::Kind;

/// A larger file is no scenario.
pub const MOST_BYTES: u64 = 4 << 20;

/// Longest scenario: a week.
const LONGEST_S: u32 = 7 * 86_400;

/// A scenario that cannot be run. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// It is no TOML, or has a key or type that a scenario does not have.
    #[error("{path}{}: {reason}", .line.map(|l| format!(":{l}")).unwrap_or_default())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, where known.
        line: Option<usize>,
        /// The parser's words.
        reason: String,
    },
    /// A value that makes no sense.
    #[error("{path}: {key}: {reason}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, with its index in a list.
        key: String,
        /// The value found, and the allowed ones.
        reason: String,
    },
}

/// A whole scenario.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its subject, for people.
    #[serde(default)]
    pub name: String,
    /// The simulated board, unless the command line says another.
    pub board: Option<Kind>,
    /// Length in virtual seconds.
    pub duration_s: u32,
    /// `[second, °C]`, linear between the points, constant before the first and after the last.
    #[serde(default = "room")]
    pub ambient_celsius: Vec<[f64; 2]>,
    /// `[second, share of all cores]` that others use, in steps.
    #[serde(default)]
    pub background_cpu: Vec<[f64; 2]>,
    /// Faults.
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
    /// The work.
    pub workload: Workload,
    /// Expectations.
    #[serde(default)]
    pub expect: Expect,
}

/// `[[fault]]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Its beginning.
    pub at_s: f64,
    /// Its duration.
    pub for_s: f64,
    /// Its kind.
    pub kind: FaultKind,
    /// Reading of the sensor meanwhile (°C), for `sensor_spike` and, instead of its last value, `sensor_stuck`.
    pub value: Option<f64>,
}

/// Kind of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The thermometer says something else.
    SensorSpike,
    /// The thermometer stands still.
    SensorStuck,
    /// The thermometer says "not a number".
    SensorNan,
    /// The thermometer is gone.
    SensorMissing,
    /// The fan stops (on a board that has one).
    FanStop,
    /// The supply sags: the firmware pins the lowest clock.
    SupplySag,
    /// The camera is gone.
    SourceLost,
    /// The broker is gone.
    BrokerLost,
}

/// `[workload]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// A result later than this after its frame is a missed deadline.
    pub deadline_ms: f64,
    /// Objects that pass in front of the camera.
    pub events: Option<EventsSpec>,
    /// The motion gate.
    pub gate: Option<GateSpec>,
    /// Best first.
    #[serde(rename = "rung")]
    pub rungs: Vec<RungSpec>,
}

/// `[workload.events]`: objects that come at random and go.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsSpec {
    /// Objects in an hour, on average.
    pub per_hour: f64,
    /// Time for which one stays, on average.
    pub dwell_s: f64,
    /// Decides when they come, and in which frames they are found.
    #[serde(default)]
    pub seed: u64,
}

/// `[workload.gate]`: frames are looked at while something moves.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateSpec {
    /// Time for which it stays open after the last motion.
    pub hold_s: f64,
    /// Time after which a frame is looked at although nothing moves.
    pub look_every_s: f64,
    /// Time between two frames while it is closed (key frames only); 0 = as while it is open.
    #[serde(default)]
    pub idle_interval_ms: f64,
    /// Cores that capturing and decoding keep busy while it is open …
    #[serde(default)]
    pub open_cores: f64,
    /// … and while it is closed.
    #[serde(default)]
    pub idle_cores: f64,
}

/// `[[workload.rung]]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RungSpec {
    /// Time between two frames.
    pub interval_ms: f64,
    /// Model input in pixels of the longer side; only shown.
    #[serde(default)]
    pub resolution: u32,
    /// Frames gathered for one inference.
    #[serde(default = "one")]
    pub batch: u32,
    /// Threads of one inference.
    #[serde(default = "one")]
    pub threads: u32,
    /// One inference of one frame on one idle core at full clock.
    pub cost_ms: f64,
    /// Worth of an answer, 0 to 1.
    pub accuracy: f64,
    /// Each frame of a batch above 1 costs `1 − batch_gain`.
    #[serde(default)]
    pub batch_gain: f64,
}

impl RungSpec {
    /// Work of a whole batch in ms of one core at full clock.
    pub fn work_ms(&self, frames: u32) -> f64 {
        let gain = if frames > 1 { 1.0 - self.batch_gain } else { 1.0 };
        self.cost_ms * f64::from(frames) * gain
    }
}

/// `[expect]`: every key optional; a range that fails makes the command fail.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expect {
    /// The die is never hotter after `settle_s`.
    pub max_celsius: Option<f64>,
    /// `max_celsius` holds from this second on.
    pub settle_s: f64,
    /// Seconds in which the firmware held the clock down because of heat.
    pub max_throttled_s: Option<f64>,
    /// Useful work against the best fixed rung that keeps the same limits.
    pub min_useful_vs_hindsight: Option<f64>,
    /// Rung changes in any 10 minutes of the last half.
    pub max_changes_per_10min: Option<f64>,
    /// Share of the objects that an event told of.
    pub min_event_recall: Option<f64>,
    /// Further events for each object that was found.
    pub max_event_churn: Option<f64>,
    /// Share of the inferences that met their deadline.
    pub min_deadline_met: Option<f64>,
    /// Back this long after the last disturbance on the first rung that the board can keep in time: the first one, unless a drawn
    /// board is too slow for it even when idle and cool.
    pub recover_within_s: Option<f64>,
}

fn room() -> Vec<[f64; 2]> {
    vec![[0.0, 25.0]]
}

fn one() -> u32 {
    1
}

impl Scenario {
    /// Parses and validates; `path` is named in errors.
    ///
    /// # Errors
    /// [`ScenarioError`].
    pub fn parse(text: &str, path: &Path) -> Result<Scenario, ScenarioError> {
        let scenario: Scenario = toml_edit::de::from_str(text).map_err(|e| {
            let line = e.span().map(|span| text.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1);
            let reason = e.message().trim().replace('\n', " ");
            // The parser names the value; a person looks for the key.
            let written = line.and_then(|line| text.lines().nth(line - 1)).and_then(|l| l.split_once('='));
            let reason = written.map_or(reason.clone(), |(key, _)| format!("{}: {reason}", key.trim()));
            ScenarioError::Parse { path: path.into(), line, reason }
        })?;
        match scenario.fault() {
            None => Ok(scenario),
            Some((key, reason)) => Err(ScenarioError::Value { path: path.into(), key, reason }),
        }
    }

    /// End of the last disturbance: the last change of ambient or background, the end of the last fault.
    pub fn last_disturbance_s(&self) -> f64 {
        let moves = |points: &[[f64; 2]]| {
            points.windows(2).filter(|w| w[0][1] != w[1][1]).map(|w| w[1][0]).fold(0.0_f64, f64::max)
        };
        let faults = self.faults.iter().map(|f| f.at_s + f.for_s).fold(0.0_f64, f64::max);
        moves(&self.ambient_celsius).max(moves(&self.background_cpu)).max(faults)
    }

    /// The first value that makes no sense, with its key.
    fn fault(&self) -> Option<(String, String)> {
        let mut checks = Checks::default();
        checks.range("duration_s", f64::from(self.duration_s), 1.0, f64::from(LONGEST_S));
        if self.ambient_celsius.is_empty() {
            checks.fault("ambient_celsius", "found no point, at least [0, 25.0] is needed".into());
        }
        checks.curve("ambient_celsius", &self.ambient_celsius, -60.0, 100.0);
        checks.curve("background_cpu", &self.background_cpu, 0.0, 1.0);
        for (i, fault) in self.faults.iter().enumerate() {
            let key = |name: &str| format!("fault[{i}].{name}");
            checks.range(&key("at_s"), fault.at_s, 0.0, f64::from(LONGEST_S));
            checks.range(&key("for_s"), fault.for_s, 0.0, f64::from(LONGEST_S));
            let takes_value = matches!(fault.kind, FaultKind::SensorSpike | FaultKind::SensorStuck);
            match fault.value {
                None if fault.kind == FaultKind::SensorSpike => {
                    checks.fault(&key("value"), "missing: what a sensor_spike reads, in °C".into());
                }
                Some(_) if !takes_value => {
                    checks.fault(&key("value"), "only sensor_spike and sensor_stuck take a value".into());
                }
                Some(value) if value.is_nan() => checks.fault(&key("value"), "found nan; use sensor_nan".into()),
                _ => {}
            }
        }
        checks.range("workload.deadline_ms", self.workload.deadline_ms, 1.0, 3.6e6);
        if self.workload.rungs.is_empty() {
            checks.fault("workload.rung", "found none, at least one is needed".into());
        }
        for (i, rung) in self.workload.rungs.iter().enumerate() {
            let key = |name: &str| format!("workload.rung[{i}].{name}");
            checks.range(&key("interval_ms"), rung.interval_ms, 1.0, 3.6e6);
            checks.range(&key("batch"), f64::from(rung.batch), 1.0, 64.0);
            checks.range(&key("threads"), f64::from(rung.threads), 1.0, 64.0);
            checks.range(&key("cost_ms"), rung.cost_ms, 0.001, 3.6e6);
            checks.range(&key("accuracy"), rung.accuracy, 0.0, 1.0);
            checks.range(&key("batch_gain"), rung.batch_gain, 0.0, 0.99);
        }
        if let Some(events) = &self.workload.events {
            checks.range("workload.events.per_hour", events.per_hour, 0.01, 36_000.0);
            checks.range("workload.events.dwell_s", events.dwell_s, 0.1, 3600.0);
        }
        if let Some(gate) = &self.workload.gate {
            checks.range("workload.gate.hold_s", gate.hold_s, 0.0, 3600.0);
            checks.range("workload.gate.look_every_s", gate.look_every_s, 1.0, 3600.0);
            checks.range("workload.gate.idle_interval_ms", gate.idle_interval_ms, 0.0, 3.6e6);
            checks.range("workload.gate.open_cores", gate.open_cores, 0.0, 64.0);
            checks.range("workload.gate.idle_cores", gate.idle_cores, 0.0, 64.0);
        }
        let expect = &self.expect;
        checks.range("expect.settle_s", expect.settle_s, 0.0, f64::from(LONGEST_S));
        for (key, value) in [
            ("expect.max_celsius", expect.max_celsius),
            ("expect.max_throttled_s", expect.max_throttled_s),
            ("expect.min_useful_vs_hindsight", expect.min_useful_vs_hindsight),
            ("expect.max_changes_per_10min", expect.max_changes_per_10min),
            ("expect.min_deadline_met", expect.min_deadline_met),
            ("expect.recover_within_s", expect.recover_within_s),
            ("expect.min_event_recall", expect.min_event_recall),
            ("expect.max_event_churn", expect.max_event_churn),
        ] {
            if let Some(value) = value {
                checks.range(key, value, 0.0, 1e6);
            }
        }
        checks.first
    }
}

/// Keeps the first fault.
#[derive(Default)]
struct Checks {
    first: Option<(String, String)>,
}

impl Checks {
    fn fault(&mut self, key: &str, reason: String) {
        self.first.get_or_insert_with(|| (key.to_owned(), reason));
    }

    fn range(&mut self, key: &str, value: f64, least: f64, most: f64) {
        if !(least..=most).contains(&value) {
            self.fault(key, format!("found {value}, allowed is {least} to {most}"));
        }
    }

    fn curve(&mut self, key: &str, points: &[[f64; 2]], least: f64, most: f64) {
        for (i, [at_s, value]) in points.iter().enumerate() {
            self.range(&format!("{key}[{i}] second"), *at_s, 0.0, f64::from(LONGEST_S));
            self.range(&format!("{key}[{i}] value"), *value, least, most);
        }
        if let Some(i) = points.windows(2).position(|w| w[1][0] < w[0][0]) {
            self.fault(&format!("{key}[{}] second", i + 1), "points must stand in order of time".into());
        }
    }
}
