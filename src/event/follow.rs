//! Detections of a pipeline over time: objects that come, stay and go, what is counted of them, and their events.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::config::time;
use super::life::{At, Life, Look, Rules, Step};
use super::lines::Line;
use super::object::{Object, Places};
use super::settings::{ObjectSettings, Settings};
use super::silence::Silence;
use super::tracker::{Track, Tracker, TrackerSettings, Update};
use super::zones::Zone;
use crate::frame::{
    Detection, Direction, Event, EventIds, Label, LabelCounts, LineCount, LineName, Outcome, SourceSize, ZoneName,
};

/// Follows the objects of a detector. Bounded by the tracker's objects, and the configured zones and lines.
#[derive(Debug)]
pub struct Follower {
    rules: Rules,
    min_score: f32,
    tracker: Tracker,
    /// By the number of the track.
    objects: BTreeMap<u64, Object>,
    places: Places,
    /// Crossings since the start, for each line.
    crossings: Vec<BTreeMap<Label, LineCount>>,
    ids: EventIds,
    silence: Silence,
    size: Option<SourceSize>,
    /// Detections of the frame with the faint ones; kept for its room.
    all: Vec<Detection>,
}

impl Follower {
    /// A follower that has seen nothing yet.
    pub fn new(settings: &Settings, objects: &ObjectSettings) -> Follower {
        let config = &settings.config;
        let rules = Rules::new(&config.event, &objects.defaults());
        let min_score = objects.min_score;
        let mut tracker = TrackerSettings {
            min_score,
            low_score: config.track.low_score.unwrap_or(min_score / 2.0),
            new_score: config.track.new_score.unwrap_or(min_score),
            // An object whose event goes on has its number.
            lost: config.track.lost_s.map_or(Duration::ZERO, time).max(rules.memory()),
            ..TrackerSettings::default()
        };
        if let Some(within) = rules.within() {
            tracker.once = within;
        }
        Follower {
            min_score,
            tracker: Tracker::new(tracker),
            objects: BTreeMap::new(),
            places: Places {
                zones: config.zones.iter().map(Zone::new).collect(),
                lines: config.lines.iter().map(Line::new).collect(),
                required: config.event.required_zones.clone(),
                still: time(config.track.stationary_s),
                update_every: time(config.event.update_every_s),
                snapshot: config.event.snapshot,
            },
            crossings: vec![BTreeMap::new(); config.lines.len()],
            ids: EventIds::default(),
            silence: Silence::default(),
            size: None,
            all: Vec::new(),
            rules,
        }
    }

    /// Least score of a detection that tells something: below that of a detection that counts where an object may go on by it.
    pub fn least_score(&self) -> f32 {
        self.tracker.least_score()
    }

    /// Takes the objects of a frame, those of `outcome` and the `faint` ones below the score that counts, and fills in what is known of
    /// them over time. `now` is monotonic.
    pub fn frame(&mut self, outcome: &mut Outcome, faint: &[Detection], now: Duration, time: SystemTime) -> Vec<Event> {
        let Outcome::Detect { detections, counts, zones, lines, source_width, source_height, .. } = outcome else {
            return Vec::new();
        };
        let mut events = self.idle(now);
        self.silence.frame(now);
        self.resize(SourceSize { width: (*source_width).max(1), height: (*source_height).max(1) });
        let at = At { now, time };
        let mut all = std::mem::take(&mut self.all);
        all.clear();
        all.extend(detections.iter().chain(faint).cloned());
        let Update { ids, ended } = self.tracker.update(&all, now, time);
        self.all = all;
        self.look(at, &mut events);
        self.bury(ended, at, &mut events);
        for (detection, id) in detections.iter_mut().zip(ids) {
            detection.track_id = id;
            if let Some(object) = id.and_then(|id| self.objects.get(&id)) {
                detection.zones = object.zones(&self.places).cloned().collect();
                detection.stationary = object.is_stationary();
            }
        }
        (*counts, *zones) = self.counts();
        *lines = self.line_counts();
        events
    }

    /// Ends what no frame has told of for long: nothing is known of it any more.
    pub fn idle(&mut self, now: Duration) -> Vec<Event> {
        if self.silence.is_long(now, self.rules.memory()) { self.end(now) } else { Vec::new() }
    }

    /// Ends everything, as of when it was seen last.
    pub fn end(&mut self, now: Duration) -> Vec<Event> {
        let mut events = Vec::new();
        let ended = self.tracker.clear();
        self.bury(ended, At { now, time: SystemTime::UNIX_EPOCH }, &mut events);
        events
    }

    /// Nothing in the picture has moved since the last frame: every object that it showed is still there at `now`.
    pub fn unchanged(&mut self, now: Duration, time: SystemTime) {
        self.silence.frame(now);
        self.tracker.unchanged(now, time);
        let objects = self.objects.values_mut().filter_map(|object| object.life.as_mut());
        objects.for_each(|life| life.unchanged(At { now, time }));
    }

