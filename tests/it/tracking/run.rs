//! A tracker on the drawn street: frames at a rate, some of them dropped, and what comes of it beside the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leptond::frame::Detection;
use leptond::scene::{Chance, Street, TruthObject, Weather};

use super::detector::{Detector, Quality};
use super::follow::Follow;
use super::metrics::{Accumulator, Numbered, Sums, True};

/// Picture size in pixels.
pub const SIZE: [u16; 2] = [640, 480];
/// An object of which less can be seen is neither missed nor false.
const VISIBLE: f32 = 0.3;
/// Least height in pixels of an object that counts.
const HEIGHT: f32 = 16.0;
/// An object is worth an event when it is well visible for this long.
const WORTH: Duration = Duration::from_secs(2);
/// See [`WORTH`].
const WELL_VISIBLE: f32 = 0.5;
/// Steps per second in which the truth is looked at for events and lines.
const STEPS: u32 = 20;

/// A frame: its time and what is in it.
pub type Frame = (Duration, Vec<TruthObject>);

/// The truth of one street over time, made once for all that is measured on it.
pub struct Course {
    seed: u64,
    length: Duration,
    /// Ends of lines as shares of the picture's sides, and in pixels.
    pub shares: Vec<[[f32; 2]; 2]>,
    lines: Vec<[[f32; 2]; 2]>,
    /// Crossings of each line, from its left to its right and back.
    crossings: Vec<[u64; 2]>,
    /// Objects that are worth an event, and the labels of all.
    worthy: BTreeSet<u64>,
    labels: BTreeMap<u64, &'static str>,
    street: Street,
}

impl Course {
    pub fn new(seed: u64, length: Duration) -> Self {
        let street = Street::new(seed, Weather::Day, 1.0, SIZE[0], SIZE[1]);
        let [w, h] = SIZE.map(f32::from);
        let shares = vec![[[0.35, 0.0], [0.35, 1.0]], [[0.65, 0.0], [0.65, 1.0]], street.zebra_line()];
        let lines: Vec<_> = shares.iter().map(|line| line.map(|[x, y]| [x * w, y * h])).collect();
        let mut crossings = vec![[0; 2]; lines.len()];
        let mut feet: BTreeMap<u64, [f32; 2]> = BTreeMap::new();
        let mut visible: BTreeMap<u64, u32> = BTreeMap::new();
        let mut labels = BTreeMap::new();
        for step in 0..length.as_secs() as u32 * STEPS {
            let truth = street.truth(Duration::from_secs(1) * step / STEPS);
            let mut now = BTreeMap::new();
            for object in truth {
                labels.insert(object.id, object.label);
                let well = object.visible_fraction >= WELL_VISIBLE && counts(&object);
                *visible.entry(object.id).or_default() += u32::from(well);
                if let Some(was) = feet.get(&object.id) {
                    add_crossings(&lines, &mut crossings, *was, object.foot);
                }
                now.insert(object.id, object.foot);
            }
            feet = now;
        }
        let least = WORTH.as_secs() as u32 * STEPS;
        let worthy = visible.into_iter().filter(|(_, steps)| *steps >= least).map(|(id, _)| id).collect();
        Course { seed, length, shares, lines, crossings, worthy, labels, street }
    }

    /// The frames of a camera at `fps`, each a little early or late, with a share of them `dropped`.
    pub fn frames(&self, fps: u32, dropped: f32) -> Vec<Frame> {
        let mut chance = Chance::new(self.seed, 60 + u64::from(fps));
        let mut frames = Vec::new();
        for number in 0..self.length.as_secs() as u32 * fps {
            let late = chance.within(0.0, 0.2) / fps as f32;
            let at = Duration::from_secs(1) * number / fps + Duration::from_secs_f32(late);
            if !chance.often(dropped) {
                frames.push((at, self.street.truth(at)));
            }
        }
        frames
    }
}

fn counts(object: &TruthObject) -> bool {
    object.bbox[3] - object.bbox[1] >= HEIGHT
}

/// Counts the lines that the way from one point to another crosses.
pub fn add_crossings(lines: &[[[f32; 2]; 2]], counts: &mut [[u64; 2]], from: [f32; 2], to: [f32; 2]) {
    for (line, counts) in lines.iter().zip(counts) {
        let [a, b] = *line;
        let side =
            |[x, y]: [f32; 2], [ax, ay]: [f32; 2], [bx, by]: [f32; 2]| (bx - ax) * (y - ay) - (by - ay) * (x - ax);
        let (before, after) = (side(from, a, b), side(to, a, b));
        // The ends of the line are on different sides of the way.
        if (before < 0.0) != (after < 0.0) && (side(a, from, to) < 0.0) != (side(b, from, to) < 0.0) {
            // Rows count downwards: the right hand of one who looks along the line has the greater product.
            counts[usize::from(after < 0.0)] += 1;
        }
    }
}

