//! One followed object: its life, its places, its best moment, and what was told of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::life::{At, Life};
use super::lines::{Line, Way};
use super::stationary::Rest;
use super::tracker::Track;
use super::zones::{Visit, Zone};
use crate::frame::{Crossing, Direction, Event, EventKind, Label, SourceSize, ZoneName};

/// Crossings that an event lists at most, the latest ones.
const MAX_CROSSINGS: usize = 32;
/// Least time between two updates of one event for a change.
const CHANGES_EVERY: Duration = Duration::from_millis(500);
/// Rise of the best score that is worth an update.
const BETTER: f32 = 0.1;

/// The places of a pipeline, and what it wants of them.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) zones: Vec<Zone>,
    pub(super) lines: Vec<Line>,
    /// Zones of which an object must have been in one.
    pub(super) required: Vec<ZoneName>,
    /// Time without a movement after which an object is stationary.
    pub(super) still: Duration,
    /// Least time between two updates for a better score.
    pub(super) update_every: Duration,
    /// Each event has a picture.
    pub(super) snapshot: bool,
}

/// One followed object.
#[derive(Debug)]
pub(super) struct Object {
    /// None between an event and the next sighting.
    pub(super) life: Option<Life>,
    /// It was there at some time.
    pub(super) was_present: bool,
    rest: Rest,
    visits: Vec<Visit>,
    ways: Vec<Way>,
    /// Crossings before it was there, by the line's place: not counted yet.
    pub(super) uncounted: Vec<(usize, Direction)>,
    story: Story,
}

/// Content of an event.
#[derive(Clone, Debug, Default)]
struct Story {
    /// Empty before its `new`.
    id: String,
    /// Score and box of the best moment.
    best: Option<(f32, [f32; 4])>,
    entered: Vec<ZoneName>,
    crossings: Vec<Crossing>,
    /// Number of crossings, with those that are not listed any more.
    crossed: u64,
    /// Something else is new.
    touched: bool,
    told: Option<Told>,
}

/// The last message.
#[derive(Clone, Debug)]
struct Told {
    at: Duration,
    score: f32,
    changes: Changes,
}

/// Values that are worth an update when they change.
#[derive(Clone, Debug, PartialEq)]
struct Changes {
    label: Label,
    zones: Vec<ZoneName>,
    loitering: Vec<ZoneName>,
    crossed: u64,
    stationary: bool,
}

impl Object {
    /// An object that was seen for the first time.
    pub(super) fn new(track: &Track, places: &Places, size: [f32; 2], at: At) -> Object {
        Object {
            life: None,
            was_present: false,
            rest: Rest::new(in_shares(track.bbox(), size), at.now),
            visits: vec![Visit::default(); places.zones.len()],
            ways: vec![Way::default(); places.lines.len()],
            uncounted: Vec::new(),
            story: Story::default(),
        }
    }

    /// It is there.
    pub(super) fn is_present(&self) -> bool {
        self.life.as_ref().is_some_and(Life::is_present)
    }

    /// Its event has begun.
    pub(super) fn is_told(&self) -> bool {
        !self.story.id.is_empty()
    }

    /// Something about it is new that only others know: worth an update.
    pub(super) fn touch(&mut self) {
        self.story.touched = true;
    }

    /// Takes a sighting in a picture of `[width, height]` pixels.
    pub(super) fn see(&mut self, track: &Track, places: &Places, size: [f32; 2], at: At) {
        let anchor = track.anchor();
        let anchor = [anchor[0] / size[0], anchor[1] / size[1]];
        self.rest.look(in_shares(track.bbox(), size), places.still, at.now);
        for (visit, zone) in self.visits.iter_mut().zip(&places.zones) {
            visit.look(zone, track.label(), anchor, at.now);
            if visit.is_inside() && !self.story.entered.contains(&zone.name) {
                self.story.entered.push(zone.name.clone());
            }
        }
        for (index, (way, line)) in self.ways.iter_mut().zip(&places.lines).enumerate() {
            let crossed = way.look(line, anchor, track.scale(), size);
            if let Some(direction) = crossed.filter(|_| line.wants(track.label())) {
                self.uncounted.push((index, direction));
                self.story.crossed += 1;
                self.story.crossings.push(Crossing { line: line.name.clone(), direction, time: at.time });
                if self.story.crossings.len() > MAX_CROSSINGS {
                    self.story.crossings.remove(0);
                }
            }
        }
        let score = track.seen.score;
        if self.story.best.is_none_or(|(best, _)| score > best) {
            self.story.best = Some((score, track.seen.bbox));
        }
    }

