//! Identity of objects over frames: ByteTrack (Zhang et al., ECCV 2022) on a clock.
//!
//! Detections of a frame are matched in three passes to where each object is expected: certain ones to established objects (also to
//! lost ones), those left to objects that were seen once, and uncertain ones to objects that are left. New objects come from certain ones
//! only.
//!
//! Time is an argument, and everything that grows with it grows with seconds and not with frames: at 15 frames a second boxes of one object
//! overlap, at 2 those of a car do not. So the boxes are widened by how little is known of where the object is (as in C-BIoU, Yang et
//! al., WACV 2023), and without an overlap the distance decides, in deviations of the expected place.

use std::time::{Duration, SystemTime};

use super::assign::{Pair, assign};
use super::kalman::{Motion, Shape};
use crate::frame::{Detection, Label};

/// Objects that are followed at most; further ones are not until others have gone.
pub const MAX_TRACKS: usize = 256;
/// Detections of a frame that are looked at, the most confident ones.
const MAX_DETECTIONS: usize = 256;
/// Labels that are remembered of one object.
const MAX_VOTES: usize = 4;

/// Squared distance in deviations up to which a detection may be the object (χ² with two degrees of freedom, 99 %).
const GATE: f32 = 9.2;
/// Ratio of widths or heights up to which boxes far from each other may be the same object.
const SIZE_RATIO: f32 = 2.5;
/// Overlap with the expected box by which a detection may be the object, whatever the distance.
const OVERLAP: f32 = 0.15;
/// Overlap of widened boxes that an uncertain detection needs.
const FAINT_OVERLAP: f32 = 0.35;
/// Overlap that a detection with another label needs.
const OTHER_LABEL_OVERLAP: f32 = 0.3;
/// Cost of another label.
const OTHER_LABEL: f32 = 0.3;
/// Cost of a distance as large as [`GATE`].
const DISTANCE: f32 = 0.25;
/// Cost of leaving an object without a detection: more than any pair's.
const ALONE: f32 = 1.6;
/// Overlap with a detection of a followed object above which one of another label is a second name for it, not a second object.
const SAME_OBJECT: f32 = 0.75;
/// Widening in deviations of the expected place, and the most in sizes of the box.
const MARGIN: [f32; 2] = [2.0, 1.0];
/// Votes for the label fade with this time.
const VOTES_FADE: f32 = 5.0;
/// Advantage of another label's votes that changes an object's label.
const OUTVOTED: f32 = 1.5;

/// Settings of a [`Tracker`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackerSettings {
    /// Least score of an object that counts; certain from there on.
    pub min_score: f32,
    /// Least score of a detection that may go on with an object.
    pub low_score: f32,
    /// Least score of a detection that may begin one.
    pub new_score: f32,
    /// Time for which an object that is not seen is remembered.
    pub lost: Duration,
    /// The same of one that was seen once only, which is more often than not a mistake; no more than `lost`.
    pub once: Duration,
}

impl Default for TrackerSettings {
    fn default() -> Self {
        TrackerSettings {
            min_score: 0.4,
            low_score: 0.2,
            new_score: 0.4,
            lost: Duration::from_secs(2),
            once: Duration::from_millis(500),
        }
    }
}

/// Follows the objects of one picture. Bounded: [`MAX_TRACKS`] objects.
#[derive(Debug)]
pub struct Tracker {
    settings: TrackerSettings,
    tracks: Vec<Track>,
    /// Number of the next object.
    next: u64,
    last: Option<Duration>,
}

/// One followed object.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// Its number, from 1, never used again.
    pub id: u64,
    /// The latest detection of it, with the label of the frame.
    pub seen: Detection,
    /// Time of the first and of the last sighting, wall clock.
    pub start_time: SystemTime,
    /// See `start_time`.
    pub seen_time: SystemTime,
    /// Time of the first and of the last sighting, monotonic.
    pub start: Duration,
    /// See `start`.
    pub seen_at: Duration,
    /// Sightings.
    pub sightings: u64,
    /// Frames since the last sighting.
    pub missed: u32,
    /// Frames since the first sighting, with it.
    pub frames: u64,
    motion: Motion,
    votes: Vec<(Label, f32)>,
}

