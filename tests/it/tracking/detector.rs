//! A detector with the faults that real ones have, from the truth of the drawn street.

use std::time::Duration;

use leptond::frame::Detection;
use leptond::scene::{Chance, TruthObject};

use super::metrics::iou;

/// Quality of a detector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    pub name: &'static str,
    /// Share of well visible objects that are found in a frame.
    recall: f32,
    /// Share of the time that an object is hardly found, in stretches of 0.7 s.
    bursts: f32,
    /// Standard deviation of each edge, as a share of the object's width or height.
    jitter: f32,
    /// Standard deviation of scores.
    spread: f32,
    /// False objects in each frame, anywhere.
    false_boxes: f32,
    /// Places that look like an object now and then.
    false_places: u32,
    /// Share of the time that a bicycle is taken for a person; a third of it the other way round.
    confusion: f32,
    /// Share of the time that two people who overlap are found as one.
    merged: f32,
}

pub const CLEAN: Quality = Quality {
    name: "clean",
    recall: 0.99,
    bursts: 0.0,
    jitter: 0.01,
    spread: 0.03,
    false_boxes: 0.0,
    false_places: 0,
    confusion: 0.0,
    merged: 0.0,
};
pub const USUAL: Quality = Quality {
    name: "usual",
    recall: 0.94,
    bursts: 0.05,
    jitter: 0.03,
    spread: 0.08,
    false_boxes: 0.05,
    false_places: 2,
    confusion: 0.06,
    merged: 0.3,
};
pub const POOR: Quality = Quality {
    name: "poor",
    recall: 0.82,
    bursts: 0.12,
    jitter: 0.055,
    spread: 0.12,
    false_boxes: 0.2,
    false_places: 4,
    confusion: 0.15,
    merged: 0.6,
};

/// Scores below this are not given, as a network's head cuts them off.
const LEAST: f32 = 0.1;
/// Overlap of two boxes of one label of which suppression leaves one.
const SUPPRESS: f32 = 0.6;

/// The detector in front of one street.
pub struct Detector {
    quality: Quality,
    seed: u64,
    /// Width and height of the pictures in pixels.
    size: [f32; 2],
    places: Vec<Detection>,
}

impl Detector {
    pub fn new(quality: Quality, seed: u64, size: [f32; 2]) -> Self {
        let mut chance = Chance::new(seed, 40);
        let places = (0..quality.false_places)
            .map(|i| {
                let label = if i % 2 == 0 { "person" } else { "car" };
                let box_ = anywhere(label, size, &mut chance);
                Detection::new(label.into(), 0.0, box_)
            })
            .collect();
        Detector { quality, seed, size, places }
    }

    /// Even numbers for an object and a stretch of time of `length` seconds, the same in every frame of the stretch.
    fn stretch(&self, purpose: u64, id: u64, at: Duration, length: f64) -> Chance {
        let phase = (id % 17) as f64 / 17.0;
        let number = (at.as_secs_f64() / length + phase).floor() as u64;
        Chance::new(self.seed ^ purpose.wrapping_mul(0x9e37_79b9), id.wrapping_mul(0x1_0000_0001).wrapping_add(number))
    }