    /// The picture has other pixels from now on.
    pub(super) fn rescale(&mut self, [x, y]: [f32; 2]) {
        if let Some((_, bbox)) = &mut self.story.best {
            *bbox = [bbox[0] * x, bbox[1] * y, bbox[2] * x, bbox[3] * y];
        }
    }

    /// Zones that it is in.
    pub(super) fn zones<'a>(&'a self, places: &'a Places) -> impl Iterator<Item = &'a ZoneName> {
        let inside = places.zones.iter().zip(&self.visits).filter(|(_, visit)| visit.is_inside());
        inside.map(|(zone, _)| &zone.name)
    }

    /// It has not moved for long.
    pub(super) fn is_stationary(&self) -> bool {
        self.rest.is_stationary()
    }

    /// The begin of its event, once it is there and was where it must have been; `id` makes the event's id.
    pub(super) fn begin(
        &mut self,
        track: &Track,
        places: &Places,
        size: SourceSize,
        at: At,
        id: impl FnOnce(std::time::SystemTime) -> String,
    ) -> Option<Event> {
        let wanted = places.required.is_empty() || places.required.iter().any(|zone| self.story.entered.contains(zone));
        if self.is_told() || !self.is_present() || !wanted {
            return None;
        }
        self.story.id = id(self.life.as_ref()?.start_time());
        Some(self.tell(EventKind::New, track, places, size, at))
    }

    /// An update of its event, if something changed that is worth one.
    pub(super) fn update(&mut self, track: &Track, places: &Places, size: SourceSize, at: At) -> Option<Event> {
        let told = self.story.told.as_ref().filter(|_| self.is_told())?;
        let since = at.now.saturating_sub(told.at);
        let changed = self.story.touched || self.changes(track, places) != told.changes;
        let better = self.story.best.is_some_and(|(best, _)| best >= told.score + BETTER);
        let due = changed && since >= CHANGES_EVERY || better && since >= places.update_every;
        due.then(|| self.tell(EventKind::Update, track, places, size, at))
    }

    /// The end of its event, if it has begun. What is seen of it later is another one.
    pub(super) fn end(&mut self, track: &Track, places: &Places, size: SourceSize, at: At) -> Option<Event> {
        let event = self.is_told().then(|| self.tell(EventKind::End, track, places, size, at));
        self.life = None;
        self.story = Story::default();
        self.uncounted.clear();
        event
    }

    fn changes(&self, track: &Track, places: &Places) -> Changes {
        let loitering = places.zones.iter().zip(&self.visits).filter(|(_, visit)| visit.loiters());
        Changes {
            label: track.label().clone(),
            zones: self.zones(places).cloned().collect(),
            loitering: loitering.map(|(zone, _)| zone.name.clone()).collect(),
            crossed: self.story.crossed,
            stationary: self.is_stationary(),
        }
    }

    fn tell(&mut self, kind: EventKind, track: &Track, places: &Places, size: SourceSize, at: At) -> Event {
        let changes = self.changes(track, places);
        let (best, best_box) = self.story.best.unwrap_or((track.seen.score, track.seen.bbox));
        let is_end = kind == EventKind::End;
        let (start, seen) = match &self.life {
            Some(life) => (life.start_time(), life.seen_time()),
            None => (track.start_time, track.seen_time),
        };
        self.story.told = Some(Told { at: at.now, score: best, changes: changes.clone() });
        self.story.touched = false;
        Event {
            kind,
            id: self.story.id.clone(),
            label: changes.label.to_string(),
            score: if is_end { best } else { track.seen.score },
            best_score: Some(best),
            bbox: Some(if is_end { best_box } else { track.seen.bbox }),
            source_size: Some(size),
            track_id: Some(track.id),
            zones: changes.zones,
            entered_zones: self.story.entered.clone(),
            loitering: changes.loitering,
            crossings: self.story.crossings.clone(),
            stationary: changes.stationary,
            snapshot: places.snapshot && kind != EventKind::New,
            start_time: start,
            end_time: is_end.then_some(seen),
            channels: Vec::new(),
            faults: Vec::new(),
            attributes: BTreeMap::new(),
        }
    }
}

/// A box in shares of the picture's sides.
fn in_shares([x1, y1, x2, y2]: [f32; 4], [width, height]: [f32; 2]) -> [f32; 4] {
    [x1 / width, y1 / height, x2 / width, y2 / height]
}
