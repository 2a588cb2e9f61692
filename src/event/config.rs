//! `[pipeline.track]`, `[[pipeline.zone]]`, `[[pipeline.line]]` and `[pipeline.event]`.

use std::collections::HashMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::geometry::crosses_itself;
use crate::frame::diagnostic::{Diagnostic, nearest, quoted, unique};
use crate::frame::{Label, LineName, TaskKind, ZoneName};

/// Zones of a pipeline at most, and lines.
const MAX_PLACES: usize = 32;
/// Corners of a zone at most.
const MAX_CORNERS: usize = 64;
/// Least area of a zone, as a share of the picture.
const LEAST_AREA: f32 = 1e-5;
/// Least length of a line, as a share of the picture's sides.
const LEAST_LENGTH: f32 = 1e-3;

/// `[pipeline.track]`: identity of detected objects over frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrackConfig {
    /// Least score of a detection that goes on with an object that is followed already, 0 to 1; unset = half of the task's
    /// `min_score`.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub low_score: Option<f32>,
    /// Least score of a detection that begins an object, 0 to 1; unset = the task's `min_score`.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub new_score: Option<f32>,
    /// Time for which an object that is not seen keeps its number, in s; unset = as `vanish_s`, and no less.
    #[schemars(range(min = 0.0, max = 3600.0))]
    pub lost_s: Option<f32>,
    /// Time without movement after which an object is stationary, in s; 0 = never.
    #[schemars(range(min = 0.0, max = 86_400.0))]
    pub stationary_s: f32,
}

impl Default for TrackConfig {
    fn default() -> Self {
        TrackConfig { low_score: None, new_score: None, lost_s: None, stationary_s: 10.0 }
    }
}

/// `[[pipeline.zone]]`: a part of the picture in which objects are counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneConfig {
    /// Name in events and states, `[a-zA-Z0-9_-]`, unique in the pipeline.
    pub name: ZoneName,
    /// Corners in order, each `[x, y]` in shares of the picture's width and height, 0 to 1. An object is inside when the middle of its
    /// bottom edge is.
    #[schemars(length(min = 3, max = 64))]
    pub polygon: Vec<[f32; 2]>,
    /// Labels that count; empty = all.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Time inside after which an object loiters, in s; 0 = never.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 86_400.0))]
    pub loiter_s: f32,
    /// Time for which an object must be inside before it has come in, and outside before it has left, in two frames at least, in s; 0 =
    /// one frame is enough.
    #[serde(default = "inertia")]
    #[schemars(range(min = 0.0, max = 3600.0))]
    pub inertia_s: f32,
}

/// Default of [`ZoneConfig::inertia_s`].
fn inertia() -> f32 {
    0.4
}

/// `[[pipeline.line]]`: a line across the picture whose crossings are counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineConfig {
    /// Name in events and states, `[a-zA-Z0-9_-]`, unique in the pipeline.
    pub name: LineName,
    /// First point, `[x, y]` in shares of the picture's width and height, 0 to 1.
    pub from: [f32; 2],
    /// Second point. From the left of the line to its right, seen from the first point towards this one, is forward.
    pub to: [f32; 2],
    /// Labels that count; empty = all.
    #[serde(default)]
    pub labels: Vec<String>,
}

/// `[pipeline.event]`: changes that are worth telling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EventConfig {
    /// Sightings that it takes before something counts as there; unset = half of the frames and two (`classify`: one, `anomaly`: two in
    /// a row).
    pub confirm: Option<Confirm>,
    /// Time for which something must be seen before it counts as there, in s; 0 = at once; unset = the task's `appear_s`, else 0.5 for
    /// objects and 0 for the rest.
    #[schemars(range(min = 0.0, max = 3600.0))]
    pub appear_s: Option<f32>,
    /// Time for which it must not be seen before it counts as gone, in s; 0 = at once; unset = the task's `vanish_s`, else 2 for objects
    /// and 0 for the rest.
    #[schemars(range(min = 0.0, max = 3600.0))]
    pub vanish_s: Option<f32>,
    /// Most time between two sightings that confirm each other, in s, however many frames lie between them: for what shows now and then;
    /// unset = by frames.
    #[schemars(range(min = 0.1, max = 3600.0))]
    pub repeat_within_s: Option<f32>,
    /// For `classify`: score with which a label begins an event, 0 to 1; unset = the task's `min_score`.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub enter_score: Option<f32>,
    /// For `classify`: score with which its event goes on although another label is better, 0 to 1; unset = none.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub leave_score: Option<f32>,
    /// For `detect`: least time between two updates of an event for a better score, in s; 0 = each time.
    #[schemars(range(min = 0.0, max = 3600.0))]
    pub update_every_s: f32,
    /// For `detect`: zones of which an object must have been in one before its event begins; empty = anywhere.
    pub required_zones: Vec<ZoneName>,
    /// For `detect`: publish a JPEG of each event's best moment, with boxes.
    pub snapshot: bool,
    /// With `snapshot`: publish it without boxes, too.
    pub clean: bool,
}