    /// True while the next frame decides something: a candidate, or an object that was not seen in the last frame or has moved lately.
    pub fn is_unsettled(&self) -> bool {
        let moves = |object: &Object| !self.places.still.is_zero() && !object.is_stationary();
        self.objects
            .values()
            .any(|object| object.life.as_ref().is_some_and(|life| life.is_unsettled() || moves(object)))
    }

    /// Something is known about an object that its event is to tell.
    pub fn touch(&mut self, track_id: u64) {
        if let Some(object) = self.objects.get_mut(&track_id) {
            object.touch();
        }
    }

    /// Objects that can be relied on, by label, in the whole picture and in each zone.
    fn counts(&self) -> (LabelCounts, BTreeMap<ZoneName, LabelCounts>) {
        let mut counts = LabelCounts::new();
        let names = self.places.zones.iter().map(|zone| zone.name.clone());
        let mut zones: BTreeMap<ZoneName, LabelCounts> = names.map(|name| (name, LabelCounts::new())).collect();
        for track in self.tracker.tracks() {
            let Some(object) = self.objects.get(&track.id).filter(|object| object.is_present()) else { continue };
            *counts.entry(track.label().clone()).or_default() += 1;
            for zone in object.zones(&self.places) {
                if let Some(counts) = zones.get_mut(zone) {
                    *counts.entry(track.label().clone()).or_default() += 1;
                }
            }
        }
        (counts, zones)
    }

    fn line_counts(&self) -> BTreeMap<LineName, BTreeMap<Label, LineCount>> {
        let names = self.places.lines.iter().map(|line| line.name.clone());
        names.zip(self.crossings.iter().cloned()).collect()
    }

    /// Takes in the sight of each object in the frame.
    fn look(&mut self, at: At, events: &mut Vec<Event>) {
        let size = self.size();
        let pixels = [size.width as f32, size.height as f32];
        let mut never = Vec::new();
        for track in self.tracker.tracks() {
            let new = || Object::new(track, &self.places, pixels, at);
            let object = self.objects.entry(track.id).or_insert_with(new);
            let seen = track.missed == 0;
            if seen {
                object.see(track, &self.places, pixels, at);
            }
            // What is there goes on by faint detections, too.
            let counts = seen && (object.is_present() || track.seen.score >= self.min_score);
            if object.life.is_none() && counts {
                object.life = Some(Life::new(at));
            }
            let Some(life) = &mut object.life else { continue };
            match life.look(if counts { Look::Seen } else { Look::Unseen }, &self.rules, at) {
                Step::Stays => {}
                Step::Begins => object.was_present = true,
                Step::Ends => events.extend(object.end(track, &self.places, size, at)),
                Step::Dropped if object.was_present => _ = object.end(track, &self.places, size, at),
                Step::Dropped => never.push(track.id),
            }
            if object.is_present() {
                count(&mut self.crossings, &self.places.lines, track, object);
                let ids = &mut self.ids;
                let told = match object.begin(track, &self.places, size, at, |time| ids.next(time)) {
                    Some(begun) => Some(begun),
                    None => object.update(track, &self.places, size, at),
                };
                events.extend(told);
            }
        }
        for id in never {
            self.tracker.forget(id);
            self.objects.remove(&id);
        }
    }

    /// Ends the events of objects that have gone.
    fn bury(&mut self, ended: Vec<Track>, at: At, events: &mut Vec<Event>) {
        let size = self.size();
        for track in ended {
            if let Some(mut object) = self.objects.remove(&track.id) {
                events.extend(object.end(&track, &self.places, size, at));
            }
        }
    }

    /// A frame of `size` follows: what is known of objects in pixels is of its pixels from now on.
    fn resize(&mut self, size: SourceSize) {
        if let Some(before) = self.size.replace(size).filter(|before| *before != size) {
            let by = |now: u32, before: u32| now as f32 / before.max(1) as f32;
            let by = [by(size.width, before.width), by(size.height, before.height)];
            self.tracker.rescale(by);
            self.objects.values_mut().for_each(|object| object.rescale(by));
        }
    }

    fn size(&self) -> SourceSize {
        self.size.unwrap_or(SourceSize { width: 1, height: 1 })
    }
}

/// Counts the crossings of an object that is there.
fn count(crossings: &mut [BTreeMap<Label, LineCount>], lines: &[Line], track: &Track, object: &mut Object) {
    for (index, direction) in object.uncounted.drain(..) {
        let Some(of_line) = crossings.get_mut(index).filter(|_| index < lines.len()) else { continue };
        let count = of_line.entry(track.label().clone()).or_default();
        match direction {
            Direction::Forward => count.forward += 1,
            Direction::Backward => count.backward += 1,
        }
    }
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