/// Outcome of [`Tracker::update`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    /// The object of each detection, in their order; `None` for those that are not followed.
    pub ids: Vec<Option<u64>>,
    /// Objects that have not been seen for too long, and in two frames at least.
    pub ended: Vec<Track>,
}

impl Tracker {
    /// A tracker that has seen nothing yet.
    pub fn new(settings: TrackerSettings) -> Tracker {
        Tracker { settings, tracks: Vec::new(), next: 1, last: None }
    }

    /// The objects that are followed, also those that this frame did not show ([`Track::missed`]).
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Least score of a detection that tells something: below `min_score` where there is an object that may go on by it.
    pub fn least_score(&self) -> f32 {
        let TrackerSettings { min_score, low_score, .. } = self.settings;
        if self.tracks.is_empty() { min_score } else { low_score.min(min_score) }
    }

    /// Takes the detections of a frame, down to [`Tracker::least_score`], in any order; `now` is monotonic. Boxes that are none are left
    /// alone.
    pub fn update(&mut self, detections: &[Detection], now: Duration, time: SystemTime) -> Update {
        let dt = self.last.map_or(0.0, |last| now.saturating_sub(last).as_secs_f32());
        self.last = Some(self.last.map_or(now, |last| last.max(now)));
        for track in &mut self.tracks {
            track.motion.predict(dt, track.missed > 0);
            track.missed = track.missed.saturating_add(1);
            track.frames += 1;
        }
        let mut frame = Frame::of(detections, &self.settings);
        let mut taken = vec![false; self.tracks.len()];
        let established: fn(&Track) -> bool = |track| track.sightings > 1;
        let fresh: fn(&Track) -> bool = |track| track.sightings == 1;
        self.pass(&mut frame, &mut taken, Certainty::Certain, established);
        self.pass(&mut frame, &mut taken, Certainty::Certain, fresh);
        self.pass(&mut frame, &mut taken, Certainty::Faint, |_| true);
        for (found, track) in frame.matches() {
            self.tracks[track].see(found, dt, now, time);
        }
        let mut ids: Vec<Option<u64>> = vec![None; detections.len()];
        for found in &frame.found {
            if let Some(track) = found.track {
                ids[found.index] = Some(self.tracks[track].id);
            }
        }
        for index in 0..frame.found.len() {
            if let Some(id) = self.begin(&frame, index, now, time) {
                frame.found[index].founded = true;
                ids[frame.found[index].index] = Some(id);
            }
        }
        Update { ids, ended: self.expire(now) }
    }

    /// Ends objects that have not been seen for too long, and in two frames at least: a pipeline may look every ten seconds.
    fn expire(&mut self, now: Duration) -> Vec<Track> {
        let TrackerSettings { lost, once, .. } = self.settings;
        let least = if lost.is_zero() { 1 } else { 2 };
        let over = |track: &mut Track| {
            let memory = if track.sightings == 1 { lost.min(once) } else { lost };
            track.missed >= least && now.saturating_sub(track.seen_at) >= memory
        };
        self.tracks.extract_if(.., over).collect()
    }

    /// Ends all objects.
    pub fn clear(&mut self) -> Vec<Track> {
        std::mem::take(&mut self.tracks)
    }

    /// Follows object `id` no further.
    pub fn forget(&mut self, id: u64) {
        self.tracks.retain(|track| track.id != id);
    }

    /// Every object that the last frame showed is still there at `now`, since nothing in the picture has moved.
    pub fn unchanged(&mut self, now: Duration, time: SystemTime) {
        for track in self.tracks.iter_mut().filter(|track| track.missed == 0) {
            (track.seen_at, track.seen_time) = (track.seen_at.max(now), time);
        }
        self.last = self.last.map(|last| last.max(now));
    }

    /// The picture has other pixels from now on: `by` of the former ones, along x and y.
    pub fn rescale(&mut self, by: [f32; 2]) {
        for track in &mut self.tracks {
            track.motion.rescale(by);
            let [x1, y1, x2, y2] = track.seen.bbox;
            track.seen.bbox = [x1 * by[0], y1 * by[1], x2 * by[0], y2 * by[1]];
        }
    }

