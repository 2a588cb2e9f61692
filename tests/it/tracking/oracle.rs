//! The bound of what can be had from a detector: every detection is given the object that it is of.

use std::collections::BTreeMap;
use std::time::Duration;

use leptond::frame::Detection;
use leptond::scene::TruthObject;

use super::assign::assign;
use super::follow::{Follow, Followed, Step};
use super::metrics::{OVERLAP, iou};

/// Least score of a detection.
const SCORE: f32 = 0.4;
/// Sightings after which an object counts.
const SIGHTINGS: u32 = 2;

/// Knows who is who.
pub struct Oracle {
    truth: BTreeMap<Duration, Vec<TruthObject>>,
    sightings: BTreeMap<u64, u32>,
}

impl Oracle {
    pub fn new(frames: &[(Duration, Vec<TruthObject>)]) -> Self {
        Oracle { truth: frames.iter().cloned().collect(), sightings: BTreeMap::new() }
    }
}

impl Follow for Oracle {
    fn step(&mut self, detections: &[Detection], now: Duration) -> Step {
        let mut step = Step::default();
        let Some(truth) = self.truth.get(&now) else { return step };
        let found: Vec<&Detection> = detections.iter().filter(|d| d.score >= SCORE).collect();
        let overlap = |d: &Detection, o: &TruthObject| f64::from(iou(d.bbox, o.bbox).max(iou(d.bbox, o.visible_bbox)));
        let cost: Vec<Vec<f64>> =
            found.iter().map(|d| truth.iter().map(|o| (1.0 - overlap(d, o)).min(0.99)).collect()).collect();
        for (detection, object) in assign(&cost).into_iter().enumerate() {
            let near = |o: &usize| cost[detection][*o] <= 1.0 - f64::from(OVERLAP);
            let Some(object) = object.filter(near).map(|o| truth[o]) else { continue };
            let sightings = self.sightings.entry(object.id).or_default();
            *sightings += 1;
            if *sightings == SIGHTINGS {
                step.told.push((object.id, object.label.to_string()));
            }
            step.followed.push(Followed { track: object.id, bbox: found[detection].bbox });
        }
        step
    }
}