/// Figures of one or more runs.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub sums: Sums,
    /// True crossings, and the sum of the differences of each line and direction.
    pub crossed: u64,
    pub crossed_wrongly: u64,
    /// Events, and those of a true object with the right label.
    pub events: u64,
    pub events_true: u64,
    /// True objects that those events are of.
    pub objects: u64,
    /// True objects that are worth an event, and those that had one.
    pub worthy: u64,
    pub worthy_told: u64,
}

impl Figures {
    pub fn add(&mut self, other: &Figures) {
        self.sums.add(&other.sums);
        self.crossed += other.crossed;
        self.crossed_wrongly += other.crossed_wrongly;
        self.events += other.events;
        self.events_true += other.events_true;
        self.objects += other.objects;
        self.worthy += other.worthy;
        self.worthy_told += other.worthy_told;
    }

    /// Sum of all differences of counts, as a share of the true crossings.
    pub fn count_error(&self) -> f64 {
        share(self.crossed_wrongly, self.crossed)
    }

    pub fn event_recall(&self) -> f64 {
        share(self.worthy_told, self.worthy)
    }

    pub fn event_precision(&self) -> f64 {
        share(self.events_true, self.events)
    }

    /// Events for each true object that has any.
    pub fn churn(&self) -> f64 {
        share(self.events_true, self.objects)
    }
}

fn share(part: u64, all: u64) -> f64 {
    part as f64 / all.max(1) as f64
}

/// The detections of each frame.
pub fn detections(course: &Course, frames: &[Frame], quality: Quality) -> Vec<Vec<Detection>> {
    let detector = Detector::new(quality, course.seed, SIZE.map(f32::from));
    frames.iter().map(|(at, truth)| detector.detect(truth, *at)).collect()
}

/// Runs a tracker over the frames.
pub fn run(course: &Course, frames: &[Frame], found: &[Vec<Detection>], tracker: &mut dyn Follow) -> Figures {
    let mut accumulator = Accumulator::default();
    // The label of each object with an event, as it was told last.
    let mut told: BTreeMap<u64, String> = BTreeMap::new();
    let mut crossings = vec![[0; 2]; course.lines.len()];
    let mut feet: BTreeMap<u64, [f32; 2]> = BTreeMap::new();
    for ((at, truth), found) in frames.iter().zip(found) {
        let step = tracker.step(found, *at);
        let truth: Vec<True> = truth
            .iter()
            .map(|o| True { id: o.id, bbox: o.bbox, ignored: o.visible_fraction < VISIBLE || !counts(o) })
            .collect();
        let given: Vec<Numbered> = step.followed.iter().map(|f| Numbered { id: f.track, bbox: f.bbox }).collect();
        accumulator.frame(&truth, &given);
        for followed in &step.followed {
            let [x1, _, x2, y2] = followed.bbox;
            let foot = [(x1 + x2) / 2.0, y2];
            if let Some(was) = feet.insert(followed.track, foot) {
                add_crossings(&course.lines, &mut crossings, was, foot);
            }
        }
        told.extend(step.told);
    }
    let wrong = |(told, truth): (&[u64; 2], &[u64; 2])| told[0].abs_diff(truth[0]) + told[1].abs_diff(truth[1]);
    let own = tracker.crossings().unwrap_or(crossings);
    let mut figures = Figures {
        sums: accumulator.finish(),
        crossed: course.crossings.iter().flatten().sum(),
        crossed_wrongly: own.iter().zip(&course.crossings).map(wrong).sum(),
        events: told.len() as u64,
        worthy: course.worthy.len() as u64,
        ..Figures::default()
    };
    let mut objects: BTreeSet<u64> = BTreeSet::new();
    for (track, label) in &told {
        let object = accumulator.object_of(*track).filter(|o| course.labels.get(o).is_some_and(|l| l == label));
        if let Some(object) = object {
            figures.events_true += 1;
            objects.insert(object);
        }
    }
    figures.objects = objects.len() as u64;
    figures.worthy_told = objects.intersection(&course.worthy).count() as u64;
    figures
}