    /// One pass: detections of `certainty` that are left, to the objects that are left of those that `may` be matched.
    fn pass(&self, frame: &mut Frame<'_>, taken: &mut [bool], certainty: Certainty, may: fn(&Track) -> bool) {
        let rows: Vec<usize> = (0..self.tracks.len()).filter(|at| !taken[*at] && may(&self.tracks[*at])).collect();
        let columns: Vec<usize> = (0..frame.found.len()).filter(|at| frame.found[*at].is(certainty)).collect();
        let mut pairs = Vec::new();
        for (row, track) in rows.iter().enumerate() {
            let expected = Expected::of(&self.tracks[*track]);
            for (column, found) in columns.iter().enumerate() {
                if let Some(cost) = expected.cost(&frame.found[*found], certainty) {
                    pairs.push(Pair { row, column, cost });
                }
            }
        }
        for (row, column) in assign(rows.len(), columns.len(), &pairs, ALONE) {
            taken[rows[row]] = true;
            frame.found[columns[column]].track = Some(rows[row]);
        }
    }

    /// Begins an object at detection `index`, unless it is one that is followed already under another label.
    fn begin(&mut self, frame: &Frame<'_>, index: usize, now: Duration, time: SystemTime) -> Option<u64> {
        let found = frame.found.get(index)?;
        let new_score = self.settings.new_score.max(self.settings.min_score);
        if !found.is(Certainty::Certain) || found.detection.score < new_score || self.tracks.len() >= MAX_TRACKS {
            return None;
        }
        let hides = |other: &Found<'_>| {
            let label = &other.detection.label;
            (other.track.is_some() || other.founded)
                && *label != found.detection.label
                && other.shape.overlap(&found.shape, [0.0; 2]) > SAME_OBJECT
        };
        if frame.found.iter().any(hides) {
            return None;
        }
        let id = self.next;
        self.next += 1;
        self.tracks.push(Track {
            id,
            seen: found.detection.clone(),
            start_time: time,
            seen_time: time,
            start: now,
            seen_at: now,
            sightings: 1,
            missed: 0,
            frames: 1,
            motion: Motion::new(&found.shape),
            votes: vec![(found.detection.label.clone(), found.detection.score)],
        });
        Some(id)
    }
}

impl Track {
    /// The label that most of its sightings gave, by their scores.
    pub fn label(&self) -> &Label {
        // The first one is the label so far.
        self.votes.first().map_or(&self.seen.label, |(label, _)| label)
    }

    /// The smoothed box `[x1, y1, x2, y2]`, or the expected one where this frame did not show it.
    pub fn bbox(&self) -> [f32; 4] {
        self.motion.shape().bbox()
    }

    /// The smoothed point where the object stands: the middle of its bottom edge.
    pub fn anchor(&self) -> [f32; 2] {
        let Shape { centre: [x, y], size: [_, height] } = self.motion.shape();
        [x, y + height / 2.0]
    }

    /// Side of the square of the same area as its box.
    pub fn scale(&self) -> f32 {
        self.motion.shape().scale()
    }

    /// Speed of its centre in pixels per second, `[x, y]`.
    pub fn velocity(&self) -> [f32; 2] {
        self.motion.velocity()
    }

    fn see(&mut self, found: &Found<'_>, dt: f32, now: Duration, time: SystemTime) {
        self.motion.correct(&found.shape, found.detection.score);
        self.vote(&found.detection.label, found.detection.score, dt);
        self.seen = found.detection.clone();
        (self.seen_at, self.seen_time) = (self.seen_at.max(now), time);
        self.sightings += 1;
        self.missed = 0;
    }