impl Default for EventConfig {
    fn default() -> Self {
        EventConfig {
            confirm: None,
            appear_s: None,
            vanish_s: None,
            repeat_within_s: None,
            enter_score: None,
            leave_score: None,
            update_every_s: 5.0,
            required_zones: Vec::new(),
            snapshot: false,
            clean: false,
        }
    }
}

/// Sightings in a number of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// Sightings.
    #[schemars(range(min = 1, max = 60))]
    pub seen: u32,
    /// In so many frames.
    #[schemars(range(min = 1, max = 60))]
    pub of: u32,
}

/// The tables of one pipeline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `[pipeline.track]`.
    pub track: TrackConfig,
    /// `[[pipeline.zone]]`.
    pub zones: Vec<ZoneConfig>,
    /// `[[pipeline.line]]`.
    pub lines: Vec<LineConfig>,
    /// `[pipeline.event]`.
    pub event: EventConfig,
}

impl Config {
    /// Faults that show without the model; keys are relative to `[[pipeline]]`.
    pub fn check(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        self.check_zones(&mut found);
        self.check_lines(&mut found);
        self.check_event(&mut found);
        if let (Some(low), Some(new)) = (self.track.low_score, self.track.new_score)
            && low > new
        {
            let fault = Diagnostic::error("track.low_score", "more than track.new_score").found(low.to_string());
            found.push(fault.allowed(format!("0 to {new}")));
        }
        if let (Some(lost), Some(vanish)) = (self.track.lost_s, self.event.vanish_s)
            && lost < vanish
        {
            let message = "has no effect: an object keeps its number as long as its event goes on";
            found.push(Diagnostic::warning("track.lost_s", message).help(format!("event.vanish_s is {vanish}")));
        }
        found
    }

    /// Tables and keys that have no effect for a task of `kind`, and labels that are none of the model's `labels`.
    pub fn check_model(&self, kind: TaskKind, labels: &[Label]) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        if !kind.has_objects() {
            let message = "only a pipeline whose task is \"detect\", \"pose\", \"segment\" or \"obb\" has objects";
            let tables = [("zone", self.zones.is_empty()), ("line", self.lines.is_empty())];
            found.extend(tables.iter().filter(|(_, none)| !none).map(|(table, _)| Diagnostic::error(*table, message)));
            let EventConfig { required_zones, snapshot, clean, update_every_s, .. } = &self.event;
            for (key, set) in [
                ("track", self.track != TrackConfig::default()),
                ("event.required_zones", !required_zones.is_empty()),
                ("event.snapshot", *snapshot),
                ("event.clean", *clean),
                ("event.update_every_s", *update_every_s != EventConfig::default().update_every_s),
            ] {
                if set {
                    found.push(Diagnostic::warning(key, format!("has no effect: {message}")));
                }
            }
        }
        let is_label = kind == TaskKind::Classify;
        for (key, set, counts, tasks) in [
            (
                "event.enter_score",
                self.event.enter_score.is_some(),
                is_label || kind == TaskKind::Text,
                r#""classify" or "text""#,
            ),
            ("event.leave_score", self.event.leave_score.is_some(), is_label, r#""classify""#),
        ] {
            if set && !counts {
                found.push(Diagnostic::warning(
                    key,
                    format!("has no effect: it is for a pipeline whose task is {tasks}"),
                ));
            }
        }
        if !labels.is_empty() {
            let zones = self.zones.iter().map(|zone| &zone.labels).enumerate().map(|(i, l)| ("zone", i, l));
            let lines = self.lines.iter().map(|line| &line.labels).enumerate().map(|(i, l)| ("line", i, l));
            for (table, place, wanted) in zones.chain(lines) {
                found.extend(unknown_labels(&format!("{table}[{place}].labels"), wanted, labels));
            }
        }
        found
    }

    fn check_zones(&self, found: &mut Vec<Diagnostic>) {
        found.extend(too_many("zone", self.zones.len()));
        found.extend(taken("zone", self.zones.iter().map(|zone| zone.name.as_str())));
        for (i, zone) in self.zones.iter().enumerate() {
            found.extend(unique(&zone.labels, &format!("zone[{i}].labels")));
            let key = format!("zone[{i}].polygon");
            let corners = &zone.polygon;
            if !(3..=MAX_CORNERS).contains(&corners.len()) {
                let fault = Diagnostic::error(&key, "not a polygon").found(format!("{} corners", corners.len()));
                found.push(fault.allowed(format!("3 to {MAX_CORNERS} corners, each [x, y]")));
            } else if let Some(corner) = corners.iter().position(|corner| !is_inside(corner)) {
                found.push(outside(format!("{key}[{corner}]"), &corners[corner]));
            } else if crosses_itself(corners) {
                let fault = Diagnostic::error(&key, "its sides cross each other");
                found.push(fault.allowed("corners in the order in which they go round the zone"));
            } else if area(corners) < LEAST_AREA {
                found.push(Diagnostic::error(&key, "it has no area: its corners are on one line"));
            }
        }
    }

