//! The contract of a tracker that is measured, and leptond's own behind it.

use std::time::{Duration, SystemTime};

use leptond::event::{Config, Events, LineConfig, ObjectSettings, Settings, Subject};
use leptond::frame::{Detection, EventKind, LineName, Outcome, TaskKind};

use super::run::SIZE;

/// A tracker that is measured.
pub trait Follow {
    /// Takes the detections of a frame, the most confident first.
    fn step(&mut self, detections: &[Detection], now: Duration) -> Step;

    /// Its own counts of the crossings of each line, forward and backward; `None` where it has none.
    fn crossings(&self) -> Option<Vec<[u64; 2]>> {
        None
    }
}

/// Answer of a tracker to one frame.
#[derive(Debug, Default)]
pub struct Step {
    /// Objects that this frame shows, as they are published.
    pub followed: Vec<Followed>,
    /// Events that began, and those whose label changed, by object and label.
    pub told: Vec<(u64, String)>,
}

/// An object in one frame.
#[derive(Clone, Copy, Debug)]
pub struct Followed {
    pub track: u64,
    pub bbox: [f32; 4],
}

/// leptond's events as a pipeline has them.
pub struct Own {
    events: Events,
    min_score: f32,
    lines: Vec<LineName>,
    crossings: Vec<[u64; 2]>,
}

impl Own {
    /// The default configuration with these lines, in shares of the picture's sides.
    pub fn new(lines: &[[[f32; 2]; 2]]) -> Self {
        let names: Vec<LineName> = (0..lines.len()).map(|i| LineName::new(&format!("line{i}")).unwrap()).collect();
        let with_name = |(name, [from, to]): (&LineName, &[[f32; 2]; 2])| LineConfig {
            name: name.clone(),
            from: *from,
            to: *to,
            labels: Vec::new(),
        };
        let config = Config { lines: names.iter().zip(lines).map(with_name).collect(), ..Config::default() };
        let min_score = 0.4;
        let objects = ObjectSettings { min_score, appear: Duration::from_millis(500), vanish: Duration::from_secs(2) };
        let events = Events::new(&Settings { config, subject: Subject::Objects(objects) });
        Own { events, min_score, crossings: vec![[0; 2]; names.len()], lines: names }
    }
}

impl Follow for Own {
    fn step(&mut self, detections: &[Detection], now: Duration) -> Step {
        let least = self.events.least_score().unwrap_or(self.min_score);
        let known = detections.iter().filter(|d| d.score >= least).cloned();
        let (sure, faint): (Vec<Detection>, Vec<Detection>) = known.partition(|d| d.score >= self.min_score);
        let [width, height] = SIZE.map(u32::from);
        let mut outcome = Outcome::Detect {
            task: TaskKind::Detect,
            detections: sure,
            counts: Default::default(),
            zones: Default::default(),
            lines: Default::default(),
            source_width: width,
            source_height: height,
        };
        let events = self.events.frame(&mut outcome, &faint, now, SystemTime::UNIX_EPOCH + now);
        let Outcome::Detect { detections, lines, .. } = outcome else { return Step::default() };
        for (name, counts) in self.lines.iter().zip(&mut self.crossings) {
            let all = lines.get(name).into_iter().flat_map(|labels| labels.values());
            *counts = all.fold([0; 2], |sum, count| [sum[0] + count.forward, sum[1] + count.backward]);
        }
        let told = events.into_iter().filter(|event| event.kind != EventKind::End);
        Step {
            followed: detections.iter().filter_map(|d| Some(Followed { track: d.track_id?, bbox: d.bbox })).collect(),
            told: told.filter_map(|event| Some((event.track_id?, event.label))).collect(),
        }
    }

    fn crossings(&self) -> Option<Vec<[u64; 2]>> {
        Some(self.crossings.clone())
    }
}