    /// Counts a sighting for its label; the label changes when another one clearly outvotes it.
    fn vote(&mut self, label: &Label, score: f32, dt: f32) {
        let kept = (-dt.max(0.0) / VOTES_FADE).exp();
        self.votes.iter_mut().for_each(|(_, votes)| *votes *= kept);
        let score = if score.is_finite() { score.clamp(0.0, 1.0) } else { 0.0 };
        match self.votes.iter_mut().find(|(known, _)| known == label) {
            Some((_, votes)) => *votes += score,
            None => {
                if self.votes.len() >= MAX_VOTES {
                    self.votes.pop();
                }
                self.votes.push((label.clone(), score));
            }
        }
        if let Some(rest) = self.votes.get_mut(1..) {
            rest.sort_by(|a, b| b.1.total_cmp(&a.1));
        }
        if let [(_, own), (_, other), ..] = &self.votes[..]
            && *other > own * OUTVOTED
        {
            self.votes.swap(0, 1);
        }
    }
}

/// Sureness of a detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    /// At least the score that counts.
    Certain,
    /// Less.
    Faint,
}

/// The detections of one frame that have a box.
struct Frame<'a> {
    found: Vec<Found<'a>>,
}

struct Found<'a> {
    detection: &'a Detection,
    /// Its place in the frame's list.
    index: usize,
    shape: Shape,
    certainty: Certainty,
    /// Place of its object among the tracks before this frame.
    track: Option<usize>,
    /// An object began with it.
    founded: bool,
}

impl<'a> Frame<'a> {
    fn of(detections: &'a [Detection], settings: &TrackerSettings) -> Frame<'a> {
        let one = |(index, detection): (usize, &'a Detection)| {
            let certainty = if detection.score >= settings.min_score { Certainty::Certain } else { Certainty::Faint };
            let shape = Shape::of(detection.bbox)?;
            let counts = detection.score >= settings.low_score.min(settings.min_score);
            counts.then_some(Found { detection, index, shape, certainty, track: None, founded: false })
        };
        let mut found: Vec<Found<'_>> = detections.iter().enumerate().filter_map(one).collect();
        found.sort_by(|a, b| b.detection.score.total_cmp(&a.detection.score));
        found.truncate(MAX_DETECTIONS);
        Frame { found }
    }

    fn matches(&self) -> impl Iterator<Item = (&Found<'a>, usize)> {
        self.found.iter().filter_map(|found| Some((found, found.track?)))
    }
}

impl Found<'_> {
    /// True for one of `certainty` that has no object yet.
    fn is(&self, certainty: Certainty) -> bool {
        self.certainty == certainty && self.track.is_none()
    }
}

/// Expected place of an object.
struct Expected<'a> {
    track: &'a Track,
    shape: Shape,
    margin: [f32; 2],
}

impl<'a> Expected<'a> {
    fn of(track: &'a Track) -> Expected<'a> {
        let shape = track.motion.shape();
        let [deviations, most] = MARGIN;
        let margin = track.motion.deviation().map(|deviation| (deviation * deviations).min(most * shape.scale()));
        Expected { track, shape, margin }
    }

    /// Cost of taking `found` for the object; `None` where it cannot be.
    fn cost(&self, found: &Found<'_>, certainty: Certainty) -> Option<f32> {
        let overlap = self.shape.overlap(&found.shape, [0.0; 2]);
        let distance = self.track.motion.distance(&found.shape);
        let ratio = |axis: usize| self.shape.size[axis] / found.shape.size[axis];
        let alike = [ratio(0), ratio(1)].iter().all(|ratio| (1.0 / SIZE_RATIO..=SIZE_RATIO).contains(ratio));
        if overlap < OVERLAP && !(distance <= GATE && alike) {
            return None;
        }
        let widened = self.shape.overlap(&found.shape, self.margin);
        if certainty == Certainty::Faint && widened < FAINT_OVERLAP {
            return None;
        }
        let known = found.detection.label == *self.track.label();
        if !known && overlap < OTHER_LABEL_OVERLAP {
            return None;
        }
        let near = (1.0 - widened.max(overlap)) + DISTANCE * (distance / GATE).min(1.0);
        Some(near + if known { 0.0 } else { OTHER_LABEL }).filter(|cost| cost.is_finite())
    }
}

#[cfg(test)]
#[path = "tracker_tests.rs"]
mod tests;