    fn check_lines(&self, found: &mut Vec<Diagnostic>) {
        found.extend(too_many("line", self.lines.len()));
        found.extend(taken("line", self.lines.iter().map(|line| line.name.as_str())));
        for (i, line) in self.lines.iter().enumerate() {
            found.extend(unique(&line.labels, &format!("line[{i}].labels")));
            for (key, point) in [("from", &line.from), ("to", &line.to)] {
                if !is_inside(point) {
                    found.push(outside(format!("line[{i}].{key}"), point));
                }
            }
            let length = (line.to[0] - line.from[0]).hypot(line.to[1] - line.from[1]);
            if length < LEAST_LENGTH {
                let fault = Diagnostic::error(format!("line[{i}].to"), "the same point as `from`");
                found.push(fault.found(format!("{:?}", line.to)));
            }
        }
    }

    fn check_event(&self, found: &mut Vec<Diagnostic>) {
        let event = &self.event;
        if let Some(Confirm { seen, of }) = event.confirm
            && seen > of
        {
            let fault = Diagnostic::error("event.confirm.seen", "more sightings than frames").found(seen.to_string());
            found.push(fault.allowed(format!("1 to {of}, which is event.confirm.of")));
        }
        if event.clean && !event.snapshot {
            found.push(Diagnostic::warning("event.clean", "has no effect without event.snapshot = true"));
        }
        if let (Some(enter), Some(leave)) = (event.enter_score, event.leave_score)
            && leave > enter
        {
            let fault = Diagnostic::error("event.leave_score", "more than event.enter_score").found(leave.to_string());
            found.push(fault.allowed(format!("0 to {enter}")));
        }
        let names: Vec<&str> = self.zones.iter().map(|zone| zone.name.as_str()).collect();
        for (i, zone) in event.required_zones.iter().enumerate() {
            if !names.contains(&zone.as_str()) {
                let key = format!("event.required_zones[{i}]");
                let fault = Diagnostic::error(key, "no such zone in this pipeline").found(quoted(zone));
                let allowed =
                    if names.is_empty() { "the name of a [[pipeline.zone]]".into() } else { names.join(", ") };
                let mut fault = fault.allowed(allowed);
                fault.help = nearest(zone, names.iter().copied()).map(|meant| format!("did you mean {meant:?}?"));
                found.push(fault);
            }
        }
    }
}

/// A time of a configuration, to the millisecond, which its floats would miss by a little.
pub(super) fn time(seconds: f32) -> Duration {
    Duration::from_millis((seconds * 1000.0).round() as u64)
}

fn is_inside(point: &[f32; 2]) -> bool {
    point.iter().all(|v| (0.0..=1.0).contains(v))
}

fn outside(key: String, [x, y]: &[f32; 2]) -> Diagnostic {
    Diagnostic::error(key, "outside of the picture")
        .found(format!("[{x}, {y}]"))
        .allowed("[x, y], each 0 to 1: shares of the picture's width and height")
}

fn too_many(table: &str, count: usize) -> Option<Diagnostic> {
    let fault = || Diagnostic::error(table, "too many").found(count.to_string()).allowed(format!("up to {MAX_PLACES}"));
    (count > MAX_PLACES).then(fault)
}

fn taken<'a>(table: &str, names: impl Iterator<Item = &'a str>) -> Vec<Diagnostic> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut found = Vec::new();
    for (i, name) in names.enumerate() {
        if let Some(first) = seen.insert(name, i) {
            let fault = Diagnostic::error(format!("{table}[{i}].name"), "the name is taken").found(quoted(name));
            found.push(fault.allowed(format!("a name of its own: {table}[{first}] has this one")));
        }
    }
    found
}

fn unknown_labels(key: &str, wanted: &[String], known: &[Label]) -> Vec<Diagnostic> {
    let unknown = wanted.iter().enumerate().filter(|(_, label)| !known.iter().any(|one| **one == ***label));
    let fault = |(i, label): (usize, &String)| {
        let shown: Vec<&str> = known.iter().take(20).map(|label| &**label).collect();
        let fault = Diagnostic::error(format!("{key}[{i}]"), "the model has no such label").found(quoted(label));
        let mut fault = fault.allowed(shown.join(", "));
        fault.help = nearest(label, known.iter().map(|l| &**l)).map(|meant| format!("did you mean {meant:?}?"));
        fault
    };
    unknown.map(fault).collect()
}

/// Area of a polygon (shoelace formula).
fn area(corners: &[[f32; 2]]) -> f32 {
    let next = corners.iter().cycle().skip(1);
    let twice: f32 = corners.iter().zip(next).map(|([ax, ay], [bx, by])| ax * by - bx * ay).sum();
    twice.abs() / 2.0
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