    /// Finds what the detector would, the highest scores first.
    pub fn detect(&self, truth: &[TruthObject], at: Duration) -> Vec<Detection> {
        let quality = &self.quality;
        let mut chance = Chance::new(self.seed, 50u64.wrapping_add(at.as_micros() as u64));
        let mut found = Vec::new();
        for object in self.merged(truth, at) {
            let height = object.bbox[3] - object.bbox[1];
            let seen = ramp(0.1, 0.65, object.visible_fraction);
            let large = 0.55 + 0.45 * ramp(14.0, 44.0, height);
            let burst = self.stretch(1, object.id, at, 0.7).often(quality.bursts);
            let found_at_all = quality.recall * (0.2 + 0.8 * seen) * if burst { 0.45 } else { 1.0 };
            if object.visible_fraction < 0.08 || !chance.often(found_at_all) {
                continue;
            }
            let mood = quality.spread * self.stretch(2, object.id, at, 1.3).normal();
            let mean = (0.22 + 0.66 * seen) * large * if burst { 0.55 } else { 1.0 };
            let score = (mean + 0.7 * mood + 0.7 * quality.spread * chance.normal()).clamp(0.0, 0.98);
            // Half hidden, it is found whole for a time, then only as far as it can be seen.
            let whole = object.visible_fraction > 0.75 || self.stretch(3, object.id, at, 0.9).often(0.5);
            let mut bbox = if whole { object.bbox } else { object.visible_bbox };
            let label = self.label(&object, at);
            if label == "person" && object.label == "bicycle" {
                // The rider without the wheels.
                bbox[3] -= 0.2 * (bbox[3] - bbox[1]);
            }
            found.push(Detection::new(label.into(), score, self.shaken(bbox, &mut chance)));
        }
        self.add_false(at, &mut chance, &mut found);
        found.retain(|d| d.score >= LEAST && d.bbox[2] - d.bbox[0] > 2.0 && d.bbox[3] - d.bbox[1] > 2.0);
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut kept: Vec<Detection> = Vec::new();
        for detection in found {
            if !kept.iter().any(|k| k.label == detection.label && iou(k.bbox, detection.bbox) > SUPPRESS) {
                kept.push(detection);
            }
        }
        kept
    }

    /// The true objects, with some pairs of people who overlap as one.
    fn merged(&self, truth: &[TruthObject], at: Duration) -> Vec<TruthObject> {
        let mut out: Vec<TruthObject> = Vec::new();
        for object in truth {
            let beside = out.iter_mut().find(|other| {
                other.label == "person" && object.label == "person" && iou(other.bbox, object.bbox) > 0.3
            });
            match beside {
                Some(other) if self.stretch(4, other.id ^ object.id, at, 0.8).often(self.quality.merged) => {
                    let (a, b) = (other.bbox, object.bbox);
                    other.bbox = [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])];
                    other.visible_bbox = other.bbox;
                }
                _ => out.push(*object),
            }
        }
        out
    }

    fn label(&self, object: &TruthObject, at: Duration) -> &'static str {
        let mut chance = self.stretch(5, object.id, at, 0.5);
        match object.label {
            "bicycle" if chance.often(self.quality.confusion) => "person",
            "person" if chance.often(self.quality.confusion / 3.0) => "bicycle",
            label => label,
        }
    }

    fn shaken(&self, bbox: [f32; 4], chance: &mut Chance) -> [f32; 4] {
        let [width, height] = [bbox[2] - bbox[0], bbox[3] - bbox[1]];
        let mut edge = |value: f32, side: f32, limit: f32| {
            let off = chance.normal() * (self.quality.jitter * side + 0.4);
            (value + off).clamp(0.0, limit)
        };
        let [w, h] = self.size;
        [edge(bbox[0], width, w), edge(bbox[1], height, h), edge(bbox[2], width, w), edge(bbox[3], height, h)]
    }

    fn add_false(&self, at: Duration, chance: &mut Chance, found: &mut Vec<Detection>) {
        for (i, place) in self.places.iter().enumerate() {
            if self.stretch(6, i as u64, at, 2.5).often(0.15) && chance.often(0.6) {
                let bbox = self.shaken(place.bbox, chance);
                found.push(Detection::new(place.label.clone(), chance.within(0.25, 0.68), bbox));
            }
        }
        let mut rest = self.quality.false_boxes;
        while rest > 0.0 && chance.often(rest) {
            let label = if chance.often(0.6) { "person" } else { "car" };
            let bbox = anywhere(label, self.size, chance);
            found.push(Detection::new(label.into(), chance.within(0.12, 0.62), bbox));
            rest -= chance.within(0.0, 1.0);
        }
    }
}

/// A box of a usual shape and size for the label.
fn anywhere(label: &str, [width, height]: [f32; 2], chance: &mut Chance) -> [f32; 4] {
    let tall = height * chance.within(0.07, 0.25);
    let wide = if label == "car" { tall * 2.4 } else { tall * 0.35 };
    let (x, y) = (chance.within(0.0, width - wide), chance.within(0.2 * height, height - tall));
    [x, y, x + wide, y + tall]
}

/// 0 up to `from`, 1 from `to` on.
fn ramp(from: f32, to: f32, value: f32) -> f32 {
    ((value - from) / (to - from)).clamp(0.0, 1.0)
}
