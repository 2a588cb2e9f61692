//! Plain trackers to compare with: frames are their only clock.

use std::time::Duration;

use leptond::frame::Detection;

use super::assign::assign;
use super::follow::{Follow, Followed, Step};
use super::metrics::iou;

/// Least score of a detection.
const SCORE: f32 = 0.4;
/// Least overlap with where an object was, or is expected.
const OVERLAP: f32 = 0.3;
/// Sightings in a row after which an object counts.
const HITS: u32 = 3;

/// SORT (Bewley et al., 2016): a Kalman filter with constant velocity in frames, optimal assignment by overlap. Or without both: each
/// detection goes to the object that it overlaps most, as plain trackers do it.
pub struct Plain {
    sort: bool,
    /// Frames after which an object that is not seen is given up.
    age: u32,
    objects: Vec<Object>,
    next: u64,
}

struct Object {
    id: u64,
    label: String,
    bbox: [f32; 4],
    /// Centre, area; each with its speed per frame and covariance. The ratio of the sides is that of the last sighting.
    states: [State; 3],
    ratio: f32,
    missed: u32,
    hits: u32,
    told: bool,
}

/// A value with its speed and covariance, as in SORT's own filter.
#[derive(Clone, Copy)]
struct State {
    value: f32,
    speed: f32,
    p: [f32; 3],
}

impl State {
    fn new(value: f32) -> Self {
        State { value, speed: 0.0, p: [10.0, 0.0, 10_000.0] }
    }

    fn predict(&mut self, [noise, speed_noise]: [f32; 2]) {
        let [a, b, c] = self.p;
        self.value += self.speed;
        self.p = [a + 2.0 * b + c + noise, b + c, c + speed_noise];
    }

    fn correct(&mut self, measured: f32, noise: f32) {
        let [a, b, c] = self.p;
        let (gain, speed_gain) = (a / (a + noise), b / (a + noise));
        let error = measured - self.value;
        self.value += gain * error;
        self.speed += speed_gain * error;
        self.p = [a - gain * a, b - gain * b, c - speed_gain * b];
    }
}

/// Centre, area and ratio of a box.
fn measured([x1, y1, x2, y2]: [f32; 4]) -> ([f32; 3], f32) {
    let (w, h) = (x2 - x1, y2 - y1);
    ([(x1 + x2) / 2.0, (y1 + y2) / 2.0, w * h], w / h)
}

impl Plain {
    /// `age` is in frames.
    pub fn new(sort: bool, age: u32) -> Self {
        Plain { sort, age, objects: Vec::new(), next: 1 }
    }

    fn predict(&mut self) {
        for object in self.objects.iter_mut().filter(|_| self.sort) {
            for (state, noise) in object.states.iter_mut().zip([[1.0, 0.01], [1.0, 0.01], [1.0, 0.0001]]) {
                state.predict(noise);
            }
            let [x, y, area] = object.states.map(|state| state.value);
            let w = (area.max(1.0) * object.ratio).sqrt();
            let h = area.max(1.0) / w;
            object.bbox = [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0];
        }
    }

    /// The object of each detection.
    fn pairs(&self, found: &[&Detection]) -> Vec<Option<usize>> {
        let overlap = |d: &Detection, o: &Object| {
            let overlap = iou(d.bbox, o.bbox);
            if *o.label == *d.label && overlap >= OVERLAP { overlap } else { 0.0 }
        };
        if self.sort {
            let cost: Vec<Vec<f64>> =
                found.iter().map(|d| self.objects.iter().map(|o| -f64::from(overlap(d, o))).collect()).collect();
            let given = assign(&cost).into_iter().enumerate();
            return given.map(|(d, o)| o.filter(|o| cost[d][*o] < 0.0)).collect();
        }
        let mut free = vec![true; self.objects.len()];
        let mut out = Vec::new();
        for detection in found {
            let open = (0..free.len()).filter(|o| free[*o]);
            let best = open.map(|o| (o, overlap(detection, &self.objects[o]))).max_by(|a, b| a.1.total_cmp(&b.1));
            let best = best.filter(|best| best.1 > 0.0).map(|best| best.0);
            if let Some(o) = best {
                free[o] = false;
            }
            out.push(best);
        }
        out
    }
}

impl Follow for Plain {
    fn step(&mut self, detections: &[Detection], _now: Duration) -> Step {
        self.predict();
        let found: Vec<&Detection> = detections.iter().filter(|d| d.score >= SCORE).collect();
        let pairs = self.pairs(&found);
        let mut step = Step::default();
        self.objects.iter_mut().for_each(|object| object.missed += 1);
        for (detection, object) in found.iter().zip(pairs) {
            let (values, ratio) = measured(detection.bbox);
            let at = object.unwrap_or_else(|| {
                self.objects.push(Object {
                    id: self.next,
                    label: detection.label.to_string(),
                    bbox: detection.bbox,
                    states: values.map(State::new),
                    ratio,
                    missed: 0,
                    hits: 0,
                    told: false,
                });
                self.next += 1;
                self.objects.len() - 1
            });
            let object = &mut self.objects[at];
            object.hits = if object.missed > 1 { 1 } else { object.hits + 1 };
            object.missed = 0;
            object.bbox = detection.bbox;
            object.ratio = ratio;
            for ((state, value), noise) in object.states.iter_mut().zip(values).zip([1.0, 1.0, 10.0]) {
                state.correct(value, noise);
            }
            if object.hits >= HITS || object.told {
                if !object.told {
                    object.told = true;
                    step.told.push((object.id, object.label.clone()));
                }
                step.followed.push(Followed { track: object.id, bbox: object.bbox });
            }
        }
        self.objects.retain(|object| object.missed <= self.age);
        step
    }
}
